"""The recipe that fine-tunes an encoder on pairs: exact, judged, and put to use."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file
from tests.fakes.defects import KINDS, lot_of
from tests.fakes.engine_help import events, losses, work
from tests.fakes.texture import Texture

from napari_sesami.classify import (
    ClassifyError,
    classify_lot,
    load_encoder,
    open_lot,
    read_split,
)
from napari_sesami.classify.tuning import write_tuning_set
from napari_sesami.models import NanoNet, TunableEncoder, catalog, save_nano
from napari_sesami.train import RunConfig
from napari_sesami.train.run.folder import RunFolder

if TYPE_CHECKING:
    from pathlib import Path

STEPS = 6


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("net") / "tiny.safetensors"
    torch.manual_seed(0)
    net = NanoNet(16, 8, widths=(8, 12, 16), depth=1, heads=2, window=4)
    save_nano(net, path)
    return path


@pytest.fixture(scope="module")
def sorting(tiny: Path):
    """A lot with all its labels, sorted by the tiny encoder."""
    lot = lot_of(4, 3)
    classifier = lot.classifier(encoder=str(tiny))
    classifier.prepare()
    return classifier


def begin(sorting, path: Path, tiny: Path, judge: bool = False) -> RunFolder:
    told = f'encoder = "{tiny}"\nside = 32\njudge = {str(judge).lower()}\n'
    config = RunConfig.from_toml(
        f'[run]\nrecipe = "pairs-classifier"\nsteps = {STEPS}\nbatch = 5\n'
        f'rate = 0.002\ndevice = "cpu"\n[pairs-classifier]\n{told}'
    )
    folder = RunFolder.create(path, config)
    write_tuning_set(sorting.tuning_labels(), folder.data, least=10)
    return folder


def test_a_run_that_was_stopped_equals_one_that_was_not(sorting, tiny, tmp_path):
    whole, broken = (begin(sorting, tmp_path / n, tiny) for n in ("whole", "broken"))
    assert work(whole).reason == "finished"
    assert work(broken, at3="stop").reason == "cancelled"
    assert work(broken).reason == "finished"
    assert losses(broken) == losses(whole) and len(losses(whole)) == STEPS
    one, two = (load_file(f.adapter / "encoder.safetensors") for f in (whole, broken))
    first = load_file(tiny)
    assert all(torch.equal(two[key], value) for key, value in one.items())
    assert any(not torch.equal(first[key].float(), one[key]) for key in one)
    metrics = [e["metrics"] for e in events(whole, "metrics")]
    assert metrics[0]["defects"] == 12 and set(metrics[0]["classes"]) == set(KINDS)


def test_whole_lots_judge_and_every_class_is_learnt(sorting, tmp_path):
    write_tuning_set(sorting.tuning_labels(), tmp_path, least=12)
    lot, held = open_lot(tmp_path), read_split(tmp_path)
    assert len(lot) == 36 and len({d.lot for d in lot.defects if d.id in held}) == 1
    assert held == {d.id for d in lot.defects if d.id in held} and len(held) == 12
    assert {d.label for d in lot.defects if d.id not in held} == set(KINDS)
    with pytest.raises(ClassifyError, match="needs 20 labels a class; clean has 12"):
        write_tuning_set(sorting.tuning_labels(), tmp_path / "few")
    with pytest.raises(ClassifyError, match="by its name"):
        sorting.lot.classifier(encoder=Texture()).train()
    with pytest.raises(ClassifyError, match="no option 'sides'"):
        sorting.train(sides=3)


def test_what_won_is_used_and_its_examples_do_not_judge_it(sorting, tiny, tmp_path):
    folder = begin(sorting, tmp_path / "run", tiny, judge=True)
    assert work(folder).reason == "finished"
    facts = folder.status()["facts"]
    gate = json.loads((folder.path / "gate.json").read_text())
    assert facts["wins"] == gate["wins"] and facts["learnt"] == 24
    assert gate["before"]["of"] == gate["after"]["of"] == 12

    class Over:
        name, folder, config = (
            "run",
            tmp_path / "run",
            RunFolder.open(tmp_path / "run").config,
        )

    run = Over()
    run.facts = facts | {"wins": False}
    before = sorting.encoder_name
    assert "held-out" in sorting.adopt(run) and sorting.encoder_name == before
    run.facts = facts | {"wins": True}
    sorting.adopt(run)
    entry = catalog.find(sorting.encoder_name)
    assert entry.kind == "tokens" and entry.source == "trained"
    try:
        assert sorting.model is not None and len(sorting.model.held) == 12
        assert sorting.matrix().counts.sum() == 12
        path = sorting.save(tmp_path / "m.model")
        here = sorting.decide(0.8)
    finally:
        sorting.use_encoder(before)
        catalog.remove(entry.name)
    # the model brings the weights along: another machine has no such encoder
    there = classify_lot(sorting.lot, path, 0.8)
    assert (there.confidence == here.confidence).all()
    assert len(sorting.model.held) == 36
    run.facts = {}
    with pytest.raises(ClassifyError, match="has not finished"):
        sorting.adopt(run)


def test_batch_statistics_stay_and_gradients_reach_the_weights(tmp_path):
    encoder = load_encoder("lite0", "cpu")
    view = torch.rand(1, 1, 64, 64)
    same = encoder.encode(view, normalise=True)
    tunable = TunableEncoder(encoder).train()
    tokens = tunable(view)
    assert torch.allclose(tokens, same, atol=1e-5)
    tokens.std().backward()
    grown = [p for p in tunable.parameters() if p.requires_grad]
    assert len(grown) > 90 and all(p.grad is not None for p in grown)
    assert torch.allclose(encoder.encode(view, normalise=True), same)
    with torch.no_grad():
        grown[0].add_(0.01)
    tunable.save(tmp_path / "tuned.safetensors", {})
    again = load_encoder(tmp_path / "tuned.safetensors", "cpu")
    assert torch.allclose(again.encode(view), encoder.encode(view), atol=1e-5)
    assert not torch.allclose(again.encode(view, normalise=True), same, atol=1e-5)
    entry = catalog.import_file(tmp_path / "tuned.safetensors", "tuned-lite0")
    catalog.remove(entry.name)
    assert entry.kind == "tokens"
