"""What a window of a plane looks like to the pool: grey, smoothed, its edges, noise."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_sesami.prompt.render import read_view
from napari_sesami.prompt.view import View, Views

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_sesami.scan import Scan

SIDE = 320  # window pixels: small enough that a pool of floods takes milliseconds
KEPT = 8  # windows kept for later clicks, about 3 MB each
ROOM = 8  # prompts stay 1/8 of the window away from its inner border


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures of one window, all (h, w) float32.

    Attributes
    ----------
    view
        The window and how much it is shrunk.
    smoothed
        Grey after filters of several strengths: what is flooded.
    gradient
        Steepness of the first of them, in grey per pixel.
    ridge
        The steepest within one pixel.
    noise
        Standard deviation of the grey from pixel to pixel.
    """

    view: View
    grey: NDArray[np.float32]
    smoothed: tuple[NDArray[np.float32], ...]
    gradient: NDArray[np.float32]
    ridge: NDArray[np.float32]
    noise: float

    @classmethod
    def read(cls, scan: Scan, plane: int, view: View) -> Pictures:
        """Read a window and filter it."""
        grey = np.asarray(read_view(scan, plane, view)[0, 0], np.float32)
        one = ndimage.gaussian_filter(grey, 1.0)
        two = ndimage.gaussian_filter(grey, 2.0)
        dy, dx = np.gradient(one) if min(grey.shape) > 1 else (0 * one, 0 * one)
        gradient = np.hypot(dy, dx).astype(np.float32)
        noise = _noise(grey)
        smoothed = (one, two, edge_kept(grey, noise))
        ridge = ndimage.maximum_filter(gradient, 3)
        return cls(view, grey, smoothed, gradient, ridge, noise)


class PictureShelf:
    """Keeps the windows used last; threads may share it."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Any, Pictures] = OrderedDict()
        self._lock = Lock()

    def get(self, scan: Scan, plane: int, view: View) -> Pictures:
        """Find the pictures of a window, or make them."""
        key = (scan.content_hash, plane, view, scan.normalisation.key)
        with self._lock:
            found = self._kept.pop(key, None)
        made = found or Pictures.read(scan, plane, view)
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return made


def windows(
    shape: tuple[int, int],
    extent: tuple[float, ...],
    anchor: tuple[float, float] | None = None,
) -> Iterator[View]:
    """Give windows around a place, each twice as wide, until the whole plane is seen.

    They lie around the anchor (so that later clicks find their pictures made) if they
    hold what the prompts point at, else around its middle; too small ones are left out.
    """
    views, shrink = Views(shape, SIDE), 1
    middle = ((extent[0] + extent[2]) / 2, (extent[1] + extent[3]) / 2)
    while max(shape) > SIDE * shrink:
        for centre in (anchor or middle, middle):
            view = views.at(centre, shrink, fine=True)
            room = SIDE * shrink / ROOM
            gaps = (
                extent[0] - view.box[0],
                extent[1] - view.box[1],
                view.box[2] - extent[2],
                view.box[3] - extent[3],
            )
            if all(
                gap >= room or not inner
                for gap, inner in zip(gaps, view.inner_sides(shape), strict=True)
            ):
                yield view
                break
        shrink *= 2
    yield View((0, 0, *shape), shrink)


def edge_kept(
    grey: NDArray[np.float32], noise: float, rounds: int = 12
) -> NDArray[np.float32]:
    """Smooth by diffusion that stops at edges steeper than the noise."""
    u = ndimage.gaussian_filter(grey, 0.7)
    limit = np.float32(max(1.0 * noise, 0.01))
    scale = np.float32(1 / (limit * limit))
    for _ in range(rounds):
        down, right = np.diff(u, axis=0), np.diff(u, axis=1)
        down *= 0.22 / (1 + down * down * scale)
        right *= 0.22 / (1 + right * right * scale)
        u[:-1] += down
        u[1:] -= down
        u[:, :-1] += right
        u[:, 1:] -= right
    return u


def _noise(grey: NDArray[np.float32]) -> float:
    """Robust spread of what a plane through four neighbours does not explain."""
    if min(grey.shape) < 2:
        return 0.01
    twist = grey[1:, 1:] - grey[1:, :-1] - grey[:-1, 1:] + grey[:-1, :-1]
    return float(np.clip(np.median(np.abs(twist)) / (2 * 0.6745), 0.002, 0.5))
