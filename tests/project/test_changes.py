from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_sesami.project import (
    ClassChange,
    ClassEntry,
    ObjectChange,
    PixelChange,
    SizeChange,
)
from napari_sesami.project.changes import pack, unpack

planes = arrays(np.uint8, (7, 9), elements=st.integers(0, 3))


@settings(max_examples=100, deadline=None)
@given(planes, planes)
def test_a_change_applied_twice_is_no_change(before, after) -> None:
    change = PixelChange.between("labels", 0, (0, 0), before, after)
    if change is None:
        np.testing.assert_array_equal(before, after)
        return
    plane = before.copy()
    change.apply(plane)
    np.testing.assert_array_equal(plane, after)
    change.inverse().apply(plane)
    np.testing.assert_array_equal(plane, before)


def test_the_box_holds_only_what_changed() -> None:
    before = np.zeros((20, 30), np.uint32)
    after = before.copy()
    after[4, 7] = after[9, 8] = 70000
    change = PixelChange.between("objects", 2, (100, 200), before, after)
    assert change is not None
    assert change.bbox == (104, 207, 110, 209)


def test_packed_changes_come_back_as_they_were() -> None:
    before, after = np.zeros((2, 9, 9), np.uint8)
    after[3:5] = 2
    pixels = PixelChange.between("strokes", 1, (0, 0), before, after)
    assert pixels is not None
    entry = ClassEntry(1, "Kupfer – Cu", "#112233")
    changes = (
        pixels,
        ClassChange(1, None, entry),
        ObjectChange(4, {"class": 1}, None),
        pixels,
        SizeChange(((None, 1.5), (None, "nm")), ((2.0, 2.0), ("µm", "µm"))),
    )
    assert unpack(*pack(changes)) == changes
