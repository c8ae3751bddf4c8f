"""Prompts: clicks, boxes, lassos, strokes and masks become a mask of one object."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_sesami.prompt._errors import PromptError
from napari_sesami.prompt._mask import Mask
from napari_sesami.prompt._prompt import Prompt, Stroke, polygon_mask

if TYPE_CHECKING:
    from napari_sesami.models import Cancelled
    from napari_sesami.prompt._embeddings import EmbeddingStore
    from napari_sesami.prompt._predictor import Predictor
    from napari_sesami.prompt._view import View

__all__ = [
    "Cancelled",
    "EmbeddingStore",
    "Mask",
    "Predictor",
    "Prompt",
    "PromptError",
    "Stroke",
    "View",
    "polygon_mask",
]

_HOMES = {
    "Cancelled": "napari_sesami.models",
    "EmbeddingStore": "napari_sesami.prompt._embeddings",
    "Predictor": "napari_sesami.prompt._predictor",
    "View": "napari_sesami.prompt._view",
}


def __getattr__(name: str) -> Any:
    """Import what needs torch on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
