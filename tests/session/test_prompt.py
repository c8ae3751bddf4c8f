from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_sesami.models import build_tiny_sam
from napari_sesami.session import Session, SessionError, chain_of

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sesami.prompt import Mask

VOLUME = np.random.default_rng(0).integers(0, 255, (2, 60, 90), dtype=np.uint8)


@pytest.fixture(scope="module")
def model():
    """A small net with random weights: its masks mean nothing, but they are masks."""
    return build_tiny_sam()


def asked(session: Session) -> Mask:
    """An answer that is not empty, whatever the random weights say."""
    for y in range(5, 60, 10):
        answer = session.prompt(points=[(y, 40.5)], labels=[1], plane=1)
        if answer.mask.any():
            return answer
    return pytest.skip("these random weights see nothing anywhere")


def test_a_prompt_changes_nothing_until_it_is_committed(model, tmp_path: Path) -> None:
    with Session(VOLUME, tmp_path / "p.sesami", model=model) as s:
        s.classes.add("void")
        answer = asked(s)
        assert s.labels.max() == 0
        assert answer.full.shape == (60, 90)
        assert answer.full.sum() == answer.mask.sum()
        found = s.commit(answer, "void")
        np.testing.assert_array_equal(s.labels[1] == 1, answer.full)
        assert found.plane == 1
        assert found.parts[1].score == pytest.approx(answer.score)
    with Session(VOLUME, tmp_path / "p.sesami", model=model) as s:
        prompts = s.objects[found.id].parts[1].prompts
        assert prompts is not None
        chain = chain_of(prompts, (60, 90), 1)
        assert chain is not None
        again = chain.solve(s.prompts.predictor, s.scan, 1)
        np.testing.assert_array_equal(again.full, answer.full)


def test_an_earlier_answer_can_be_refined_in_its_plane(model) -> None:
    s = Session(VOLUME, model=model)
    first = asked(s)
    better = s.prompt(points=[(20, 30)], labels=[0], mask=first)
    assert better.plane == 1
    json.dumps(better.prompts)
    chain = chain_of(better.prompts, (60, 90), 1)
    assert chain is not None
    np.testing.assert_array_equal(chain.steps[0].where.full, first.full)


@pytest.mark.parametrize("plane", [2, -1, (2,), None, 0.5])
def test_a_prompt_in_a_slice_that_does_not_exist_is_one_sentence(plane) -> None:
    s = Session(VOLUME)  # no model is loaded for a question that cannot be asked
    with pytest.raises(SessionError, match=r"(?i)plane"):
        s.prompt(points=[(20, 30)], labels=[1], plane=plane)
    assert s.prompts.loaded is None


def test_a_slice_beyond_the_end_says_which_there_are() -> None:
    s = Session(VOLUME)
    with pytest.raises(SessionError, match=r"Plane 2 does not exist.*planes 0 to 1"):
        s.prompt(points=[(20, 30)], labels=[1], plane=2)


def test_another_model_replaces_the_predictor(model) -> None:
    s = Session(VOLUME, model=model)
    before = s.prompts.predictor
    assert s.prompts.predictor is before
    s.prompts.model = build_tiny_sam()
    assert s.prompts.predictor is not before
