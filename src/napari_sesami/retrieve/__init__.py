"""Strokes become labels through a bank of patch tokens, without training."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sesami.retrieve._bank import Bank, RetrieveError, Rows, touched_rows
    from napari_sesami.retrieve._published import retrieve, to_pixels
    from napari_sesami.retrieve._retriever import Labelled, Retriever
    from napari_sesami.retrieve._store import TokenStore
    from napari_sesami.retrieve._votes import Temper

_HOMES = {
    "Bank": "_bank",
    "RetrieveError": "_bank",
    "Rows": "_bank",
    "touched_rows": "_bank",
    "retrieve": "_published",
    "to_pixels": "_published",
    "Labelled": "_retriever",
    "Retriever": "_retriever",
    "TokenStore": "_store",
    "Temper": "_votes",
}
__all__ = [
    "Bank",
    "Labelled",
    "RetrieveError",
    "Retriever",
    "Rows",
    "Temper",
    "TokenStore",
    "retrieve",
    "to_pixels",
    "touched_rows",
]


def __getattr__(name: str) -> Any:
    """Import on first use: votes need torch, importing the room does not."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
