"""Nets and their weights: prompt models, token encoders, and the catalog of weights."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sesami.models import _catalog as catalog
    from napari_sesami.models._adapters import (
        AdapterCard,
        read_card,
        save_adapter,
        use_adapter,
    )
    from napari_sesami.models._device import (
        Cancelled,
        DeviceChoice,
        PrecisionChoice,
        cancellable,
        check_cancelled,
        choose_device,
        choose_precision,
    )
    from napari_sesami.models._load import load_prompt_model, load_token_encoder
    from napari_sesami.models._lora import add_lora, remove_lora
    from napari_sesami.models._sam import SamModel, build_tiny_sam
    from napari_sesami.models._types import (
        Embedding,
        ModelError,
        PromptModel,
        TokenEncoder,
        weights_key,
    )

__all__ = [
    "AdapterCard",
    "Cancelled",
    "DeviceChoice",
    "Embedding",
    "ModelError",
    "PrecisionChoice",
    "PromptModel",
    "SamModel",
    "TokenEncoder",
    "add_lora",
    "build_tiny_sam",
    "cancellable",
    "catalog",
    "check_cancelled",
    "choose_device",
    "choose_precision",
    "load_prompt_model",
    "load_token_encoder",
    "read_card",
    "remove_lora",
    "save_adapter",
    "use_adapter",
    "weights_key",
]

_HOMES = {
    "AdapterCard": "_adapters",
    "add_lora": "_lora",
    "read_card": "_adapters",
    "remove_lora": "_lora",
    "save_adapter": "_adapters",
    "use_adapter": "_adapters",
    "Cancelled": "_device",
    "cancellable": "_device",
    "check_cancelled": "_device",
    "DeviceChoice": "_device",
    "PrecisionChoice": "_device",
    "Embedding": "_types",
    "ModelError": "_types",
    "PromptModel": "_types",
    "SamModel": "_sam",
    "TokenEncoder": "_types",
    "build_tiny_sam": "_sam",
    "choose_device": "_device",
    "choose_precision": "_device",
    "load_prompt_model": "_load",
    "load_token_encoder": "_load",
    "weights_key": "_types",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use: most of them bring torch along."""
    if name == "catalog":
        return import_module("napari_sesami.models._catalog")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"napari_sesami.models.{_HOMES[name]}"), name)
