"""The recipe `sesami`: what it shows, what it trains, and what it writes."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from tests.fakes.sesami_help import batch_of, picture, recipe, tiny_file

from napari_sesami.models import load_prompt_model, read_card
from napari_sesami.prompt import SURE
from napari_sesami.train import RunConfig, TrainError, Verdict
from napari_sesami.train.sesami.pictures import regions_of
from napari_sesami.train.sesami.prompts import first_prompts
from napari_sesami.train.sesami.recipe import ADAPTER, SesamiConfig
from napari_sesami.train.sesami.views import Examples, balanced, partial_mask


def drawn(**options):
    made = Examples([picture(0), picture(1)], 64, **options)
    return [
        made.draw(i, np.random.default_rng(i), np.random.default_rng([1, i]))
        for i in range(len(made))
    ]


def test_every_view_holds_an_object_and_the_first_click_lies_on_it():
    for example in drawn(closer=True):
        masks, clicks = example["masks"], example["clicks"]
        assert masks.flatten(1).any(1).all()
        for mask, click, kinds in zip(masks, clicks, example["kinds"], strict=True):
            y, x = click[0].long()
            assert kinds[0] == 1 and mask[y, x]
            for (py, px), kind in zip(click[1:].long(), kinds[1:], strict=True):
                assert kind == -1 or bool(mask[py, px]) == bool(kind)


def test_views_are_normalised_by_their_scan_and_cut_to_the_tile():
    for example in drawn():
        image, (height, width) = example["image"], example["size"]
        assert image.shape == (1, 64, 64)
        assert 0 <= image.min() and image.max() <= 1
        assert height <= 64 and width <= 64
        assert not example["masks"][:, height:].any()
        assert not example["masks"][:, :, width:].any()


def test_boxes_are_loose_but_around_their_object():
    for example in drawn():
        for mask, box in zip(example["masks"], example["boxes"], strict=True):
            ys, xs = np.nonzero(mask.numpy())
            y0, x0, y1, x1 = box.tolist()
            assert abs(y0 - ys.min()) < 12 and abs(x1 - 1 - xs.max()) < 12
            assert y0 < y1 and x0 < x1


def test_partial_masks_are_smaller_than_the_truth():
    mask = np.zeros((64, 64), bool)
    mask[10:40, 20:50] = True
    for seed in range(20):
        logits = partial_mask(np.random.default_rng(seed), mask)
        share = (logits / SURE + 1) / 2
        assert 0 < share.sum() * 16 < mask.sum()
        inside = mask.reshape(16, 4, 16, 4).mean((1, 3))
        assert (share <= inside + 1e-6).all()


def test_prompts_are_of_all_kinds(tmp_path):
    made = recipe(tmp_path)
    batch = batch_of(made, 8)
    points, labels, single = first_prompts(batch, 0.5, torch.Generator().manual_seed(0))
    boxed = (labels == 2).any(1)
    clicked = (labels[:, :4] >= 0).any(1)
    assert points.shape == (16, 6, 2)
    assert boxed.any() and clicked.any() and (boxed & ~clicked).any()
    assert (boxed | clicked).all()
    assert single[boxed].all()


def test_rare_classes_come_more_often_than_they_are():
    many = picture(0)
    order = balanced([many], 0)
    classes = many.objects()
    share = np.mean([classes[r] == 2 for _, r in order])
    assert share >= np.mean([c == 2 for c in classes.values()])
    assert {r for _, r in order} <= set(classes)


def test_an_example_depends_on_its_random_numbers_alone(tmp_path):
    one, two = recipe(tmp_path), recipe(tmp_path)
    for a, b in zip(batch_of(one).values(), batch_of(two).values(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("kind", ["nano", "sam"])
def test_only_the_pairs_are_trained_and_the_loss_reaches_them(tmp_path, kind):
    made = recipe(tmp_path, kind, mask_share=0.5)
    net = made.face.net
    trained = {n for n, p in net.named_parameters() if p.requires_grad}
    assert trained and all(".lora_" in n for n in trained)
    for seed in range(3):
        out = made.loss(batch_of(made), torch.Generator().manual_seed(seed))
        assert set(out) == {"loss", "click1", "box", "corrected"}
        out["loss"].backward()
    for name, parameter in net.named_parameters():
        if ".lora_B." in name:
            d = len(parameter) // 3
            assert parameter.grad[:d].any() and parameter.grad[2 * d :].any()
            assert not parameter.grad[d : 2 * d].any()
        elif ".lora_" not in name:
            assert parameter.grad is None


@pytest.mark.parametrize("kind", [pytest.param("nano", marks=pytest.mark.slow), "sam"])
def test_a_few_steps_lower_the_loss(tmp_path, kind):
    made = recipe(tmp_path, kind, decoder=True, rate=5e-3)
    batch = batch_of(made, 2)
    optimiser = made.optimiser(made.face.net)
    losses = []
    for _ in range(8):
        out = made.loss(batch, torch.Generator().manual_seed(0))
        optimiser.zero_grad()
        out["loss"].backward()
        optimiser.step()
        losses.append(out["loss"].item())
    assert losses[-1] < losses[0] - 0.03


@pytest.mark.parametrize("kind", ["nano", "sam"])
def test_kept_activations_give_the_same_loss(tmp_path, kind):
    kept = recipe(tmp_path, kind, blocks=1, variants=1)
    assert kept.caching
    batch = batch_of(kept)
    twice = [kept.loss(batch, torch.Generator().manual_seed(1)) for _ in range(2)]
    assert len(kept._cache) == 2
    afresh = recipe(tmp_path, kind, blocks=1, variants=1, cache_mb=0)
    assert not afresh.caching
    plain = afresh.loss(batch, torch.Generator().manual_seed(1))
    assert twice[1]["loss"].item() == twice[0]["loss"].item()
    assert plain["loss"].item() == pytest.approx(twice[0]["loss"].item(), rel=1e-5)


def test_views_come_again_while_activations_are_kept(tmp_path):
    made = recipe(tmp_path, blocks=1, variants=2)
    seen = {}
    for epoch in range(8):
        example = made.example(0, np.random.default_rng(epoch))
        key = tuple(example["which"].tolist())
        before = seen.setdefault(key, example)
        assert torch.equal(before["image"], example["image"])
        assert torch.equal(before["masks"], example["masks"])
    assert len(seen) == 2


def test_the_decoder_alone_can_be_trained(tmp_path):
    made = recipe(tmp_path, blocks=-1, decoder=True)
    trained = [n for n, p in made.face.net.named_parameters() if p.requires_grad]
    assert trained and all(n.startswith("mask_decoder.") for n in trained)
    out = made.loss(batch_of(made), torch.Generator().manual_seed(0))
    out["loss"].backward()
    assert made._cache


def test_it_writes_an_adapter_that_the_loader_takes(tmp_path):
    made = recipe(tmp_path)
    with torch.no_grad():
        for name, parameter in made.face.net.named_parameters():
            if ".lora_B." in name:
                parameter[: len(parameter) // 3] = 0.05
    before = made.evaluate()
    assert 0 <= before["mIoU"] <= 1 and before["objects"] == 2
    draft = tmp_path / "draft"
    draft.mkdir()
    facts = made.finish(draft)
    json.dumps(facts)
    card = read_card(draft / ADAPTER)
    assert set(card.classes) == {"disc", "bar"}
    assert set(card.normalisations) == {"scan0", "scan1"}
    assert card.metrics["mIoU"] == before["mIoU"]
    assert facts["adapter"] == ADAPTER and facts["share"] == card.share
    model = load_prompt_model(made.options.model, "cpu", adapter=draft / ADAPTER)
    assert model.adapter.rank == card.rank
    verdict = Verdict.read(tmp_path)
    assert verdict is not None and verdict.objects == 2
    assert all((tmp_path / name).is_file() for name in verdict.worst)


def test_it_goes_on_from_an_adapter(tmp_path):
    first = recipe(tmp_path)
    with torch.no_grad():
        for name, parameter in first.face.net.named_parameters():
            if ".lora_B." in name:
                parameter[0] = 0.25
    draft = tmp_path / "draft"
    draft.mkdir()
    first.finish(draft)
    second = recipe(tmp_path, adapter=str(draft / ADAPTER))
    state = dict(second.face.net.named_parameters())
    assert all(
        (p[0] == 0.25).all() and p.requires_grad
        for n, p in state.items()
        if ".lora_B." in n
    )
    out = second.loss(batch_of(second), torch.Generator().manual_seed(0))
    out["loss"].backward()
    for name, parameter in state.items():
        if ".lora_B." in name:
            q, k, v = parameter.grad.chunk(3)
            assert q.any() and v.any() and not k.any()


def test_options_that_cannot_be_are_told(tmp_path):
    with pytest.raises(TrainError, match="nothing would be trained"):
        SesamiConfig(blocks=-1)
    with pytest.raises(TrainError, match="box_share"):
        SesamiConfig(box_share=2.0)
    with pytest.raises(TrainError, match="did you mean “rank”"):
        RunConfig.from_toml('[run]\nrecipe = "sesami"\n[sesami]\nrnk = 4\n')
    with pytest.raises(TrainError, match="no labelled pictures"):
        from napari_sesami.train.sesami.recipe import Sesami

        own = SesamiConfig(model=str(tiny_file("nano", tmp_path)))
        Sesami(RunConfig("sesami", recipe_options=own), tmp_path / "empty").prepare(
            torch.device("cpu")
        )


def test_touching_objects_stay_two_where_they_are_known():
    classes = np.ones((8, 12), np.uint8)
    objects = np.zeros((8, 12), np.uint32)
    objects[:, :6], objects[:, 6:9] = 7, 9
    regions = regions_of(classes, objects)
    assert len(np.unique(regions)) == 3
    assert len(np.unique(regions[:, :6])) == 1
    assert regions[0, 0] != regions[0, 7] != regions[0, 11]
