"""Writers of labels and maps: OME-TIFF and OME-Zarr with scale and units."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.scan.atomic import whole
from napari_sesami.scan.errors import ScanError
from napari_sesami.scan.units import LENGTHS

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from napari_sesami.scan.scan import Scan
    from napari_sesami.scan.writers.coco import ClassLike

__all__ = ["save_channels", "save_labels", "save_map"]

BIG_TIFF = 2**31
"""Above this size (bytes before compression) the TIFF uses 64-bit offsets."""


@dataclass(frozen=True)
class Grid:
    """Pixels to be saved and where they lie, as the scan they belong to has it."""

    data: Any
    axes: tuple[str, ...]
    pixel_size: tuple[float | None, ...]
    units: tuple[str | None, ...]
    origin: tuple[float, ...]
    name: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the pixels."""
        return tuple(int(n) for n in self.data.shape)


def save_labels(
    labels: Any,
    path: str | os.PathLike[str],
    like: Scan | None = None,
    classes: Sequence[ClassLike] = (),
) -> None:
    """Save labels as OME-TIFF or OME-Zarr with the scale and units of their scan.

    Parameters
    ----------
    labels
        Whole numbers, 0 is nothing; numpy, dask or any lazy array.
    path
        Ends in ``.ome.tif`` or ``.ome.zarr`` (``.tif``, ``.tiff``, ``.zarr`` do too).
    like
        The scan that they belong to; without it the pixel size is unknown.
    classes
        Their names and colours, saved along.
    """
    kind = np.dtype(getattr(labels, "dtype", None) or np.asarray(labels).dtype)
    if kind.kind not in "bui":
        raise ScanError(
            f"Labels are whole numbers; an array of {kind} was given. Save it as a map."
        )
    data = _small(_array(labels))
    _save(_grid(data, like, "labels", path), path, tuple(classes), is_labels=True)


def save_map(
    values: Any, path: str | os.PathLike[str], like: Scan | None = None
) -> None:
    """Save one map (votes, a probability, an uncertainty) as OME-TIFF or OME-Zarr.

    Parameters
    ----------
    values
        Floats on the grid of the scan; numpy, dask or any lazy array.
    path, like
        As for `save_labels`.
    """
    data = _array(values)
    if data.dtype.kind not in "buif":
        raise ScanError(
            f"A map holds real numbers; an array of {data.dtype} was given."
        )
    data = data.astype(np.float64 if data.dtype == np.float64 else np.float32)
    _save(_grid(data, like, "map", path), path, (), is_labels=False)


def save_channels(
    masks: Any,
    path: str | os.PathLike[str],
    like: Scan,
    classes: Sequence[ClassLike],
) -> None:
    """Save classes that may overlap as OME-Zarr labels with a channel per class.

    Parameters
    ----------
    masks
        Bool array (class, …, y, x); channel k holds the id of class k where it is.
    path
        Ends in ``.zarr``.
    like
        The scan that they belong to.
    classes
        One per channel is looked for by its id, channel + 1; others have no name.
    """
    if Path(path).suffix.lower() != ".zarr":
        raise ScanError(
            f"{Path(path).name} holds no channels of labels; save overlapping classes "
            "as .ome.zarr, or as COCO (.json)."
        )
    ids = np.arange(1, len(masks) + 1, dtype=np.uint8)
    data = np.asarray(masks) * ids.reshape(-1, *(1,) * (np.ndim(masks) - 1))
    plain = _grid(data[0], like, "labels", path)
    grid = Grid(
        data,
        ("c", *plain.axes),
        (None, *plain.pixel_size),
        (None, *plain.units),
        (0.0, *plain.origin),
        plain.name,
    )
    _save(grid, path, tuple(classes), is_labels=True)


def _array(given: Any) -> Any:
    """Leave lazy arrays lazy."""
    if isinstance(given, np.ndarray) or not hasattr(given, "dtype"):
        return np.asarray(given)
    import dask.array as da

    return given if isinstance(given, da.Array) else da.from_array(given, name=False)


def _small(labels: Any) -> Any:
    """Turn labels to the smallest unsigned type that all formats know."""
    if labels.dtype.kind == "b":
        return labels.astype(np.uint8)
    small = labels.dtype.kind == "u" and labels.dtype.itemsize <= 4
    if small or not labels.size:
        return labels
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= 2**32:
        raise ScanError(
            f"Labels go from 0 to {2**32 - 1}; these go from {low} to {high}."
        )
    return labels.astype(np.min_scalar_type(high))


