"""A session trains on what is labelled, judges, adopts and rolls back."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import imageio.v3 as iio
import numpy as np
import pytest
from tests.fakes.sesami_help import draw, tiny_file

from napari_sesami.models import (
    ModelError,
    add_lora,
    build_tiny_sam,
    describe,
    load_prompt_model,
    net_of,
    pairs,
    save_adapter,
)
from napari_sesami.session import Session, SessionError
from napari_sesami.train import TrainError, Verdict


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("SESAMI_HOME", str(tmp_path / "home"))


def labelled(scan, project=None, seed=0, **options) -> Session:
    s = Session(scan, project, **options)
    for name in ("disc", "bar"):
        if name not in [c.name for c in s.classes]:
            s.classes.add(name)
    s.document.labels.write(draw(seed)[1])
    return s


def files(folder: Path, count: int) -> list[Path]:
    paths = [folder / f"wafer{i}.png" for i in range(count)]
    for i, path in enumerate(paths):
        iio.imwrite(path, draw(i)[0])
    return paths


def an_adapter(folder: Path, model: Path, name: str, value: float = 0.3) -> Path:
    made = load_prompt_model(model, "cpu")
    add_lora(made, 4)
    for _, pair in pairs(net_of(made)):
        pair.lora_B["default"].weight.data[0] = value
    made.rekey()
    return save_adapter(folder / f"{name}.safetensors", made, describe(made))


# --- what is learnt from


def test_labels_of_all_scans_of_the_project_are_learnt(tmp_path):
    project = None
    for seed, path in enumerate(files(tmp_path, 4)):
        s = labelled(path, project or tmp_path / "p.sesami", seed)
        project = s.document.project
        if seed == 1:
            s.save()
            s.close()  # its labels then lie on disk alone
            project = None
    found = s.runs.training_set()
    assert len({p.scan for p in found.pictures}) == 4
    assert sum(p.held_out for p in found.pictures) == 1
    assert found.classes == {1: "disc", 2: "bar"}


def test_looking_at_other_scans_leaves_their_sessions_alone(tmp_path):
    one, two = files(tmp_path, 2)
    first = labelled(one, tmp_path / "p.sesami")
    second = labelled(two, first.document.project, 1)
    second.runs.training_set()
    first.commit(np.eye(*first.scan.plane_shape, dtype=bool), "disc")


def test_a_scan_that_is_gone_is_left_out_with_a_note(tmp_path):
    one, two = files(tmp_path, 2)
    first = labelled(one, tmp_path / "p.sesami")
    second = labelled(two, first.document.project, 1)
    one.unlink()
    assert any("wafer0" in note for note in second.runs.training_set().notes)


def test_of_many_labelled_planes_some_are_taken(monkeypatch):
    monkeypatch.setattr("napari_sesami.session.runs.MOST_PLANES", 3)
    image, truth = draw(0)
    s = Session(np.stack([image] * 7))
    s.classes.add("disc")
    s.classes.add("bar")
    for plane in range(7):
        s.document.labels.write(truth, plane)
    found = s.runs.training_set()
    assert sorted(p.plane for p in found.pictures) == [0, 3, 6]
    assert [p.plane for p in found.held_out] == [6]
    assert any("many labelled planes; 3" in note for note in found.notes)


def test_objects_committed_one_by_one_stay_apart():
    image, truth = draw(0)
    s = Session(image)
    s.classes.add("disc")
    left, right = np.zeros_like(truth, bool), np.zeros_like(truth, bool)
    left[10:30, 10:30], right[10:30, 30:50] = True, True
    lone = np.zeros_like(left)
    lone[60:80, 10:30] = True
    for mask in (left, right, lone):
        s.commit(mask, "disc")
    found = s.runs.training_set()
    assert sum(len(p.objects()) for p in found.pictures) == 3


def test_a_session_without_labels_or_with_one_object_says_what_is_missing():
    s = Session(draw(0)[0])
    s.classes.add("disc")
    with pytest.raises(TrainError, match="Nothing is labelled"):
        s.train()
    mask = np.zeros(s.scan.plane_shape, bool)
    mask[10:30, 10:30] = True
    s.commit(mask, "disc")
    with pytest.raises(TrainError, match="Only one object"):
        s.train()


# --- the config


def test_a_misspelt_option_is_named_with_the_nearest_one():
    s = Session(draw(0)[0])
    with pytest.raises(TrainError, match="no option “rnk”; did you mean “rank”"):
        s.runs.config(rnk=4)


def test_options_go_where_they_belong(tmp_path):
    s = Session(draw(0)[0], model=tiny_file("nano", tmp_path))
    config = s.runs.config(steps=7, rank=4, batch=2, rate=1e-3, name="voids")
    assert (config.steps, config.batch, config.rate) == (7, 2, 1e-3)
    assert config.recipe_options.rank == 4
    assert Path(config.recipe_options.model).name == "tiny-nano.safetensors"
    assert config.recipe_options.rival == ""


def test_a_model_that_no_worker_can_load_is_refused():
    s = Session(draw(0)[0], model=build_tiny_sam())
    with pytest.raises(SessionError, match="handed over as an object"):
        s.runs.config()


# --- adapters


def test_switching_and_rolling_back_changes_the_answers(tmp_path):
    model = tiny_file("nano", tmp_path)
    path = an_adapter(tmp_path, model, "a")
    s = Session(draw(0)[0], model=model)
    bare = s.prompt(points=[(20, 20)]).logits
    key = s.prompts.predictor.model.key
    s.adapters.use(path)
    assert s.adapters.active == path and s.adapters.active_name == "a"
    assert s.prompts.predictor.model.key != key
    assert not np.array_equal(s.prompt(points=[(20, 20)]).logits, bare)
    assert s.adapters.can_roll_back
    s.adapters.roll_back()
    assert s.adapters.active is None and s.prompts.predictor.model.key == key
    assert np.array_equal(s.prompt(points=[(20, 20)]).logits, bare)
    with pytest.raises(SessionError, match="no earlier adapter"):
        s.adapters.roll_back()


def test_the_project_remembers_the_adapter(tmp_path):
    model, [scan] = tiny_file("nano", tmp_path), files(tmp_path, 1)
    s = Session(scan, tmp_path / "p.sesami", model=model)
    path = an_adapter(s.document.project.folder("adapters"), model, "voids")
    s.adapters.use("voids")
    s.close()
    again = Session(scan, tmp_path / "p.sesami", model=model)
    assert again.adapters.active == path
    assert again.prompts.predictor.model.adapter is not None
    assert [(a.name, a.active) for a in again.adapters()] == [("voids", True)]
    again.adapters.use(None)
    assert again.prompts.predictor.model.adapter is None
    again.adapters.roll_back()
    assert again.adapters.active_name == "voids"


def test_a_session_that_is_saved_later_takes_its_adapter_along(tmp_path):
    model, [scan] = tiny_file("nano", tmp_path), files(tmp_path, 1)
    s = Session(scan, model=model)
    s.runs.adopt(finished(tmp_path, model, wins=True))
    name = s.adapters.active_name
    s.save(tmp_path / "late.sesami")
    assert s.adapters.active is not None and s.adapters.active.is_file()
    s.close()
    again = Session(scan, tmp_path / "late.sesami", model=model)
    assert again.adapters.active_name == name
    assert again.prompts.predictor.model.adapter is not None


def test_an_adapter_that_vanished_is_told_and_the_base_answers(tmp_path):
    model, [scan] = tiny_file("nano", tmp_path), files(tmp_path, 1)
    s = Session(scan, tmp_path / "p.sesami", model=model)
    path = an_adapter(s.document.project.folder("adapters"), model, "voids")
    s.adapters.use("voids")
    s.close()
    path.unlink()
    again, told = Session(scan, tmp_path / "p.sesami", model=model), []
    again.document.events.trouble.connect(told.append)
    again.prompt(points=[(20, 20)])
    assert again.adapters.active is None
    assert len(told) == 1 and "base model alone" in told[0]


def test_an_adapter_of_another_model_is_refused(tmp_path):
    path = an_adapter(tmp_path, tiny_file("nano", tmp_path), "a")
    s = Session(draw(0)[0], model=build_tiny_sam())
    s.prompt(points=[(20, 20)])
    with pytest.raises(ModelError, match="was trained on tiny-nano"):
        s.adapters.use(path)
    assert s.adapters.active is None
    with pytest.raises(SessionError, match="no adapter “b”"):
        s.adapters.use("b")


# --- the gate


def finished(folder: Path, model: Path, wins: bool):
    """A run that is over, as the supervisor would show it."""
    run = folder / "runs" / f"20260101-{'win' if wins else 'lose'}-sesami"
    (run / "adapter").mkdir(parents=True)
    made = an_adapter(run / "adapter", model, "adapter")
    assert made.name == "adapter.safetensors"
    Verdict(wins, "mIoU 0.5 → 0.4: not better." if not wins else "Better.").write(run)
    options = SimpleNamespace(rival="")
    return SimpleNamespace(
        folder=run,
        config=SimpleNamespace(recipe_options=options),
        status=SimpleNamespace(state="finished"),
    )


def test_a_winner_is_adopted_and_outlives_its_run(tmp_path):
    model, [scan] = tiny_file("nano", tmp_path), files(tmp_path, 1)
    s = Session(scan, tmp_path / "p.sesami", model=model)
    run = finished(tmp_path, model, wins=True)
    assert s.runs.judge(run).wins and not s.runs.uses(run)
    s.runs.adopt(run)
    assert s.runs.uses(run)
    (run.folder / "adapter" / "adapter.safetensors").unlink()
    s.prompt(points=[(20, 20)])
    assert s.prompts.predictor.model.adapter is not None
    s.adapters.roll_back()
    assert not s.runs.uses(run) and s.adapters.active is None


def test_a_loser_stays_off_unless_one_insists(tmp_path):
    model = tiny_file("nano", tmp_path)
    s = Session(draw(0)[0], model=model)
    run = finished(tmp_path, model, wins=False)
    with pytest.raises(SessionError, match=r"not better.*insist=True"):
        s.runs.adopt(run)
    assert s.adapters.active is None
    s.runs.adopt(run, insist=True)
    assert s.runs.uses(run)


def test_a_run_without_a_result_is_a_sentence(tmp_path):
    s = Session(draw(0)[0])
    run = SimpleNamespace(folder=tmp_path, status=SimpleNamespace(state="cancelled"))
    with pytest.raises(SessionError, match="written no adapter"):
        s.runs.judge(run)


# --- a real run


def test_a_run_in_its_own_process_ends_with_an_adapter_in_use(tmp_path):
    model = tiny_file("nano", tmp_path)
    one, two = files(tmp_path, 2)
    labelled(one, tmp_path / "p.sesami", model=model).save()
    s = labelled(two, tmp_path / "p.sesami", 1, model=model)
    run = s.train(
        "sesami", steps=2, batch=1, objects=1, measured=1, gate_clicks=1,
        device="cpu", name="first",
    )  # fmt: skip
    status = run.wait(240)
    assert status.state == "finished", status.sentence
    assert run.folder.parent == s.document.project.path / "runs" == s.runs.root
    assert 0 <= run.metrics["mIoU"] <= 1
    assert len(run.curve()[1]) == 2
    verdict = s.runs.judge(run)
    assert verdict.objects == 1
    s.runs.adopt(run, insist=True)
    assert s.runs.uses(run) and s.adapters()[0].card.title == "first"
    assert s.prompt(points=[(20, 20)]).mask.dtype == bool
