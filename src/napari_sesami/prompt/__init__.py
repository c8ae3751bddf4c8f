"""Prompts: clicks, boxes, lassos, strokes and masks become a mask of one object."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_sesami.prompt.errors import PromptError
from napari_sesami.prompt.mask import Mask
from napari_sesami.prompt.prompts import Prompt, Stroke, polygon_mask

if TYPE_CHECKING:
    from napari_sesami.prompt.alike import Match, find_alike
    from napari_sesami.prompt.embeddings import EmbeddingStore
    from napari_sesami.prompt.everything import Candidates, Filters, find_everything
    from napari_sesami.prompt.interpolation import between, interpolate_masks
    from napari_sesami.prompt.predictor import Predictor
    from napari_sesami.prompt.propagation import Step, Stops, propagate
    from napari_sesami.prompt.snap import snap_to_edges
    from napari_sesami.prompt.view import View

__all__ = [
    "Candidates",
    "EmbeddingStore",
    "Filters",
    "Mask",
    "Match",
    "Predictor",
    "Prompt",
    "PromptError",
    "Step",
    "Stops",
    "Stroke",
    "View",
    "between",
    "find_alike",
    "find_everything",
    "interpolate_masks",
    "polygon_mask",
    "propagate",
    "snap_to_edges",
]

_HOMES = {
    "Candidates": "napari_sesami.prompt.everything",
    "Filters": "napari_sesami.prompt.everything",
    "Match": "napari_sesami.prompt.alike",
    "Step": "napari_sesami.prompt.propagation",
    "Stops": "napari_sesami.prompt.propagation",
    "between": "napari_sesami.prompt.interpolation",
    "find_alike": "napari_sesami.prompt.alike",
    "find_everything": "napari_sesami.prompt.everything",
    "interpolate_masks": "napari_sesami.prompt.interpolation",
    "propagate": "napari_sesami.prompt.propagation",
    "snap_to_edges": "napari_sesami.prompt.snap",
    "EmbeddingStore": "napari_sesami.prompt.embeddings",
    "Predictor": "napari_sesami.prompt.predictor",
    "View": "napari_sesami.prompt.view",
}


def __getattr__(name: str) -> Any:
    """Import what needs torch on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
