"""The bundled model, tuned a little on one family, is better on other scans of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_sesami.lab.scenes import FAMILIES
from napari_sesami.train import LabelledSet, RunConfig, cut_picture, write_set
from napari_sesami.train.sesami.gate import by_class, examine, overall
from napari_sesami.train.sesami.recipe import Sesami, SesamiConfig

FAMILY, STEPS = "wire_bond", 60


def pictures():
    for seed in range(5):
        drawn = FAMILIES[FAMILY](4000 + seed)
        made = cut_picture(drawn.scan(), 0, drawn.labels, name=str(seed))
        assert made is not None
        yield replace(made, held_out=seed >= 3)


@pytest.mark.slow
def test_a_short_tuning_on_one_family_helps_on_held_out_scans(tmp_path):
    torch.manual_seed(0)
    names = {c.id: c.name for c in FAMILIES[FAMILY](4000).classes}
    write_set(tmp_path / "data", LabelledSet(tuple(pictures()), names))
    options = SesamiConfig(measured=16)
    config = RunConfig(
        "sesami", steps=STEPS, rate=1e-2, batch=2, recipe_options=options
    )
    recipe = Sesami(config, tmp_path)
    net = recipe.prepare(torch.device("cpu"))
    held = recipe.labelled.held_out
    before = overall(by_class(examine(recipe.model, held, recipe.targets, 3)))
    optimiser = recipe.optimiser(net)
    for step in range(STEPS):
        for group in optimiser.param_groups:
            group["lr"] = config.rate * recipe.rate(step)
        picks = np.random.default_rng(step).integers(recipe.n_examples, size=2)
        rngs = [np.random.default_rng([1, step, i]) for i in range(2)]
        batch = recipe.collate(
            [recipe.example(int(i), r) for i, r in zip(picks, rngs, strict=True)]
        )
        loss = recipe.loss(batch, torch.Generator().manual_seed(step))["loss"]
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
    after = overall(by_class(examine(recipe.model, held, recipe.targets, 3)))
    print(before, after)
    assert after["mIoU"] > before["mIoU"] + 0.01
