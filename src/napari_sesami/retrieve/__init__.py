"""Strokes become labels through a bank of patch tokens, without training."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sesami.retrieve._bank import Bank, RetrieveError, Rows, touched_rows
    from napari_sesami.retrieve._bankfile import (
        BankCard,
        BankClass,
        BankFile,
        combine,
        fitting_zoom,
        load_bank,
        save_bank,
    )
    from napari_sesami.retrieve._condense import CAP
    from napari_sesami.retrieve._evidence import PixelSamples
    from napari_sesami.retrieve._explain import Reason, choose_zoom, why, worth
    from napari_sesami.retrieve._labelled import Labelled
    from napari_sesami.retrieve._overlap import Overlapping, overlapping
    from napari_sesami.retrieve._published import retrieve, to_pixels
    from napari_sesami.retrieve._repeats import Repeats, find_repeats, transfer_labels
    from napari_sesami.retrieve._retriever import Retriever
    from napari_sesami.retrieve._store import PartialStore, TokenStore
    from napari_sesami.retrieve._votes import Temper
    from napari_sesami.retrieve._ways import WAYS, Settings, Way

_HOMES = {
    "Bank": "_bank",
    "RetrieveError": "_bank",
    "Rows": "_bank",
    "touched_rows": "_bank",
    "BankCard": "_bankfile",
    "BankClass": "_bankfile",
    "BankFile": "_bankfile",
    "CAP": "_condense",
    "combine": "_bankfile",
    "fitting_zoom": "_bankfile",
    "load_bank": "_bankfile",
    "save_bank": "_bankfile",
    "PixelSamples": "_evidence",
    "Reason": "_explain",
    "choose_zoom": "_explain",
    "why": "_explain",
    "worth": "_explain",
    "retrieve": "_published",
    "to_pixels": "_published",
    "Labelled": "_labelled",
    "Overlapping": "_overlap",
    "overlapping": "_overlap",
    "Repeats": "_repeats",
    "find_repeats": "_repeats",
    "transfer_labels": "_repeats",
    "Retriever": "_retriever",
    "PartialStore": "_store",
    "TokenStore": "_store",
    "Settings": "_ways",
    "Temper": "_votes",
    "WAYS": "_ways",
    "Way": "_ways",
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
    "PartialStore",
    "PixelSamples",
    "Reason",
    "Repeats",
    "RetrieveError",
    "Retriever",
    "Rows",
    "Settings",
    "Temper",
    "TokenStore",
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
