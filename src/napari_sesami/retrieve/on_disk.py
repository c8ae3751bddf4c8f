"""Arrays too large for memory: they lie in a file that goes with them."""

from __future__ import annotations

import mmap
import os
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

IN_MEMORY = 1 << 26  # bytes of an array that stays in memory


def zeros(shape: tuple[int, ...], dtype: Any, folder: Path | None) -> NDArray[Any]:
    """Give zeros; of more than `IN_MEMORY` bytes in a file without a name.

    Where that cannot be (no folder, a full disk), they are in memory after all.
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if size > IN_MEMORY and folder is not None:
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as stream:
                reserve(stream, size)
                return np.memmap(stream, dtype, "r+", shape=shape)
    return np.zeros(shape, dtype)


def reserve(stream: BinaryIO, size: int) -> None:
    """Take so many bytes of the disk, from the place of the stream on, as zeros.

    A mapped file that meets a full disk later would end the process.
    """
    start = stream.tell()
    if hasattr(os, "posix_fallocate"):
        stream.flush()
        os.posix_fallocate(stream.fileno(), start, size)
        return
    chunk = bytes(1 << 20)
    for done in range(0, size, len(chunk)):
        stream.write(chunk[: size - done])
    stream.flush()


def let_go(array: NDArray[Any]) -> None:
    """Free the memory of a mapped array; its numbers are read again when asked for."""
    mapped = getattr(array, "_mmap", None)
    if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)
