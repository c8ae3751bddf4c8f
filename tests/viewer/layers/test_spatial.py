"""Derived layers lie on their source, in all seven attributes; no window needed."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel

from napari_sesami.scan import Scan
from napari_sesami.viewer.app.errors import ViewerError
from napari_sesami.viewer.layers.session_layers import add_image
from napari_sesami.viewer.layers.spatial import (
    SPATIAL,
    scan_kwargs,
    scan_of_layer,
    spatial_kwargs,
)

NM2 = {"units": ("nm", "nm"), "axis_labels": ("y", "x")}
NM3 = {"units": ("nm",) * 3, "axis_labels": ("z", "y", "x")}
CASES = {
    "plain": ((20, 30), {}),
    "2-D in nm": ((20, 30), {"scale": (0.5, 0.5), "translate": (3, 4), **NM2}),
    "stack": ((4, 20, 30), {"scale": (2, 0.5, 0.5), **NM3}),
    "anisotropic": ((20, 30), {"scale": (3, 0.25), **NM2}),
    "rotated": ((20, 30), {"rotate": 30, "scale": (2, 2), **NM2}),
    "sheared": ((20, 30), {"shear": (0.2,), "translate": (1, -2), **NM2}),
    "affine": ((4, 20, 30), {"affine": np.diag([1, 2, 3, 1.0]), **NM3}),
    "time": ((2, 4, 20, 30), {"units": ("s", "nm", "nm", "nm")}),
    "colour": ((20, 30, 3), {"rgb": True, "scale": (2, 2), **NM2}),
    "multiscale": (None, {"scale": (2, 2), "multiscale": True, **NM2}),
    "dask": ("dask", {"scale": (2, 2, 2), **NM3}),
}


def pixels(shape):
    if shape is None:
        return [np.zeros((40, 60), np.uint8), np.zeros((20, 30), np.uint8)]
    if shape == "dask":
        return da.zeros((4, 20, 30), dtype=np.uint8)
    return np.zeros(shape, np.uint8)


@pytest.mark.parametrize("name", list(CASES))
def test_a_derived_layer_equals_its_source_in_all_seven(name):
    shape, options = CASES[name]
    viewer = ViewerModel()
    image = viewer.add_image(pixels(shape), **options)
    first = image.data[0] if image.multiscale else image.data
    blank = np.zeros(first.shape[: image.ndim], np.uint8)
    derived = viewer.add_labels(blank, **spatial_kwargs(image))
    assert len(SPATIAL) == 7
    for attribute in SPATIAL:
        ours, theirs = getattr(derived, attribute), getattr(image, attribute)
        if attribute in ("units", "axis_labels"):
            assert ours == theirs
        elif attribute == "affine":
            np.testing.assert_allclose(ours.affine_matrix, theirs.affine_matrix)
        else:
            np.testing.assert_allclose(ours, theirs)
    point = np.arange(image.ndim) + 0.5
    np.testing.assert_allclose(derived.data_to_world(point), image.data_to_world(point))


def scan(shape, sizes, units, axes):
    return Scan.from_array(
        np.zeros(shape, np.uint8), axes=axes, pixel_size=sizes, units=units
    )


def test_a_scan_shows_with_its_size_and_unit():
    given = scan((20, 30), (0.5, 0.25), ("nm", "nm"), ("y", "x"))
    layer = add_image(ViewerModel(), given)
    np.testing.assert_allclose(layer.scale, (0.5, 0.25))
    assert [str(u) for u in layer.units] == ["nanometer", "nanometer"]
    assert layer.axis_labels == ("y", "x")


def test_an_unknown_size_is_a_pixel_and_stays_unknown():
    given = scan((20, 30), (None, None), (None, None), ("y", "x"))
    layer = add_image(ViewerModel(), given)
    np.testing.assert_allclose(layer.scale, (1, 1))
    assert [str(u) for u in layer.units] == ["pixel", "pixel"]
    assert scan_of_layer(layer).pixel_size == (None, None)


def test_lengths_come_in_one_unit_so_that_volumes_are_in_proportion():
    given = scan((4, 20, 30), (0.1, 50, 50), ("µm", "nm", "nm"), ("z", "y", "x"))
    options = scan_kwargs(given)
    np.testing.assert_allclose(options["scale"], (100, 50, 50))
    assert options["units"] == ("nm",) * 3


def test_colour_has_no_scale_of_its_own():
    given = scan((20, 30, 3), (2, 2, None), ("nm", "nm", None), ("y", "x", "c"))
    options = scan_kwargs(given)
    assert options["scale"] == (2, 2)
    assert add_image(ViewerModel(), given).rgb


def test_a_unit_that_nobody_knows_is_shown_in_pixels():
    given = scan((4, 20, 30), (3, 2, 2), ("frobs", "nm", "nm"), ("z", "y", "x"))
    assert scan_kwargs(given)["units"] == ("pixel", "nm", "nm")


@pytest.mark.parametrize("name", list(CASES))
def test_any_image_layer_can_be_taken_as_a_scan(name):
    shape, options = CASES[name]
    image = ViewerModel().add_image(pixels(shape), **options)
    taken = scan_of_layer(image)
    count = image.ndim
    known = [str(u) != "pixel" for u in image.units]
    sizes = [s if ok else None for s, ok in zip(image.scale, known, strict=True)]
    assert list(taken.pixel_size[:count]) == sizes
    assert taken.is_rgb == image.rgb
    assert taken.plane_shape == tuple(
        (image.data[0] if image.multiscale else image.data).shape[count - 2 : count]
    )


def test_a_scan_of_our_own_comes_back_from_its_layer_as_it_was():
    given = scan((20, 30), (0.5, 0.25), ("nm", "nm"), ("y", "x"))
    assert scan_of_layer(add_image(ViewerModel(), given)) is given


def test_a_line_is_refused_with_a_sentence():
    image = ViewerModel().add_image(np.zeros((4, 4)))
    image.data = np.zeros((1, 4))
    assert scan_of_layer(image).plane_shape == (1, 4)
    line = type("Layer", (), {"metadata": {}, "multiscale": False})()
    line.data, line.name = np.zeros(5), "profile"
    with pytest.raises(ViewerError, match="profile has one axis"):
        scan_of_layer(line)
