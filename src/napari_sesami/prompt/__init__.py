"""Prompts: clicks, boxes, lassos, strokes and masks become a mask of one object."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader as lazy

if TYPE_CHECKING:
    from napari_sesami.prompt.alike import Match, find_alike
    from napari_sesami.prompt.embeddings import EmbeddingStore
    from napari_sesami.prompt.errors import PromptError
    from napari_sesami.prompt.everything import Filters, FoundMasks, find_everything
    from napari_sesami.prompt.interpolation import between, interpolate_masks
    from napari_sesami.prompt.large_objects import SMALL
    from napari_sesami.prompt.mask import Mask
    from napari_sesami.prompt.pool.candidates import PLAIN
    from napari_sesami.prompt.pool.features import NAMES, beside
    from napari_sesami.prompt.pool.judge import KINDS, ClickJudge, JudgeTrees, kind_of
    from napari_sesami.prompt.pool.level import WindowLevel
    from napari_sesami.prompt.pool.net_only import favourite
    from napari_sesami.prompt.predictor import Predictor
    from napari_sesami.prompt.prompts import Prompt, Stroke, polygon_mask
    from napari_sesami.prompt.propagation import FollowStep, Stops, propagate
    from napari_sesami.prompt.render import SURE, read_view
    from napari_sesami.prompt.score_words import certainty, tally
    from napari_sesami.prompt.snap import snap_to_edges
    from napari_sesami.prompt.view import View, Views

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "alike": ["Match", "find_alike"],
        "embeddings": ["EmbeddingStore"],
        "errors": ["PromptError"],
        "everything": ["FoundMasks", "Filters", "find_everything"],
        "interpolation": ["between", "interpolate_masks"],
        "large_objects": ["SMALL"],
        "mask": ["Mask"],
        "pool.candidates": ["PLAIN"],
        "pool.features": ["NAMES", "beside"],
        "pool.judge": ["KINDS", "ClickJudge", "JudgeTrees", "kind_of"],
        "pool.level": ["WindowLevel"],
        "pool.net_only": ["favourite"],
        "predictor": ["Predictor"],
        "prompts": ["Prompt", "Stroke", "polygon_mask"],
        "propagation": ["FollowStep", "Stops", "propagate"],
        "render": ["SURE", "read_view"],
        "score_words": ["certainty", "tally"],
        "snap": ["snap_to_edges"],
        "view": ["View", "Views"],
    },
)
