from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_sesami.session import Session, SessionError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def block(y0: int, x0: int, y1: int, x1: int) -> NDArray[np.bool_]:
    plane = np.zeros((30, 40), bool)
    plane[y0:y1, x0:x1] = True
    return plane


def test_a_commit_labels_and_is_found_by_a_click(session: Session) -> None:
    found = session.commit(
        block(5, 6, 9, 12), "void", plane=2, prompts={"points": [(6.0, 7.0)]}
    )
    assert (found.id, found.class_id, found.plane) == (1, 2, 2)
    assert found.bbox == (5, 6, 9, 12)
    assert (session.document.labels.plane(2) == 2).sum() == 24
    assert session.objects.at(5.6, 11.4, plane=2) == found
    assert session.objects.at(5, 12, plane=2) is None
    assert session.objects.at(-3, 900, plane=2) is None
    assert found.parts[2].prompts == {"points": [[6.0, 7.0]]}
    found_mask = session.objects.mask(found.id)
    bbox, mask = found_mask.bbox, found_mask.mask
    assert bbox == found.bbox
    assert mask.all()


def test_classes_may_be_given_by_id_name_or_entry(session: Session) -> None:
    for class_ in (2, "void", session.classes["void"], np.int64(2)):
        assert session.commit(block(0, 0, 2, 2), class_, plane=0).class_id == 2


def test_a_mask_within_its_box_knows_its_plane(session: Session) -> None:
    crop = np.array([[0, 1], [1, 1]], bool)
    mask = SimpleNamespace(
        bbox=(3, 4, 5, 6), mask=crop, score=np.float32(0.5), shape=(30, 40), plane=1
    )
    found = session.commit(mask, "void")
    assert np.argwhere(session.document.labels.plane(1)).tolist() == [
        [3, 5],
        [4, 4],
        [4, 5],
    ]
    assert found.parts[1].score == 0.5


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [("overwrite", [1, 1, 1]), ("keep", [2, 1, 1]), ("free", [2, 2, 1])],
)
def test_overlap_policies(session: Session, overlap: str, expected: list[int]) -> None:
    """Three pixels: in another object, labelled by hand, and free."""
    session.document.labels.write(block(0, 1, 1, 2) * 2, plane=0)
    session.commit(block(0, 0, 1, 1), "void", plane=0)
    session.commit(block(0, 0, 1, 3), "oxide", plane=0, overlap=overlap)
    assert session.document.labels.plane(0)[0, :3].tolist() == expected


@pytest.mark.parametrize("overlap", ["keep", "free"])
def test_a_mask_without_a_pixel_of_its_own_is_refused(
    session: Session, overlap: str
) -> None:
    session.commit(block(0, 0, 5, 5), "void", plane=0)
    before = session.labels.copy()
    with pytest.raises(SessionError, match="nothing was committed"):
        session.commit(block(1, 1, 3, 3), "oxide", plane=0, overlap=overlap)
    np.testing.assert_array_equal(session.labels, before)
    assert len(session.objects) == 1


def test_objects_shrink_and_go_when_others_take_their_pixels(session: Session) -> None:
    first = session.commit(block(0, 0, 10, 10), "void", plane=0)
    session.commit(block(0, 0, 5, 40), "oxide", plane=0)
    assert session.objects[first.id].bbox == (5, 0, 10, 10)
    session.commit(block(5, 0, 30, 40), "oxide", plane=0)
    assert first.id not in session.objects
    session.undo()
    session.undo()
    assert session.objects[first.id] == first
    assert (session.objects.plane(0) == first.id).sum() == 100


