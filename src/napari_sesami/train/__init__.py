"""Runs: training in a process of its own, supervised from here; and its recipes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader as lazy

if TYPE_CHECKING:
    from napari_sesami.train.config import RunConfig
    from napari_sesami.train.errors import TrainError
    from napari_sesami.train.recipe import RECIPES, Recipe, recipe_class
    from napari_sesami.train.run.cluster import batch_script, submit
    from napari_sesami.train.run.run import Run
    from napari_sesami.train.run.runs import (
        Estimate,
        Runs,
        estimate,
        make_run,
        start_run,
    )
    from napari_sesami.train.run.state import OVER, State, Status
    from napari_sesami.train.sesami.gate import Verdict, judge
    from napari_sesami.train.sesami.holdout import assemble
    from napari_sesami.train.sesami.pictures import (
        LabelledSet,
        Picture,
        cut_picture,
        read_set,
        write_set,
    )

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "config": ["RunConfig"],
        "errors": ["TrainError"],
        "recipe": ["RECIPES", "Recipe", "recipe_class"],
        "run.cluster": ["batch_script", "submit"],
        "run.run": ["Run"],
        "run.runs": ["Estimate", "Runs", "estimate", "make_run", "start_run"],
        "run.state": ["OVER", "State", "Status"],
        "sesami.gate": ["Verdict", "judge"],
        "sesami.holdout": ["assemble"],
        "sesami.pictures": [
            "LabelledSet",
            "Picture",
            "cut_picture",
            "read_set",
            "write_set",
        ],
    },
)
