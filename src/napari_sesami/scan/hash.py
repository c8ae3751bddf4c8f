"""The name of a scan's content: same pixels, same name, wherever the file lies."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.scan.normalise import sample_planes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_sesami.scan.planes import HasPlanes

MOST_BYTES = 32 * 2**20  # read from a big scan; smaller ones are read whole
WINDOWS = 24
SIDE = 512  # of a window, pixels


def content_hash(scan: HasPlanes) -> str:
    """Hash shape, dtype and pixels; of a big scan a fixed sample of its pixels.

    The sample depends on the shape alone, so that chunking, compression and place
    of the file do not matter.
    """
    dtype = np.dtype(scan.data.dtype).newbyteorder("<")
    digest = blake2b(f"{scan.shape} {dtype.str}".encode(), digest_size=16)
    for pixels in _windows(scan):
        digest.update(np.ascontiguousarray(pixels.astype(dtype, copy=False)).data)
    return digest.hexdigest()


def _windows(scan: HasPlanes) -> Iterator[NDArray[Any]]:
    """All pixels of a small scan in order, windows spread over a big one."""
    size = np.dtype(scan.data.dtype).itemsize
    if size * np.prod(scan.shape, dtype=np.float64) <= MOST_BYTES:
        try:
            # at once: plane by plane a chunk of many would be unpacked for each
            yield np.asarray(scan.data)
        except Exception:  # plane by plane, the broken one says what is wrong
            for index in range(scan.n_planes):
                yield scan.plane(index)
        return
    places = np.random.default_rng(0).random((WINDOWS, 2))
    planes = sample_planes(scan.n_planes, WINDOWS)
    for number, (fy, fx) in enumerate(places):
        y, x = (
            round(f * max(0, n - SIDE))
            for f, n in zip((fy, fx), scan.plane_shape, strict=True)
        )
        yield scan.window(planes[number % len(planes)], (y, x, y + SIDE, x + SIDE))
