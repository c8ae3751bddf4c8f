"""What a scan must fulfil, and how shapes and pixel sizes given by users are read."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from napari_sesami.scan.errors import ScanError
from napari_sesami.scan.units import LENGTHS, parse_unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sesami.scan.planes import HasPlanes

_PER_AXIS = (list, tuple, np.ndarray)


def check(scan: HasPlanes) -> None:
    """Refuse a scan whose parts do not fit together, in one sentence."""
    shape = scan.shape
    _check_axes(scan.name, scan.axes, shape)
    for what in ("pixel_size", "units", "origin"):
        given = getattr(scan, what)
        if len(given) != len(shape):
            raise ScanError(
                f"{scan.name} has {len(shape)} axes, so {what} needs {len(shape)} "
                f"entries; {len(given)} were given."
            )
    for axis, size, unit in zip(scan.axes, scan.pixel_size, scan.units, strict=True):
        check_size(axis, size, unit)
    if not all(math.isfinite(o) for o in scan.origin):
        raise ScanError(f"The origin of {scan.name} is not finite: {scan.origin}.")
    if scan.ignore is not None and scan.ignore.shape != scan.plane_shape:
        raise ScanError(
            f"The mask of pixels to ignore has the shape {scan.ignore.shape}; "
            f"{scan.name} has planes of {scan.plane_shape}, and so must the mask."
        )
    if any(len(level.shape) != len(shape) for level in scan.levels):
        raise ScanError(f"The levels of {scan.name} must have its {len(shape)} axes.")


def _check_axes(name: str, axes: tuple[str, ...], shape: tuple[int, ...]) -> None:
    """Check names, order and lengths of the axes."""
    if len(axes) != len(shape):
        raise ScanError(
            f"{name} has the shape {shape}, so {len(shape)} axes are needed; "
            f"{axes} was given."
        )
    spatial = axes[:-1] if axes and axes[-1] == "c" else axes
    if spatial[-2:] != ("y", "x") or "c" in spatial or len(set(axes)) < len(axes):
        raise ScanError(
            f"The axes of a scan end with y, x or y, x, c and occur once; {name} was "
            f"given {', '.join(axes) or 'none'}."
        )
    if spatial != axes and shape[-1] != 3:
        raise ScanError(
            f"A colour image needs three channels; {name} has {shape[-1]}. Name the "
            f"axis otherwise if it is not colour."
        )
    if 0 in shape:
        raise ScanError(f"{name} has the shape {shape}: there are no pixels in it.")


def check_size(axis: str, size: Any, unit: str | None) -> None:
    """Refuse a pixel size that is zero, negative, NaN, infinite or without a unit."""
    if size is None:
        return
    if isinstance(size, bool) or not isinstance(size, (int, float, np.number)):
        raise ScanError(f"The pixel size along {axis} must be a number, not {size!r}.")
    if not (math.isfinite(size) and size > 0):
        raise ScanError(
            f"The pixel size along {axis} is {size}; it must be a finite number above "
            f"0, or None if it is not known."
        )
    if unit is None:
        raise ScanError(
            f"The pixel size {size} along {axis} needs a unit: one of "
            f"{', '.join(LENGTHS)}."
        )


def usable_array(array: Any, name: str) -> Any:
    """Make an array of pixels of what was given; lazy arrays stay lazy."""
    if not isinstance(array, np.ndarray) and hasattr(array, "dtype"):
        import dask.array as da

        lazy = isinstance(array, da.Array)
        data = array if lazy or not array.shape else da.from_array(array, name=False)
    else:
        data = np.asarray(array)
    if data.ndim < 2:
        raise ScanError(
            f"{name} has the shape {tuple(data.shape)}; an image needs two axes."
        )
    if data.dtype.kind not in "buifc":
        raise ScanError(f"{name} holds {data.dtype}; an image needs numbers.")
    return data


def guess_axes(shape: tuple[int, ...]) -> tuple[str, ...]:
    """Name the axes of an array: … t z y x, with colour if the last one looks so."""
    colour = len(shape) > 2 and shape[-1] in (3, 4) and min(shape[-3:-1]) > 4
    tail = ("y", "x", "c") if colour else ("y", "x")
    leading = len(shape) - len(tail)
    if leading > 2:
        extra = tuple(f"a{i}" for i in range(leading - 2))
        return (*extra, "t", "z", *tail)
    return (*("t", "z")[2 - leading :], *tail)


def fit_pixel_size(
    axes: tuple[str, ...],
    size: float | Sequence[float | None] | None,
    unit: str | Sequence[str | None] | None,
) -> tuple[tuple[float | None, ...], tuple[str | None, ...]]:
    """Spread what a user gives over the axes; one number is meant for y and x."""
    sizes: Sequence[float | None]
    if isinstance(size, _PER_AXIS):
        sizes = _as_long("pixel sizes", size, axes)
    else:
        one = None if size is None else cast("float", size)
        sizes = [one if axis in ("y", "x") else None for axis in axes]
    if isinstance(unit, _PER_AXIS):
        units: list[Any] = list(_as_long("units", unit, axes))
    else:
        units = [unit if s is not None else None for s in sizes]
    names = [_unit_of(axis, u) for axis, u in zip(axes, units, strict=True)]
    for axis, value, name in zip(axes, sizes, names, strict=True):
        check_size(axis, value, name)
    numbers = (None if s is None else float(s) for s in sizes)
    return tuple(numbers), tuple(names)


def _as_long(what: str, given: Any, axes: tuple[str, ...]) -> Any:
    """Refuse a list that has not one entry per axis."""
    if len(given) != len(axes):
        raise ScanError(
            f"{len(given)} {what} were given for the {len(axes)} axes "
            f"{', '.join(axes)}; give one per axis, None where it is not known."
        )
    return given


def _unit_of(axis: str, unit: Any) -> str | None:
    """Read a user's unit; y and x of a specimen are lengths or reciprocal."""
    name = parse_unit(unit)
    if name is not None and axis in ("y", "x") and not _spatial(name):
        raise ScanError(
            f"{unit!r} is no unit of length for {axis}; use one of "
            f"{', '.join(LENGTHS)}."
        )
    return name


def _spatial(name: str) -> bool:
    return name in LENGTHS or name.startswith("1/") or name in ("rad", "mrad", "°")
