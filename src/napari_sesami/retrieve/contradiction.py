"""Strokes that say different things of places that look the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_sesami.retrieve.exact import similarities

if TYPE_CHECKING:
    from napari_sesami.retrieve.bank import Rows

ALIKE = 0.98  # cosine from which patches are the same to the model
MOST = 2000  # rows are compared; more take long


@dataclass(frozen=True)
class Contradiction:
    """Two strokes of different classes, and how alike what they painted is."""

    strokes: tuple[int, int]
    classes: tuple[int, int]
    similarity: float


def contradictions(rows: Rows, n_classes: int) -> list[Contradiction]:
    """Pairs of strokes that contradict each other, the clearest first.

    Half of the patches of each must have a patch in the other that is the same to the
    model, and that is nearer than any patch of their own class in another stroke.
    """
    rows = rows.thinned(MOST, n_classes)
    if len(rows) < 2:
        return []
    tokens = torch.from_numpy(rows.tokens)
    alike = similarities(tokens, tokens).numpy()
    main = rows.counts(n_classes).argmax(1) + 1
    other = rows.stroke[:, None] != rows.stroke
    friend = np.where(other & (main[:, None] == main), alike, -1).max(1)
    names, first = np.unique(rows.stroke, return_index=True)
    near = np.stack([alike[:, rows.stroke == s].max(1) for s in names], 1)
    against = (near >= ALIKE) & (near > friend[:, None])
    share = np.stack([against[rows.stroke == s].mean(0) for s in names])
    found = []
    for i, j in np.argwhere((share >= 0.5) & (share.T >= 0.5)):
        a, b = int(main[first[i]]), int(main[first[j]])
        if i < j and a != b:
            close = float(np.median(near[rows.stroke == names[i], j]))
            pair = (int(names[i]), int(names[j]))
            found.append(Contradiction(pair, (a, b), close))
    return sorted(found, key=lambda c: (-c.similarity, c.strokes))
