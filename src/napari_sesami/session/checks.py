"""What comes in from users and scripts, checked and brought into one form."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from napari_sesami.common.box import box_of
from napari_sesami.project import MAX_CLASSES
from napari_sesami.session.errors import SessionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sesami.common.box import BBox
    from napari_sesami.project import ClassTable
    from napari_sesami.scan import Scan

Plane: TypeAlias = "int | tuple[int, ...] | None"
"""Number of a plane, its index along the leading axes, or None if there is but one."""


def plane_number(scan: Scan, plane: Plane) -> int:
    """Give the flat number of a plane of the scan."""
    if plane is None:
        if scan.n_planes == 1:
            return 0
        raise SessionError(
            f"{scan.name} has {scan.n_planes} planes; say which one with plane=0 to "
            f"plane={scan.n_planes - 1}."
        )
    if isinstance(plane, Sequence):
        return _flat(scan, tuple(plane))
    try:
        number = operator.index(plane)
    except TypeError:
        raise SessionError(f"A plane is a whole number; {plane!r} was given.") from None
    if not 0 <= number < scan.n_planes:
        raise SessionError(
            f"Plane {number} does not exist; {scan.name} has planes 0 to "
            f"{scan.n_planes - 1}."
        )
    return number


def _flat(scan: Scan, index: tuple[Any, ...]) -> int:
    shape = scan.leading_shape
    try:
        whole = tuple(operator.index(i) for i in index)
    except TypeError:
        whole = ()
    inside = len(whole) == len(shape) and all(
        0 <= i < n for i, n in zip(whole, shape, strict=True)
    )
    if not inside:
        raise SessionError(
            f"Plane {index} does not exist; the axes before y and x of {scan.name} "
            f"have the lengths {shape}."
        )
    return int(np.ravel_multi_index(whole, shape)) if whole else 0


def class_ids(
    values: NDArray[Any], classes: ClassTable, what: str
) -> NDArray[np.uint8]:
    """Check that an array holds only 0, which is nothing, and ids of classes."""
    array = whole_numbers(values, what)
    if not array.size:
        return array.astype(np.uint8)
    low, high = int(array.min()), int(array.max())
    if low < 0 or high > MAX_CLASSES:
        bad = low if low < 0 else high
        raise SessionError(
            f"The {what} hold the value {bad}, which is no class; {_known(classes)}."
        )
    ids = array.astype(np.uint8, copy=False)
    if classes.ids == tuple(range(1, len(classes) + 1)) and high <= len(classes):
        return ids
    unknown = [int(i) for i in np.unique(ids) if i and i not in classes]
    if unknown:
        raise SessionError(
            f"The {what} hold class {unknown[0]}, which does not exist; "
            f"{_known(classes)}."
        )
    return ids


def shrunk(
    corner: tuple[int, int], array: NDArray[Any]
) -> tuple[tuple[int, int], NDArray[Any]]:
    """Cut the zeros around a piece off, so that the rest is work on few pixels."""
    box = box_of(array) if array.dtype.kind in "biuf" else None
    if box is None:
        return corner, array
    y0, x0, y1, x1 = box
    return (corner[0] + y0, corner[1] + x0), array[y0:y1, x0:x1]


def whole_numbers(array: NDArray[Any], what: str) -> NDArray[Any]:
    """Check that an array holds whole numbers, whatever its dtype."""
    if array.dtype.kind in "ui":
        return array
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise SessionError(
                f"The {what} hold NaN or infinity; use 0 where there is nothing."
            )
        if (array == np.floor(array)).all():
            return array.clip(-1, MAX_CLASSES + 1).astype(np.int64)
    raise SessionError(
        f"The {what} must be whole class ids; an array of {array.dtype} was given."
    )


def mask_crop(mask: Any, scan: Scan) -> tuple[BBox, NDArray[np.bool_]]:
    """Bring a mask of the plane, or one cut to its box, to (box, bool crop).

    Raises
    ------
    SessionError
        For another shape, values other than 0 and 1, or an empty mask.
    """
    height, width = scan.plane_shape
    if hasattr(mask, "bbox") and hasattr(mask, "mask"):
        shape = getattr(mask, "shape", scan.plane_shape)
        if tuple(shape) != scan.plane_shape:
            raise SessionError(
                f"The mask was made for a plane of {_size(shape)} pixels; {scan.name} "
                f"has {_size(scan.plane_shape)}."
            )
        y0, x0, y1, x1 = (int(v) for v in mask.bbox)
        crop = _binary(np.asarray(mask.mask))
        inside = 0 <= y0 <= y1 <= height and 0 <= x0 <= x1 <= width
        if crop.shape != (y1 - y0, x1 - x0) or not inside:
            raise SessionError(
                f"The mask's box {(y0, x0, y1, x1)} does not fit its "
                f"{_size(crop.shape)} pixels or the plane of {_size(scan.plane_shape)}."
            )
    else:
        crop = np.asarray(mask)
        same_shape(crop, scan.plane_shape, "mask")
        crop = _binary(crop)
        y0, x0, y1, x1 = 0, 0, height, width
    inner = box_of(crop)
    if inner is None:
        raise SessionError("The mask is empty; there is nothing to commit.")
    t, le, b, r = inner
    return (y0 + t, x0 + le, y0 + b, x0 + r), crop[t:b, le:r]


def _binary(array: NDArray[Any]) -> NDArray[np.bool_]:
    if array.dtype == bool:
        return array
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise SessionError("The mask holds NaN or infinity; use True and False.")
    if array.dtype.kind not in "uif" or not np.isin(array, (0, 1)).all():
        raise SessionError(
            f"A mask holds True and False, or 0 and 1; this array of {array.dtype} "
            "holds other values."
        )
    return array.astype(bool)


def same_shape(array: NDArray[Any], shape: tuple[int, int], what: str) -> None:
    """Check that an array covers a plane."""
    if array.shape != tuple(shape):
        verb = "has" if what == "mask" else "have"
        raise SessionError(
            f"The {what} {verb} {_size(array.shape)} pixels; a plane of this scan has "
            f"{_size(shape)}."
        )


def inside(corner: tuple[int, int], shape: tuple[int, ...], scan: Scan) -> None:
    """Check that a crop at `corner` lies within a plane."""
    y, x = corner
    height, width = scan.plane_shape
    fits = len(shape) == 2 and y >= 0 and x >= 0
    if not fits or y + shape[0] > height or x + shape[1] > width:
        raise SessionError(
            f"A piece of {_size(shape)} pixels at {corner} does not lie within a plane "
            f"of {_size(scan.plane_shape)}."
        )


def finite(score: Any) -> float | None:
    """Give a score as a float that JSON knows, else None."""
    if score is None:
        return None
    value = float(score)
    return value if math.isfinite(value) else None


def _size(shape: Any) -> str:
    return " × ".join(str(int(n)) for n in shape) or "no"


def _known(classes: ClassTable) -> str:
    if not len(classes):
        return "add it first, for example s.classes.add('oxide')"
    return "there are " + ", ".join(f"{e.id} {e.name!r}" for e in classes)
