"""Strokes become labels, without a window."""

from __future__ import annotations

import numpy as np
import pytest
from tests.fakes.headless import Headless
from tests.fakes.texture import Texture

from napari_sesami.viewer.app.errors import ViewerError
from napari_sesami.viewer.strokes.controller import StrokesController

THIRD = 40


@pytest.fixture
def headless(qapp):
    rng = np.random.default_rng(0)
    grey = np.repeat([0.2, 0.5, 0.8], THIRD)[:, None] + 0.02 * rng.normal(
        size=(3 * THIRD, 160)
    )
    made = Headless((grey * 1000).astype(np.uint16), ("substrate", "oxide", "metal"))
    made.session.retrieval.encoder = Texture()
    yield made
    made.close()


@pytest.fixture
def strokes(headless):
    controller = headless.workspace.get(StrokesController)
    controller.set_zoom(1.0)
    return controller


def paint(session) -> None:
    for i in range(3):
        stroke = np.zeros((120, 160), np.uint8)
        stroke[THIRD * i + 20, 20:60] = i + 1
        session.paint(stroke, plane=0)


def labelled(strokes) -> bool:
    return strokes.last is not None and set(np.unique(strokes.last.labels)) == {1, 2, 3}


def test_a_stroke_is_answered_by_itself(headless, strokes):
    heard = []
    strokes.changed.connect(lambda: heard.append(1))
    paint(headless.session)
    headless.wait(lambda: labelled(strokes))
    assert heard
    rows = strokes.last.labels[[20, 60, 100], 80]
    np.testing.assert_array_equal(rows, [1, 2, 3])
    assert {fact.class_id for fact in strokes.strokes} == {1, 2, 3}


def test_undo_of_all_strokes_leaves_nothing(headless, strokes):
    paint(headless.session)
    headless.wait(lambda: labelled(strokes))
    for _ in range(3):
        headless.session.undo()
    headless.wait(lambda: strokes.last is None)


def test_reasons_are_found_and_wrong_places_refused(headless, strokes):
    paint(headless.session)
    headless.wait(lambda: labelled(strokes))
    reasons, looks, shares = [], [], []
    strokes.explained.connect(reasons.append)
    strokes.weighed.connect(shares.append)
    strokes.looked.connect(looks.append)
    strokes.explain((20.0, 100.0))
    headless.wait(lambda: bool(looks))
    assert reasons[0][0].reason.class_id == 1
    assert next(iter(shares[0])) == 1  # the likeliest comes first
    assert sum(shares[0].values()) == pytest.approx(1, abs=1e-3)
    assert shares[0][1] > 0.5
    assert sum(s.share for s in looks[0] if s.share > 0) == pytest.approx(1)
    with pytest.raises(ViewerError, match="Point at a pixel of the scan"):
        strokes.explain((500.0, 0.0))


def test_clean_up_needs_a_result(strokes):
    with pytest.raises(ViewerError, match="no result to clean up"):
        strokes.clean_up()
