"""A session and its layers stay equal; napari's model layer needs no window."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel

from napari_sesami import Session
from napari_sesami.scan import Scan
from napari_sesami.viewer import attach
from napari_sesami.viewer.app.binding import LayerBinding
from napari_sesami.viewer.app.errors import ViewerError
from napari_sesami.viewer.app.plane_arrays import LayerArray
from napari_sesami.viewer.layers.spatial import SPATIAL

SHAPES = {"image": (40, 50), "stack": (4, 40, 50), "colour": (40, 50, 3)}


def session_of(kind: str) -> Session:
    shape = SHAPES[kind]
    axes = {"image": "yx", "stack": "zyx", "colour": "yxc"}[kind]
    sizes = [None if axis == "c" else 0.5 for axis in axes]
    units = [None if axis == "c" else "nm" for axis in axes]
    data = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    session = Session(Scan.from_array(data, axes=axes, pixel_size=sizes, units=units))
    session.classes.add("oxide")
    session.classes.add("void")
    return session


@pytest.fixture(params=list(SHAPES))
def attached(request, qapp):
    viewer, session = ViewerModel(), session_of(request.param)
    binding = attach(viewer, session)
    yield viewer, session, binding
    binding.close()


def square(value: int) -> np.ndarray:
    plane = np.zeros((40, 50), np.uint8)
    plane[10:20, 15:30] = value
    return plane


def test_the_three_layers_lie_on_each_other(attached):
    viewer, _, binding = attached
    assert list(viewer.layers) == list(binding.layers)
    for attribute in SPATIAL:
        values = [getattr(layer, attribute) for layer in binding.layers]
        if attribute == "affine":
            values = [value.affine_matrix for value in values]
        if attribute in ("units", "axis_labels"):
            assert values[0] == values[1] == values[2]
        else:
            np.testing.assert_allclose(values[1], values[0])
            np.testing.assert_allclose(values[2], values[0])


def test_strokes_of_a_script_show_and_undo_takes_them_off(attached):
    _, session, binding = attached
    session.paint(square(2), 0)
    assert np.count_nonzero(np.asarray(binding.strokes.data)) == 150
    session.undo()
    assert not np.asarray(binding.strokes.data).any()
    session.history.redo()
    assert np.count_nonzero(np.asarray(binding.strokes.data)) == 150


def test_a_commit_shows_in_the_labels_layer(attached):
    _, session, binding = attached
    session.commit(square(1) > 0, "void", 0)
    assert np.count_nonzero(np.asarray(binding.labels.data) == 2) == 150


def test_paint_of_the_layer_reaches_the_session(attached):
    _, session, binding = attached
    where = (binding.plane,) * (binding.strokes.ndim - 2)
    binding.strokes.paint((*where, 20, 20), 1)
    binding.flush()
    assert (session.strokes.plane(binding.plane) == 1).any()
    assert binding.undo() == "paint"
    assert not np.asarray(binding.strokes.data).any()


def test_colours_are_those_of_the_classes(attached):
    _, session, binding = attached
    session.classes.recolor("oxide", "#102030")
    expected = np.array([0x10, 0x20, 0x30]) / 255
    for layer in (binding.labels, binding.strokes):
        np.testing.assert_allclose(layer.get_color(1)[:3], expected, atol=1e-6)


def test_paint_follows_the_plane_on_screen(qapp):
    viewer, session = ViewerModel(), session_of("stack")
    binding = attach(viewer, session)
    viewer.dims.set_current_step(0, 1)
    binding.strokes.paint((1, 20, 20), 1)
    viewer.dims.set_current_step(0, 2)  # hands the paint of plane 1 over
    assert session.strokes.planes == [1]
    assert binding.plane == 2
    binding.strokes.paint((2, 20, 20), 2)
    binding.flush()
    assert (session.strokes.plane(2) == 2).any()
    assert not (session.strokes.plane(2) == 1).any()
    binding.close()


def test_other_views_are_only_to_look_at(qapp):
    viewer, session = ViewerModel(), session_of("stack")
    binding = attach(viewer, session)
    viewer.dims.ndisplay = 3
    assert not binding.strokes.editable
    viewer.dims.ndisplay = 2
    assert binding.strokes.editable
    viewer.dims.order = (1, 0, 2)
    assert not binding.strokes.editable
    binding.close()


def test_a_rotated_layer_that_was_there_before_is_adopted(qapp):
    viewer = ViewerModel()
    cos, sin = np.cos(0.5), np.sin(0.5)
    image = viewer.add_image(
        np.zeros((4, 40, 50), np.uint8),
        rotate=[[1, 0, 0], [0, cos, -sin], [0, sin, cos]],
        scale=(3, 2, 2),
        units=("nm",) * 3,
    )
    session = session_of("stack")
    binding = LayerBinding(viewer, session, image)
    assert binding.image is image
    np.testing.assert_allclose(binding.strokes.rotate, image.rotate)
    viewer.dims.set_current_step(0, 3)
    point = binding.strokes.world_to_data(viewer.dims.point)
    assert binding.plane == np.clip(round(point[0]), 0, 3)
    binding.close()


def test_a_layer_of_another_shape_is_refused(qapp):
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((10, 10)))
    with pytest.raises(ViewerError, match="choose the layer that shows this scan"):
        LayerBinding(viewer, session_of("image"), image)
    assert list(viewer.layers) == [image]


def test_a_closed_link_hears_and_says_nothing(qapp):
    viewer, session = ViewerModel(), session_of("image")
    binding = attach(viewer, session)
    binding.close()
    session.paint(square(1))
    assert not np.asarray(binding.strokes.data).any()
    binding.strokes.paint((5, 5), 2)
    assert not (session.strokes.plane() == 2).any()


def test_a_large_lazy_volume_costs_only_the_planes_that_were_painted(qapp):
    reads = []

    def block(block_info):
        reads.append(block_info[None]["chunk-location"])
        return np.zeros((1, 2048, 2048), np.uint8)

    volume = da.map_blocks(
        block, chunks=((1,) * 400, 2048, 2048), dtype=np.uint8, meta=np.zeros((0,) * 3)
    )  # 1.7 GB, never read as a whole
    session = Session(Scan.from_array(volume, axes=("z", "y", "x")))
    session.classes.add("void")
    viewer = ViewerModel()
    binding = attach(viewer, session)
    assert isinstance(binding.strokes.data, LayerArray)
    viewer.dims.set_current_step(0, 7)
    binding.strokes.paint((7, 1000, 1000), 1)
    binding.flush()
    assert session.strokes.planes == [7]
    assert (session.strokes.plane(7) == 1).any()
    session.undo()
    assert not np.asarray(binding.strokes.data[7]).any()
    assert len({where[0] for where in reads}) < 40
    binding.close()
