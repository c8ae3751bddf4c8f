"""The gate: what is held out, and when an adapter may answer clicks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.fakes.sesami_help import CLASSES, draw, picture, tiny_file

from napari_sesami.models import (
    add_lora,
    describe,
    load_prompt_model,
    net_of,
    pairs,
    save_adapter,
)
from napari_sesami.scan import Scan
from napari_sesami.train import (
    LabelledSet,
    TrainError,
    Verdict,
    assemble,
    cut_picture,
    judge,
    read_set,
    write_set,
)
from napari_sesami.train.sesami.clicks import Score
from napari_sesami.train.sesami.gate import clicks_needed, compare, targets


def score(group: str, one: float, three: float, box: float) -> Score:
    return Score(group, False, {1: one, 2: three, 3: three}, box)


def held(pictures):
    return [p.held_out for p in pictures]


# --- what is held out


def test_whole_scans_are_held_out_where_there_are_several():
    made = assemble([picture(i) for i in range(4)], CLASSES)
    assert held(made.pictures).count(True) == 1
    assert {p.scan for p in made.training}.isdisjoint(p.scan for p in made.held_out)
    assert made.notes == ()


def test_what_was_held_out_stays_so_when_scans_are_added():
    few = assemble([picture(i) for i in range(6)], CLASSES)
    more = assemble([picture(i) for i in range(8)], CLASSES)
    kept = {p.scan for p in few.held_out}
    assert kept & {p.scan for p in more.held_out}


def test_neighbouring_planes_of_one_scan_stay_together():
    stack = [replace(picture(i), scan="stack", plane=i) for i in range(8)]
    made = assemble(stack, CLASSES)
    assert held(made.pictures) == sorted(held(made.pictures))
    assert 1 <= sum(held(sorted(made.pictures, key=lambda p: p.plane))) <= 3


def test_a_single_picture_is_cut_so_that_no_object_is_on_both_sides():
    made = assemble([picture(0)], CLASSES)
    assert sorted(held(made.pictures)) == [False, True]
    own = picture(0).objects()
    sides = [set(p.objects()) for p in made.pictures]
    assert sides[0] and sides[1]
    assert sides[0].isdisjoint(sides[1])
    assert sides[0] | sides[1] <= set(own)
    width = sum(p.grey.shape[1] for p in made.pictures)
    assert width == picture(0).grey.shape[1]


def test_a_class_on_one_picture_alone_is_learnt_and_named():
    bars = replace(picture(3), classes=np.where(picture(3).classes == 2, 3, 0))
    bars = replace(
        bars,
        classes=bars.classes.astype(np.uint8),
        regions=np.where(bars.classes > 0, bars.regions, 0),
    )
    made = assemble([picture(0), picture(1), picture(2), bars], {**CLASSES, 3: "via"})
    assert 3 in {c for p in made.training for c in p.objects().values()}
    assert any("via is labelled in too few places" in note for note in made.notes)


def test_too_little_is_a_sentence():
    with pytest.raises(TrainError, match="Nothing is labelled"):
        assemble([], CLASSES)
    truth = np.zeros((60, 60), np.uint8)
    truth[20:30, 20:30] = 1
    one = cut_picture(Scan.from_array(draw(0)[0][:60, :60]), 0, truth)
    with pytest.raises(TrainError, match="Only one object"):
        assemble([one], CLASSES)


def test_objects_side_by_side_all_along_cannot_be_held_out():
    truth = np.zeros((40, 90), np.uint8)
    truth[5:15, 5:85] = 1
    truth[25:35, 5:85] = 2
    image = np.random.default_rng(0).integers(0, 255, truth.shape).astype(np.uint8)
    made = cut_picture(Scan.from_array(image), 0, truth)
    with pytest.raises(TrainError, match="side by side"):
        assemble([made], CLASSES)


def test_empty_planes_and_specks_are_no_pictures():
    image, truth = draw(0)
    scan = Scan.from_array(image)
    assert cut_picture(scan, 0, np.zeros_like(truth)) is None
    speck = np.zeros_like(truth)
    speck[4:7, 4:7] = 1
    assert cut_picture(scan, 0, speck) is None
    made = assemble([picture(0), picture(1), picture(2)], CLASSES, specks=2)
    assert any("2 labelled planes hold nothing" in note for note in made.notes)


def test_other_pixel_sizes_are_told_or_brought_to_one():
    given = [picture(i, pixel_size=s) for i, s in enumerate((1.0, 2.0, 2.0, 4.0))]
    kept = assemble(given, CLASSES)
    assert any("1 to 4 nm wide; each scan" in note for note in kept.notes)
    assert [p.pixel_size for p in kept.pictures] == [1.0, 2.0, 2.0, 4.0]
    made = assemble(given, CLASSES, common_scale=True)
    assert {p.pixel_size for p in made.pictures} == {2.0}
    assert any("resampled to 2 nm" in note for note in made.notes)
    one = next(p for p in made.pictures if p.scan == "scan3")
    before = given[3].grey.shape
    assert one.grey.shape == (2 * before[0], 2 * before[1]) == one.regions.shape
    assert set(np.unique(one.regions)) == set(np.unique(given[3].regions))


def test_a_set_on_disk_comes_back_as_it_was(tmp_path):
    made = assemble([picture(i, pixel_size=0.5) for i in range(3)], CLASSES)
    write_set(tmp_path, made)
    again = read_set(tmp_path)
    assert again.classes == made.classes and again.notes == made.notes
    for a, b in zip(again.pictures, made.pictures, strict=True):
        assert np.array_equal(a.grey, b.grey) and np.array_equal(a.regions, b.regions)
        assert (a.scan, a.pixel_size, a.unit, a.normalisation, a.held_out) == (
            b.scan, b.pixel_size, b.unit, b.normalisation, b.held_out,
        )  # fmt: skip
    (tmp_path / "0000.npz").unlink()
    with pytest.raises(TrainError):
        read_set(tmp_path)


def test_a_picture_looks_to_models_as_its_scan_does():
    image, truth = draw(0)
    scan = Scan.from_array(image)
    made = cut_picture(scan, 0, truth)
    y, x = made.grey.shape
    assert np.allclose(made.as_scan().grey(), scan.grey()[:y, :x], atol=2e-5)


# --- the verdict


def test_better_on_every_class_wins():
    before = [score("disc", 0.5, 0.6, 0.7), score("bar", 0.4, 0.5, 0.6)]
    after = [score("disc", 0.7, 0.8, 0.9), score("bar", 0.5, 0.6, 0.7)]
    found = compare(before, after)
    assert found.wins and ": better" in found.sentence
    assert found.before["mIoU"] == pytest.approx(0.55)
    assert found.after["mIoU"] == pytest.approx(0.7)
    assert [r["class"] for r in found.rows] == ["bar", "disc"]
    assert found.objects == 2


def test_no_better_stays_off():
    same = [score("disc", 0.5, 0.6, 0.7)]
    found = compare(same, same)
    assert not found.wins and "not better" in found.sentence


def test_a_class_that_loses_keeps_it_off_although_the_mean_gains():
    before = [score("disc", 0.2, 0.2, 0.2)] * 4 + [score("bar", 0.9, 0.9, 0.9)] * 4
    after = [score("disc", 0.9, 0.9, 0.9)] * 4 + [score("bar", 0.8, 0.8, 0.8)] * 4
    found = compare(before, after)
    assert found.after["mIoU"] > found.before["mIoU"]
    assert not found.wins and "bar became worse" in found.sentence


def test_a_rare_class_counts_as_much_as_a_frequent_one():
    before = [score("disc", 0.5, 0.5, 0.5)] * 9 + [score("bar", 0.1, 0.1, 0.1)]
    assert compare(before, before).after["mIoU"] == pytest.approx(0.3)


def test_nothing_to_measure_on_never_wins():
    assert not compare([], []).wins


def test_clicks_are_counted_to_nine_tenths():
    assert clicks_needed(Score("a", False, {1: 0.5, 2: 0.91, 3: 0.95}, 0)) == 2
    assert clicks_needed(Score("a", False, {1: 0.5, 2: 0.6, 3: 0.7}, 0)) == 4


def test_targets_take_classes_in_turn_and_only_from_what_is_held_out():
    made = LabelledSet((picture(0), picture(1, held_out=True)), CLASSES)
    chosen = targets(made, 4)
    assert len(chosen) == 4 and {t.picture for t in chosen} == {0}
    assert {t.name for t in chosen} == {"disc", "bar"}
    assert chosen == targets(made, 4)


def test_judging_measures_both_and_shows_the_worst(tmp_path):
    model = load_prompt_model(tiny_file("nano", tmp_path), "cpu")
    add_lora(model, 4)
    for _, pair in pairs(net_of(model)):
        pair.lora_B["default"].weight.data[0] = 0.3
    model.rekey()
    path = save_adapter(tmp_path / "a.safetensors", model, describe(model))
    labelled = LabelledSet((picture(0), picture(1, held_out=True)), CLASSES)
    found = judge(model, path, labelled, tmp_path, count=2, most=3)
    assert found.objects == 2 and model.adapter is not None
    assert set(found.after) == {"clicks 1", "clicks 3", "box", "clicks to 0.9", "mIoU"}
    assert Verdict.read(tmp_path) == found
    import imageio.v3 as iio

    shown = iio.imread(tmp_path / found.worst[0])
    assert shown.ndim == 3 and shown.shape[1] > 2 * shown.shape[0]


def test_a_damaged_verdict_is_a_sentence(tmp_path):
    assert Verdict.read(tmp_path) is None
    (tmp_path / "gate.json").write_text("{")
    with pytest.raises(TrainError, match="damaged"):
        Verdict.read(tmp_path)
