"""A click, a stroke and a run leave the same bits, whoever gives them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.fakes.grey_model import GreyModel
from tests.fakes.texture import Texture, stripes

from napari_sesami.cli.replay import replay
from napari_sesami.scan import Scan
from napari_sesami.session import PromptStep, Session

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
