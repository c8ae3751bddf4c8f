"""What the recipe `foundation` teaches: each lesson is what its name says."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from scipy import ndimage as ndi
from torch.nn import functional as F

from napari_sesami.lab.pretrain import prepare_run, shards
from napari_sesami.lab.pretrain import recipe as foundation
from napari_sesami.lab.pretrain.batches import (
    SIDE,
    SIDES,
    SisterCrops,
    crops_of_large,
    pairs_at,
    side_of_step,
)
from napari_sesami.lab.pretrain.chain import (
    Truth,
    chain_losses,
    pixel_iou,
    pixel_loss,
)
from napari_sesami.lab.pretrain.curriculum import (
    EVERY,
    FILE,
    Curriculum,
    Shares,
    factors,
)
from napari_sesami.lab.pretrain.objects import (
    CLICKS,
    CropObjects,
    ask,
    sample_pixels,
    stroke_points,
    user_box,
    user_click,
)
from napari_sesami.lab.pretrain.shards import GROUPS, folder_of_large, named_shards
from napari_sesami.models import Nano, NanoNet
from napari_sesami.models.nano.judge import MaskJudge
from napari_sesami.train import RunConfig, RunFolder, TrainError, prompt_losses

if TYPE_CHECKING:
    from pathlib import Path


def nested() -> tuple[np.ndarray, np.ndarray]:
    """A core in a ring on a ground, and a layer of two pixels."""
    y, x = np.mgrid[:SIDE, :SIDE]
    far = np.hypot(y - 80, x - 80)
    classes = np.select([far < 12, far < 26, (y > 200) & (y < 203)], [2, 1, 3], 0)
    regions = np.select([far < 12, far < 26, (y > 200) & (y < 203)], [2, 1, 3], 4)
    return classes.astype(np.uint8), regions.astype(np.int32)


def packed(shape: tuple[int, int]) -> np.ndarray:
    """A scene of blocks, one of them a third of it."""
    scene = np.zeros((4, *shape), np.uint8)
    scene[1], scene[2] = 0, 1
    h, w = shape
    scene[1:3, h // 5 : 4 * h // 5, w // 5 : 4 * w // 5] = 2
    scene[1:3, :4] = 3
    scene[0] = scene[1] * 60
    return scene


# ------------------------------------------------------------------ objects and prompts
def test_a_core_may_mean_its_ring_too() -> None:
    classes, regions = nested()
    found = CropObjects(classes, regions)
    core, ring = regions == 2, regions == 1
    assert [int(m.sum()) for m in found.readings(core)] == [
        core.sum(), (core | ring).sum(),
    ]  # fmt: skip
    assert [int(m.sum()) for m in found.readings(ring)] == [
        ring.sum(), (core | ring).sum(),
    ]  # fmt: skip
    assert len(found.readings(regions == 3)) == 1


def test_cells_of_one_material_may_mean_all_of_it() -> None:
    classes = np.zeros((64, 64), np.uint8)
    classes[10:30, 10:50] = 1
    regions = classes.astype(np.int32) + 1
    regions[10:30, 30:50] = 3
    one = regions == 2
    small, whole = CropObjects(classes, regions).readings(one)
    assert np.array_equal(small, one)
    assert np.array_equal(whole, classes == 1)


def test_thin_objects_are_asked_for_more_often() -> None:
    classes, regions = nested()
    rng = np.random.default_rng(0)

    def thin(share: float) -> float:
        found = CropObjects(classes, regions, share)
        return float(np.mean([(found.pick(rng) & (regions == 3)).any()
                              for _ in range(60)]))  # fmt: skip

    assert thin(1.0) == 1
    assert thin(0.0) < 0.6


def test_prompts_are_on_the_object_and_boxes_may_cut() -> None:
    _, regions = nested()
    rng, mask = np.random.default_rng(1), regions == 1
    depth = ndi.distance_transform_edt(mask)
    clicks = [user_click(rng, mask).astype(int) for _ in range(80)]
    deep = [depth[y, x] for y, x in clicks]
    assert min(deep) > 0
    assert np.mean(np.array(deep) <= 4) > 0.2, "some lie close to the border"
    boxes = np.array([user_box(rng, mask) for _ in range(120)])
    assert (boxes[:, 0] > 54 + 3).any(), "some cut the object off"
    assert (boxes[:, 0] < 54 - 4).any(), "some leave room"
    line = stroke_points(rng, regions == 3)
    assert 2 <= len(line) <= CLICKS
    assert (regions[tuple(line.astype(int).T)] == 3).all()
    kinds = set()
    for _ in range(60):
        question = ask(rng, mask, mask, 0.3, plain=False)
        y, x = question.points[0].astype(int)
        assert mask[y, x]
        kinds.add(tuple(question.labels))
        assert question.single == (
            question.labels[2] == 3 or (question.labels == 1).sum() > 1
        )
    assert len(kinds) >= 4  # a click, a box, both, strokes
    plain = {tuple(ask(rng, mask, mask, 0.3, plain=True).labels) for _ in range(40)}
    assert len(plain) == 2


def test_sampled_pixels_stand_for_all() -> None:
    _, regions = nested()
    mask = regions == 3
    at, weight = sample_pixels(np.random.default_rng(0), mask)
    assert weight.sum() == pytest.approx(mask.size)
    assert weight[mask.ravel()[at]].sum() == pytest.approx(mask.sum())


# ------------------------------------------------------------------------------- losses
def lines(thick: int, at: int = 18) -> tuple[torch.Tensor, Truth]:
    """Cells and truth of a layer on a view of 64 pixels."""
    masks = torch.zeros(1, 64, 64, dtype=torch.bool)
    masks[:, at : at + thick] = True
    pixels, weights = sample_pixels(np.random.default_rng(0), masks[0].numpy())
    none = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    truth = Truth(
        masks, torch.from_numpy(pixels)[None], torch.from_numpy(weights)[None],
        none, torch.zeros(1, 3, dtype=torch.bool), torch.tensor([-1]), honest=True,
    )  # fmt: skip
    return F.avg_pool2d(masks.float()[:, None], 4)[:, 0], truth


def learnt(truth: Truth, cells: torch.Tensor) -> float:
    """IoU of the best logits that a loss leads to."""
    logits = torch.full((1, 1, 16, 16), -1.0, requires_grad=True)
    optimiser = torch.optim.Adam([logits], lr=0.2)
    for _ in range(150):
        optimiser.zero_grad()
        truth.cost(logits, cells).sum().backward()
        optimiser.step()
    return float(pixel_iou(logits.detach(), truth.masks))


def test_thin_layers_are_lost_at_cells_and_kept_at_pixels() -> None:
    cells, truth = lines(2, at=17)
    assert learnt(replace(truth, pixels=None), cells) == 0
    assert learnt(truth, cells) > 0.9


def test_pixel_loss_sees_what_is_drawn() -> None:
    _, truth = lines(8, at=16)
    assert truth.pixels is not None and truth.weights is not None
    good = torch.full((1, 2, 16, 16), -8.0)
    good[:, 0, 4:6] = 8.0
    each = pixel_loss(good, truth.masks, truth.pixels, truth.weights)
    assert float(each[0, 0]) < 0.25 < 1 < float(each[0, 1])
    drawn = F.interpolate(good[:, :1], scale_factor=4.0, mode="bilinear") > 0
    both = (drawn[:, 0] & truth.masks).sum() / (drawn[:, 0] | truth.masks).sum()
    assert float(pixel_iou(good, truth.masks)[0, 0]) == pytest.approx(float(both))


def test_named_readings_have_a_candidate_each() -> None:
    """The candidate of the whole is taught the whole, though the part is meant."""
    _, truth = lines(8)
    named = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    named[:, 0, 4:6], named[:, 2, 2:12] = 16, 16
    given = torch.tensor([[True, False, True]])
    truth = replace(truth, named=named, given=given, place=torch.tensor([0]))
    logits = torch.zeros(1, 3, 16, 16, requires_grad=True)
    each = torch.zeros(1, 3)
    truth.of_click(each, logits).sum().backward()
    assert logits.grad is not None
    assert float(logits.grad[0, :2].abs().sum()) == 0
    assert bool((logits.grad[0, 2, 2:12] < 0).all())
    costs = torch.tensor([[0.9, 0.1, 0.5]])
    alone = replace(truth, place=torch.tensor([-1]))
    logits = logits.detach()
    assert float(alone.of_click(costs, logits)) == pytest.approx(0.125)
    assert float(truth.of_click(costs, logits)) > 0.9


def test_without_lessons_the_chain_is_that_of_prompt_losses() -> None:
    _, truth = lines(8)
    plain = replace(truth, pixels=None, weights=None, honest=False)
    torch.manual_seed(0)
    made = torch.randn(1, 4, 16, 16), torch.rand(1, 4)
    points, labels = torch.tensor([[[20.0, 30.0]]]), torch.tensor([[1]])
    single = torch.tensor([False])
    old, log = prompt_losses(
        lambda *_: made, points, labels, single, truth.masks,
        torch.Generator().manual_seed(3), rounds=2,
    )  # fmt: skip
    new, told = chain_losses(
        lambda *_: made, points, labels, single, plain,
        torch.Generator().manual_seed(3), rounds=2, iou_weight=0.5,
    )  # fmt: skip
    assert float(new) == pytest.approx(float(old))
    assert float(told.click1) == pytest.approx(log["click1"])
    assert float(told.corrected) == pytest.approx(log["click3"])


# -------------------------------------------------------------------------------- judge
def test_a_new_judge_changes_nothing_and_learns_honesty() -> None:
    torch.manual_seed(0)
    judge = MaskJudge(8, 4)
    tokens = F.normalize(torch.randn(2, 8, 16, 16), dim=1)
    masks, drawn = torch.randn(6, 4, 16, 16), torch.randn(6, 4, 16, 16)
    own = torch.randn(6, 4, 8)
    assert not judge(masks, drawn, tokens, own).any()
    sure = masks * torch.linspace(0.2, 4, 24).view(6, 4, 1, 1)
    truth = torch.linspace(0, 1, 24).view(6, 4)
    optimiser = torch.optim.Adam(judge.parameters(), lr=3e-3)
    for _ in range(150):
        loss = (judge(sure, drawn, tokens, own) - truth).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 0.01


def test_weights_get_a_judge_and_answer_as_before(tmp_path: Path) -> None:
    from napari_sesami.models import save_nano

    net = NanoNet(32)
    judged = foundation.with_judge(net)
    assert judged.config["judge"] and "judge" not in net.config
    assert foundation.with_judge(judged) is judged
    save_nano(net, tmp_path / "old.safetensors")
    save_nano(judged, tmp_path / "new.safetensors")
    answers = []
    for name in ("old", "new"):
        nano = Nano.from_file(tmp_path / f"{name}.safetensors", half=False)
        emb = nano.encode(torch.linspace(0, 1, 4096).view(1, 1, 64, 64))
        at, kind = torch.tensor([[[30.0, 30.0]]]), torch.tensor([[1]])
        answers.append(nano.decode(emb, at, kind))
    for one, two in zip(*answers, strict=True):
        assert torch.equal(one, two)


# --------------------------------------------------------------------- scenes and views
def test_every_step_has_one_side_and_about_as_many_pixels() -> None:
    sides = [side_of_step(5, step) for step in range(400)]
    assert sides == [side_of_step(5, step) for step in range(400)]
    assert set(sides) == {SIDE, *SIDES}
    assert sides.count(SIDE) > 280
    for side in SIDES:
        pixels = pairs_at(side, 16) * side**2 / (16 * SIDE**2)
        assert 0.8 < pixels < 1.2


def test_large_objects_are_seen_whole() -> None:
    scene, rng = packed((600, 600)), np.random.default_rng(0)
    whole = 0
    for _ in range(20):
        image, classes, regions = crops_of_large(rng, scene, SIDE)[0]
        assert image.shape == classes.shape == regions.shape == (SIDE, SIDE)
        big = classes == 2
        rim = big[[0, -1]].any() or big[:, [0, -1]].any()
        whole += big.sum() > 0.2 * big.size and not rim
    assert whole >= 6


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Small shards of all kinds, named but for the random ones."""
    scenes = tmp_path / "scenes"
    large = folder_of_large(scenes)
    scenes.mkdir()
    large.mkdir()
    for number, place, shape in (
        (0, scenes, (256, 512)), (90_000, scenes, (256, 512)),
        (95_000, large, (800, 800)),
    ):  # fmt: skip
        np.save(place / f"scenes_{number:05d}.npy", packed(shape)[None])
    (scenes / "scenes_90000.json").write_text('["wire_bond"]')
    (large / "scenes_95000.json").write_text('["nonsense"]')
    return scenes


