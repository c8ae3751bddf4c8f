"""Strokes become labels through a bank of patch tokens, without training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader as lazy

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
    from napari_sesami.retrieve.contradiction import Contradiction, contradictions
    from napari_sesami.retrieve.decided import LookShare, looks_that_decided
    from napari_sesami.retrieve.explain import (
        Reason,
        choose_zoom,
        strokes_behind,
        why,
        worth,
    )
    from napari_sesami.retrieve.methods import METHODS, Method, Settings, check_method
    from napari_sesami.retrieve.overlap import Overlapping, overlapping
    from napari_sesami.retrieve.painted import PaintedPixels
    from napari_sesami.retrieve.pixel_forest import PixelSamples
    from napari_sesami.retrieve.plane_labels import Labelled
    from napari_sesami.retrieve.published import retrieve, to_pixels
    from napari_sesami.retrieve.repeats import Repeats, find_repeats, transfer_labels
    from napari_sesami.retrieve.retriever import Retriever
    from napari_sesami.retrieve.tiled_answer import is_large
    from napari_sesami.retrieve.token_cache import (
        empty_tokens,
        token_folder,
        tokens_kept,
    )
    from napari_sesami.retrieve.token_store import PartialStore, TokenStore
    from napari_sesami.retrieve.voting import VoteTemperature

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "bank": ["Bank", "RetrieveError", "Rows", "touched_rows"],
        "bank_file": [
            "BankCard",
            "BankClass",
            "BankFile",
            "combine",
            "fitting_zoom",
            "load_bank",
            "save_bank",
        ],
        "condense": ["CAP"],
        "contradiction": ["Contradiction", "contradictions"],
        "decided": ["LookShare", "looks_that_decided"],
        "explain": ["Reason", "choose_zoom", "strokes_behind", "why", "worth"],
        "methods": ["METHODS", "Settings", "Method", "check_method"],
        "overlap": ["Overlapping", "overlapping"],
        "painted": ["PaintedPixels"],
        "pixel_forest": ["PixelSamples"],
        "plane_labels": ["Labelled"],
        "published": ["retrieve", "to_pixels"],
        "repeats": ["Repeats", "find_repeats", "transfer_labels"],
        "retriever": ["Retriever"],
        "token_cache": ["empty_tokens", "token_folder", "tokens_kept"],
        "tiled_answer": ["is_large"],
        "token_store": ["PartialStore", "TokenStore"],
        "voting": ["VoteTemperature"],
    },
)
