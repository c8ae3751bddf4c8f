"""View: the window of a plane that a model looks at, at a whole-numbered zoom."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

SMALLEST = 64  # pixels a model should see along the longer side
MARGIN = 16  # a prompt stays 1/16 of the view away from an inner border


@dataclass(frozen=True)
class View:
    """A window of a plane: `shrink` data pixels make a view pixel, or one makes `grow`.

    `box` (y0, x0, y1, x1) is in data pixels and inside the plane.
    """

    box: tuple[int, int, int, int]
    shrink: int = 1
    grow: int = 1

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in view pixels."""
        y0, x0, y1, x1 = self.box
        rows, columns = (-(-n // self.shrink) * self.grow for n in (y1 - y0, x1 - x0))
        return rows, columns

    @property
    def cells(self) -> tuple[int, int]:
        """Height and width of the low-resolution logits that cover it."""
        return -(-self.size[0] // 4), -(-self.size[1] // 4)

    @property
    def cell(self) -> float:
        """Side of a cell of the logits, in data pixels."""
        return 4 * self.shrink / self.grow

    def to_view(self, at: ArrayLike) -> NDArray[Any]:
        """Data pixels (N, 2) to view pixels."""
        corner = np.array(self.box[:2], float)
        scale = self.grow / self.shrink
        return (np.asarray(at, float) - corner + 0.5) * scale - 0.5

    def to_cells(self, at: ArrayLike) -> NDArray[Any]:
        """Data pixels (N, 2) to the indices of the cells they lie in."""
        found = np.floor((self.to_view(at) + 0.5) / 4).astype(int)
        return np.clip(found, 0, np.array(self.cells) - 1)

    def box_to_view(self, box: tuple[float, ...]) -> NDArray[Any]:
        """A half-open box in data pixels to view pixels, cut at the view's edges."""
        corner = np.tile(np.array(self.box[:2], float), 2)
        scaled = (np.asarray(box, float) - corner) * self.grow / self.shrink
        return np.clip(scaled, 0, np.tile(np.array(self.size, float), 2))

    def inner_sides(self, shape: tuple[int, int]) -> tuple[bool, bool, bool, bool]:
        """Top, left, bottom, right: whether the plane goes on beyond that side."""
        y0, x0, y1, x1 = self.box
        return y0 > 0, x0 > 0, y1 < shape[0], x1 < shape[1]

    def holds(self, extent: tuple[float, ...], shape: tuple[int, int]) -> bool:
        """Whether a box lies inside, away from those sides where the plane goes on."""
        y0, x0, y1, x1 = self.box
        room = [max(n // MARGIN, 1) for n in (y1 - y0, x1 - x0)] * 2
        gaps = (extent[0] - y0, extent[1] - x0, y1 - extent[2], x1 - extent[3])
        inner = self.inner_sides(shape)
        return all(
            gap >= (need if open_ else 0)
            for gap, need, open_ in zip(gaps, room, inner, strict=True)
        )


@dataclass(frozen=True)
class Views:
    """Chooses views of one plane; the same prompts always get the same view.

    Windows start on a coarse grid of half their side, so that later clicks nearby find
    the embedding ready.
    """

    shape: tuple[int, int]
    tile: int
    magnify: bool = False

    @property
    def whole(self) -> View:
        """The whole plane, shrunk until it fits."""
        longest = max(self.shape)
        if longest <= self.tile:
            return View((0, 0, *self.shape), 1, self._grow(longest))
        return View((0, 0, *self.shape), 2 ** math.ceil(math.log2(longest / self.tile)))

    def _grow(self, longest: int) -> int:
        if self.magnify:
            return max(self.tile // longest, 1)
        return max(min(SMALLEST, self.tile) // longest, 1)

    def at(
        self, centre: tuple[float, float], shrink: int = 1, fine: bool = False
    ) -> View:
        """The view of the grid whose middle is nearest to `centre`."""
        if max(self.shape) <= self.tile * shrink:
            return self.whole if shrink == 1 else replace(self.whole, shrink=shrink)
        side = self.tile * shrink
        step = side // 8 if fine else side // 2
        starts = [
            min(max(round((c - side / 2) / step) * step, 0), max(n - side, 0))
            for c, n in zip(centre, self.shape, strict=True)
        ]
        ends = [min(s + side, n) for s, n in zip(starts, self.shape, strict=True)]
        return View((starts[0], starts[1], ends[0], ends[1]), shrink)

    def close(self, centre: tuple[float, float]) -> View:
        """Half a tile around `centre`, twice enlarged."""
        side = max(self.tile // 2, 1)
        step = max(side // 8, 1)
        starts = [
            min(max(round((c - side / 2) / step) * step, 0), max(n - side, 0))
            for c, n in zip(centre, self.shape, strict=True)
        ]
        ends = [min(s + side, n) for s, n in zip(starts, self.shape, strict=True)]
        return View((starts[0], starts[1], ends[0], ends[1]), grow=2)

    def around(
        self, anchor: tuple[float, float], extent: tuple[float, ...], shrink: int = 1
    ) -> View:
        """The view on the anchor if it holds everything, else a wider one that does."""
        middle = ((extent[0] + extent[2]) / 2, (extent[1] + extent[3]) / 2)
        while True:
            for view in (
                self.at(anchor, shrink),
                self.at(middle, shrink),
                self.at(middle, shrink, fine=True),
            ):
                if view.holds(extent, self.shape):
                    return view
            if max(self.shape) <= self.tile * shrink:
                return self.at(middle, shrink)
            shrink *= 2
