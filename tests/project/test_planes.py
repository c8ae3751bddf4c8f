from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sesami.project import PlaneArray, PlaneStore
from napari_sesami.project import planes as planes_module


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> PlaneStore:
    """A store that counts as large although it is small."""
    monkeypatch.setattr(planes_module, "SMALL", 10)
    return PlaneStore((3, 4), (5, 6), np.uint8)


def test_a_40_gb_layer_costs_only_what_is_touched() -> None:
    store = PlaneStore((2560,), (4096, 4096), np.uint8)
    store.writable(1000)[5:9, 7] = 3
    assert store.planes == [1000]
    array = store.array
    assert array.shape == (2560, 4096, 4096)
    assert array.nbytes > 40e9
    assert array[1000, 6, 7] == 3
    assert array[999].max() == 0


@pytest.mark.parametrize("leading", [(), (2,)])
def test_small_layers_are_given_as_they_are_now(leading: tuple[int, ...]) -> None:
    store = PlaneStore(leading, (3, 3), np.uint8)
    store.writable(0)[0, 0] = 1
    before = store.array
    store.writable(0)[0, 0] = 9
    assert before.shape == (*leading, 3, 3)
    assert before.max() == 1
    assert store.array.max() == 9
    with pytest.raises(ValueError, match="read-only"):
        before[..., 0] = 1


def test_planes_come_from_disk_when_looked_at() -> None:
    asked = []

    def load(plane: int) -> np.ndarray:
        asked.append(plane)
        return np.full((2, 2), plane, np.uint8)

    store = PlaneStore((4,), (2, 2), np.uint8, load, frozenset({1, 3}))
    assert store.planes == [1, 3]
    assert asked == []
    assert store.read(0).max() == 0
    assert asked == []
    assert store.read(3).min() == 3
    assert asked == [3]
    assert store.array[:, 0, 0].tolist() == [0, 1, 0, 3]
    assert asked == [3, 1]


@pytest.mark.parametrize("limit", [10, 1 << 20])
def test_a_save_does_not_see_edits_made_while_it_runs(
    monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(planes_module, "SMALL", limit)
    store = PlaneStore((3,), (5, 6), np.uint8)
    store.writable(1)[:] = 1
    taken = store.freeze()
    store.writable(1)[0] = 2
    store.writable(2)[0] = 2
    assert taken[1].max() == 1
    assert list(taken) == [1]
    store.thaw({1}, set())
    assert store.dirty == {1, 2}
    assert store.read(1)[0].max() == 2


def test_planes_of_a_failed_save_are_still_unsaved(large: PlaneStore) -> None:
    large.writable(7)[:] = 1
    large.freeze()
    assert large.dirty == set()
    large.thaw(set(), {7})
    assert large.dirty == {7}


def test_saved_planes_of_large_layers_are_forgotten_and_read_again(
    large: PlaneStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planes_module, "CACHE_BYTES", 60)  # two planes
    disk: dict[int, np.ndarray] = {}
    large.attach(lambda plane: disk[plane].copy())
    for plane in range(6):
        large.writable(plane)[:] = plane + 1
    disk.update({p: a.copy() for p, a in large.freeze().items()})
    large.thaw(set(range(6)), set())
    assert len(large._planes) == 2
    assert [int(large.read(p)[0, 0]) for p in range(6)] == [1, 2, 3, 4, 5, 6]


keys = st.tuples(
    *(
        st.one_of(
            st.integers(-n, n - 1),
            st.slices(n),
        )
        for n in (3, 4, 5, 6)
    )
)


@settings(max_examples=150, deadline=None)
@given(keys, st.integers(1, 4))
def test_plane_array_indexes_like_an_array(key: tuple, length: int) -> None:
    whole = np.arange(360).reshape(3, 4, 5, 6)
    lazy = PlaneArray(whole.shape, whole.dtype, whole.reshape(12, 5, 6).__getitem__)
    np.testing.assert_array_equal(lazy[key[:length]], whole[key[:length]])
    np.testing.assert_array_equal(lazy[(..., *key[-2:])], whole[(..., *key[-2:])])


@settings(max_examples=60, deadline=None)
@given(keys)
def test_plane_array_writes_like_an_array(key: tuple) -> None:
    whole = np.zeros((3, 4, 5, 6), int)
    planes = np.zeros((12, 5, 6), int)
    lazy = PlaneArray(whole.shape, whole.dtype, planes.__getitem__, planes.__getitem__)
    value = np.arange(whole[key].size).reshape(whole[key].shape) + 1
    lazy[key] = value
    whole[key] = value
    np.testing.assert_array_equal(planes.reshape(whole.shape), whole)


def test_plane_array_takes_points_as_napari_paints_them() -> None:
    planes = np.arange(120).reshape(4, 5, 6)
    mine = planes.copy()
    lazy = PlaneArray((4, 5, 6), int, mine.__getitem__, mine.__getitem__)
    points = (np.array([0, 3, 3]), np.array([1, 2, 4]), np.array([5, 0, 3]))
    np.testing.assert_array_equal(lazy[points], planes[points])
    lazy[points] = 7
    planes[points] = 7
    np.testing.assert_array_equal(mine, planes)


def test_plane_array_gives_dask_and_numpy() -> None:
    whole = np.arange(60).reshape(2, 5, 6)
    lazy = PlaneArray(whole.shape, whole.dtype, whole.__getitem__)
    np.testing.assert_array_equal(np.asarray(lazy), whole)
    assert lazy.dask().chunks[0] == (1, 1)
    np.testing.assert_array_equal(lazy.dask()[1, 2:4].compute(), whole[1, 2:4])
    with pytest.raises(TypeError, match="read-only"):
        lazy[0] = 1
    with pytest.raises(IndexError):
        lazy[5]
    with pytest.raises(IndexError, match="cannot be indexed"):
        lazy[0, 0, 0, 0]
