"""Prompts of one object: solved in order, undone one by one, stored and read again."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.grey_model import GreyModel

from napari_sesami.prompt import Predictor, PromptError
from napari_sesami.scan import Scan
from napari_sesami.session import Draft, PromptStep, Session, chain_of


@pytest.fixture(scope="module")
def scan():
    image = np.zeros((90, 120), np.uint8)
    image[20:40, 20:60] = 120
    image[60:70, :] = 200
    return Scan.from_array(image)


@pytest.fixture(scope="module")
def predictor():
    return Predictor(GreyModel(tile=128))


ASKS = (
    PromptStep("point", (30.0, 40.0)),
    PromptStep("point", (65.0, 40.0), 0),
    PromptStep("box", (18, 18, 42, 62)),
    PromptStep("stroke", np.array([(30.0, 24.0), (30.0, 56.0)])),
    PromptStep(
        "lasso", np.array([(15.0, 15.0), (15.0, 65.0), (45.0, 65.0), (45.0, 15.0)])
    ),
    PromptStep("candidate", 1),
)


def test_a_chain_that_was_stored_gives_the_same_mask(scan, predictor):
    draft = Draft()
    for ask in ASKS[:4]:
        node = draft.add(0, ask)
    first = node.solve(predictor, scan, 0)
    stored = json.loads(json.dumps(draft.stored(0, snap=2)))
    assert stored["snap"] == 2
    again = chain_of(stored, scan.plane_shape, 0)
    assert again is not None
    np.testing.assert_array_equal(again.solve(predictor, scan, 0).full, first.full)
    assert first.full[30, 40]
    assert not first.full[65, 40]


def test_answers_of_earlier_prompts_are_not_asked_again(scan):
    model = GreyModel(tile=128)
    predictor, draft = Predictor(model), Draft()
    first = draft.add(0, ASKS[0])
    mask = first.solve(predictor, scan, 0)
    second = draft.add(0, ASKS[1])
    second.solve(predictor, scan, 0)
    assert first.answer is mask
    draft.undo()
    assert draft.mask(0) is mask


def test_a_lasso_off_the_object_cuts_a_piece(scan, predictor):
    draft = Draft()
    draft.add(0, ASKS[0]).solve(predictor, scan, 0)
    cut = np.array([(15.0, 41.0), (15.0, 65.0), (45.0, 65.0), (45.0, 41.0)])
    mask = draft.add(0, PromptStep("lasso", cut, 0)).solve(predictor, scan, 0)
    assert mask.full[30, 30]
    assert not mask.full[30, 50]


def test_a_prompt_that_cannot_be_answered_is_dropped(scan, predictor):
    draft = Draft()
    node = draft.add(0, PromptStep("point", (30.0, 40.0), 0))
    with pytest.raises(PromptError, match="Nothing says where"):
        node.solve(predictor, scan, 0)
    draft.drop(node)
    assert draft.planes == []
    assert not draft.can_redo


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), max_size=12),
    st.integers(0, 12),
)
def test_undo_n_redo_n_is_the_same_state(moves, n):
    draft = Draft()
    for plane, which in moves:
        draft.add(plane, ASKS[which])
    before = dict(draft.heads)
    done = sum(draft.undo() for _ in range(n))
    assert done == min(n, len(moves))
    assert sum(draft.redo() for _ in range(n)) == done
    assert draft.heads == before
    while draft.undo():
        pass
    assert draft.planes == []


def test_a_committed_object_comes_back_with_its_prompts(scan, predictor):
    session = Session(scan)
    session.classes.add("void")
    session.prompts.predictor = predictor
    draft = Draft()
    mask = draft.add(0, ASKS[0]).solve(predictor, scan, 0)
    committed = session.commit(mask, "void", prompts=draft.stored(0))
    back = session.objects.reopen(committed.id)
    assert [a.kind for a in back.heads[0].steps] == ["point"]
    again = back.heads[0].solve(predictor, scan, 0)
    np.testing.assert_array_equal(again.full, mask.full)
    assert back.changed_planes == []
    back.add(0, ASKS[1])
    assert back.changed_planes == [0]


def test_what_a_script_prompted_comes_back_too(scan, predictor):
    session = Session(scan)
    session.classes.add("void")
    session.prompts.predictor = predictor
    m = session.prompt(points=[(30, 40), (65, 40)], labels=[1, 0])
    back = session.objects.reopen(session.commit(m, "void").id)
    again = back.heads[0].solve(predictor, scan, 0)
    np.testing.assert_array_equal(again.full, m.full)
