"""The recipe `semi`: exact resume, what its parts do, and bad input."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.fakes.engine_help import events, losses, work
from tests.fakes.semi_help import CLASSES, begin, config, options, picture

from napari_sesami.models import Segmenter
from napari_sesami.scan import Scan
from napari_sesami.train import (
    PRESETS,
    LabelledSet,
    Picture,
    RunConfig,
    Semi,
    SemiConfig,
    TrainError,
    assemble_teachers,
    collect_pool,
)
from napari_sesami.train.semi.gate import overlaps
from napari_sesami.train.semi.health import ClassHealth
from napari_sesami.train.semi.pool import read_pool
from napari_sesami.train.semi.views import StrongView, crop, cut_mix, jitter

if TYPE_CHECKING:
    from pathlib import Path

WHOLE = options(warm_up=0.2, worst="always", patience=2, threshold=0.4)
"""All parts of "ours" within eight steps."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = begin(tmp_path_factory.mktemp("semi") / "whole", WHOLE)
    assert work(folder).reason == "finished"
    return folder


def test_a_run_leaves_a_segmenter_a_verdict_and_curves(whole: Any):
    step = events(whole, "step")[-1]
    assert {"supervised", "strong", "features", "set machine"} <= step.keys()
    assert any(k.startswith("accepted ") for e in events(whole, "step") for k in e)
    assert "strong" not in events(whole, "step")[0], "warm-up learns from labels alone"
    found = Segmenter.load(whole.path, "cpu")
    assert found.card.classes == {0: "nothing", **CLASSES}
    after = events(whole, "metrics")[-1]["metrics"]
    assert set(after["classes"]) == {"nothing", "metal", "void"}
    facts = whole.status()["facts"]
    assert "held-out pictures" in facts["verdict"] and isinstance(facts["wins"], bool)
    assert sorted(p.name for p in (whole.path / "pictures").glob("worst-*"))


def test_stopping_changes_no_bit(whole: Any, tmp_path: Path):
    """Batch statistics, the teacher and its thresholds come back as they were."""
    folder = begin(tmp_path / "broken", WHOLE)
    for at in (2, 5):
        assert work(folder, **{f"at{at}": "stop"}).reason == "cancelled"
    assert work(folder, at7="evaluate").reason == "finished"
    assert losses(folder) == losses(whole)
    file = "adapter/segmenter.safetensors"
    mine, its = load_file(folder.path / file), load_file(whole.path / file)
    assert mine.keys() == its.keys()
    assert all(torch.equal(mine[k], its[k]) for k in mine)


def recipe(path: Path, options_: SemiConfig, **more: Any) -> Semi:
    folder = begin(path, options_, **more)
    torch.manual_seed(0)
    made = Semi(folder.config, folder.path)
    made.prepare(torch.device("cpu"))
    return made


def batch_of(made: Semi, n: int = 3) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(0)
    return made.collate([made.example(i, rng) for i in range(n)])


def test_the_teacher_follows_slowly_and_takes_over_statistics(tmp_path: Path):
    made = recipe(tmp_path / "r", options(warm_up=0.0))
    batch = batch_of(made)
    made.net.train()
    teacher = made.teacher
    assert teacher is not None and not teacher.training
    before = {k: v.clone() for k, v in teacher.state_dict().items()}
    made.loss(batch, torch.Generator().manual_seed(0))["loss"].backward()
    assert all(torch.equal(v, before[k]) for k, v in teacher.state_dict().items())
    with torch.no_grad():
        for p in made.net.parameters():
            p.add_(1.0)
    made.after_step(0)
    name = next(k for k, _ in teacher.named_parameters())
    moved = teacher.state_dict()[name] - before[name]
    keep = 1 / 10  # min(0.99, (1 + t) / (10 + t)) at t = 0
    torch.testing.assert_close(moved, torch.full_like(moved, 1 - keep))
    buffers = dict(made.net.named_buffers())
    assert all(torch.equal(b, buffers[k]) for k, b in teacher.named_buffers())
    assert not teacher.training and made.net.training


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_preset_takes_a_step(preset: str, tmp_path: Path):
    made = recipe(tmp_path / "r", options(preset=preset), pool=3)
    made.net.train()
    told = made.loss(batch_of(made), torch.Generator().manual_seed(1))
    assert torch.isfinite(told["loss"])
    unlabelled = preset in ("paper", "unimatch")  # they have no warm-up
    assert bool(torch.isfinite(told["strong"])) == unlabelled
    read = RunConfig.from_toml(made.config.to_toml())
    assert read.recipe_options == made.options
    assert all(getattr(made.options, f.name) is not None for f in fields(SemiConfig))


