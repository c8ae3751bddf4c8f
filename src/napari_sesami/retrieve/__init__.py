"""Strokes become labels through a bank of patch tokens, without training."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sesami.retrieve.bank import Bank, RetrieveError, Rows, touched_rows
    from napari_sesami.retrieve.bank_file import (
        BankCard,
        BankClass,
        BankFile,
        combine,
        fitting_zoom,
        load_bank,
        save_bank,
    )
    from napari_sesami.retrieve.condense import CAP
    from napari_sesami.retrieve.explain import Reason, choose_zoom, why, worth
    from napari_sesami.retrieve.methods import WAYS, Settings, Way
    from napari_sesami.retrieve.overlap import Overlapping, overlapping
    from napari_sesami.retrieve.painted import PaintedPixels
    from napari_sesami.retrieve.pixel_forest import PixelSamples
    from napari_sesami.retrieve.plane_labels import Labelled
    from napari_sesami.retrieve.published import retrieve, to_pixels
    from napari_sesami.retrieve.repeats import Repeats, find_repeats, transfer_labels
    from napari_sesami.retrieve.retriever import Retriever
    from napari_sesami.retrieve.token_store import PartialStore, TokenStore
    from napari_sesami.retrieve.voting import VoteTemperature

_HOMES = {
    "Bank": "bank",
    "RetrieveError": "bank",
    "Rows": "bank",
    "touched_rows": "bank",
    "BankCard": "bank_file",
    "BankClass": "bank_file",
    "BankFile": "bank_file",
    "CAP": "condense",
    "combine": "bank_file",
    "fitting_zoom": "bank_file",
    "load_bank": "bank_file",
    "save_bank": "bank_file",
    "PaintedPixels": "painted",
    "PixelSamples": "pixel_forest",
    "Reason": "explain",
    "choose_zoom": "explain",
    "why": "explain",
    "worth": "explain",
    "retrieve": "published",
    "to_pixels": "published",
    "Labelled": "plane_labels",
    "Overlapping": "overlap",
    "overlapping": "overlap",
    "Repeats": "repeats",
    "find_repeats": "repeats",
    "transfer_labels": "repeats",
    "Retriever": "retriever",
    "PartialStore": "token_store",
    "TokenStore": "token_store",
    "Settings": "methods",
    "VoteTemperature": "voting",
    "WAYS": "methods",
    "Way": "methods",
}
__all__ = [
    "CAP",
    "WAYS",
    "Bank",
    "BankCard",
    "BankClass",
    "BankFile",
    "Labelled",
    "Overlapping",
    "PaintedPixels",
    "PartialStore",
    "PixelSamples",
    "Reason",
    "Repeats",
    "RetrieveError",
    "Retriever",
    "Rows",
    "Settings",
    "TokenStore",
    "VoteTemperature",
    "Way",
    "choose_zoom",
    "combine",
    "find_repeats",
    "fitting_zoom",
    "load_bank",
    "overlapping",
    "retrieve",
    "save_bank",
    "to_pixels",
    "touched_rows",
    "transfer_labels",
    "why",
    "worth",
]


def __getattr__(name: str) -> Any:
    """Import on first use: votes need torch, importing the room does not."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
