"""Morphology of small bool arrays by shifting them: many times faster than filters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def dilated(mask: NDArray[np.bool_], by: int) -> NDArray[np.bool_]:
    """Grow by a square of `2 by + 1` pixels."""
    out = mask.copy()
    for axis in (0, 1):
        left = by
        while left:
            # growing by one doubles as growing by all that is grown already
            before = out.copy()
            a, b = _moved(axis)
            out[a] |= before[b]
            out[b] |= before[a]
            left -= 1
    return out


def eroded(mask: NDArray[np.bool_], by: int) -> NDArray[np.bool_]:
    """Shrink by a square of `2 by + 1` pixels; the edge of the array takes nothing."""
    return ~dilated(~mask, by)


def opened(mask: NDArray[np.bool_], by: int) -> NDArray[np.bool_]:
    """Cut bridges narrower than `2 by + 1` pixels."""
    return dilated(eroded(mask, by), by)


def evened(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fill pinholes and drop spikes: what most of the nine neighbours are."""
    count = np.pad(mask, 1, mode="edge").astype(np.uint8)
    count = count[:-2] + count[1:-1] + count[2:]
    count = count[:, :-2] + count[:, 1:-1] + count[:, 2:]
    return np.asarray(count > 4)


def box_mean(image: NDArray[Any], side: int) -> NDArray[np.float32]:
    """Mean over a square around each pixel; beyond the edge the edge goes on."""
    half, (h, w) = side // 2, image.shape
    sums: NDArray[Any] = np.cumsum(
        np.pad(image, half, mode="edge"), axis=0, dtype=np.float64
    )
    rows = sums[side - 1 :]
    rows[1:] -= sums[: h - 1].copy()
    sums = np.cumsum(rows, axis=1)
    columns = sums[:, side - 1 :]
    columns[:, 1:] -= sums[:, : w - 1].copy()
    return np.asarray(columns / (side * side), np.float32)


def _moved(axis: int) -> tuple[Any, Any]:
    low, high = [slice(None)] * 2, [slice(None)] * 2
    low[axis], high[axis] = slice(None, -1), slice(1, None)
    return tuple(low), tuple(high)
