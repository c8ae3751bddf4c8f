"""Nets and their weights: prompt models, token encoders, and the catalog of weights."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sesami.models import catalog
    from napari_sesami.models.adapters import (
        AdapterCard,
        read_card,
        save_adapter,
        use_adapter,
    )
    from napari_sesami.models.device import (
        DeviceChoice,
        choose_device,
    )
    from napari_sesami.models.load import load_prompt_model, load_token_encoder
    from napari_sesami.models.lora import add_lora, remove_lora
    from napari_sesami.models.sam.model import SamModel, build_tiny_sam
    from napari_sesami.models.types import (
        Embedding,
        ModelError,
        PromptModel,
        TokenEncoder,
    )

__all__ = [
    "AdapterCard",
    "DeviceChoice",
    "Embedding",
    "ModelError",
    "PromptModel",
    "SamModel",
    "TokenEncoder",
    "add_lora",
    "build_tiny_sam",
    "catalog",
    "choose_device",
    "load_prompt_model",
    "load_token_encoder",
    "read_card",
    "remove_lora",
    "save_adapter",
    "use_adapter",
]

_HOMES = {
    "AdapterCard": "adapters",
    "add_lora": "lora",
    "read_card": "adapters",
    "remove_lora": "lora",
    "save_adapter": "adapters",
    "use_adapter": "adapters",
    "DeviceChoice": "device",
    "Embedding": "types",
    "ModelError": "types",
    "PromptModel": "types",
    "SamModel": "sam.model",
    "TokenEncoder": "types",
    "build_tiny_sam": "sam.model",
    "choose_device": "device",
    "load_prompt_model": "load",
    "load_token_encoder": "load",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use: most of them bring torch along."""
    if name == "catalog":
        return import_module("napari_sesami.models.catalog")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"napari_sesami.models.{_HOMES[name]}"), name)
