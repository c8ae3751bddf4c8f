"""Table 1: what a module is, and how its numbers are put together."""

from __future__ import annotations

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from tests.fakes.sesami_help import draw, picture

from napari_sesami.lab.tables.rival import Rival, RivalSettings
from napari_sesami.lab.tables.table1 import (
    _answered,
    lines,
    real_folds,
    specimen,
    table,
)
from napari_sesami.train import TrainError
from napari_sesami.train.sesami.gate import Target


def row(module, image, base, adapter, rival=0.5, fold="set-0"):
    return {
        "fold": fold, "module": module, "image": image, "class": "a",
        "base": [base] * 3, "adapter": [adapter] * 3, "rival": rival,
        "share": 0.014, "rival parameters": 12_000_000,
    }  # fmt: skip


def test_specimens_are_told_by_file_names():
    assert specimen("spot1_180d_5") == specimen("spot1_0d_0") == "spot1"
    assert specimen("040617_3_S0410018") == "040617_3"
    assert specimen("me3_15kx_3kv_2") == "me3"
    assert specimen("SE_15kv_50kx_precip_-_untested-2_0") == "SE"


def test_every_specimen_is_left_out_once_and_none_is_on_both_sides(tmp_path):
    for kind in ("images", "labels"):
        (tmp_path / "nasa_superalloy" / kind).mkdir(parents=True)
    for i in range(8):
        image, truth = draw(i)
        name = f"spot{i // 2}_{i % 2}.png"
        iio.imwrite(tmp_path / "nasa_superalloy" / "images" / name, image)
        iio.imwrite(tmp_path / "nasa_superalloy" / "labels" / name, truth)
    left = []
    for fold in real_folds(tmp_path, "nasa_superalloy", 3):
        held = {specimen(p.scan) for p in fold.pictures if p.held_out}
        seen = {specimen(p.scan) for p in fold.pictures if not p.held_out}
        assert held and seen and held.isdisjoint(seen)
        left += sorted(held)
    assert sorted(left) == [f"spot{i}" for i in range(4)]
    with pytest.raises(TrainError, match="no folder nasa_ebc"):
        list(real_folds(tmp_path, "nasa_ebc", 3))


def test_images_count_alike_within_a_module_and_modules_in_the_table():
    rows = [
        row("a", "a1", 0.2, 0.4), row("a", "a1", 0.4, 0.6), row("a", "a2", 0.7, 0.7),
        row("b", "b1", 0.9, 0.8),
    ]  # fmt: skip
    found = table(rows)
    assert found["per module"]["base"] == pytest.approx([0.5, 0.9])
    assert found["base"]["avg"] == pytest.approx(0.7)
    assert found["base"]["max"] == pytest.approx(0.9)
    assert found["base"]["min"] == pytest.approx(0.5)
    assert found["base"]["std"] == pytest.approx(0.2)
    assert found["per module"]["adapter"] == pytest.approx([0.6, 0.8])
    assert found["improved"] == 0.5
    assert found["gain"] == pytest.approx(0.0)
    text = lines(rows, "A set")
    assert "2 modules, 4 objects" in text
    assert "| Avg. | 0.5000 | 0.7000 | 0.7000 |" in text
    assert "all, 12.0 M | none | 1.40 %" in text


def test_the_rivals_answer_is_the_part_of_the_class_under_the_click():
    one = picture(0)
    region = next(iter(one.objects()))
    whole = one.classes.astype(int)
    assert _answered(whole, one, Target(0, region, "a")) == 1.0
    assert _answered(np.zeros_like(whole), one, Target(0, region, "a")) == 0.0


def test_the_rival_learns_and_gives_every_pixel_a_class():
    rival = Rival(3, RivalSettings(steps=2, batch=2))
    before = [p.detach().clone() for p in rival.net.parameters()]
    rival.train([picture(0)])
    after = list(rival.net.parameters())
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
    found = rival.classes_of(picture(1))
    assert found.shape == picture(1).grey.shape and set(np.unique(found)) <= {0, 1, 2}
    with pytest.raises(TrainError, match="batch of 2 or more"):
        Rival(3, RivalSettings(batch=1))
