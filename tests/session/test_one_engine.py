"""A click, a stroke and a run leave the same bits, whoever gives them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import load_file
from tests.fakes.grey_model import GreyModel
from tests.fakes.headless import Headless
from tests.fakes.sesami_help import draw, tiny_file
from tests.fakes.texture import Texture, stripes

from napari_sesami.cli.replay import replay
from napari_sesami.scan import Scan
from napari_sesami.session import PromptStep, Session
from napari_sesami.viewer.layers.mouse import Tool
from napari_sesami.viewer.prompt.controller import PromptController
from napari_sesami.viewer.runs.controller import RunsController
from napari_sesami.viewer.runs.planner import TrainingPlan
from napari_sesami.viewer.strokes.controller import StrokesController

CLICKS = [((28.0, 36.0), 1), ((60.0, 20.0), 0)]


def new_session() -> Session:
    image = np.zeros((96, 128), np.uint8)
    image[16:40, 16:56] = 120
    image[56:64, :] = 220
    session = Session(Scan.from_array(image), model=GreyModel(tile=128))
    session.classes.add("void")
    return session


def drafted(session: Session, steps: list[PromptStep]) -> None:
    """Point and commit as a dock does: each prompt is answered, the last one kept."""
    draft = session.prompts.draft()
    for step in steps:
        node = draft.add(0, step)
        solved = session.prompts.solve(node, 0)
    session.objects.commit(solved.shown, "void", 0, prompts=draft.stored(0))


def same(*sessions: Session) -> None:
    first = sessions[0]
    assert first.labels.any()
    for other in sessions[1:]:
        np.testing.assert_array_equal(first.labels, other.labels)
        np.testing.assert_array_equal(first.objects.ids, other.objects.ids)


def test_a_click_by_script_dock_and_replay():
    script, dock = new_session(), new_session()
    at, label = CLICKS[0]
    mask = script.prompt(points=[at], labels=[label])
    script.commit(mask, "void")
    drafted(dock, [PromptStep("point", at, label)])
    one, other = (s.objects[1].parts[0] for s in (script, dock))
    assert json.dumps(one.to_dict()) == json.dumps(other.to_dict())
    same(script, dock, replay(script).session, replay(dock).session)


def test_clicks_into_the_window_by_script_and_replay(qapp):
    """The controller of the dock is asked as the mouse asks it."""
    dock, script = Headless(np.asarray(new_session().scan.data)), new_session()
    try:
        controller = dock.workspace.get(PromptController)
        for at, label in CLICKS:
            controller.clicked(Tool.CLICK, at, off=not label)
            dock.wait(lambda: not controller.busy)
        controller.commit()
        head = script.prompt(points=[CLICKS[0][0]], labels=[1])
        points, labels = zip(*CLICKS, strict=True)
        mask = script.prompt(points=points, labels=labels, mask=head)
        script.commit(mask, "void")
        same(script, dock.session, replay(dock.session).session)
    finally:
        dock.close()


@pytest.mark.parametrize(
    "given",
    [
        {"box": (14, 14, 42, 58)},
        {"strokes": [np.array([(28.0, 20.0), (28.0, 50.0)])]},
        {"points": [(28, 36)], "lasso": [(10, 10), (10, 60), (45, 60), (45, 10)]},
        {"points": [(28, 36), (60, 20)], "labels": [1, 0], "box": (14, 14, 42, 58)},
    ],
)
def test_any_question_by_script_and_replay(given):
    script = new_session()
    script.commit(script.prompt(**given), "void")
    same(script, replay(script).session)


def test_an_answer_that_was_refined_is_refined_again():
    script = new_session()
    first = script.prompt(points=[CLICKS[0][0]], labels=[1])
    better = script.prompt(
        points=[CLICKS[1][0]], labels=[0], box=first.bbox, mask=first
    )
    script.commit(better, "void")
    same(script, replay(script).session)


def test_what_older_versions_stored_is_asked_again():
    script = new_session()
    mask = script.prompt(points=[p for p, _ in CLICKS], labels=[1, 0])
    stored = {"points": [list(p) for p, _ in CLICKS], "labels": [1, 0]}
    script.commit(mask, "void", prompts=stored)
    same(script, replay(script).session)
    assert script.objects.reopen(1).heads[0].depth == 1


def test_a_stroke_at_once_or_bit_by_bit():
    grey, truth = stripes()
    sessions = []
    for pieces in (1, 4):
        session = Session(grey)
        session.retrieval.encoder = Texture()
        for name in ("a", "b", "c"):
            session.classes.add(name)
        for part in range(pieces):
            strokes = np.zeros_like(truth)
            strokes[[10, 60, 100], part * 80 // pieces : (part + 1) * 80 // pieces] = (
                np.array([[1], [2], [3]])
            )
            session.strokes.paint(strokes)
            session.retrieval.learner.retriever(1.0, tune=False).quick(
                0
            )  # as a dock does
        sessions.append(session)
    one, other = (s.segment(zoom=1.0) for s in sessions)
    np.testing.assert_array_equal(one.votes, other.votes)
    np.testing.assert_array_equal(one.labels, other.labels)


@pytest.mark.parametrize("overlap", [False, True])
def test_strokes_painted_in_the_window_by_script_and_replay(qapp, overlap):
    names = ("a", "b", "c")
    dock = Headless(stripes()[0], names)
    script = Session(stripes()[0])
    script.strokes.overlap = overlap
    for name in names:
        script.classes.add(name)
    for session in (script, dock.session):
        session.retrieval.encoder = Texture()
    try:
        controller = dock.workspace.get(StrokesController)
        controller.set_zoom(1.0)
        controller.set_overlap(overlap)
        controller.show_map("vote", True)
        layer = dock.workspace.binding.strokes
        layer.brush_size = 3
        for class_id, y in ((1, 10), (2, 60), (3, 100), (2, 10)):
            layer.selected_label = class_id
            at = slice(20, 60) if (class_id, y) != (2, 10) else slice(30, 36)
            with layer.block_history():
                for x in range(at.start, at.stop):
                    layer.paint((y, x), class_id)
            dock.workspace.binding.flush()
            painted = np.where(np.asarray(layer.data) == class_id, class_id, 0)
            script.paint(painted)

        dock.wait(lambda: not dock.workspace.jobs.busy)
        controller.request()
        before = controller.last
        dock.wait(lambda: controller.last is not before and controller.last.said)
        again = replay(dock.session).session
        again.retrieval.encoder = Texture()
        shown = controller.last
        for session in (script, again, dock.session):
            np.testing.assert_array_equal(session.strokes, dock.session.strokes)
            found = session.segment(zoom=1.0)
            np.testing.assert_array_equal(found.labels[0], shown.labels)
            if overlap:
                np.testing.assert_array_equal(found.multi[0], shown.masks)
            else:
                np.testing.assert_array_equal(found.votes[0], shown.said.votes)
    finally:
        dock.close()


class ShortPlan(TrainingPlan):
    """What the form says, made small."""

    @property
    def options(self):
        small = {"batch": 1, "objects": 1, "measured": 1, "gate_clicks": 1}
        return {**super().options, **small, "device": "cpu"}


def test_a_run_started_in_the_window_and_by_script(qapp, tmp_path, monkeypatch):
    monkeypatch.setenv("SESAMI_HOME", str(tmp_path / "home"))
    image, truth = draw(0)
    dock, script = Headless(image, ("disc", "bar")), Session(image)
    for name in ("disc", "bar"):
        script.classes.add(name)
    for session in (dock.session, script):
        session.prompts.model = tiny_file("sam", tmp_path)
        session.document.labels.write(truth)
    plan = ShortPlan("sesami", steps=2, rank=2)
    try:
        controller = dock.workspace.get(RunsController)
        dock.wait(lambda: not controller.jobs.busy)
        controller.start(plan)
        dock.wait(lambda: bool(controller.runs) or not controller.starting)
        runs = [controller.runs[0], script.train("sesami", steps=2, **plan.options)]
        for run in runs:
            status = run.wait(240)
            assert status.state == "finished", status.sentence
    finally:
        dock.close()
    one, other = (run.folder for run in runs)
    assert one != other
    assert (one / "run.toml").read_text() == (other / "run.toml").read_text()
    adapters = [f / "adapter" / "adapter.safetensors" for f in (one, other)]
    first, second = (load_file(path) for path in adapters)
    assert first.keys() == second.keys()
    assert any(values.any() for values in first.values())
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name])


def test_a_run_by_script_and_by_part_is_written_the_same():
    script, dock = new_session(), new_session()
    for session in (script, dock):
        drafted(session, [PromptStep("point", *CLICKS[0])])
        session.prompts.model = None  # a run loads its model by name
    one, other = (
        session.runs.config("sesami", steps=3, rank=2) for session in (script, dock)
    )
    assert one == other == script.runs.config("sesami", steps=3, rank=2)


def test_suggesting_ranks_as_the_queue_does():
    session = Session(stripes()[0])
    session.retrieval.encoder = Texture()
    for i, name in enumerate(("a", "b", "c")):
        session.classes.add(name)
        session.paint(np.full((3, 30), i + 1), at=(10 + 45 * i, 20))
    found = session.suggest(5)
    assert session.queue.open == []
    session.queue.ask_for(n=5)
    kept = session.queue.refresh()
    assert [q.bbox for q in found] == [e.query.bbox for e in kept]
