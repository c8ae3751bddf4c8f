"""Lazy pixels that open their file for each read and hold no handle in between."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.scan.errors import ScanError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

MAX_BLOCK = 64 * 2**20
"""Planes larger than this are cut into bands of rows."""


@dataclass(frozen=True)
class RawPixels:
    """Uncompressed pixels at a fixed place in a file; picklable, so dask may move."""

    path: Path
    stored: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels once read: in native byte order."""
        return self.stored.newbyteorder("=")

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Read a part of the pixels into memory, in native byte order."""
        pixels = np.memmap(self.path, self.stored, "r", self.offset, self.shape)
        return np.array(pixels[key], dtype=self.dtype)


def raw_array(path: Path, dtype: Any, shape: tuple[int, ...], offset: int = 0) -> Any:
    """Open uncompressed pixels as a dask array, one chunk per plane.

    Parameters
    ----------
    path
        File that holds the pixels.
    dtype, shape
        How they lie there; the last two axes are y, x.
    offset
        First byte.
    """
    import dask.array as da

    dtype = np.dtype(dtype)
    need = offset + math.prod(shape) * dtype.itemsize
    has = path.stat().st_size
    if has < need:
        raise ScanError(
            f"{path.name} is cut off: its header promises {need} bytes and the file "
            f"has {has}; copy it again from the instrument."
        )
    pixels = RawPixels(path, dtype, shape, int(offset))
    return da.from_array(pixels, chunks=plane_chunks(shape, dtype), name=False)


def plane_chunks(shape: tuple[int, ...], dtype: Any) -> tuple[int, ...]:
    """Chunk shape that reads a plane at a time, or a band of it if it is huge."""
    row = shape[-1] * np.dtype(dtype).itemsize
    rows = max(1, min(shape[-2], MAX_BLOCK // max(row, 1)))
    return (*(1,) * (len(shape) - 2), rows, shape[-1])


def plane_array(
    read: Callable[[int], NDArray[Any]], count: int, shape: tuple[int, ...], dtype: Any
) -> Any:
    """Open a stack as a dask array (n, y, x) whose planes come from `read`.

    Parameters
    ----------
    read
        Called with the plane's number; must be picklable.
    count, shape, dtype
        Number of planes and what each of them looks like.
    """
    import dask.array as da

    return da.map_blocks(
        _one_plane,
        read=read,
        chunks=((1,) * count, *((n,) for n in shape)),
        dtype=np.dtype(dtype),
        meta=np.empty((0,) * (len(shape) + 1), dtype),
    )


def _one_plane(read: Any, block_id: tuple[int, ...] | None = None) -> NDArray[Any]:
    index = block_id[0] if block_id else 0
    return np.asarray(read(index))[np.newaxis]


def unique_names(names: list[str]) -> list[str]:
    """Tell images of the same name apart: "HAADF", "HAADF (2)", …."""
    seen: dict[str, int] = {}
    unique: list[str] = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        unique.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return unique


def name_axes(units: Sequence[str | None]) -> tuple[str, ...]:
    """Name axes after what they measure; the last two are y, x.

    Parameters
    ----------
    units
        Canonical unit of every axis, as `parse_unit` gives it.
    """
    measures = {"s": "t", "ms": "t", "eV": "energy", "keV": "energy"}
    names: list[str] = []
    for unit in units[:-2]:
        name = measures.get(unit or "", "z")
        names.append(name if name not in names else f"a{len(names)}")
    return (*names, "y", "x")
