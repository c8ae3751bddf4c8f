"""Merge, split, recolour and list committed objects; each one step of undo."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_sesami.scan import Scan
from napari_sesami.session import Session, SessionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


def block(y0: int, x0: int, y1: int, x1: int) -> NDArray[np.bool_]:
    plane = np.zeros((30, 40), bool)
    plane[y0:y1, x0:x1] = True
    return plane


@pytest.fixture
def session() -> Iterator[Session]:
    scan = Scan.from_array(
        np.zeros((3, 30, 40), np.uint8), pixel_size=(2, 0.5, 0.5), units=("nm",) * 3
    )
    made = Session(scan)
    made.classes.add("oxide")
    made.classes.add("void")
    return made


def state(session: Session) -> tuple[object, ...]:
    planes = range(session.scan.n_planes)
    pixels = [
        (session.document.labels.plane(p).tobytes(), session.objects.plane(p).tobytes())
        for p in planes
    ]
    return pixels, dict(session.objects)


def undone_and_redone(session: Session, before: tuple[object, ...]) -> None:
    after = state(session)
    session.undo()
    assert state(session) == before
    session.history.redo()
    assert state(session) == after


def test_another_class_reaches_all_planes(session):
    first = session.commit(block(2, 2, 8, 8), "oxide", plane=0)
    session.commit(block(3, 3, 8, 8), "oxide", plane=1, object_id=first.id)
    other = session.commit(block(20, 20, 25, 25), "oxide", plane=0)
    before = state(session)
    session.objects.set_class([first.id, other.id], "void")
    assert {o.class_id for o in session.objects.values()} == {2}
    assert (session.document.labels.plane(1)[3:8, 3:8] == 2).all()
    assert not (session.document.labels.plane(0) == 1).any()
    undone_and_redone(session, before)


def test_merged_objects_are_one_with_the_class_of_the_first(session):
    first = session.commit(block(2, 2, 8, 8), "void", plane=0)
    second = session.commit(block(2, 10, 8, 16), "oxide", plane=0)
    session.commit(block(2, 10, 8, 16), "oxide", plane=2, object_id=second.id)
    before = state(session)
    merged = session.objects.merge([first.id, second.id])
    assert list(session.objects) == [first.id] and list(merged.parts) == [0, 2]
    assert merged.parts[0].bbox == (2, 2, 8, 16)
    assert (session.objects.plane(2)[2:8, 10:16] == first.id).all()
    assert set(np.unique(session.document.labels.plane(0))) == {0, 2}
    undone_and_redone(session, before)
    with pytest.raises(SessionError, match="two or more"):
        session.objects.merge([first.id, first.id])


def test_pieces_become_objects(session):
    whole = session.commit(
        block(2, 2, 8, 8) | block(2, 10, 8, 20) | block(20, 2, 22, 4), "void", plane=0
    )
    before = state(session)
    ids = session.objects.split(whole.id)
    assert ids == [whole.id, whole.id + 1, whole.id + 2]
    assert [session.objects[i].bbox for i in ids] == [
        (2, 10, 8, 20), (2, 2, 8, 8), (20, 2, 22, 4)
    ]  # fmt: skip
    assert (session.objects.plane(0)[2:8, 2:8] == whole.id + 1).all()
    undone_and_redone(session, before)
    with pytest.raises(SessionError, match="one piece"):
        session.objects.split(whole.id)


def test_the_table_counts_in_the_unit_of_the_scan(session, tmp_path):
    first = session.commit(block(2, 2, 8, 8), "void", plane=0)
    session.commit(block(2, 2, 8, 8), "void", plane=1, object_id=first.id)
    (row,) = session.objects.table()
    assert (row.class_name, row.planes, row.pixels) == ("void", 2, 72)
    assert row.size == pytest.approx(72 * 2 * 0.25) and row.unit == "nm³"
    assert (row.y, row.x) == (4.5, 4.5)
    path = session.objects.save_csv(tmp_path / "objects.csv")
    head, line = csv.reader(path.read_text("utf-8").splitlines())
    assert head[7] == "volume (nm³)" and line[:2] == ["1", "void"]
    assert float(line[7]) == pytest.approx(36)


def test_an_unknown_size_stays_unknown(tmp_path):
    session = Session(np.zeros((30, 40), np.uint8))
    session.classes.add("void")
    with pytest.raises(SessionError, match="no objects"):
        session.objects.save_csv(tmp_path / "none.csv")
    session.commit(block(2, 2, 8, 8), "void")
    (row,) = session.objects.table()
    assert row.size is None and row.unit == "" and row.pixels == 36
