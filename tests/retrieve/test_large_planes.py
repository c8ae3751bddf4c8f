"""Planes too large for maps of all pixels: the same labels, piece by piece."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sesami.common.cancel import Cancelled
from napari_sesami.retrieve import tiled_answer, token_store
from napari_sesami.scan import Scan
from napari_sesami.session import ReadOptions, Session
from tests.fakes.texture import Texture, stripes


def session_of(grey: np.ndarray) -> Session:
    made = Session(Scan.from_array(grey, pixel_size=2.0, units="nm"))
    made.retrieval.encoder = Texture()
    for i, y in enumerate((10, 60, 100)):
        made.classes.add(f"c{i}")
        stroke = np.zeros(grey.shape, np.uint8)
        stroke[y, 20:60] = stroke[y + 8, 50:100] = i + 1
        made.paint(stroke, plane=0)
    return made


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every plane count as large."""
    monkeypatch.setattr(token_store, "LARGE", 100)
    for home, name, value in (
        (tiled_answer, "WHOLE", 100),
        (tiled_answer, "STRIP", 64),
        (tiled_answer, "SIDE", 32),
    ):
        monkeypatch.setattr(home, name, value)


def test_a_large_plane_gets_the_labels_of_a_small_one(request):
    grey, _ = stripes()
    how = ReadOptions(zoom=1.0)
    whole = session_of(grey).retrieval
    fine, quick = (whole.label(0, how, quick=q).labels for q in (False, True))
    assert whole.learner.token_store().plane(0).dtype == np.float32
    request.getfixturevalue("small")
    parts = session_of(grey).retrieval
    now, soon = (parts.label(0, how, quick=q).labels for q in (False, True))
    assert (soon == quick).all()
    tokens = parts.learner.token_store().plane(0)
    assert tokens.dtype == np.float16
    assert (tokens == whole.learner.token_store().plane(0)).all()
    # sums of the filters begin elsewhere: the last bit may differ
    assert (now == fine).mean() > 0.999


def test_tokens_of_a_large_plane_stay_on_disk(small):
    made = session_of(stripes()[0])
    store = made.retrieval.learner.token_store()
    assert isinstance(store.plane(0), np.memmap)
    assert store.ready(0)
    seen = made.segment(planes=0, zoom=1.0)
    assert len(np.unique(seen.labels)) == 3


def test_the_first_squares_come_before_the_plane_was_read(small, monkeypatch):
    monkeypatch.setattr("napari_sesami.session.retrieval.PARTLY_EVERY", 0.0)
    monkeypatch.setattr("napari_sesami.session.retrieval.PARTLY_SHARE", 1)
    made, seen = session_of(stripes()[0]), []
    store, learner = made.retrieval.learner.token_store(), made.retrieval.learner

    def partly(plane, labels):
        seen.append((store.ready(0), (labels > 0).mean()))

    how = ReadOptions(zoom=1.0, near=(100.0, 100.0))
    found = made.retrieval.label(0, how, quick=True, partly=partly).labels
    assert seen[0][0] is False and 0 < seen[0][1] < 0.5
    assert sum(not ready for ready, _ in seen) > 2
    answer = learner.retriever(1.0).soon(0)
    assert answer.known.all()  # what was shown was kept
    again = session_of(stripes()[0])
    assert (again.retrieval.label(0, how, quick=True).labels == found).all()


def test_reading_that_was_stopped_goes_on_and_nothing_is_wrong(small):
    made, asked = session_of(stripes()[0]), []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > 12

    how = ReadOptions(zoom=1.0, near=(100.0, 100.0))
    with pytest.raises(Cancelled):
        made.retrieval.label(
            0, how, quick=True, partly=lambda p, seen: None, cancelled=cancelled
        )
    folder = made.retrieval.learner.token_store().folder
    assert not list(folder.rglob("*.tmp"))
    calls = made.retrieval.encoder.calls
    found = made.retrieval.label(0, how).labels
    assert 0 < calls < made.retrieval.encoder.calls
    whole = session_of(stripes()[0]).retrieval.label(0, ReadOptions(zoom=1.0))
    assert (found == whole.labels).all()
    made.undo()  # a stroke goes: sums of what was counted in parts stay right
    less = session_of(stripes()[0])
    less.undo()
    assert (
        made.retrieval.label(0, how, quick=True).labels
        == less.retrieval.label(0, how, quick=True).labels
    ).all()


def test_parts_shown_are_the_quick_answer_and_grow(small, monkeypatch):
    monkeypatch.setattr("napari_sesami.session.retrieval.PARTLY_EVERY", 0.0)
    monkeypatch.setattr("napari_sesami.session.retrieval.PARTLY_SHARE", 1)
    made, seen = session_of(stripes()[0]), []
    found = made.retrieval.label(
        0,
        ReadOptions(zoom=1.0, near=(0.0, 0.0)),
        quick=True,
        partly=lambda plane, labels: seen.append(labels),
    )
    known = [float((labels > 0).mean()) for labels in seen]
    assert len(known) > 3
    assert known == sorted(known) and 0 < known[0] < known[-1]
    there = seen[-1] > 0
    assert (seen[-1] == found.labels)[there].mean() > 0.95
