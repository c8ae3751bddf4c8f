"""Runs: training in a process of its own, supervised from here; and its recipes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader as lazy

if TYPE_CHECKING:
    from napari_sesami.train.config import RunConfig
    from napari_sesami.train.engine.checkpoints import Checkpoints
    from napari_sesami.train.engine.recorder import Stop
    from napari_sesami.train.errors import TrainError
    from napari_sesami.train.fitted import read_fitted, write_fitted
    from napari_sesami.train.foreign import ForeignRecipe, check_agreed
    from napari_sesami.train.recipe import (
        RECIPES,
        Recipe,
        loaded_recipe,
        recipe_class,
    )
    from napari_sesami.train.run.cluster import batch_script, submit
    from napari_sesami.train.run.folder import RunFolder
    from napari_sesami.train.run.launch import worker_command
    from napari_sesami.train.run.run import Run
    from napari_sesami.train.run.runs import (
        Estimate,
        Runs,
        estimate,
        make_run,
        start_run,
    )
    from napari_sesami.train.run.state import OVER, State, Status
    from napari_sesami.train.semi.gate import (
        draw_labels,
        judge_segmenter,
        labels_by_retrieval,
        overlaps,
    )
    from napari_sesami.train.semi.losses import IGNORE
    from napari_sesami.train.semi.options import PRESETS, SemiConfig, needs_pool
    from napari_sesami.train.semi.pool import Pool, collect_pool, write_pool
    from napari_sesami.train.semi.recipe import Semi
    from napari_sesami.train.semi.teachers import assemble_teachers, common_size
    from napari_sesami.train.sesami.clicks import (
        THIN,
        Score,
        click_through,
        deepest,
        overlap,
    )
    from napari_sesami.train.sesami.gate import (
        Target,
        Verdict,
        examine,
        judge,
        targets,
    )
    from napari_sesami.train.sesami.holdout import assemble
    from napari_sesami.train.sesami.losses import (
        cell_iou,
        corrective_click,
        mask_loss,
        prompt_losses,
        quarter,
    )
    from napari_sesami.train.sesami.pictures import (
        LabelledSet,
        Picture,
        cut_picture,
        read_set,
        write_set,
    )
    from napari_sesami.train.sesami.recipe import ADAPTER, SesamiConfig
    from napari_sesami.train.sesami.simulated import (
        first_click,
        loose_box,
        pick_object,
        random_tone,
    )

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "config": ["RunConfig"],
        "engine.checkpoints": ["Checkpoints"],
        "engine.recorder": ["Stop"],
        "errors": ["TrainError"],
        "fitted": ["read_fitted", "write_fitted"],
        "foreign": ["ForeignRecipe", "check_agreed"],
        "recipe": ["RECIPES", "Recipe", "loaded_recipe", "recipe_class"],
        "run.cluster": ["batch_script", "submit"],
        "run.folder": ["RunFolder"],
        "run.launch": ["worker_command"],
        "run.run": ["Run"],
        "run.runs": ["Estimate", "Runs", "estimate", "make_run", "start_run"],
        "run.state": ["OVER", "State", "Status"],
        "semi.gate": [
            "draw_labels",
            "judge_segmenter",
            "labels_by_retrieval",
            "overlaps",
        ],
        "semi.losses": ["IGNORE"],
        "semi.options": ["PRESETS", "SemiConfig", "needs_pool"],
        "semi.pool": ["Pool", "collect_pool", "write_pool"],
        "semi.recipe": ["Semi"],
        "semi.teachers": ["assemble_teachers", "common_size"],
        "sesami.clicks": ["THIN", "Score", "click_through", "deepest", "overlap"],
        "sesami.gate": ["Target", "Verdict", "examine", "judge", "targets"],
        "sesami.holdout": ["assemble"],
        "sesami.losses": [
            "cell_iou",
            "corrective_click",
            "mask_loss",
            "prompt_losses",
            "quarter",
        ],
        "sesami.pictures": [
            "LabelledSet",
            "Picture",
            "cut_picture",
            "read_set",
            "write_set",
        ],
        "sesami.recipe": ["ADAPTER", "SesamiConfig"],
        "sesami.simulated": [
            "first_click",
            "loose_box",
            "pick_object",
            "random_tone",
        ],
    },
)
