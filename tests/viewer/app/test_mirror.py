"""A Labels layer and the pixels of a session stay equal, without a window."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_sesami.viewer.app.mirror import LayerMirror
from napari_sesami.viewer.app.plane_arrays import LayerArray, changed_box, layer_array


class Store:
    """Truth as a session keeps it: planes that know nothing of napari."""

    def __init__(self, shape):
        self.array = np.zeros(shape, np.uint8)
        self.edits = []

    def read(self, plane):
        return self.array.reshape(-1, *self.array.shape[-2:])[plane]

    def edited(self, plane, box, pixels):
        self.edits.append((plane, box))
        self.read(plane)[box] = pixels


def mirror_of(kind):
    shape = {"2-D": (40, 50), "4-D": (2, 3, 40, 50)}.get(kind, (5, 40, 50))
    store = Store(shape)
    if kind == "large stack":
        data = LayerArray(shape, np.dtype(np.uint8), store.read)
    else:
        data = layer_array(store.array, store.read)
    layer = ViewerModel().add_labels(data)
    layer.brush_size = 5
    return store, layer, LayerMirror(layer, store.read, store.edited)


@pytest.fixture(params=["2-D", "stack", "4-D", "large stack"])
def mirrored(request):
    return mirror_of(request.param)


@pytest.fixture(params=["stack", "4-D", "large stack"])
def stacked(request):
    return mirror_of(request.param)


def at(layer, y, x):
    return (*(0,) * (layer.ndim - 2), y, x)


def test_paint_arrives_in_the_session(mirrored):
    store, layer, mirror = mirrored
    layer.paint(at(layer, 20, 20), 3)
    assert mirror.flush()
    assert store.array.sum() > 0
    np.testing.assert_array_equal(
        store.read(0), np.asarray(layer.data[(*at(layer, ..., ...)[:-2], ...)])
    )
    assert not mirror.flush()
    assert len(store.edits) == 1


def test_erasing_and_naparis_own_undo_arrive_too(mirrored):
    store, layer, mirror = mirrored
    layer.paint(at(layer, 20, 20), 3)
    mirror.flush()
    layer.undo()
    assert mirror.flush()
    assert store.array.sum() == 0


def test_a_change_of_the_session_is_drawn_and_not_sent_back(mirrored):
    store, layer, mirror = mirrored
    store.read(0)[5:9, 6:12] = 2
    mirror.pull(0, (slice(5, 9), slice(6, 12)))
    assert np.count_nonzero(np.asarray(layer.data[...])) == 24
    assert not mirror.flush()
    assert store.edits == []


def test_a_change_on_another_plane_shows_when_one_goes_there(stacked):
    store, layer, mirror = stacked
    store.read(1)[5:9, 6:12] = 2
    mirror.pull(1, (slice(5, 9), slice(6, 12)))
    mirror.show(1)
    assert np.count_nonzero(np.asarray(layer.data[...])) == 24
    assert not mirror.flush()


def test_paint_is_handed_over_before_the_plane_changes(stacked):
    store, layer, mirror = stacked
    layer.paint(at(layer, 20, 20), 3)
    mirror.show(1)
    assert store.edits[0][0] == 0
    assert store.read(0).sum() > 0


def test_large_labels_allocate_only_the_planes_that_were_painted():
    shape = (2000, 2048, 2048)  # 8 GB as one array
    zeros = np.zeros(shape[-2:], np.uint8)
    data = LayerArray(shape, np.dtype(np.uint8), lambda plane: zeros)
    layer = ViewerModel().add_labels(data)
    layer.paint((0, 100, 100), 1)
    assert list(data._own) == [0]
    assert not zeros.any()


@pytest.mark.parametrize("seed", range(5))
def test_the_box_of_a_change_is_the_smallest_one(seed):
    rng = np.random.default_rng(seed)
    before = rng.integers(0, 3, (30, 40))
    after = before.copy()
    ys, xs = rng.integers(0, 30, 4), rng.integers(0, 40, 4)
    after[ys, xs] += 1
    rows, columns = changed_box(before, after)
    assert (rows.start, rows.stop) == (ys.min(), ys.max() + 1)
    assert (columns.start, columns.stop) == (xs.min(), xs.max() + 1)
    assert changed_box(before, before) is None
