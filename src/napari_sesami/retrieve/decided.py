"""Which looks decided a pixel: its grey level, a texture, what lies around it.

Each step down a tree makes the class more or less likely; it is credited to the feature
that was asked there. Steps of all trees are summed by what the features mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.retrieve.bank import RetrieveError
from napari_sesami.retrieve.pixel_features import N_LOOKS, names_of_looks
from napari_sesami.retrieve.upsample import nothing

if TYPE_CHECKING:
    from napari_sesami.retrieve.retriever import Retriever
    from napari_sesami.retrieve.upsample import Check

AROUND = "surroundings"


@dataclass(frozen=True)
class LookShare:
    """What part of the forests' decision one kind of look has.

    Attributes
    ----------
    name
        Grey level, edges, lines, texture with its width in pixels, or `AROUND`: the
        tokens, which see further than any filter.
    share
        Of all that speaks for the class, in [0, 1]; negative speaks against it.
    """

    name: str
    share: float


def looks_that_decided(
    retriever: Retriever, plane: int, y: float, x: float, check: Check = nothing
) -> tuple[int, list[LookShare]]:
    """Class id that the forests give the pixel (y, x), and why, the strongest first.

    Shares that speak for the class add up to one. Raises a `RetrieveError` while less
    than two classes are painted.
    """
    trees = retriever.trees(check)
    if trees is None:
        raise RetrieveError("Paint strokes of two classes first: then looks decide.")
    h, w = retriever.store.scan.plane_shape
    at = np.array([int(np.clip(y, 0, h - 1)) * w + int(np.clip(x, 0, w - 1))])
    features = retriever.evidence.describe(plane, at, check).astype(np.float32)
    class_id, steps = trees.steps(features)
    names = [*names_of_looks(), *[AROUND] * (features.shape[1] - N_LOOKS)]
    sums: dict[str, float] = {}
    for name, step in zip(names, steps.tolist(), strict=True):
        sums[name] = sums.get(name, 0.0) + step
    total = sum(s for s in sums.values() if s > 0) or 1.0
    order = sorted(sums.items(), key=lambda one: (-one[1], one[0]))
    return class_id, [LookShare(name, s / total) for name, s in order if s]
