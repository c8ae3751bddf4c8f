"""A picture in scene micrometres on which parts are painted with their labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

Window = tuple[slice, slice]


@dataclass(frozen=True, eq=False)
class BondCanvas:
    """Colours and labels on a pixel grid, addressed in scene micrometres.

    Attributes
    ----------
    rgb, labels
        (H, W, 3) linear light in about [0, 1], and (H, W) class ids.
    y, x
        Scene coordinates of every pixel, µm; the scene may stand rotated.
    step
        Side of a pixel, µm.
    angle
        Rotation of the scene, radians.
    """

    rgb: NDArray[np.float32]
    labels: NDArray[np.uint8]
    y: NDArray[np.float32]
    x: NDArray[np.float32]
    step: float
    angle: float

    @classmethod
    def blank(cls, shape: tuple[int, int], step: float, angle: float) -> BondCanvas:
        """Make an empty canvas whose middle is the scene's origin."""
        height, width = shape
        v = ((np.arange(height) - (height - 1) / 2) * step)[:, None]
        u = ((np.arange(width) - (width - 1) / 2) * step)[None, :]
        cos, sin = np.cos(angle), np.sin(angle)
        return cls(
            np.zeros((height, width, 3), np.float32),
            np.zeros((height, width), np.uint8),
            (cos * v - sin * u).astype(np.float32),
            (sin * v + cos * u).astype(np.float32),
            step,
            angle,
        )

    @property
    def whole(self) -> Window:
        """The window of all pixels."""
        return slice(None), slice(None)

    @property
    def reach(self) -> float:
        """Distance of the corners from the middle, µm."""
        return float(np.hypot(*self.labels.shape)) * self.step / 2

    def window(self, points: ArrayLike, margin: float) -> Window | None:
        """Pixels around scene points (n, 2) = (y, x); None if outside the picture."""
        at = np.atleast_2d(np.asarray(points, float))
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        v = cos * at[:, 0] + sin * at[:, 1]
        u = -sin * at[:, 0] + cos * at[:, 1]
        window = []
        for values, size in ((v, self.labels.shape[0]), (u, self.labels.shape[1])):
            pixels = values / self.step + (size - 1) / 2
            low = max(int(np.floor(pixels.min() - margin / self.step)), 0)
            high = min(int(np.ceil(pixels.max() + margin / self.step)) + 1, size)
            if low >= high:
                return None
            window.append(slice(low, high))
        return window[0], window[1]

    def cover(self, distance: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn signed distances (µm, inside negative) into coverage of pixels."""
        return np.clip(0.5 - distance / self.step, 0, 1).astype(np.float32)

    def paint(
        self,
        window: Window,
        cover: NDArray[np.float32],
        colour: ArrayLike,
        label: int | None = None,
    ) -> None:
        """Lay a colour, (3,) or (h, w, 3), over the window as far as it is covered."""
        target = self.rgb[window]
        target += cover[..., None] * (np.asarray(colour, np.float32) - target)
        if label is not None:
            self.labels[window][cover > 0.5] = label

    def shade(self, window: Window, factor: NDArray[np.float32]) -> None:
        """Multiply the light in a window, e.g. with a shadow."""
        self.rgb[window] *= factor[..., None]


def box_distance(
    y: NDArray[np.float32],
    x: NDArray[np.float32],
    box: Sequence[float],
    corner: float = 0.0,
) -> NDArray[np.float32]:
    """Signed distance to a box (y0, x0, y1, x1) with rounded corners."""
    y0, x0, y1, x1 = box
    dy = np.abs(y - (y0 + y1) / 2) - ((y1 - y0) / 2 - corner)
    dx = np.abs(x - (x0 + x1) / 2) - ((x1 - x0) / 2 - corner)
    outside = np.hypot(np.maximum(dy, 0), np.maximum(dx, 0))
    inside = np.minimum(np.maximum(dy, dx), 0)
    return np.asarray(outside + inside - corner, np.float32)


def cloud(
    shape: tuple[int, int], size: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Smooth random field of about N(0, 1) with blobs of `size` pixels."""
    coarse = max(1, int(size / 3))
    small = tuple(n // coarse + 4 for n in shape)
    field = ndimage.gaussian_filter(
        rng.standard_normal(small, np.float32), size / coarse, mode="wrap"
    )
    field /= max(float(field.std()), 1e-6)
    if coarse > 1:
        field = ndimage.zoom(field, coarse, order=1)
    return np.asarray(field[: shape[0], : shape[1]], np.float32)


def brushed(
    shape: tuple[int, int], length: float, along_x: bool, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Fine streaks of rolled metal, about N(0, 1)."""
    noise = rng.standard_normal(shape, np.float32)
    sigma = (0.6, length) if along_x else (length, 0.6)
    streaks = ndimage.gaussian_filter(noise, sigma, mode="wrap")
    return np.asarray(streaks / max(float(streaks.std()), 1e-6), np.float32)
