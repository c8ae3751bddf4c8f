"""The noise of a picture as its calm blocks of 8 × 8 pixels show it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SIDE = 8
BINS = 20  # of brightness
LEAST = 15  # calm blocks that a bin needs
LOW = 0.3  # this quantile of a bin's blocks is calm even where most show edges
FREE = SIDE - 2  # numbers that are left of a line of eight less a slope
ROW = 8  # calm blocks beside each other that tell a line
STEP = 0.12  # of its brightness: a line that differs more is an edge
WHOLE = 0.97  # share of a bin's blocks that reach no end of the grey scale
# what the 30 % quantile and the mean of the calm ones are of the true variance where
# noise is white: scripts/choose_noise.py prints them
AT_LOW, CUT, AT_MEAN, AT_ALL = 0.745, 2.5, 0.991, 0.998


@dataclass(frozen=True)
class Blocks:
    """What the blocks of one picture or of several tell.

    Attributes
    ----------
    mean
        Brightness of each block.
    fine
        Variance by second differences both ways: blind for slopes, rows and columns.
    rest
        Variance of what is left of a block without its rows and columns.
    rows, columns
        (n, 8) brightness of its rows and of its columns, less their mean and slope.
    along, across
        Covariance of neighbours of the second differences, in x and in y.
    clipped
        Whether it has pixels at the end of the grey scale.
    part
        Number of the part of the picture that it lies in.
    down, right
        Its place among the blocks of the picture.
    """

    mean: Floats
    fine: Floats
    rest: Floats
    rows: Floats
    columns: Floats
    along: Floats
    across: Floats
    clipped: NDArray[np.bool_]
    part: NDArray[np.intp]
    down: NDArray[np.intp]
    right: NDArray[np.intp]

    def __getitem__(self, which: Any) -> Blocks:
        return Blocks(*(getattr(self, name)[which] for name in self.__annotations__))

    @classmethod
    def joined(cls, many: list[Blocks]) -> Blocks:
        """Put those of several pictures together."""
        return cls(
            *(
                np.concatenate([getattr(b, n) for b in many])
                for n in cls.__annotations__
            )
        )


def blocks_of(
    picture: NDArray[Any],
    whole: NDArray[np.bool_],
    clipped: NDArray[np.bool_],
    first: int = 0,
) -> Blocks:
    """Look at each block that is `whole` in all of its pixels.

    Parameters
    ----------
    picture
        (y, x) brightness.
    whole
        False where a pixel is unknown, or no specimen.
    clipped
        True where it lies at the end of the grey scale.
    first
        Number of the first of four parts, the quarters of the picture.
    """
    down, right = (n // SIDE for n in picture.shape)
    cut = slice(0, down * SIDE), slice(0, right * SIDE)

    def blocked(array: NDArray[Any]) -> NDArray[Any]:
        parts = array[cut].reshape(down, SIDE, right, SIDE).swapaxes(1, 2)
        return parts.reshape(-1, SIDE, SIDE)

    y, x = np.divmod(np.arange(down * right), right)
    part = first + 2 * (2 * y >= down) + (2 * x >= right)
    good = blocked(whole).all((1, 2))
    b = blocked(picture)[good].astype(np.float64)
    at_end = np.asarray(blocked(clipped)[good].any((1, 2)))
    bend = b[:, :-2] - 2 * b[:, 1:-1] + b[:, 2:]
    bend = bend[:, :, :-2] - 2 * bend[:, :, 1:-1] + bend[:, :, 2:]
    mean = b.mean((1, 2))
    row, column = b.mean(2), b.mean(1)
    rest = b - row[:, :, None] - column[:, None] + mean[:, None, None]
    free = (SIDE - 1) ** 2
    return Blocks(
        mean,
        (bend**2).mean((1, 2)) / 36,
        (rest**2).sum((1, 2)) / free,
        _without_slope(row),
        _without_slope(column),
        (bend[:, :, 1:] * bend[:, :, :-1]).mean((1, 2)) / 36,
        (bend[:, 1:] * bend[:, :-1]).mean((1, 2)) / 36,
        at_end,
        part[good],
        y[good],
        x[good],
    )


def calm(blocks: Blocks) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Give the bin of brightness of each block, and whether it shows noise alone."""
    which = np.full(len(blocks.mean), -1)
    kept = np.zeros(len(blocks.mean), bool)
    if not len(kept):
        return which, kept
    low, high = np.percentile(blocks.mean, [0.5, 99.5])
    width = max((high - low) / BINS, 1e-9)
    which = np.clip(((blocks.mean - low) / width).astype(int), 0, BINS - 1)
    for k in range(BINS):
        own = np.flatnonzero((which == k) & ~blocks.clipped)
        # where the scale cuts the noise off, what is left of it is too calm
        if len(own) < LEAST or len(own) < WHOLE * (which == k).sum():
            continue
        fine = blocks.fine[own]
        level = np.quantile(fine, LOW) / AT_LOW
        for _ in range(4):
            inside = fine <= CUT * level
            level = fine[inside].mean() / AT_MEAN if inside.any() else level
        kept[own[inside]] = True
    return which, kept


def _without_slope(lines: Floats) -> Floats:
    at = np.arange(SIDE) - (SIDE - 1) / 2
    left = lines - lines.mean(1, keepdims=True)
    return np.asarray(left - (left @ at / (at @ at))[:, None] * at)


def common(blocks: Blocks, kept: NDArray[np.bool_], zero: float, way: str) -> float:
    """Tell how much whole rows ("rows") or columns differ in brightness, as a share.

    Noise and texture differ from block to block, lines do not; edges lie in some of
    the rows, lines in all. Scan lines differ from one to the next, curtains slowly.
    """
    bright = np.maximum(blocks.mean - zero, 0.05)
    lines = getattr(blocks, way) / bright[:, None]
    place = blocks.down if way == "rows" else blocks.right
    calm_ones = kept & (np.sqrt((lines**2).sum(1) / FREE) < STEP)
    free = FREE / SIDE
    if way == "rows":
        lines, free = np.diff(lines, 2) / math.sqrt(6), 1.0
    found, expected = [], []
    for at in np.unique(place[calm_ones]):
        own = calm_ones & (place == at)
        if own.sum() < ROW:
            continue
        found.append(np.median(lines[own], axis=0))
        one = np.median(blocks.fine[own] / bright[own] ** 2) / AT_LOW
        expected.append(one / SIDE * free * math.pi / 2 / own.sum())
    if len(found) < 4:
        return 0.0
    seen = (1.4826 * float(np.median(np.abs(np.concatenate(found))))) ** 2
    chance = float(np.mean(expected))
    return math.sqrt((seen - chance) / free) if seen > 2 * chance else 0.0