def _grid(data: Any, like: Scan | None, what: str, path: Any) -> Grid:
    """Take axes, sizes and origin over from the scan, if the shapes agree."""
    from napari_sesami.scan.scan import Scan

    name = Path(path).name
    if data.ndim < 2 or not data.size:
        raise ScanError(
            f"{what.capitalize()} of the shape {data.shape} cannot be saved as {name}; "
            f"an image of at least one pixel (y, x) is needed."
        )
    if like is None:
        plain = Scan.from_array(np.empty((1,) * data.ndim))
        axes = plain.axes
        none = (None,) * len(axes)
        return Grid(data, axes, none, none, (0.0,) * len(axes), what)
    count = len(like.axes) - like.is_rgb
    grids = {
        (*like.leading_shape, *like.plane_shape): slice(0, count),
        like.plane_shape: slice(count - 2, count),
    }
    part = grids.get(tuple(data.shape))
    if part is None:
        raise ScanError(
            f"{what.capitalize()} of the shape {tuple(data.shape)} do not fit "
            f"{like.name}, whose shape is {(*like.leading_shape, *like.plane_shape)}."
        )
    return Grid(
        data,
        like.axes[part],
        like.pixel_size[part],
        like.units[part],
        like.origin[part],
        f"{like.name} {what}",
    )


def _save(
    grid: Grid, path: Any, classes: tuple[ClassLike, ...], *, is_labels: bool
) -> None:
    """Choose the format by the ending, and write it whole or not at all."""
    suffix = Path(path).suffix.lower()
    if suffix == ".zarr":
        from napari_sesami.scan.writers.zarr import write_zarr

        with whole(path) as draft:
            write_zarr(grid, draft, classes, is_labels=is_labels)
    elif suffix in (".tif", ".tiff"):
        with whole(path) as draft:
            _write_tiff(grid, draft, classes)
    else:
        raise ScanError(
            f"{Path(path).name} ends in {suffix or 'nothing'}; labels and maps are "
            f"saved as .ome.tif or .ome.zarr."
        )


def _write_tiff(grid: Grid, draft: Path, classes: Sequence[ClassLike]) -> None:
    """Write OME-TIFF plane by plane, compressed without loss."""
    from tifffile import TiffWriter

    big = int(np.prod(grid.shape)) * grid.data.dtype.itemsize > BIG_TIFF
    with TiffWriter(draft, bigtiff=big, ome=True) as tiff:
        tiff.write(
            _planes(grid.data),
            shape=grid.shape,
            dtype=grid.data.dtype,
            photometric="minisblack",
            compression="zlib",
            rowsperstrip=min(256, grid.shape[-2]),
            metadata=_ome(grid, classes),
        )


def _planes(data: Any) -> Iterator[NDArray[Any]]:
    """Planes in order, each computed when its turn comes."""
    for where in np.ndindex(*data.shape[:-2]):
        yield np.ascontiguousarray(data[where])


def _ome(grid: Grid, classes: Sequence[ClassLike]) -> dict[str, Any]:
    """Metadata for OME-XML; a size that is unknown or no length is left out."""
    letters = _letters(grid.axes)
    meta: dict[str, Any] = {"axes": letters, "Name": grid.name}
    known = zip(letters, grid.pixel_size, grid.units, strict=True)
    for letter, size, unit in known:
        if letter in "XYZ" and size is not None and unit in LENGTHS:
            meta[f"PhysicalSize{letter}"] = size
            meta[f"PhysicalSize{letter}Unit"] = unit
        elif letter == "T" and size is not None and unit in ("s", "ms"):
            meta["TimeIncrement"] = size
            meta["TimeIncrementUnit"] = unit
    if classes:
        rows = [{"id": int(c.id), "name": c.name, "color": c.color} for c in classes]
        meta["Description"] = json.dumps({"classes": rows}, ensure_ascii=False)
    return meta


def _letters(axes: tuple[str, ...]) -> str:
    """Name axes as OME does: T and Z by their name, others take what is free."""
    taken = {"z": "Z", "t": "T", "y": "Y", "x": "X"}
    free = [c for c in "TZC" if c not in {taken[a] for a in axes if a in taken}]
    others = [axis for axis in axes if axis not in taken]
    if len(others) > len(free):
        raise ScanError(
            f"OME-TIFF has three axes besides y and x; {', '.join(axes)} are more. "
            f"Save as .ome.zarr."
        )
    taken |= dict(zip(others, free, strict=False))
    return "".join(taken[axis] for axis in axes)
