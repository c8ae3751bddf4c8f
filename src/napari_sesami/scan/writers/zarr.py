"""OME-Zarr 0.4 (zarr version 2) in chunks and, for large planes, as a pyramid.

zarr is used directly: ome-zarr drops the units of axes that are given as dicts.
Labels lie in ``labels/classes``, where the standard wants them, with their names and
colours; the root's image shows the same chunks, so that every reader finds something.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.scan.units import LENGTHS, ZARR_UNITS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sesami.scan.writers.coco import ClassLike
    from napari_sesami.scan.writers.labels import Grid

CHUNK = 512
BAND = 2048
"""Rows that are in memory at a time; a multiple of every level's step."""
SMALLEST = 1024
"""A plane up to this size needs no coarser level."""
MAX_LEVELS = 6
VERSION = "0.4"


def write_zarr(
    grid: Grid, draft: Path, classes: Sequence[ClassLike], *, is_labels: bool
) -> None:
    """Write pixels and metadata into the folder `draft`, band by band.

    Parameters
    ----------
    grid
        What to write.
    draft
        A folder that does not exist yet.
    classes
        Names and colours, for labels.
    is_labels
        Whether coarser levels must keep values (labels) or average them (maps).
    """
    import zarr

    root = zarr.create_group(draft, zarr_format=2)
    home = "labels/classes" if is_labels else ""
    group = root.create_group(home) if home else root
    levels = [_level(group, grid, i) for i in range(_n_levels(grid.shape))]
    for where, rows, block in _bands(grid.data):
        _fill(levels, where, rows, block, is_labels=is_labels)
    group.attrs.put({"multiscales": [_multiscales(grid, len(levels), "", is_labels)]})
    if is_labels:
        shown = _multiscales(grid, len(levels), f"{home}/", is_labels)
        root.attrs.put({"multiscales": [shown]})
        root["labels"].attrs.put({"labels": ["classes"]})
        group.attrs.put({**group.attrs.asdict(), "image-label": _image_label(classes)})


def _n_levels(shape: tuple[int, ...]) -> int:
    """Halve until a plane fits a screen; thin planes are not halved to nothing."""
    count = 1
    side, thin = max(shape[-2:]), min(shape[-2:])
    while side > SMALLEST and thin >= 2 and count < MAX_LEVELS:
        side, thin, count = -(-side // 2), thin // 2, count + 1
    return count


def _level(group: Any, grid: Grid, level: int) -> Any:
    """Create the array of one level; chunks are single planes cut to squares."""
    import numcodecs  # type: ignore[import-untyped,unused-ignore]

    step = 2**level
    shape = (*grid.shape[:-2], *(-(-n // step) for n in grid.shape[-2:]))
    return group.create_array(
        str(level),
        shape=shape,
        dtype=grid.data.dtype,
        chunks=(*(1,) * (len(shape) - 2), *(min(CHUNK, n) for n in shape[-2:])),
        compressors=numcodecs.Blosc("zstd", clevel=5, shuffle=numcodecs.Blosc.SHUFFLE),
        chunk_key_encoding={"name": "v2", "separator": "/"},
        fill_value=0,
    )


def _bands(data: Any) -> Iterator[tuple[tuple[int, ...], int, NDArray[Any]]]:
    """Bands of rows of every plane, each computed when its turn comes."""
    for where in np.ndindex(*data.shape[:-2]):
        for row in range(0, data.shape[-2], BAND):
            yield where, row, np.asarray(data[(*where, slice(row, row + BAND))])


def _fill(
    levels: Sequence[Any],
    where: tuple[int, ...],
    row: int,
    block: NDArray[Any],
    *,
    is_labels: bool,
) -> None:
    for level, array in enumerate(levels):
        if level:
            block = block[::2, ::2] if is_labels else _halved(block)
        top = row // 2**level
        array[(*where, slice(top, top + block.shape[0]))] = block


def _halved(block: NDArray[Any]) -> NDArray[Any]:
    """Average 2 × 2 pixels; an odd last row or column counts twice."""
    height, width = block.shape
    even = np.pad(block, ((0, height % 2), (0, width % 2)), mode="edge")
    quads = even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2)
    return quads.mean(axis=(1, 3), dtype=np.float64).astype(block.dtype)


def _multiscales(
    grid: Grid, levels: int, prefix: str, is_labels: bool
) -> dict[str, Any]:
    axes = [_axis(a, u) for a, u in zip(grid.axes, grid.units, strict=True)]
    return {
        "version": VERSION,
        "name": grid.name,
        "axes": axes,
        "datasets": [
            {
                "path": f"{prefix}{level}",
                "coordinateTransformations": _transforms(grid, level, is_labels),
            }
            for level in range(levels)
        ],
    }


def _axis(name: str, unit: str | None) -> dict[str, str]:
    """Describe an axis; without a unit its size is unknown."""
    kinds = {"z": "space", "y": "space", "x": "space", "t": "time", "c": "channel"}
    axis = {"name": name}
    if name in kinds:
        axis["type"] = kinds[name]
    if unit in ZARR_UNITS:
        axis["unit"] = ZARR_UNITS[unit]
    elif unit is not None:
        inner = unit.removeprefix("1/")
        axis["unit"] = f"1/{ZARR_UNITS[inner]}" if inner in LENGTHS else unit
    return axis


def _transforms(grid: Grid, level: int, is_labels: bool) -> list[dict[str, Any]]:
    """Scale of a level and where the centre of its first pixel lies."""
    step = 2**level
    steps = [1] * (len(grid.axes) - 2) + [step, step]
    sizes = [float(size or 1.0) for size in grid.pixel_size]
    scale = [size * n for size, n in zip(sizes, steps, strict=True)]
    move = [float(o) for o in grid.origin]
    if not is_labels:  # averaging moves the centre, skipping does not
        half = [(n - 1) / 2 for n in steps]
        move = [o + s * h for o, s, h in zip(move, sizes, half, strict=True)]
    transforms: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
    if any(move):
        transforms.append({"type": "translation", "translation": move})
    return transforms


def _image_label(classes: Sequence[ClassLike]) -> dict[str, Any]:
    """Names and colours of the classes, as OME-Zarr keeps them."""
    return {
        "version": VERSION,
        "colors": [{"label-value": int(c.id), "rgba": _rgba(c.color)} for c in classes],
        "properties": [{"label-value": int(c.id), "name": c.name} for c in classes],
        "source": {"image": "../../"},
    }


def _rgba(color: str) -> list[int]:
    """Turn "#rrggbb" or "#rrggbbaa" to four numbers; other names become white."""
    digits = color.removeprefix("#")
    try:
        values = list(bytes.fromhex(digits))
    except ValueError:
        values = []
    return [*values, 255][:4] if len(values) in (3, 4) else [255] * 4
