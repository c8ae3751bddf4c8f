from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from napari_sesami.project import ClassError
from napari_sesami.session import Session, SessionError

PLANE = np.zeros((30, 40), int)
NAN = np.full((30, 40), np.nan)


@pytest.mark.parametrize(
    ("strokes", "says"),
    [
        (np.zeros((40, 30), int), r"40 × 30 pixels; a plane of this scan has 30 × 40"),
        (np.zeros((3, 30, 40), int), "3 × 30 × 40"),
        (5, "no pixels"),
        (PLANE + 3, "class 3, which does not exist; there are 1 'oxide', 2 'void'"),
        (PLANE - 1, "value -1, which is no class"),
        (PLANE + 256, "value 256"),
        (NAN, "NaN or infinity"),
        (PLANE + 0.5, "must be whole class ids"),
        (PLANE.astype(str), "must be whole class ids"),
        (PLANE.astype(bool), "must be whole class ids"),
    ],
)
def test_strokes_that_cannot_be_used(session: Session, strokes, says: str) -> None:
    for edit in (session.paint, session.document.labels.write, session.strokes.write):
        with pytest.raises(SessionError, match=says):
            edit(strokes, plane=0)
    assert not session.strokes.any()


def test_whole_numbers_in_floats_are_classes_too(session: Session) -> None:
    session.paint(np.full((30, 40), 2.0), plane=0)
    assert session.strokes.plane(0).min() == 2


@pytest.mark.parametrize(
    ("plane", "says"),
    [
        (3, "Plane 3 does not exist; array has planes 0 to 2"),
        (-1, "Plane -1"),
        (1.5, "whole number"),
        ((0, 0), "lengths"),
        ((3,), "lengths"),
        (None, "say which one"),
    ],
)
def test_planes_that_do_not_exist(session: Session, plane, says: str) -> None:
    with pytest.raises(SessionError, match=says):
        session.paint(PLANE, plane=plane)
    with pytest.raises(SessionError, match=says):
        session.document.labels.plane(plane)
    with pytest.raises(SessionError, match=says):
        session.prompt(points=[(1, 1)], labels=[1], plane=plane)


def crop(bbox, mask, shape=(30, 40)):
    return SimpleNamespace(bbox=bbox, mask=mask, shape=shape)


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (PLANE.astype(bool), "empty"),
        (crop((0, 0, 0, 0), np.zeros((0, 0), bool)), "empty"),
        (np.ones((30, 41), bool), "30 × 41"),
        (np.ones((1, 30, 40), bool), "1 × 30 × 40"),
        (NAN, "NaN"),
        (PLANE + 2, "True and False"),
        (crop((0, 0, 2, 2), np.ones((2, 3), bool)), "does not fit"),
        (crop((29, 0, 31, 2), np.ones((2, 2), bool)), "does not fit"),
        (crop((-1, 0, 1, 2), np.ones((2, 2), bool)), "does not fit"),
        (crop((0, 0, 2, 2), np.ones((2, 2), bool), (60, 80)), "made for a plane of 60"),
    ],
)
def test_masks_that_cannot_be_used(session: Session, mask, says: str) -> None:
    with pytest.raises(SessionError, match=says):
        session.commit(mask, "void", plane=0)
    assert not session.objects


def test_other_mistakes_in_commits(session: Session) -> None:
    mask = np.ones((30, 40), bool)
    with pytest.raises(ClassError, match="no class with the name 'metal'"):
        session.commit(mask, "metal", plane=0)
    with pytest.raises(ClassError, match="id 0"):
        session.commit(mask, 0, plane=0)
    with pytest.raises(SessionError, match="overlap is one of"):
        session.commit(mask, "void", plane=0, overlap="maybe")
    with pytest.raises(SessionError, match="no object 9"):
        session.commit(mask, "void", plane=0, object_id=9)
    with pytest.raises(SessionError, match="no object 9"):
        session.objects.remove(9)


def test_pieces_outside_the_plane_are_refused(session: Session) -> None:
    for at in ((-1, 0), (29, 39), (0, 40)):
        with pytest.raises(SessionError, match="does not lie within"):
            session.paint(np.ones((2, 2), int), plane=0, at=at)


def test_no_prompt_is_no_question(session: Session) -> None:
    with pytest.raises(SessionError, match="There is no prompt"):
        session.prompt(plane=0)


def test_without_a_project_save_says_what_to_do(session: Session) -> None:
    with pytest.raises(SessionError, match="give save one"):
        session.save()
