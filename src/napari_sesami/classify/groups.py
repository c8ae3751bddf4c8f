"""What is held out together: defects of a lot are alike, so a lot judges as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sesami.classify.defect import Defect
    from napari_sesami.classify.head import Whole

TWIN = 0.98
"""Cosine of places from which two defects are near duplicates."""


def held_out_groups(
    defects: Sequence[Defect], rows: Whole, labels: Whole, places: NDArray[np.float32]
) -> Whole:
    """Give a group to each labelled defect: its lot, else its wafer, else its twins.

    A class that one lot alone has could never be answered without this lot; its
    defects are held out one by one.
    """
    for name in ("lot", "wafer"):
        names = [str(getattr(defects[k], name)) for k in rows]
        kinds = {text: number for number, text in enumerate(sorted(set(names)))}
        if len(kinds) >= 2:
            groups = np.array([kinds[text] for text in names])
            break
    else:
        groups = twin_groups(places[rows])
    spare = groups.max(initial=-1) + 1
    for k in np.unique(labels):
        own = labels == k
        if len(np.unique(groups[own])) == 1:
            groups[own] = spare + twin_groups(places[rows[own]])
            spare = groups.max() + 1
    return groups


def twin_groups(places: NDArray[np.float32]) -> Whole:
    """Number defects so that near duplicates have the same number."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    if not len(places):
        return np.zeros(0, np.int64)
    unit = places / (np.linalg.norm(places, axis=1, keepdims=True) + 1e-9)
    near = [unit[k : k + 1024] @ unit.T > TWIN for k in range(0, len(unit), 1024)]
    _, groups = connected_components(csr_matrix(np.concatenate(near)), directed=False)
    return groups.astype(np.int64)
