"""Runs: training in a process of its own, supervised from here; and its recipes."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sesami.train._config import RunConfig
    from napari_sesami.train._errors import TrainError
    from napari_sesami.train._evaluate import evaluate_command
    from napari_sesami.train._gate import Verdict, judge
    from napari_sesami.train._holdout import assemble
    from napari_sesami.train._labelled import (
        LabelledSet,
        Picture,
        cut_picture,
        read_set,
        write_set,
    )
    from napari_sesami.train._recipe import RECIPES, Recipe, recipe_class
    from napari_sesami.train._supervise import (
        Estimate,
        Run,
        Runs,
        Status,
        estimate,
        start_run,
    )

__all__ = [
    "RECIPES",
    "Estimate",
    "LabelledSet",
    "Picture",
    "Recipe",
    "Run",
    "RunConfig",
    "Runs",
    "Status",
    "TrainError",
    "Verdict",
    "assemble",
    "cut_picture",
    "estimate",
    "evaluate_command",
    "judge",
    "read_set",
    "recipe_class",
    "start_run",
    "write_set",
]

_HOMES = {
    "evaluate_command": "_evaluate",
    "LabelledSet": "_labelled",
    "Picture": "_labelled",
    "cut_picture": "_labelled",
    "read_set": "_labelled",
    "write_set": "_labelled",
    "assemble": "_holdout",
    "Verdict": "_gate",
    "judge": "_gate",
    "estimate": "_supervise",
    "recipe_class": "_recipe",
    "Recipe": "_recipe",
    "RECIPES": "_recipe",
    "RunConfig": "_config",
    "TrainError": "_errors",
    "Estimate": "_supervise",
    "Run": "_supervise",
    "Runs": "_supervise",
    "Status": "_supervise",
    "start_run": "_supervise",
    "train_command": "_foundation",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that the room itself loads at once."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
