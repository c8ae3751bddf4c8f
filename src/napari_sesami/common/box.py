"""Boxes (y0, x0, y1, x1) of pixels, half-open as slices are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

BBox: TypeAlias = tuple[int, int, int, int]


def box_of(mask: NDArray[Any]) -> BBox | None:
    """Return the smallest box around all that is not zero, None if all is zero."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return None
    columns = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def around(boxes: Sequence[Sequence[float]]) -> BBox:
    """Return the smallest box around all boxes."""
    y0, x0 = np.min([b[:2] for b in boxes], axis=0)
    y1, x1 = np.max([b[2:] for b in boxes], axis=0)
    return int(y0), int(x0), int(y1), int(x1)


def intersect(a: BBox, b: BBox) -> BBox:
    """Return the box common to two boxes; an empty one ends before it begins."""
    return max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])


def grown(box: BBox, by: int, shape: tuple[int, ...]) -> BBox:
    """Return a box with `by` more pixels on each side, cut off at the image border."""
    y0, x0, y1, x1 = box
    return (
        max(0, y0 - by), max(0, x0 - by), min(shape[0], y1 + by), min(shape[1], x1 + by)
    )  # fmt: skip


def slices(box: BBox) -> tuple[slice, slice]:
    """Return the index of a box in an array (y, x)."""
    return slice(box[0], box[2]), slice(box[1], box[3])
