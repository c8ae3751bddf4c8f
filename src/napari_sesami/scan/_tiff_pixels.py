"""Lazy pixels of a TIFF series: mapped where they lie plain, else through zarr."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.scan._chunks import merged_chunks
from napari_sesami.scan._errors import ScanError
from napari_sesami.scan._lazy import raw_array
from napari_sesami.scan._normalise import sample_planes

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


class TiffPixels:
    """One level of a series; opens its file on the first read, closes it with itself.

    Picklable: a copy in another process opens the file anew.
    """

    def __init__(
        self, path: Path, place: tuple[int, int], squeeze: bool, like: Any
    ) -> None:
        self.path, self.place, self.squeeze = path, place, squeeze
        self.shape, self.dtype = tuple(like.shape), np.dtype(like.dtype)
        self.ndim = len(self.shape)
        self._lock = threading.Lock()
        self._array: Any = None

    def __getitem__(self, where: Any) -> NDArray[Any]:
        """Read a part of the pixels."""
        with self._lock:
            if self._array is None:
                self._array = self._open()
        return np.asarray(self._array[where])

    def _open(self) -> Any:
        import tifffile

        tif = tifffile.TiffFile(self.path)
        weakref.finalize(self, tif.close)
        series, level = self.place
        return as_zarr(tif.series[series], level, self.squeeze)

    def __getstate__(self) -> tuple[Any, ...]:
        """Leave the open file behind."""
        return self.path, self.place, self.squeeze, self.shape, self.dtype

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Come back closed."""
        self.path, self.place, self.squeeze, self.shape, self.dtype = state
        self.ndim = len(self.shape)
        self._lock = threading.Lock()
        self._array = None


def as_zarr(series: Any, level: int, squeeze: bool) -> Any:
    """Open a level of a series as a zarr array."""
    import zarr

    return zarr.open_array(series.aszarr(level=level, squeeze=squeeze), mode="r")


def lazy_series(tif: Any, path: Path, number: int, level: int, squeeze: bool) -> Any:
    """Open one level of a series as a dask array whose chunks suit planes."""
    import dask.array as da

    series = tif.series[number].levels[level]
    shape = series.get_shape(squeeze)
    offset = series.dataoffset
    if offset is not None and series.dtype is not None:
        dtype = np.dtype(series.dtype).newbyteorder(tif.byteorder)
        return raw_array(path, dtype, shape, offset)
    check_complete(path, series)
    like = as_zarr(tif.series[number], level, squeeze)
    pixels = TiffPixels(path, (number, level), squeeze, like)
    axes = series.get_axes(squeeze)
    y, x = axes.index("Y"), axes.index("X")
    chunks = merged_chunks(like.chunks, pixels.shape, y, x, pixels.dtype.itemsize)
    meta = np.empty((0,) * pixels.ndim, pixels.dtype)  # else dask would read a bit
    return da.from_array(pixels, chunks=chunks, name=False, asarray=True, meta=meta)


def check_complete(path: Path, series: Any) -> None:
    """Refuse a series whose pixels lie beyond the end of the file."""
    has = path.stat().st_size
    for index in sample_planes(len(series.pages), 16):
        page = series.pages[index]
        if page is None:
            continue
        parts = zip(page.dataoffsets, page.databytecounts, strict=False)
        need = max((start + count for start, count in parts if count), default=0)
        if need > has:
            raise ScanError(
                f"{path} is cut short: page {index} needs {need} bytes and the file "
                f"has {has}; copy it again from the instrument."
            )
