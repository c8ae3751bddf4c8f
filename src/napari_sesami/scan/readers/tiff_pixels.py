"""Lazy pixels of a TIFF series: mapped where they lie plain, else through zarr."""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.scan.chunks import merged_chunks
from napari_sesami.scan.errors import ScanError
from napari_sesami.scan.lazy import plane_chunks, raw_array
from napari_sesami.scan.normalise import sample_planes

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True)
class PagePixels:
    """Pages that lie uncompressed, each at its place; mapped only while read."""

    path: Path
    stored: np.dtype[Any]
    offsets: NDArray[np.int64]
    page_shape: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels once read: in native byte order."""
        return self.stored.newbyteorder("=")

    @property
    def shape(self) -> tuple[int, ...]:
        """Pages, then rows, columns and colours."""
        return (len(self.offsets), *self.page_shape)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __getitem__(self, where: tuple[Any, ...]) -> NDArray[Any]:
        """Read a part of the pixels; `where` is an index or slice per axis."""
        if isinstance(where[0], slice):
            pages = [self._page(at, where[1:]) for at in self.offsets[where[0]]]
            return np.stack(pages)
        return self._page(self.offsets[where[0]], where[1:])

    def _page(self, at: int, where: tuple[Any, ...]) -> NDArray[Any]:
        page = np.memmap(self.path, self.stored, "r", int(at), self.page_shape)
        return np.array(page[where], dtype=self.dtype)


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
    pages = mapped_pages(tif, path, series, squeeze)
    if pages is not None:
        meta = np.empty((0,) * pages.ndim, pages.dtype)
        chunks = (1, *plane_chunks(pages.page_shape, pages.dtype))
        return da.from_array(pages, chunks=chunks, name=False, meta=meta)
    like = as_zarr(tif.series[number], level, squeeze)
    pixels = TiffPixels(path, (number, level), squeeze, like)
    axes = series.get_axes(squeeze)
    y, x = axes.index("Y"), axes.index("X")
    chunks = merged_chunks(like.chunks, pixels.shape, y, x, pixels.dtype.itemsize)
    meta = np.empty((0,) * pixels.ndim, pixels.dtype)  # else dask would read a bit
    return da.from_array(pixels, chunks=chunks, name=False, asarray=True, meta=meta)


def mapped_pages(tif: Any, path: Path, series: Any, squeeze: bool) -> PagePixels | None:
    """Describe a stack of grey pages that can be mapped one by one, or return None."""
    shape, page = series.get_shape(squeeze), series.keyframe
    is_stack = len(shape) == 3 and len(series.pages) == shape[0]
    if not is_stack or page.shape != shape[1:] or not page.is_memmappable:
        return None
    if any(p is None for p in series.pages):
        return None
    offsets = np.array([p.dataoffsets[0] for p in series.pages], dtype=np.int64)
    stored = np.dtype(series.dtype).newbyteorder(tif.byteorder)
    return PagePixels(path, stored, offsets, page.shape)


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
