"""Recipes that train models, and the numbers of the bundled one."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sesami.train._evaluate import evaluate_command
    from napari_sesami.train._foundation import train_command

__all__ = ["evaluate_command", "train_command"]

_HOMES = {"evaluate_command": "_evaluate", "train_command": "_foundation"}


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that the room itself loads at once."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