def test_scenes_know_their_family_or_their_kind(folder: Path) -> None:
    assert named_shards(folder, "random")[0].families == ("random",)
    assert named_shards(folder, "documented")[0].families == ("wire_bond",)
    (large,) = named_shards(folder_of_large(folder), "large")
    assert large.families == ("large",)


@pytest.mark.parametrize("side", [SIDE, 512])
def test_examples_have_the_side_of_their_step(folder: Path, side: int) -> None:
    crops = SisterCrops(folder, 2, lessons=tuple(foundation.LESSONS))
    assert crops.fitting(side) == side
    made = crops.draw(np.random.default_rng(0), side)
    again = crops.draw(np.random.default_rng(0), side)
    assert all(torch.equal(made[k], again[k]) for k in made)
    assert made["image"].shape == (2, 1, side, side)
    assert made["named"].shape == (2, 2, 3, side // 4, side // 4)
    if side > SIDE:
        assert GROUPS[int(made["family"][0])] == "large"
    plain = SisterCrops(folder, 2)
    assert plain.fitting(side) == SIDE
    assert "pixels" not in plain.draw(np.random.default_rng(0))


def test_a_step_of_large_views_learns(folder: Path) -> None:
    config = RunConfig(
        "napari_sesami.lab.pretrain.recipe:Foundation", batch=4, device="cpu",
        recipe_options=foundation.FoundationConfig(
            objects=2, dim=32, shards=1, drawers=0, lessons=tuple(foundation.LESSONS)
        ),
    )  # fmt: skip
    made = foundation.Foundation(config, folder.parent)
    module = made.prepare(torch.device("cpu"))
    step = next(s for s in range(99) if side_of_step(config.seed, s) == 384)
    places = [(i, np.random.default_rng(i)) for i in range(4)]
    batch = made.collate(made.examples_of_step(places, step))
    assert batch["image"].shape == (4, 1, 384, 384), "two pairs instead of four"
    losses = made.loss(batch, torch.Generator().manual_seed(1))
    losses["loss"].backward()
    assert [n for n, p in module.named_parameters() if p.grad is None] == []
    made.after_step(step)
    assert int(made.state()["curriculum"]["sums"][1].sum()) == 8


def test_shards_without_names_are_named_if_they_are_what_the_seed_draws(
    tmp_path: Path,
) -> None:
    path = shards.write_shard(tmp_path, 3, scenes=2, seed=5)
    names = path.with_suffix(".json")
    told = json.loads(names.read_text())
    names.unlink()
    assert shards.name_shards(tmp_path, seed=4) == 0
    assert shards.name_shards(tmp_path, seed=5) == 1
    assert json.loads(names.read_text()) == told


# --------------------------------------------------------------------------- curriculum
def test_weak_families_are_drawn_more_often(tmp_path: Path) -> None:
    often = factors({"a": 0.9, "b": 0.3}, ["a", "b", "c"])
    assert often[0] < often[2] == 1 < often[1]
    assert (factors({}, ["a", "b"]) == 1).all()
    assert (Shares(tmp_path / FILE).at(7, ["a", "b"]) == 1).all()


def test_notes_count_later_and_are_forgotten_on_the_way_back(tmp_path: Path) -> None:
    weak, strong = GROUPS[0], GROUPS[1]
    families = torch.tensor([0] * 10 + [1] * 10)
    good = torch.tensor([0.2] * 10 + [0.9] * 10)
    teacher, shares = Curriculum(tmp_path / FILE, 4, True), Shares(tmp_path / FILE)
    teacher.add(families, good)
    teacher.after_step(EVERY - 2)
    before = teacher.state()
    kept = {"notes": list(before["notes"]), "sums": before["sums"].clone()}
    teacher.after_step(EVERY - 1)
    assert (shares.at(EVERY + 3, [weak, strong]) == 1).all()
    once = shares.at(EVERY + 4, [weak, strong])
    assert once[0] > 1 > once[1]
    teacher.load_state(kept)
    assert (Shares(tmp_path / FILE).at(EVERY + 4, [weak, strong]) == 1).all()
    teacher.after_step(EVERY - 1)
    again = Shares(tmp_path / FILE).at(EVERY + 4, [weak, strong])
    assert again.tolist() == once.tolist()


# ------------------------------------------------------------------------- command line
@pytest.mark.parametrize(
    ("given", "left"),
    [
        ([], tuple(foundation.LESSONS)),
        (["--lessons", "none"], ()),
        (["--lessons", "thin,judge"], ("thin", "judge")),
        (["--lessons=-views,curriculum"], tuple(
            n for n in foundation.LESSONS if n not in ("views", "curriculum")
        )),
    ],
)  # fmt: skip
def test_each_lesson_can_be_left_out(
    tmp_path: Path, given: list[str], left: tuple[str, ...]
) -> None:
    prepare_run([str(tmp_path / "run"), *given])
    config = RunFolder.open(tmp_path / "run").config
    assert config.recipe_options.lessons == left


def test_unknown_lessons_are_refused() -> None:
    with pytest.raises(TrainError, match="no lesson “love”"):
        foundation.FoundationConfig(lessons=("love",))
    assert foundation.FoundationConfig().lessons == ()