def test_the_worst_set_is_the_one_of_the_highest_loss(tmp_path: Path, monkeypatch):
    from napari_sesami.noise import Augmented

    made = recipe(tmp_path / "r", options(preset="paper"))
    shift = {"sample": 0.0, "machine": 0.02, "post": 0.9}

    def fake(name: str) -> Any:
        def call(images, labels, accepted, generator):
            moved = (images * (1 - shift[name])).clamp(0, 1)
            return Augmented(moved, labels, accepted)

        return call

    made.sets = [fake(n) for n in shift]  # type: ignore[assignment]
    scored = iter([0.0, 5.0, 1.0])

    def judged(images: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros(len(images), 3, *images.shape[-2:])
        logits[:, 0] = -next(scored)
        return logits

    monkeypatch.setattr(made, "_judged", judged)
    n = 2
    labels = torch.zeros(n, 48, 48, dtype=torch.long)
    every = torch.ones(n, 48, 48, dtype=torch.bool)
    chosen: dict[str, float] = {}
    view = StrongView(torch.full((n, 1, 48, 48), 0.5), labels, every, every)
    found = made._strong(view, torch.Generator().manual_seed(0), chosen)
    assert chosen == {"sample": 0.0, "machine": 1.0, "post": 0.0}
    torch.testing.assert_close(found.images, view.images * 0.98)


def test_warm_up_lasts_until_every_class_is_learnt(tmp_path: Path):
    made = recipe(tmp_path / "r", options(warm_up=0.25), steps=40)
    for step, learnt, warm in (
        (0, True, True), (9, True, True), (10, True, False), (10, False, True),
        (19, False, True), (20, False, False),
    ):  # fmt: skip
        made.health.step = step
        made.health.both = torch.tensor([9.0, 9.0, 9.0 if learnt else 1.0])
        made.health.either = torch.full((3,), 10.0, dtype=torch.float64)
        assert made.warm is warm, (step, learnt)


def test_a_step_that_was_not_taken_leaves_no_trace():
    health = ClassHealth(3)
    logits = torch.zeros(1, 3, 4, 4)
    labels = torch.zeros(1, 4, 4, dtype=torch.long)
    sure = torch.full((1, 4, 4), 0.9)
    share = health.see_weak(labels, sure, sure > 0.95)
    assert share[0] == 0 and torch.isnan(share[1:]).all()
    health.see_labelled(logits, labels)
    before = {k: torch.as_tensor(v).clone() for k, v in health.state().items()}
    health.forget()
    assert all(
        torch.equal(torch.as_tensor(v), before[k]) for k, v in health.state().items()
    )
    for _ in range(3):
        health.see_weak(labels, sure, labels == 0)
        health.take_step()
    assert health.silent.tolist() == [0, 3, 3]
    assert health.left_out(3).tolist() == [False, True, True]
    assert not health.left_out(0).any()
    assert health.sureness[0] < 1 and health.sureness[1] < health.sureness[0] + 0.1


def test_crops_show_the_rare_and_labels_follow():
    grey = (np.arange(50 * 80).reshape(50, 80) % 65536).astype(np.uint16)
    labels = np.zeros((50, 80), np.uint8)
    labels[40:42, 70:72] = 2
    rng = np.random.default_rng(0)
    for _ in range(20):
        _, told = crop(grey, labels, 32, 1.3, rng, near=(41, 71))
        assert bool((told == 2).any())
    image, told = crop(grey, labels, 32, 1.0, np.random.default_rng(3))
    pixels = torch.round(image[0] * 65535).long()
    y, x = pixels // 80, pixels % 80
    assert torch.equal(told, torch.from_numpy(labels.astype(np.int64))[y, x])
    _, beyond = crop(grey, None, 96, 1.0, rng)  # larger than the picture
    assert int((beyond == 0).sum()) == 50 * 80 and int(beyond.max()) == 255


def test_mixing_takes_all_of_a_box_from_the_next_image():
    view = StrongView(
        torch.arange(3.0).view(3, 1, 1, 1).expand(3, 1, 40, 40).clone(),
        torch.arange(3).view(3, 1, 1).expand(3, 40, 40).clone(),
        *(torch.rand(3, 40, 40) > 0.5 for _ in range(2)),
    )
    mixed = cut_mix(view, 1.0, torch.Generator().manual_seed(0))
    other = mixed.images[:, 0] != view.images[:, 0]
    share = other.float().mean((1, 2))
    assert bool((share > 0.01).all()) and bool((share < 0.45).all())
    assert torch.equal(mixed.labels[other], view.labels.roll(1, 0)[other])
    assert torch.equal(mixed.accepted[other], view.accepted.roll(1, 0)[other])
    assert torch.equal(mixed.valid[~other], view.valid[~other])
    assert cut_mix(view, 0.0, torch.Generator()) is view
    made = jitter(torch.rand(4, 1, 20, 20), torch.Generator().manual_seed(0))
    assert (
        made.shape == (4, 1, 20, 20)
        and 0 <= float(made.min()) <= float(made.max()) <= 1
    )


# ------------------------------------------------------------------------- bad input


def bare(seed: int, **told: Any) -> Picture:
    return replace(picture(seed), held_out=False, **told)


def test_one_labelled_scan_is_cut_in_two():
    found = assemble_teachers([bare(0)], CLASSES)
    (kept,), (held,) = found.training, found.held_out
    assert kept.grey.size + held.grey.size == 64 * 64
    assert {1, 2} <= set(np.unique(kept.classes)), "no class is lost to the learner"
    assert any("say little" in n for n in found.notes)


def test_a_class_in_one_picture_only_is_learnt():
    some = [bare(i) for i in range(4)]
    for p in some[1:]:
        p.classes[p.classes == 2] = 1
    found = assemble_teachers(some, CLASSES)
    assert any((p.classes == 2).any() for p in found.training)
    with pytest.raises(TrainError, match="Nothing is labelled"):
        assemble_teachers([replace(bare(0), classes=np.zeros((64, 64), np.uint8))], {})


def test_labelled_scans_of_unlike_magnification():
    some = [bare(0, pixel_size=1.0, unit="nm"), bare(1, pixel_size=2.0, unit="nm")]
    found = assemble_teachers(some, CLASSES)
    assert any("resampled" in n for n in found.notes)
    with pytest.raises(TrainError, match="too far apart"):
        assemble_teachers([some[0], bare(1, pixel_size=90.0, unit="nm")], CLASSES)
    with pytest.raises(TrainError, match="units"):
        assemble_teachers([some[0], bare(1, pixel_size=1.0, unit="µm")], CLASSES)
    unknown = assemble_teachers([bare(0), bare(1)], CLASSES)
    assert any("unknown" in n for n in unknown.notes)


def scan_of(pixels: np.ndarray, **told: Any) -> Scan:
    return Scan.from_array(pixels, **told)


def test_what_does_not_belong_into_the_pool_is_said_resampled_or_refused(tmp_path):
    rng = np.random.default_rng(0)
    pixels = (rng.random((64, 64)) * 255).astype(np.uint8)
    nm = {"units": ("nm", "nm"), "modality": "TEM"}
    same = scan_of(pixels, name="same", pixel_size=(1.0, 1.0), **nm)
    twice = scan_of(pixels, name="twice", pixel_size=(2.0, 2.0), **nm)
    far = scan_of(pixels, name="far", pixel_size=(30.0, 30.0), **nm)
    sem = scan_of(pixels, name="sem", modality="SEM")
    colour = scan_of(np.stack([pixels] * 3, -1), name="colour", axes=("y", "x", "c"))
    known = {"pixel_size": 1.0, "unit": "nm", "modality": "TEM"}
    pool = collect_pool([same, twice, far, sem, colour], **known)
    assert [p.shape for p in pool.pictures] == [(64, 64), (128, 128), (64, 64)]
    said = " ".join(pool.notes)
    for words in ("far was left out", "sem was left out", "1 scans of the pool have "
                  "another magnification", "cannot be compared"):  # fmt: skip
        assert words in said
    for lone, words in ((far, "far was left out"), (sem, "it is SEM")):
        with pytest.raises(TrainError, match=words):
            collect_pool([lone], **known)
    # equal to what judges the run
    with pytest.raises(TrainError, match="judge the run"):
        collect_pool([same], held={(same.content_hash, 0)}, **known)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(TrainError, match="empty"):
        collect_pool(empty)
    with pytest.raises(TrainError, match="is not there"):
        collect_pool(tmp_path / "nowhere")
    (empty / "broken.tif").write_bytes(b"II*\0 not a scan")
    with pytest.raises(TrainError, match=r"broken\.tif"):
        collect_pool(empty)


def test_a_pool_may_vanish_once_the_run_has_begun(tmp_path: Path):
    import imageio.v3 as iio

    place = tmp_path / "scans"
    place.mkdir()
    iio.imwrite(place / "a.png", (picture(7).grey >> 8).astype(np.uint8))
    place.chmod(0o555)  # it is only read
    pool = collect_pool(place, modality="TEM")
    place.chmod(0o755)
    (place / "a.png").unlink()
    # and memory for one example at a time is enough
    more: dict[str, Any] = {"pool": 0, "steps": 1, "micro_batch": 1}
    folder = begin(
        tmp_path / "run", options(warm_up=0.0, architecture="deeplab"), **more
    )
    from napari_sesami.train import write_pool

    write_pool(folder.data, pool)
    assert [n.removesuffix(".png") for n in read_pool(folder.data).names] == ["a"]
    assert work(folder).reason == "finished"
    (folder.data / "pool" / "00000.npz").write_bytes(b"PK damaged")
    with pytest.raises(TrainError, match="damaged"):
        read_pool(folder.data)


def test_too_little_is_a_sentence(tmp_path: Path):
    with pytest.raises(TrainError, match="unlabelled='folder'"):
        recipe(tmp_path / "pool", options(), pool=0)
    with pytest.raises(TrainError, match="no preset"):
        SemiConfig(preset="mine")  # type: ignore[arg-type]
    with pytest.raises(TrainError, match="share"):
        options(noisy=2.0)
    folder = begin(tmp_path / "one", options(preset="supervised", nothing="ignore"))
    from napari_sesami.train import write_set

    lone = picture(0)
    lone.classes[lone.classes == 2] = 1
    write_set(folder.data, LabelledSet((lone,), CLASSES))
    with pytest.raises(TrainError, match="two classes"):
        Semi(folder.config, folder.path).prepare(torch.device("cpu"))


def test_overlaps_look_at_what_is_known():
    a = picture(0)
    perfect = overlaps([a], [a.classes], CLASSES, nothing=True)
    assert perfect["mIoU"] == 1 and perfect["rare IoU"] == 1
    wrong = a.classes.copy()
    wrong[wrong == 2] = 0
    found = overlaps([a], [wrong], CLASSES, nothing=False)
    assert found["classes"] == {"metal": {"IoU": 1.0}, "void": {"IoU": 0.0}}
    assert config(options()).steps == 8


def test_noise_fitted_to_the_scans_is_drawn(tmp_path: Path):
    from napari_sesami.noise import NoiseFit
    from napari_sesami.train import write_fitted

    some = {"value": 0.02, "low": 0.01, "high": 0.03}
    told = dict.fromkeys(("growth", "floor", "grain", "lines", "curtains"), some)

    told_ = options(preset="supervised+noise", modality="something else")
    folder = begin(tmp_path / "r", told_)
    plain = Semi(folder.config, folder.path)
    plain.prepare(torch.device("cpu"))
    write_fitted(folder.data, NoiseFit.from_dict({"version": 1, **told}))
    fitted = Semi(folder.config, folder.path)
    fitted.prepare(torch.device("cpu"))
    assert len(fitted.sets.machine.parts) != len(plain.sets.machine.parts)
