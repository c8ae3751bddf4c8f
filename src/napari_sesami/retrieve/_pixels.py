"""From votes on tokens to labels of pixels: along image edges, with pixel evidence.

Votes are few numbers per patch (classes), features are many: so votes are upsampled,
by a guided filter with the image as guide (He, Sun and Tang, 2013), and then multiplied
with what the strokes say of single pixels (grey level and fine texture).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Check = Callable[[], None]  # called now and then; raises to stop the work

EPSILON = 1e-3  # of the guide's variance; the image is in [0, 1]
CHUNK = 1 << 12  # pixels at a time: what is computed of them stays in the cache
FLOOR = 1e-4  # least variance of a feature: a stroke never saw all of its class


def nothing() -> None:
    """Let the work go on."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute many small products in this thread alone.

    Starting and awaiting threads for each costs more than it saves, and ten times
    more when other programs are busy.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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
    a, b, c, d = (
        np.ascontiguousarray(padded[i + down, j + right].T)[..., None]  # (C, n, 1)
        for down, right in ((0, 0), (0, 1), (1, 0), (1, 1))
    )
    above, below = a + (b - a) * f, c + (d - c) * f  # along x: (C, n, p)
    mixed = above[:, :, None] + (below - above)[:, :, None] * f[:, None]
    blocks[i, :, j, :] = mixed.argmax(0)
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


def guided(
    guide: NDArray[np.float32], map_: NDArray[np.float32], radius: int
) -> NDArray[np.float32]:
    """Guided filter of a map (H, W, C) by a grey image (H, W): its edges stay."""
    maker = Guide(guide, radius)
    return np.stack([maker.filter(m) for m in np.moveaxis(map_, -1, 0)], -1)


def pixel_features(
    image: NDArray[np.float32], check: Check = nothing
) -> NDArray[np.float32]:
    """Grey level at three scales, edge strength and local spread, (H, W, 6)."""
    out = np.empty((*image.shape, 6), np.float32)
    out[..., 0] = image
    for i, sigma in enumerate((0.7, 1.5, 4.0)):
        check()
        out[..., i + 1] = ndimage.gaussian_filter(image, sigma)
    check()
    out[..., 4] = ndimage.gaussian_gradient_magnitude(image, 1.5)
    check()
    mean = ndimage.gaussian_filter(image, 3.0)
    check()
    square = ndimage.gaussian_filter(image * image, 3.0)
    out[..., 5] = np.sqrt(np.maximum(square - mean**2, 0))
    return out


@dataclass(frozen=True)
class PixelEvidence:
    """A Gaussian per class over `pixel_features`, learned from labelled pixels.

    Small, closed form and monotone in the data: it never needs a training button.
    """

    means: NDArray[np.float64]
    inverse: NDArray[np.float64]
    logdet: NDArray[np.float64]
    known: NDArray[np.bool_]

    @staticmethod
    def learn(
        features: NDArray[np.float32], strokes: NDArray[Any], n_classes: int
    ) -> PixelEvidence:
        """Fit to the stroked pixels; covariances shrink to the common one."""
        d = features.shape[-1]
        picked = strokes > 0
        x, y = features[picked].astype(np.float64), strokes[picked]
        present = [c for c in range(n_classes) if (y == c + 1).any()]
        centred = [x[y == c + 1] - x[y == c + 1].mean(0) for c in present]
        rest = np.concatenate(centred) if centred else np.zeros((1, d))
        # Within classes only: what lies between them is what tells them apart.
        pooled = rest.T @ rest / max(len(rest) - len(present), 1) + FLOOR * np.eye(d)
        means = np.zeros((n_classes, d))
        inverse = np.zeros((n_classes, d, d))
        logdet = np.zeros(n_classes)
        known = np.zeros(n_classes, bool)
        for c in range(n_classes):
            own = x[y == c + 1]
            if len(own) == 0:
                continue
            known[c] = True
            means[c] = own.mean(0)
            trust = len(own) / (len(own) + 20.0 * d)
            spread = np.cov(own.T) if len(own) > d else pooled
            covariance = trust * spread + (1 - trust) * pooled + FLOOR * np.eye(d)
            inverse[c] = np.linalg.inv(covariance)
            logdet[c] = np.linalg.slogdet(covariance)[1]
        return PixelEvidence(means, inverse, logdet, known)

    @one_thread()
    def log_likelihood(
        self, features: NDArray[np.float32], check: Check = nothing
    ) -> NDArray[np.float32]:
        """(H, W, C) up to a constant; classes without a stroke get −∞."""
        import torch

        x = torch.from_numpy(features.reshape(-1, features.shape[-1]))
        out = torch.full((len(x), len(self.known)), -torch.inf)
        known = np.flatnonzero(self.known)
        if len(known) == 0:
            return out.numpy().reshape(*features.shape[:-1], -1)
        # distance = |x W − b|², one product for all classes
        whiten = [np.linalg.cholesky(self.inverse[c]) for c in known]
        shift = [self.means[c] @ w for c, w in zip(known, whiten, strict=True)]
        weight = torch.from_numpy(np.concatenate(whiten, 1)).float()
        bias = torch.from_numpy(np.concatenate(shift)).float()
        logdet = torch.from_numpy(self.logdet[known]).float()
        for start in range(0, len(x), CHUNK):
            check()
            part, said = x[start : start + CHUNK], out[start : start + CHUNK]
            white = torch.addmm(bias, part, weight, beta=-1).square_()
            distance = white.view(len(part), len(known), -1).sum(-1)
            said[:, known] = distance.add_(logdet).mul_(-0.5)
        return out.numpy().reshape(*features.shape[:-1], -1)


@one_thread()
def fuse(
    votes: NDArray[np.float32],
    evidence: NDArray[np.float32] | None,
    weight: float,
    check: Check = nothing,
) -> NDArray[np.float32]:
    """Probabilities (H, W, C) ∝ votes · exp(weight · evidence)."""
    import torch

    n = votes.shape[-1]
    given = torch.from_numpy(np.ascontiguousarray(votes)).view(-1, n)
    said = None
    if evidence is not None and weight > 0:
        said = torch.from_numpy(np.ascontiguousarray(evidence)).view(-1, n)
    out = torch.empty_like(given)
    for start in range(0, len(given), CHUNK):
        check()
        part = slice(start, start + CHUNK)
        logits = given[part].clamp(min=1e-4).log_()
        if said is not None:
            below = said[part] - said[part].amax(-1, keepdim=True)
            # A pixel that fits no class must not overrule the votes: bounded below.
            logits += below.clamp_(min=-8.0).mul_(weight)
        out[part] = logits.softmax(-1)
    return out.view(votes.shape).numpy()
