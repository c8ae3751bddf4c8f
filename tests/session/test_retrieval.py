"""A session labels planes from its strokes and asks where it knows least."""

from __future__ import annotations

import numpy as np
import pytest
from tests.fakes.texture import Texture, stripes

from napari_sesami.scan import Scan
from napari_sesami.session import ReadOptions, Session, SessionError
from napari_sesami.session.owners import stroke_owners


@pytest.fixture
def session() -> Session:
    grey, _ = stripes()
    s = Session(Scan.from_array(np.stack([grey, grey[::-1]])))
    s.retrieval.encoder = Texture()
    for name in ("oxide", "nitride", "void"):
        s.classes.add(name)
    return s


def paint_three(session: Session) -> None:
    for i, y in enumerate((10, 60, 100)):
        stroke = np.zeros((130, 118), np.uint8)
        stroke[y, 20:60] = i + 1
        session.paint(stroke, plane=0)


def test_three_strokes_label_every_plane(session):
    paint_three(session)
    found = session.segment(planes=[0, 1])
    truth = stripes()[1]
    assert found.labels.shape == (2, 130, 118)
    assert found.votes.shape == (2, 130, 118, 3)
    assert (found.labels[0] == truth).mean() > 0.97
    assert (found.labels[1] == truth[::-1]).mean() > 0.93


def test_undo_of_paint_takes_the_learning_back(session):
    paint_three(session)
    before = session.segment(planes=0).votes
    wrong = np.zeros((130, 118), np.uint8)
    wrong[105, 60:90] = 1
    session.paint(wrong, plane=0)
    assert (session.segment(planes=0).votes != before).any()
    session.undo()
    np.testing.assert_array_equal(session.segment(planes=0).votes, before)


def test_nothing_painted_is_said(session):
    with pytest.raises(SessionError, match="paint a stroke"):
        session.segment(planes=0)


def test_a_plane_that_does_not_exist_is_said(session):
    paint_three(session)
    with pytest.raises(SessionError, match="planes 0 to 1; 7"):
        session.segment(planes=[7])


def test_the_first_question_is_about_what_nobody_painted():
    grey, _ = stripes()
    grey[100:124, 80:104] = np.where(np.indices((24, 24)).sum(0) % 2, 1000, 0)
    s = Session(Scan.from_array(grey))
    s.retrieval.encoder = Texture()
    for name in ("oxide", "nitride", "void"):
        s.classes.add(name)
    for i, y in enumerate((10, 60, 100)):
        stroke = np.zeros((130, 118), np.uint8)
        stroke[y, 20:60] = i + 1
        s.paint(stroke)
    first, *rest = s.suggest(5)
    y0, x0, y1, x1 = first.bbox
    assert y1 > 100 and y0 < 124 and x1 > 80 and x0 < 104
    assert first.novelty > max(q.novelty for q in rest) - 1e-6 or first.novelty > 0.1
    assert [q.score for q in (first, *rest)] == sorted(
        (q.score for q in (first, *rest)), reverse=True
    )


def test_strokes_are_told_apart_and_keep_their_names():
    classes = np.zeros((20, 30), np.uint8)
    classes[2, 3:9] = 1
    classes[10, 3:9] = 1
    classes[3, 9:12] = 2
    names = stroke_owners(classes, plane=2)
    assert len(set(names[names > 0].tolist())) == 3
    before = names[10, 4]
    classes[15:17, 20:25] = 2
    assert stroke_owners(classes, plane=2)[10, 4] == before
    assert (names[classes == 0] == 0).sum() > 0
    assert before > 2 * classes.size


def sized(grey: np.ndarray, size: float) -> Session:
    s = Session(Scan.from_array(grey, pixel_size=size, units="nm"))
    s.retrieval.encoder = Texture()
    return s


def test_a_bank_labels_another_scan_without_a_stroke(tmp_path):
    grey, truth = stripes()
    first = sized(grey, 2.0)
    for name in ("oxide", "nitride", "void"):
        first.classes.add(name)
    for i, y in enumerate((10, 60, 100)):
        stroke = np.zeros((130, 118), np.uint8)
        stroke[y, 20:60] = i + 1
        first.paint(stroke)
    bank = first.retrieval.export_bank(tmp_path / "device.bank")
    second = sized(grey[::-1].copy(), 2.0)
    second.classes.add("void")
    second.retrieval.teach(bank)
    assert [c.name for c in second.classes] == ["void", "oxide", "nitride"]
    found = second.segment(planes=0).labels[0]
    renamed = np.choose(truth[::-1] - 1, [2, 3, 1])
    assert (found == renamed).mean() > 0.93


def test_a_bank_of_another_magnification_is_refused(tmp_path):
    from napari_sesami.retrieve import RetrieveError

    grey, _ = stripes()
    first = sized(grey, 2.0)
    first.classes.add("oxide")
    stroke = np.zeros((130, 118), np.uint8)
    stroke[10, 20:60] = 1
    first.paint(stroke)
    bank = first.retrieval.export_bank(tmp_path / "device.bank", thumbnails=False)
    with pytest.raises(RetrieveError, match="too different in magnification"):
        sized(grey, 500.0).retrieval.teach(bank)


def test_a_flip_of_zoom_learns_only_what_is_new(session, monkeypatch):
    from napari_sesami.retrieve import Retriever

    paint_three(session)
    learner = session.retrieval.learner
    for zoom in (1.0, 0.5):
        session.retrieval.label(0, ReadOptions(zoom=zoom), quick=True)
    asked = []
    count = Retriever._replace

    def counted(self, stroke, plane, rows):
        asked.append(stroke)
        return count(self, stroke, plane, rows)

    monkeypatch.setattr(Retriever, "_replace", counted)
    more = np.zeros((130, 118), np.uint8)
    more[120, 90:110] = 1
    session.paint(more, 0)
    found = {}
    for zoom in (1.0, 0.5, 1.0):
        found[zoom] = session.retrieval.label(0, ReadOptions(zoom=zoom))
    assert len(asked) == 2 and len(set(asked)) == 1
    assert learner.current is learner.retriever(1.0, tune=False)
    learner.encoder = learner.encoder  # all is learned afresh
    for zoom, before in found.items():
        fresh = session.retrieval.label(0, ReadOptions(zoom=zoom))
        np.testing.assert_array_equal(fresh.labels, before.labels)
