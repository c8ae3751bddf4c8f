"""Names of strokes: connected pixels of one class belong to one stroke."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def stroke_owners(classes: NDArray[np.uint8], plane: int) -> NDArray[np.int64]:
    """Name every stroke: painted pixels of one class that hang together.

    The name is the place of the first pixel, so undoing an edit gives the same names.
    """
    owners = np.zeros(classes.size, np.int64)
    painted = np.flatnonzero(classes)
    if len(painted) == 0:
        return owners.reshape(classes.shape)
    parts = _connected(classes, painted)
    _, first, who = np.unique(parts, return_index=True, return_inverse=True)
    names = plane * classes.size + painted[first] + 1
    owners[painted] = names[who]
    return owners.reshape(classes.shape)


def _connected(
    classes: NDArray[np.uint8], painted: NDArray[np.int64]
) -> NDArray[np.int32]:
    """Number of the connected part of each painted pixel (flat, ascending)."""
    if len(painted) > classes.size // 64:
        from skimage.measure import label

        return label(classes, background=0, connectivity=2).ravel()[painted]
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    width = classes.shape[1]
    flat, x = classes.ravel(), painted % width
    pairs = []
    for down, right in ((0, 1), (1, -1), (1, 0), (1, 1)):
        there = painted + down * width + right
        inside = (x + right >= 0) & (x + right < width) & (there < classes.size)
        mine = np.flatnonzero(inside)
        mine = mine[flat[there[mine]] == flat[painted[mine]]]
        pairs.append((mine, np.searchsorted(painted, there[mine])))
    a, b = (np.concatenate(side) for side in zip(*pairs, strict=True))
    n = len(painted)
    graph = coo_array((np.ones(len(a), bool), (a, b)), shape=(n, n))
    return connected_components(graph, directed=False)[1]
