"""Strokes are named box by box as if the whole plane had been looked at."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.texture import Texture, stripes

from napari_sesami.retrieve import PaintedPixels
from napari_sesami.session import Session
from napari_sesami.session.owners import renamed, stroke_owners

SHAPE = (12, 15)
BOXES = st.tuples(
    st.integers(0, 10), st.integers(0, 13), st.integers(1, 8), st.integers(1, 8)
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(BOXES, st.integers(0, 2)), min_size=1, max_size=12))
def test_a_box_joins_and_splits_strokes_beyond_it(edits):
    classes = np.zeros(SHAPE, np.uint8)
    known = PaintedPixels.none()
    for (y, x, height, width), class_id in edits:
        before = {n: known.pixels[known.owners == n].tolist() for n in known.names}
        box = (y, x, min(y + height, SHAPE[0]), min(x + width, SHAPE[1]))
        classes[box[0] : box[2], box[1] : box[3]] = class_id
        crop = classes[box[0] : box[2], box[1] : box[3]]
        known, names = renamed(known, box, crop, SHAPE, 3 * classes.size)
        strokes, owners = known.dense(SHAPE)
        np.testing.assert_array_equal(strokes, classes)
        np.testing.assert_array_equal(owners, stroke_owners(classes, 3))
        after = {n: known.pixels[known.owners == n].tolist() for n in known.names}
        for name in {*before, *after} - set(names.tolist()):
            assert before[name] == after[name]


def painted_session() -> Session:
    session = Session(np.stack([stripes()[0]] * 3))
    session.retrieval.encoder = Texture()
    for name in ("a", "b", "c"):
        session.classes.add(name)
    return session


def test_edits_undo_and_redo_leave_the_votes_of_a_fresh_start():
    session, rng = painted_session(), np.random.default_rng(0)
    truth = stripes()[1]
    for step in range(30):
        y, x, plane = rng.integers(0, 110), rng.integers(0, 100), int(rng.integers(3))
        piece = truth[y : y + 12, x : x + 3].copy()
        if step % 5 == 4:
            session.strokes.erase(np.ones((4, 18)), plane, at=(y, x))
        elif step % 7 == 6:
            session.undo()
        else:
            session.paint(piece, plane=plane, at=(y, x))
        if step % 3 == 0:
            session.retrieval.learner.retriever(1.0, tune=False).quick(plane)
    session.undo()
    session.history.redo()
    followed = session.segment([0, 1, 2], zoom=1.0)
    fresh = painted_session()
    for plane in session.strokes.planes:
        fresh.paint(session.strokes.plane(plane).copy(), plane=plane)
    again = fresh.segment([0, 1, 2], zoom=1.0)
    np.testing.assert_array_equal(followed.votes, again.votes)
    np.testing.assert_array_equal(followed.labels, again.labels)


def test_a_stroke_touches_its_own_plane_and_box_only(monkeypatch):
    session = painted_session()
    for plane in range(3):
        session.paint(np.ones((3, 3), int), plane=plane, at=(5, 5))
    session.retrieval.learner.retriever(1.0)
    read = []
    layer = session.document.work.layers["strokes"]
    whole = layer.read
    session.paint(np.full((2, 4), 2), plane=1, at=(60, 60))
    monkeypatch.setattr(layer, "read", lambda p: read.append(p) or whole(p))
    session.retrieval.learner.retriever(1.0)
    assert read == [1]
    session.retrieval.learner.retriever(1.0)
    assert read == [1]
