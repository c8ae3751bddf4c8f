from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_sesami.scan import Scan
from napari_sesami.session import Session, SessionError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def block(y0: int, x0: int, y1: int, x1: int, value: int = 1) -> NDArray[np.int64]:
    plane = np.zeros((30, 40), np.int64)
    plane[y0:y1, x0:x1] = value
    return plane


def test_painting_adds_and_undo_takes_back(session: Session) -> None:
    assert session.paint(block(2, 3, 8, 9), plane=1) == (2, 3, 8, 9)
    assert session.paint(block(5, 5, 12, 12, 2), plane=1) == (5, 5, 12, 12)
    assert session.strokes[1, 3, 4] == 1
    assert session.strokes[1, 6, 6] == 2
    assert session.undo() == "paint"
    assert session.strokes[1, 6, 6] == 1
    assert session.history.redo() == "paint"
    assert session.strokes[1, 6, 6] == 2
    assert session.strokes[[0, 2]].max() == 0


def test_painting_what_is_there_is_no_step(session: Session) -> None:
    session.paint(block(2, 3, 8, 9), plane=1)
    assert session.paint(block(3, 4, 5, 6), plane=1) is None
    session.undo()
    assert session.strokes.max() == 0


def test_a_piece_of_a_plane_is_enough(session: Session) -> None:
    session.paint(np.full((2, 3), 2), plane=0, at=(10, 20))
    assert np.argwhere(session.strokes.plane(0)).min(0).tolist() == [10, 20]
    session.strokes.erase(np.ones((1, 1)), plane=0, at=(10, 20))
    session.strokes.write([[0, 1, 0]], plane=0, at=(11, 20))
    assert session.strokes.plane(0)[10:12, 20:23].tolist() == [[0, 2, 2], [0, 1, 0]]


def test_planes_go_by_number_or_by_index() -> None:
    s = Session(Scan.from_array(np.zeros((2, 3, 8, 9)), axes=("t", "z", "y", "x")))
    s.classes.add("oxide")
    s.paint(np.ones((8, 9), int), plane=(1, 0))
    assert s.strokes.plane(3).all()
    assert s.strokes[1, 0].all()


def test_a_single_image_needs_no_plane() -> None:
    s = Session(np.zeros((8, 9, 3), np.uint8))
    s.classes.add("oxide")
    s.paint(np.ones((8, 9), int))
    assert s.strokes.shape == (8, 9)
    assert s.strokes.all()


def test_what_is_shown_cannot_be_written_to(session: Session) -> None:
    with pytest.raises(ValueError, match="read-only"):
        session.labels[0, 0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        session.document.labels.plane(0)[0, 0] = 1


def test_listeners_hear_plane_box_and_layer(session: Session) -> None:
    heard: list[tuple[object, ...]] = []
    session.document.events.changed.connect(
        lambda plane, box: heard.append((plane, box))
    )
    session.document.events.changed.connect(lambda *all_: heard.append(all_))
    session.paint(block(2, 3, 8, 9), plane=1)
    assert heard == [(1, (2, 3, 8, 9)), (1, (2, 3, 8, 9), "strokes")]
    session.undo()
    assert heard[-1] == (1, (2, 3, 8, 9), "strokes")


def test_a_group_is_one_step(session: Session) -> None:
    with session.history.group("propagate"):
        for plane in range(3):
            session.commit(block(1, 1, 4, 4), "void", plane=plane)
        with pytest.raises(SessionError, match="Finish the group"):
            session.undo()
    session.paint(block(2, 3, 8, 9), plane=1)
    session.undo()
    assert session.undo() == "propagate"
    assert session.labels.max() == 0
    assert not session.objects
    assert session.history.redo() == "propagate"
    assert len(session.objects) == 3


def test_class_edits_are_steps(session: Session) -> None:
    session.paint(block(0, 0, 3, 3, 2), plane=2)
    session.commit(block(4, 4, 8, 8), "void", plane=2)
    session.commit(block(4, 20, 8, 24), "oxide", plane=2)
    session.classes.rename("void", "pore")
    session.classes.remove("pore")
    assert session.strokes.max() == 0
    assert np.unique(session.labels).tolist() == [0, 1]
    assert list(session.objects) == [2]
    assert session.undo() == "remove class pore"
    assert session.strokes.max() == 2
    assert list(session.objects) == [1, 2]
    assert session.classes.names == ("oxide", "pore")
    assert session.undo() == "edit class pore"
    assert session.classes.names == ("oxide", "void")
    assert [session.history.redo(), session.history.redo(), session.history.redo()][
        2
    ] is None
    assert session.classes.names == ("oxide",)
    assert np.unique(session.labels).tolist() == [0, 1]


def test_adding_a_class_can_be_undone(session: Session) -> None:
    session.classes.add("metal")
    assert session.undo() == "add class metal"
    assert "metal" not in session.classes
    assert session.history.redo() == "add class metal"
    assert session.classes["metal"].id == 3


def test_a_new_step_ends_what_could_be_redone(session: Session) -> None:
    session.paint(block(2, 3, 8, 9), plane=1)
    session.undo()
    session.paint(block(0, 0, 1, 1), plane=1)
    assert not session.history.can_redo
    assert session.history.redo() is None


def test_pixel_size_is_a_step(session: Session) -> None:
    heard: list[Scan] = []
    session.document.events.scan.connect(heard.append)
    session.document.set_pixel_size(3.0, "nm")
    assert heard[-1].pixel_size == (None, 3.0, 3.0)
    session.undo()
    assert session.scan.pixel_size == (None, None, None)
    with pytest.raises(ValueError, match="pixel size"):
        session.document.set_pixel_size(-1, "nm")


def test_a_40_gb_scan_is_edited_plane_by_plane() -> None:
    import dask.array as da

    volume = da.zeros((2560, 4096, 4096), np.uint8, chunks=(1, 4096, 4096))
    s = Session(Scan.from_array(volume))
    s.classes.add("void")
    s.commit(np.ones((4096, 4096), bool), "void", plane=2000)
    assert s.labels.shape == volume.shape
    assert s.labels[2000, ::1024, 5].tolist() == [1] * 4
    assert s.labels[1999, 0, 0] == 0
    s.undo()
    assert s.labels[2000].max() == 0


def test_hand_edits_take_pixels_from_objects(session: Session) -> None:
    first = session.commit(block(5, 5, 10, 10), "void", plane=0)
    session.document.labels.write(np.full((2, 10), 1), plane=0, at=(5, 5))
    assert session.document.labels.plane(0)[5, 5] == 1
    assert session.objects[first.id].bbox == (7, 5, 10, 10)
    session.document.labels.write(np.zeros((30, 40), int), plane=0)
    assert not session.objects
    session.undo()
    session.undo()
    assert session.objects[first.id] == first
