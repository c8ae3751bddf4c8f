"""How a plane or volume is cut into tiles, and put together again without seams."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

Box = tuple[slice, ...]


@dataclass(frozen=True)
class _Axis:
    """Starts of overlapping pieces along one axis."""

    length: int
    tile: int
    overlap: int
    align: int

    @cached_property
    def starts(self) -> tuple[int, ...]:
        if self.length <= self.tile:
            return (0,)
        step = max((self.tile - self.overlap) // self.align, 1) * self.align
        # an aligned last tile may reach over the edge and is then a little shorter
        last = math.ceil((self.length - self.tile) / self.align) * self.align
        count = math.ceil(last / step)
        spread = last / (self.align * count)  # even spacing
        return (*(int(i * spread) * self.align for i in range(count)), last)

    def piece(self, i: int) -> slice:
        start = self.starts[i]
        return slice(start, min(start + self.tile, self.length))

    def ramp(self, i: int) -> NDArray[np.float32]:
        """Weights of piece i: flat inside, falling linearly over what is shared."""
        own = self.piece(i)
        at = np.arange(own.start, own.stop, dtype=np.float32) + 0.5
        weights = np.ones_like(at)
        if i > 0:
            shared = self.piece(i - 1).stop - own.start
            weights = np.minimum(weights, (at - own.start) / max(shared, 1))
        if i < len(self.starts) - 1:
            shared = own.stop - self.piece(i + 1).start
            weights = np.minimum(weights, (own.stop - at) / max(shared, 1))
        return weights.astype(np.float32)

    @cached_property
    def weights(self) -> tuple[NDArray[np.float32], ...]:
        """Ramps that add up to one at every position."""
        total = np.zeros(self.length, np.float32)
        ramps = [self.ramp(i) for i in range(len(self.starts))]
        for i, ramp in enumerate(ramps):
            total[self.piece(i)] += ramp
        return tuple(
            (r / total[self.piece(i)]).astype(np.float32) for i, r in enumerate(ramps)
        )

    @cached_property
    def cores(self) -> tuple[slice, ...]:
        """What each piece alone answers for: cuts lie in the middle of the overlaps."""
        pieces = [self.piece(i) for i in range(len(self.starts))]
        cuts = [(a.stop + b.start) // 2 for a, b in pairwise(pieces)]
        edges = [0, *cuts, self.length]
        return tuple(slice(a, b) for a, b in pairwise(edges))


@dataclass(frozen=True)
class TilePlan:
    """Overlapping tiles that cover an array; they are spread evenly, not padded.

    Parameters
    ----------
    shape
        Of the plane (y, x) or volume (z, y, x).
    tile, overlap
        One number per axis. A tile is never larger than the array.
    align
        Tiles start at multiples of it (the stride of a token encoder), one per axis.

    Examples
    --------
    >>> plan = TilePlan.of((1000, 700), tile=512, overlap=64)
    >>> plan.grid
    (3, 2)
    >>> bool(np.allclose(plan.merge(lambda i: np.ones(plan.size(i))), 1))
    True
    """

    shape: tuple[int, ...]
    tile: tuple[int, ...]
    overlap: tuple[int, ...]
    align: tuple[int, ...]

    @classmethod
    def of(
        cls,
        shape: Sequence[int],
        tile: int | Sequence[int] = 512,
        overlap: int | Sequence[int] = 64,
        align: int | Sequence[int] = 1,
    ) -> TilePlan:
        """Plan tiles for `shape`; single numbers hold for every axis."""
        full = tuple(int(n) for n in shape)
        sizes = _per_axis(tile, len(full), "tile")
        shared = _per_axis(overlap, len(full), "overlap")
        grid = _per_axis(align, len(full), "align")
        if min(full, default=0) < 1 or min(sizes) < 1 or min(grid) < 1:
            raise ValueError(
                f"Cannot cut {full} into tiles of {sizes}: "
                "shape, tile and align must all be at least 1."
            )
        if any(not 0 <= o < t for o, t in zip(shared, sizes, strict=True)):
            raise ValueError(
                f"An overlap of {shared} does not fit tiles of {sizes}: "
                "it must be at least 0 and smaller than the tile."
            )
        if any(t % a or t - o < a for t, o, a in zip(sizes, shared, grid, strict=True)):
            raise ValueError(
                f"Tiles of {sizes} that overlap by {shared} cannot lie on a grid of "
                f"{grid}: a tile must be a multiple of it and move on by at least one."
            )
        return cls(full, sizes, shared, grid)

    @cached_property
    def _axes(self) -> tuple[_Axis, ...]:
        parts = zip(self.shape, self.tile, self.overlap, self.align, strict=True)
        return tuple(_Axis(*part) for part in parts)

    @property
    def grid(self) -> tuple[int, ...]:
        """How many tiles there are along each axis."""
        return tuple(len(axis.starts) for axis in self._axes)

    def __len__(self) -> int:
        return math.prod(self.grid)

    def __iter__(self) -> Iterator[Box]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: int) -> Box:
        """Return the slices of tile `index`."""
        if not 0 <= index < len(self):
            raise IndexError(f"There are {len(self)} tiles; {index} was asked for.")
        return tuple(
            a.piece(i) for a, i in zip(self._axes, self._at(index), strict=True)
        )

    def _at(self, index: int) -> tuple[int, ...]:
        return tuple(int(i) for i in np.unravel_index(index, self.grid))

    def size(self, index: int) -> tuple[int, ...]:
        """Shape of tile `index`."""
        return tuple(s.stop - s.start for s in self[index])

    def core(self, index: int) -> Box:
        """Slices that only tile `index` answers for; together they are the array."""
        at = self._at(index)
        return tuple(a.cores[i] for a, i in zip(self._axes, at, strict=True))

    def weights(self, index: int) -> NDArray[np.float32]:
        """Blending weights of a tile; over all tiles they add up to one everywhere."""
        out = np.ones((), np.float32)
        for axis, i in zip(self._axes, self._at(index), strict=True):
            out = np.multiply.outer(out, axis.weights[i])
        return out

    def order(self, near: Sequence[float] | None = None) -> list[int]:
        """Tile numbers from `near` outward (from the first tile on if it is None)."""
        if near is None:
            return list(range(len(self)))
        point = np.asarray(near, float)
        middles = np.array([[(s.start + s.stop) / 2 for s in box] for box in self])
        distance = np.linalg.norm(middles - point, axis=1)
        return [int(i) for i in np.argsort(distance, kind="stable")]

    def touching(self, low: Sequence[float], high: Sequence[float]) -> list[int]:
        """Tiles that share at least a pixel with the half-open box low…high."""
        return [
            i
            for i, box in enumerate(self)
            if all(
                s.start < h and s.stop > lo
                for s, lo, h in zip(box, low, high, strict=True)
            )
        ]

    def cut(self, array: Any, index: int, pad: bool = False) -> NDArray[Any]:
        """Read one tile of a (lazy) array whose last axes are the plan's.

        Parameters
        ----------
        array
            Anything that slices like an array; more axes in front are kept.
        index
            Tile number.
        pad
            Mirror the edge until the tile has its full size.
        """
        piece = np.asarray(array[(..., *self[index])])
        if not pad:
            return piece
        missing = [t - n for t, n in zip(self.tile, self.size(index), strict=True)]
        front = [(0, 0)] * (piece.ndim - len(missing))
        return np.pad(piece, [*front, *((0, n) for n in missing)], mode="symmetric")

    def crop(self, piece: NDArray[Any], index: int) -> NDArray[Any]:
        """Take the padding of `cut` off again."""
        inside: tuple[Any, ...] = tuple(slice(0, n) for n in self.size(index))
        return piece[(..., *inside)]

    def place(
        self, out: NDArray[Any], cells: NDArray[Any], index: int, side: int
    ) -> None:
        """Copy a tile's cells (h, w, …) to where this tile alone answers for them.

        Parameters
        ----------
        out
            Cells of the whole plane, (H, W, …).
        cells
            Those of tile `index`, one per `side` × `side` pixels.
        index
            Tile number.
        side
            Pixels; tiles must start at multiples of it (`align`).
        """
        (y, x), (core_y, core_x) = self[index], self.core(index)
        y0, y1 = core_y.start // side, -(-core_y.stop // side)
        x0, x1 = core_x.start // side, -(-core_x.stop // side)
        dy, dx = y.start // side, x.start // side
        out[y0:y1, x0:x1] = cells[y0 - dy : y1 - dy, x0 - dx : x1 - dx]

    def merge(
        self,
        pieces: Sequence[NDArray[Any]] | Callable[[int], NDArray[Any]],
        dtype: Any = np.float32,
    ) -> NDArray[Any]:
        """Blend all tiles into one array; pieces may be padded and have channels first.

        Parameters
        ----------
        pieces
            One array per tile, or a function of the tile number, so that only one
            piece is in memory at a time.
        dtype
            Of the result; blending is for numbers, not for label ids (use `core`).
        """
        read = pieces if callable(pieces) else pieces.__getitem__
        out: NDArray[Any] | None = None
        for i, box in enumerate(self):
            piece = self.crop(np.asarray(read(i)), i)
            if out is None:
                out = np.zeros(piece.shape[: piece.ndim - len(box)] + self.shape, dtype)
            where: tuple[Any, ...] = (..., *box)
            out[where] += (piece * self.weights(i)).astype(dtype)
        assert out is not None  # a plan has at least one tile
        return out


def _per_axis(value: int | Sequence[int], n: int, what: str) -> tuple[int, ...]:
    values = (int(value),) * n if isinstance(value, int | np.integer) else tuple(value)
    if len(values) != n:
        raise ValueError(
            f"{what} has {len(values)} numbers for {n} axes; give 1 or {n}."
        )
    return tuple(int(v) for v in values)
