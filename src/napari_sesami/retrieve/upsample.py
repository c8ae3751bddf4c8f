"""From votes on tokens to labels of pixels: along image edges.

Votes are few numbers per patch (classes), features are many: so votes are upsampled,
by a guided filter with the image as guide (He, Sun and Tang, 2013).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Check = Callable[[], None]  # called now and then; raises to stop the work

SEAMS = 1 << 14  # places between classes that are interpolated at a time
# He, Sun, Tang: Guided Image Filtering (2010), equation 5: a = cov(I, p) / (var(I) + ε)
EPSILON = 1e-3  # the image is in [0, 1]


def nothing() -> None:
    """Let the work go on."""


def upsample(
    votes: NDArray[np.float32], shape: tuple[int, int], patch: int
) -> NDArray[np.float32]:
    """Bilinear upsampling of (h, w, C) to (H, W, C), patch centres kept in place."""
    import torch

    tensor = torch.from_numpy(np.ascontiguousarray(votes.transpose(2, 0, 1)))[None]
    big = torch.nn.functional.interpolate(
        tensor, scale_factor=patch, mode="bilinear", align_corners=False
    )
    cropped = big[0, :, : shape[0], : shape[1]]
    return cropped.permute(1, 2, 0).contiguous().numpy()


def quick_labels(
    votes: NDArray[np.float32], shape: tuple[int, int], patch: int
) -> NDArray[np.uint8]:
    """Class ids (H, W) that `upsample` and its argmax would give, but sooner.

    Between four tokens of one winner the winner stays, so that only the seams between
    classes are interpolated.
    """
    padded = np.pad(votes, ((1, 1), (1, 1), (0, 0)), mode="edge")
    top = padded.argmax(-1).astype(np.uint8)
    corner = top[:-1, :-1]
    same = (corner == top[1:, :-1]) & (corner == top[:-1, 1:]) & (corner == top[1:, 1:])
    blocks = np.empty((same.shape[0], patch, same.shape[1], patch), np.uint8)
    blocks[...] = corner[:, None, :, None]
    i, j = np.nonzero(~same)
    f = ((np.arange(patch) + (0.5 if patch % 2 == 0 else 0.0)) / patch).astype(
        np.float32
    )
    for start in range(0, len(i), SEAMS):
        rows, columns = i[start : start + SEAMS], j[start : start + SEAMS]
        a, b, c, d = (
            np.ascontiguousarray(padded[rows + down, columns + right].T)[..., None]
            for down, right in ((0, 0), (0, 1), (1, 0), (1, 1))
        )  # (C, n, 1)
        above, below = a + (b - a) * f, c + (d - c) * f  # along x: (C, n, p)
        mixed = above[:, :, None] + (below - above)[:, :, None] * f[:, None]
        blocks[rows, :, columns, :] = mixed.argmax(0)
    skip = patch - patch // 2
    flat = blocks.reshape(same.shape[0] * patch, -1)
    return flat[skip : skip + shape[0], skip : skip + shape[1]] + np.uint8(1)


class Guide:
    """The image side of a guided filter (He, Sun and Tang, 2013), computed once.

    The linear model is fitted on every `step`-th mean of the image and applied to all
    of it, which loses next to nothing while the radius is several steps.
    """

    def __init__(self, image: NDArray[np.float32], radius: int, step: int = 1) -> None:
        self.image, self.step = image, step
        self._size = 2 * max(1, radius // step) + 1
        self._small = self._reduce(image)
        self._mu = self._mean(self._small)
        self._variance = self._mean(self._small * self._small) - self._mu * self._mu

    def filter(self, map_: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give one map (H, W) the edges of the image."""
        p = self._reduce(map_)
        average = self._mean(p)
        slope = (self._mean(self._small * p) - self._mu * average) / (
            self._variance + EPSILON
        )
        offset = average - slope * self._mu
        out = self._enlarge(self._mean(slope))
        out *= self.image
        out += self._enlarge(self._mean(offset))
        return out

    def _mean(self, a: NDArray[Any]) -> NDArray[Any]:
        return ndimage.uniform_filter(a, self._size, mode="reflect")

    def _reduce(self, a: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.step == 1:
            return a
        import torch

        pooled = torch.nn.functional.avg_pool2d(
            torch.from_numpy(np.ascontiguousarray(a))[None, None],
            self.step,
            ceil_mode=True,
            count_include_pad=False,
        )
        return pooled[0, 0].numpy()

    def _enlarge(self, a: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.step == 1:
            return a.copy()
        return upsample(a[..., None], self.image.shape, self.step)[..., 0]
