"""Scan: what it accepts, refuses, and promises about its pixels."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest

from napari_sesami.scan import Normalisation, Scan, ScanError


def test_an_image_in_memory_is_a_scan_of_unknown_size():
    scan = Scan.from_array(np.zeros((4, 5)))
    assert scan.axes == ("y", "x")
    assert scan.pixel_size == (None, None)
    assert scan.units == (None, None)
    assert scan.origin == (0.0, 0.0)


def test_one_number_is_the_size_along_y_and_x_and_not_along_z():
    scan = Scan.from_array(np.zeros((3, 40, 50)), pixel_size=2, units="um")
    assert scan.axes == ("z", "y", "x")
    assert scan.pixel_size == (None, 2.0, 2.0)
    assert scan.units == (None, "µm", "µm")


def test_sizes_and_units_may_differ_per_axis():
    scan = Scan.from_array(
        np.zeros((3, 40, 50)), pixel_size=(4, 3, 2), units=("um", "nm", "pm")
    )
    assert scan.units == ("µm", "nm", "pm")


@pytest.mark.parametrize(
    "shape, axes",
    [
        ((40, 50), "y x"),
        ((40, 50, 3), "y x c"),
        ((7, 40, 50), "z y x"),
        ((2, 7, 40, 50), "t z y x"),
        ((7, 40, 50, 3), "z y x c"),
        ((40, 1, 50), "z y x"),
        ((2, 2, 3), "z y x"),
    ],
)
def test_axes_are_guessed_from_the_shape(shape, axes):
    assert Scan.from_array(np.zeros(shape, np.uint8)).axes == tuple(axes.split())


def test_opacity_is_dropped():
    scan = Scan.from_array(np.zeros((40, 50, 4), np.uint8))
    assert scan.shape == (40, 50, 3)
    assert scan.is_rgb


@pytest.mark.parametrize("size", [0, -1.5, float("nan"), float("inf")])
def test_a_size_that_is_no_size_is_refused(size):
    with pytest.raises(ScanError, match="finite number above 0"):
        Scan.from_array(np.zeros((4, 5)), pixel_size=size, units="nm")
    with pytest.raises(ScanError, match="finite number above 0"):
        Scan.from_array(np.zeros((4, 5))).with_pixel_size(size, "nm")


def test_a_size_needs_a_unit_of_length():
    scan = Scan.from_array(np.zeros((4, 5)))
    with pytest.raises(ScanError, match="needs a unit"):
        scan.with_pixel_size(2.0, None)
    with pytest.raises(ScanError, match="no unit of length"):
        scan.with_pixel_size(2.0, "s")
    with pytest.raises(ScanError, match="no unit of length"):
        scan.with_pixel_size(2.0, "bananas")


def test_a_size_per_axis_needs_all_axes():
    with pytest.raises(ScanError, match="one per axis"):
        Scan.from_array(np.zeros((3, 4, 5)), pixel_size=(1, 2), units="nm")


def test_a_reciprocal_size_is_kept_and_is_no_length():
    scan = Scan.from_array(np.zeros((4, 5)), pixel_size=0.1, units="1/nm")
    assert scan.units == ("1/nm", "1/nm")


def test_entering_the_size_keeps_what_is_known_along_z_and_what_was_computed():
    scan = Scan.from_array(
        np.zeros((3, 40, 50)), pixel_size=(5, None, None), units=("nm", None, None)
    )
    name = scan.content_hash
    sized = scan.with_pixel_size(2, "nm")
    assert sized.pixel_size == (5.0, 2.0, 2.0)
    assert sized.units == ("nm", "nm", "nm")
    assert scan.pixel_size == (5.0, None, None)
    assert sized.__dict__["content_hash"] == name


@pytest.mark.parametrize(
    "array, why",
    [
        (np.zeros(5), "two axes"),
        (np.zeros((0, 5)), "no pixels"),
        (np.array([["a", "b"]]), "needs numbers"),
        (5, "two axes"),
    ],
)
def test_what_is_no_image_is_refused(array, why):
    with pytest.raises(ScanError, match=why):
        Scan.from_array(array)


@pytest.mark.parametrize("axes", ["yx", "zxy", "yxz", "yyx", "cyx", "yxc"])
def test_axes_that_do_not_fit_are_refused(axes):
    with pytest.raises(ScanError):
        Scan.from_array(np.zeros((3, 4, 5)), axes=tuple(axes))


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(ScanError, match="so must the mask"):
        Scan(
            np.zeros((4, 5)),
            ("y", "x"),
            (None, None),
            (None, None),
            ignore=np.zeros((5, 4), bool),
        )


def test_planes_are_counted_over_all_leading_axes():
    array = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    scan = Scan.from_array(array)
    assert scan.n_planes == 6
    np.testing.assert_array_equal(scan.plane(4), array[1, 1])
    np.testing.assert_array_equal(scan.window(4, (1, 2, 3, 9)), array[1, 1, 1:3, 2:])
    with pytest.raises(ScanError, match="planes 0 to 5"):
        scan.plane(6)


@pytest.mark.parametrize("shape", [(1, 64, 64), (64, 1, 64), (64, 64, 1), (1, 1)])
def test_one_pixel_thin_volumes_work(shape):
    axes = ("z", "y", "x")[-len(shape) :]
    array = np.random.default_rng(0).random(shape)
    scan = Scan.from_array(array, axes=axes)
    assert scan.grey(0).shape == shape[-2:]
    assert scan.content_hash == Scan.from_array(array.copy(), axes=axes).content_hash


def test_hot_pixels_do_not_set_the_white_level():
    image = np.random.default_rng(0).integers(1000, 2000, (256, 256), dtype=np.uint16)
    image[::40, ::40] = 65535
    scan = Scan.from_array(image)
    assert 990 <= scan.normalisation.lo <= 1010
    assert 1990 <= scan.normalisation.hi <= 2010
    assert 0.4 < scan.grey().mean() < 0.6


def test_nan_and_infinity_are_left_out_and_shown_as_black_and_white():
    image = np.random.default_rng(0).random((64, 64)).astype(np.float32)
    image[0, :4] = [np.nan, np.inf, -np.inf, np.nan]
    grey = Scan.from_array(image).grey()
    np.testing.assert_array_equal(grey[0, :4], [0, 1, 0, 0])
    assert grey.dtype == np.float32
    assert np.isfinite(grey).all()


def test_the_data_bar_does_not_count():
    image = np.full((100, 50), 40, np.uint8)
    image[:80] = np.linspace(30, 60, 50, dtype=np.uint8)
    image[80:] = 255
    ignore = np.zeros((100, 50), bool)
    ignore[80:] = True
    bare = Scan.from_array(image)
    scan = Scan(image, ("y", "x"), bare.pixel_size, bare.units, ignore=ignore)
    assert bare.normalisation.hi == 255
    assert scan.normalisation.hi == 60


@pytest.mark.parametrize("value", [0, 7, -3.5, np.nan, 1e300])
def test_a_constant_image_is_black_and_no_error(value):
    grey = Scan.from_array(np.full((8, 9), value, np.float64)).grey()
    np.testing.assert_array_equal(grey, np.zeros((8, 9)))


def test_a_nearly_constant_mask_keeps_its_rare_pixels():
    image = np.zeros((200, 200), np.uint8)
    image[5, 5] = 1
    assert Scan.from_array(image).grey()[5, 5] == 1


def test_all_planes_share_one_normalisation():
    stack = np.stack([np.full((32, 32), v, np.float32) for v in (0, 50, 100)])
    scan = Scan.from_array(stack)
    assert [round(float(scan.grey(i).mean()), 2) for i in range(3)] == [0, 0.5, 1]


def test_small_differences_of_large_numbers_survive():
    image = 1e9 + np.arange(100.0).reshape(10, 10)
    grey = Scan.from_array(image).grey()
    assert len(np.unique(grey)) > 90


def test_colour_and_complex_pixels_become_grey():
    colour = np.zeros((20, 20, 3), np.uint8)
    colour[:10, :, 1] = 200
    assert Scan.from_array(colour).grey().shape == (20, 20)
    wave = np.exp(1j * np.arange(400.0)).reshape(20, 20) * np.arange(20)
    grey = Scan.from_array(wave).grey()
    assert grey[:, 0].max() == 0
    assert grey[:, 19].min() == 1


def test_a_normalisation_survives_being_stored():
    before = Normalisation(-1.5, 2.25)
    after = Normalisation.from_dict(before.to_dict())
    assert after == before
    assert after.key == before.key
    assert after.key != Normalisation(-1.5, 2.5).key


@pytest.mark.parametrize(
    "lo, hi", [(1, 1), (2, 1), (float("nan"), 1), (0, float("inf"))]
)
def test_a_normalisation_needs_two_levels(lo, hi):
    with pytest.raises(ScanError, match="two finite grey values"):
        Normalisation(lo, hi)


def test_the_content_hash_is_blind_to_chunks_and_byte_order():
    array = np.random.default_rng(0).integers(0, 999, (9, 200, 300), dtype=np.uint16)
    names = {
        Scan.from_array(array).content_hash,
        Scan.from_array(array.astype(">u2")).content_hash,
        Scan.from_array(da.from_array(array, chunks=(2, 50, 300))).content_hash,
        Scan.from_array(da.from_array(array, chunks=(9, 7, 11))).content_hash,
    }
    assert len(names) == 1


def test_the_content_hash_sees_pixels_shape_and_type():
    array = np.random.default_rng(0).integers(0, 99, (20, 30), dtype=np.uint8)
    changed = array.copy()
    changed[7, 7] += 1
    variants = [array, changed, array.reshape(30, 20), array.astype(np.uint16)]
    assert len({Scan.from_array(a).content_hash for a in variants}) == 4


def test_a_volume_is_never_read_whole_for_hash_and_normalisation():
    read = []

    def plane(block_id=None):
        read.append(block_id)
        return np.full((1, 1024, 1024), block_id[0] % 251, np.uint8)

    chunks = ((1,) * 4000, (1024,), (1024,))
    data = da.map_blocks(
        plane, chunks=chunks, dtype=np.uint8, meta=np.empty(0, np.uint8)
    )
    scan = Scan.from_array(data, axes=("z", "y", "x"))
    read.clear()
    assert len(scan.content_hash) == 32
    assert scan.normalisation.hi > scan.normalisation.lo
    assert len(set(read)) < 64


def test_a_file_that_vanishes_under_a_lazy_scan_is_one_sentence():
    def gone(block_id=None):
        raise FileNotFoundError("no such file")

    data = da.map_blocks(gone, chunks=((8,), (8,)), dtype=float, meta=np.empty((0, 0)))
    with pytest.raises(ScanError, match="may have been moved"):
        Scan.from_array(data).plane()
