"""The engine with the recipe that users run: an interrupted adapter is the same one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file
from tests.fakes.engine_help import events, losses, work
from tests.fakes.sesami_help import CLASSES, picture, tiny_file

from napari_sesami.train import LabelledSet, RunConfig, write_set
from napari_sesami.train.run.folder import RunFolder
from napari_sesami.train.sesami.recipe import ADAPTER, SesamiConfig

if TYPE_CHECKING:
    from pathlib import Path


def begin(path: Path, blocks: int) -> RunFolder:
    """Five steps of two among the objects of two pictures; one more is held out."""
    path.mkdir()
    own = SesamiConfig(
        model=str(tiny_file("nano", path)), objects=2, measured=2, gate_clicks=2,
        blocks=blocks, decoder=True,
    )  # fmt: skip
    config = RunConfig(
        "sesami", steps=5, batch=2, rate=1e-2, device="cpu", recipe_options=own
    )
    folder = RunFolder.create(path, config)
    seen = (picture(0), picture(1), picture(2, held_out=True))
    write_set(folder.data, LabelledSet(seen, CLASSES))
    return folder


@pytest.mark.parametrize("blocks", [0, 1])
def test_an_interrupted_adapter_equals_an_undisturbed_one(
    tmp_path: Path, blocks: int
) -> None:
    """With all blocks trained, and with kept activations of the trunk."""
    whole, broken = (
        begin(tmp_path / "whole", blocks),
        begin(tmp_path / "broken", blocks),
    )
    assert work(whole).reason == "finished"
    assert work(broken, at1="stop").reason == "cancelled"
    assert work(broken, at3="stop").reason == "cancelled"
    assert work(broken).reason == "finished"
    assert losses(broken) == losses(whole)
    one, two = (load_file(f.adapter / ADAPTER) for f in (whole, broken))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert [e["when"] for e in events(broken, "metrics")] == ["before", "after"]
    assert whole.status()["facts"]["adapter"] == ADAPTER
