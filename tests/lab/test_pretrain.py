"""The recipe `foundation`: batches, losses, a tiny run that resumes bit for bit."""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003

import numpy as np
import pytest
import torch

from napari_sesami.lab.pretrain import recipe as foundation
from napari_sesami.lab.pretrain.batches import SIDE, Batches
from napari_sesami.lab.pretrain.losses import vote_loss
from napari_sesami.lab.pretrain.recipe import Settings, run
from napari_sesami.lab.pretrain.shards import open_shards, write_shard
from napari_sesami.lab.tables.synthetic import objects, table
from napari_sesami.scan import Scan
from napari_sesami.train.sesami.clicks import Score, click_through, deepest
from napari_sesami.train.sesami.losses import (
    corrective_click,
    depth,
    iou,
    mask_loss,
    quarter,
)
from napari_sesami.train.sesami.simulated import pick_object

TINY = Settings(steps=4, pairs=1, objects=2, warmup=1, dim=32)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes")
    write_shard(folder, 0, scenes=3)
    return folder


def test_shards_are_drawn_once(scenes: Path) -> None:
    path = scenes / "scenes_00000.npy"
    before = path.stat().st_mtime_ns
    write_shard(scenes, 0, scenes=3)
    assert path.stat().st_mtime_ns == before
    assert open_shards(scenes)[0].shape == (3, 4, 256, 512)


def test_batch_is_a_function_of_its_step(scenes: Path) -> None:
    one, two = (Batches(scenes, pairs=1, objects=2)[3] for _ in range(2))
    assert all(torch.equal(one[k], two[k]) for k in one)
    assert one["image"].shape == (2, 1, SIDE, SIDE)
    assert one["masks"].shape == (2, 2, SIDE, SIDE)
    clicks = one["clicks"].long()
    inside = one["masks"][
        torch.arange(2)[:, None], torch.arange(2), clicks[..., 0], clicks[..., 1]
    ]
    assert bool(inside.all()), "the first click is on the object"


def test_unlabelled_places_are_never_objects() -> None:
    regions = np.zeros((SIDE, SIDE), int)
    regions[10:40, 10:40] = 1
    mask = pick_object(
        np.random.default_rng(0), (regions > 0).astype(np.uint8), regions
    )
    assert np.array_equal(mask, regions == 1)


def test_mask_loss_falls_with_better_masks() -> None:
    truth = torch.zeros(1, 16, 16)
    truth[:, 4:10, 4:10] = 1
    good, bad = (truth[:, None] * 2 - 1) * 8, torch.zeros(1, 1, 16, 16)
    assert mask_loss(good, truth) < 0.05 < mask_loss(bad, truth)
    assert float(iou(good, truth)) == 1


def test_thin_layers_do_not_vanish_in_the_truth() -> None:
    masks = torch.zeros(1, 64, 64, dtype=torch.bool)
    masks[:, 30, :] = True  # one pixel thick
    logits = torch.where(quarter(masks)[:, None] > 0, 5.0, -5.0)
    assert float(iou(logits, quarter(masks))) == 1


def test_depth_is_largest_in_the_middle() -> None:
    region = torch.zeros(1, 11, 11, dtype=torch.bool)
    region[:, 2:9, 2:9] = True
    assert int(depth(region).flatten().argmax()) == 5 * 11 + 5


def test_corrective_click_goes_to_the_larger_error() -> None:
    masks = torch.zeros(2, 64, 64, dtype=torch.bool)
    masks[:, 16:48, 16:48] = True
    nothing, everything = torch.full((16, 16), -5.0), torch.full((16, 16), 5.0)
    everything[4:12, 4:12] = 5
    logits = torch.stack([nothing, everything])
    points, labels = corrective_click(logits, quarter(masks), masks, torch.Generator())
    assert labels.tolist() == [1, 0]
    assert bool(masks[0][tuple(points[0].long())])
    assert not bool(masks[1][tuple(points[1].long())])


def test_votes_of_good_tokens_are_right() -> None:
    classes = torch.zeros(2, 32, 32, dtype=torch.long)
    classes[:, :, 16:] = 1
    axis = torch.eye(4)[classes[:, 2::4, 2::4]].permute(0, 3, 1, 2)  # token = its class
    strokes, kinds = torch.tensor([[0, 7]] * 2), torch.tensor([[0, 1]] * 2)
    generator = torch.Generator().manual_seed(0)
    loss, right = vote_loss(axis, classes, strokes, kinds, torch.tensor(0.1), generator)
    assert float(right) == 1
    assert float(loss) < 0.01


def test_resumed_run_equals_an_uninterrupted_one(
    tmp_path: Path, scenes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foundation, "keep_memory", lambda: None)
    states = []
    for name, stops in (("whole", [4]), ("broken", [2, 4])):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "scenes").symlink_to(scenes)
        for stop in stops:
            trainer = run(
                folder,
                TINY,
                device="cpu",
                shards=1,
                processes=0,
                workers=0,
                stop_at=stop,
            )
        states.append(trainer.state())
        lines = (folder / "events.jsonl").read_text().splitlines()
        assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4]
    for key in ("net", "average"):
        for name, tensor in states[0][key].items():
            assert torch.equal(tensor, states[1][key][name]), name


class Perfect:
    """A predictor that knows the answer."""

    def __init__(self, truth: np.ndarray) -> None:
        self.full = truth

    def predict(self, *_: object, **__: object) -> Perfect:
        return self


def test_click_through_scores_a_perfect_answer_with_one() -> None:
    truth = np.zeros((40, 40), bool)
    truth[10:13, 5:30] = True
    score = click_through(Perfect(truth), Scan.from_array(truth.astype(float)), truth)  # type: ignore[arg-type]
    assert score.clicks == dict.fromkeys(range(1, 6), 1.0)
    assert score.box == 1
    assert score.thin


def test_objects_are_neither_specks_nor_background() -> None:
    regions = np.ones((40, 40), int)
    regions[5:15, 5:15], regions[20, 20] = 2, 3
    found = objects(regions, np.random.default_rng(0), 5)
    assert [int(m.sum()) for m in found] == [100]
    assert deepest(found[0])[0] in {(y, x) for y in range(9, 11) for x in range(9, 11)}


def test_table_keeps_thin_layers_apart() -> None:
    scores = [
        Score("layers", False, {1: 1.0, 3: 1.0}, 1.0),
        Score("layers", True, {1: 0.0, 3: 0.0}, 0.0),
        Score("wire_bond", False, {1: 0.5, 3: 1.0}, 1.0),
    ]
    rows = table(scores)
    assert rows["all random patterns"]["clicks 1"] == 1
    assert rows["all random patterns, thin (< 6 px)"]["clicks 1"] == 0
    assert rows["all documented families"]["clicks 1"] == 0.5
    assert rows["layers"]["clicks 1"] == 0.5
