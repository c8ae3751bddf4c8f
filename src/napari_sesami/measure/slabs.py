"""Slabs of a lazy volume: as many slices at once as its chunks hold, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

MOST_BYTES = 128 * 2**20


def slabs_of(volume: Any) -> Iterator[tuple[int, NDArray[Any]]]:
    """Read a volume (z, y, x) from below, as (first slice, slices).

    A chunk of many slices would be unpacked for each of them if they were read one by
    one.
    """
    depth = int(volume.shape[0])
    step = 1
    if _chunk_depth(volume) > 1:
        plane = int(np.prod(volume.shape[1:])) * np.dtype(volume.dtype).itemsize
        step = max(1, min(_chunk_depth(volume), MOST_BYTES // max(plane, 1)))
    for first in range(0, depth, step):
        if step == 1:
            yield first, np.asarray(volume[first])[None]
        else:
            yield first, np.asarray(volume[first : first + step])


def _chunk_depth(volume: Any) -> int:
    chunks = getattr(volume, "chunks", None)
    if not chunks:
        return 1
    first = chunks[0]
    return int(first if isinstance(first, int) else max(first))