def test_no_rim_of_an_object_is_left(session: Session) -> None:
    """A commit leaves things of others, or nothing; one undo brings all back."""
    small, thing, over = block(2, 2, 8, 8), block(2, 8, 8, 20), block(2, 3, 8, 12)
    first = session.commit(small, "void", plane=0).id
    second = session.commit(thing, "void", plane=0).id
    before = session.document.labels.plane(0).copy(), session.objects.plane(0).copy()
    third = session.commit(over, "oxide", plane=0).id
    assert list(session.objects) == [second, third]
    ids, labels = session.objects.plane(0), session.document.labels.plane(0)
    assert (ids[over] == third).all() and not ids[2:8, 2].any()
    assert not labels[2:8, 2].any() and (ids[thing & ~over] == second).all()
    session.undo()
    assert list(session.objects) == [first, second]
    np.testing.assert_array_equal(session.document.labels.plane(0), before[0])
    np.testing.assert_array_equal(session.objects.plane(0), before[1])
    session.history.redo()
    assert list(session.objects) == [second, third]


def test_a_material_may_be_left_in_rims(session: Session) -> None:
    wide, over = block(2, 2, 12, 20), block(2, 3, 12, 20)
    oxide = session.commit(wide, 1, plane=0, instance=False).id
    session.commit(over, 2, plane=0)
    assert oxide in session.objects
    assert (session.objects.plane(0)[2:12, 2] == oxide).all()


def test_an_object_is_refined_under_its_own_id(session: Session) -> None:
    first = session.commit(block(0, 0, 10, 10), "void", plane=0)
    session.commit(block(20, 20, 25, 25), "void", plane=0)
    again = session.commit(
        block(5, 5, 15, 15), "oxide", plane=0, object_id=first.id, overlap="keep"
    )
    assert again.id == first.id
    assert again.order == 3
    assert again.bbox == (5, 5, 15, 15)
    expected = block(5, 5, 15, 15) * 1 + block(20, 20, 25, 25) * 2
    np.testing.assert_array_equal(session.document.labels.plane(0), expected)
    session.undo()
    assert session.objects[first.id] == first
    assert session.document.labels.plane(0)[0, 0] == 2


def test_an_object_may_span_planes_and_change_class_in_all(session: Session) -> None:
    first = session.commit(block(0, 0, 4, 4), "void", plane=0)
    for plane in (1, 2):
        session.commit(block(1, 1, 5, 5), "void", plane=plane, object_id=first.id)
    assert session.objects.at(4, 4, plane=2).id == first.id
    session.commit(block(0, 0, 4, 4), "oxide", plane=0, object_id=first.id)
    assert np.unique(session.labels).tolist() == [0, 1]
    assert list(session.objects[first.id].parts) == [0, 1, 2]
    session.objects.remove(first.id)
    assert session.labels.max() == 0
    assert session.objects.ids.max() == 0
    session.undo()
    assert (session.objects.ids == first.id).sum() == 48


def test_a_material_is_not_an_instance(session: Session) -> None:
    assert not session.commit(block(0, 0, 4, 4), 1, plane=0, instance=False).instance
    assert not session.objects[1].instance


def gone_of(session: Session, ids: NDArray[np.uint32]) -> set[int]:
    return set(np.unique(ids).tolist()) - {0, *session.objects}


def test_a_commit_changes_nothing_outside_its_box(session: Session) -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        before = session.document.labels.plane(0).copy()
        ids = session.objects.plane(0).copy()
        y, x = rng.integers(0, 25, 2)
        found = session.commit(
            block(y, x, y + 5, x + 5), int(rng.integers(1, 3)), plane=0
        )
        y0, x0, y1, x1 = found.bbox
        # a rim of an object that is gone goes with it
        outside = ~block(y0, x0, y1, x1) & ~np.isin(ids, [*gone_of(session, ids)])
        np.testing.assert_array_equal(
            session.document.labels.plane(0)[outside], before[outside]
        )


def test_ids_of_undone_objects_come_back_and_new_ones_are_new(session: Session) -> None:
    session.commit(block(0, 0, 4, 4), 1, plane=0)
    session.undo()
    second = session.commit(block(0, 0, 4, 4), 1, plane=0)
    assert second.id == 2
