"""How the pieces of a file become the chunks of a dask array."""

from __future__ import annotations

CHUNK_BYTES = 16 * 2**20
CHUNK_SIDE = 2048  # most rows and columns


def merged_chunks(
    chunks: tuple[int, ...],
    shape: tuple[int, ...],
    y: int,
    x: int,
    itemsize: int,
) -> tuple[int, ...]:
    """Join the strips or tiles of a file to pieces that are worth a task each."""
    merged = list(chunks)
    merged[x] = min(shape[x], max(1, CHUNK_SIDE // chunks[x]) * chunks[x])
    rows = min(CHUNK_SIDE, CHUNK_BYTES // (merged[x] * itemsize))
    merged[y] = min(shape[y], max(1, rows // chunks[y]) * chunks[y])
    return tuple(merged)
