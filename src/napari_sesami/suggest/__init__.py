"""Where to label next: uncertainty, rareness, novelty, and the regions to ask about."""

from napari_sesami.suggest._regions import (
    Kind,
    Query,
    near_duplicates,
    patches,
    score_regions,
    spread,
    stratified,
    superpixels,
)
from napari_sesami.suggest._scores import (
    Mix,
    Scores,
    SuggestError,
    best_versus_second,
    class_weights,
    disagreement,
    entropy,
    impurity,
    margin,
    rareness,
    score,
)

__all__ = [
    "Kind",
    "Mix",
    "Query",
    "Scores",
    "SuggestError",
    "best_versus_second",
    "class_weights",
    "disagreement",
    "entropy",
    "impurity",
    "margin",
    "near_duplicates",
    "patches",
    "rareness",
    "score",
    "score_regions",
    "spread",
    "stratified",
    "superpixels",
]
