"""Runs: training in a process of its own, supervised from here; and its recipes."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sesami.train.config import RunConfig
    from napari_sesami.train.errors import TrainError
    from napari_sesami.train.recipe import RECIPES, Recipe, recipe_class
    from napari_sesami.train.run.runs import (
        Estimate,
        Run,
        Runs,
        Status,
        estimate,
        start_run,
    )
    from napari_sesami.train.sesami.gate import Verdict, judge
    from napari_sesami.train.sesami.holdout import assemble
    from napari_sesami.train.sesami.pictures import (
        LabelledSet,
        Picture,
        cut_picture,
        read_set,
        write_set,
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
    "judge",
    "read_set",
    "recipe_class",
    "start_run",
    "write_set",
]

_HOMES = {
    "LabelledSet": "sesami.pictures",
    "Picture": "sesami.pictures",
    "cut_picture": "sesami.pictures",
    "read_set": "sesami.pictures",
    "write_set": "sesami.pictures",
    "assemble": "sesami.holdout",
    "Verdict": "sesami.gate",
    "judge": "sesami.gate",
    "estimate": "run.runs",
    "recipe_class": "recipe",
    "Recipe": "recipe",
    "RECIPES": "recipe",
    "RunConfig": "config",
    "TrainError": "errors",
    "Estimate": "run.runs",
    "Run": "run.runs",
    "Runs": "run.runs",
    "Status": "run.runs",
    "start_run": "run.runs",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that the room itself loads at once."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
