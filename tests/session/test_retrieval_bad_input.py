"""What people do to retrieval that it did not ask for; each ends in one sentence."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest
from tests.fakes.texture import Texture, stripes

from napari_sesami.scan import Scan
from napari_sesami.session import ReadOptions, Session, SessionError

METHODS = ("ours", "distance", "attention", "histogram")


def session_of(pixels: np.ndarray, project=None) -> Session:
    made = Session(Scan.from_array(pixels), project=project)
    made.retrieval.encoder = Texture()
    for name in ("oxide", "nitride", "void"):
        if name not in made.classes:
            made.classes.add(name)
    return made


@pytest.fixture
def session() -> Session:
    return session_of(stripes()[0])


def stroke(class_id: int, y: int) -> np.ndarray:
    out = np.zeros((130, 118), np.uint8)
    out[y : y + 2, 20:60] = class_id
    return out


@pytest.mark.parametrize("method", METHODS)
def test_one_class_only_covers_everything(session, method):
    session.paint(stroke(2, 60))
    found = session.segment(zoom=1.0, method=method, multi=True)
    assert (found.labels == 2).all()
    assert found.multi[..., 1].all() and not found.multi[..., [0, 2]].any()
    assert np.isfinite(found.votes).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_class_whose_strokes_were_all_erased_is_gone(session, method):
    for class_id, y in ((1, 10), (2, 60), (3, 100)):
        session.paint(stroke(class_id, y))
    session.segment(zoom=1.0, method=method)
    session.strokes.erase(stroke(2, 60) > 0)
    found = session.segment(zoom=1.0, method=method)
    assert set(np.unique(found.labels)) == {1, 3}
    session.strokes.erase(np.ones((130, 118), bool))
    with pytest.raises(SessionError, match="paint a stroke of each class"):
        session.segment(zoom=1.0, method=method)
    session.undo()
    assert set(np.unique(session.segment(zoom=1.0, method=method).labels)) == {1, 3}


def test_two_strokes_that_contradict_each_other_are_said_and_named(session):
    for class_id, y in ((1, 10), (2, 60), (3, 100)):
        session.paint(stroke(class_id, y))
    how = ReadOptions(zoom=1.0)
    assert session.retrieval.label(0, how).against == ()
    session.paint(stroke(3, 14))  # the first layer, called the third
    found = session.retrieval.label(0, how)
    rows = [session.retrieval.learner.stroke_pixels(s)[1][0] for s in found.against]
    assert sorted(rows) == [10, 14]
    assert "“oxide” at row 11" in found.told and "“void” at row 15" in found.told


def test_strokes_outside_the_scan_are_refused_and_teach_nothing(session):
    with pytest.raises(SessionError, match="130"):
        session.paint(np.ones((140, 118), np.uint8))
    with pytest.raises(SessionError):
        session.paint(np.ones((10, 10), np.uint8), at=(125, 0))
    with pytest.raises(SessionError):
        session.paint(np.full((130, 118), 9, np.uint8))
    assert session.strokes.planes == [] or not session.strokes.plane().any()


def test_hundreds_of_strokes_are_as_good_as_learned_afresh(session):
    rng = np.random.default_rng(0)
    truth = stripes()[1]
    many = np.zeros((130, 118), np.uint8)
    for y in range(2, 128, 4):
        for x in range(2, 112, 8):
            many[y, x : x + 4] = truth[y, x]
    session.paint(many)
    session.segment(zoom=1.0)
    spots = np.argwhere(many > 0)
    for y, x in spots[rng.permutation(len(spots))[:20]]:
        gone = np.zeros((130, 118), bool)
        gone[y, x - 4 : x + 5] = True
        session.strokes.erase(gone)
        session.retrieval.learner.retriever(1.0, tune=False).quick(0)
    followed = session.segment(zoom=1.0)
    fresh = session_of(stripes()[0])
    fresh.paint(session.strokes.plane().copy())
    again = fresh.segment(zoom=1.0)
    assert len(session.retrieval.learner.retriever(1.0).bank.strokes) > 400
    np.testing.assert_array_equal(followed.labels, again.labels)
    np.testing.assert_array_equal(followed.votes, again.votes)


def test_another_scan_under_the_same_labels_is_refused(session, tmp_path):
    session.paint(stroke(1, 10))
    session.save(tmp_path / "a.sesami")
    session.close()
    other = session_of(stripes()[0][::-1].copy(), tmp_path / "a.sesami")
    assert not other.strokes.plane().any()  # a scan is known by its pixels
    other.close()


def test_tokens_of_another_scan_are_never_taken(session):
    session.retrieval.learner.tokens(0, 1.0)
    other = session_of(stripes()[0] // 2 + 3)
    assert (
        session.retrieval.learner.token_store(1.0).key
        != other.retrieval.learner.token_store(1.0).key
    )
    assert not other.retrieval.learner.token_store(1.0).ready(0)


def test_a_full_disk_is_said_and_work_goes_on(session, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    session.paint(stroke(1, 10))
    session.paint(stroke(3, 100))
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        found = session.segment(zoom=1.0)
    assert set(np.unique(found.labels)) == {1, 3}
    assert (
        "No space left on device" in session.retrieval.learner.token_store(1.0).trouble
    )


def test_a_bank_of_another_patch_size_is_not_combined(session, tmp_path):
    session.paint(stroke(1, 10))
    one = session.retrieval.export_bank(tmp_path / "one.bank", zoom=1.0)
    two = session.retrieval.export_bank(tmp_path / "two.bank", zoom=0.5)
    with pytest.raises(ValueError, match="differ in encoder or in the size of a patch"):
        session.retrieval.combine_banks([one, two], tmp_path / "both.bank")
    assert not (tmp_path / "both.bank").exists()


def test_a_closed_or_broken_bank_is_one_sentence(session, tmp_path):
    (tmp_path / "bad.bank").write_bytes(b"\x00" * 40)
    with pytest.raises(ValueError, match="cannot be read as a bank"):
        session.retrieval.teach(tmp_path / "bad.bank")
    with pytest.raises(ValueError, match="cannot be read as a bank"):
        session.retrieval.combine_banks(
            [tmp_path / "bad.bank"] * 2, tmp_path / "c.bank"
        )
