"""Gatan DM3 and DM4: sizes per axis, thumbnails left out, damaged files refused."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import numpy as np
import pytest

from napari_sesami.scan import ScanError, list_images, open_scan
from tests.fakes.made_files import dm3

NC, RS = "format_fixtures/ncempy", "format_fixtures/rosettasciio/digitalmicrograph__"


def open_handles() -> set[str]:
    gc.collect()
    return {os.path.realpath(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")}


@pytest.mark.parametrize("version", ["dm3", "dm4"])
def test_axes_keep_their_own_units(shared_data: Path, version: str) -> None:
    name = f"{NC}/dmTest_float32_nonSquare_diffPixelSize.{version}"
    scan = open_scan(shared_data / name)
    assert scan.shape == (64, 128)
    assert scan.pixel_size == (2.0, 1.0)
    assert scan.units == ("Å", "nm")


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "size", "unit"),
    [
        ("2D__test_STEM_image.dm3", (68, 68), "uint32", 0.248538, "nm"),
        ("2D__multi_signal.dm3", (512, 512), "uint16", 0.017752, "nm"),
        ("test_stackbuilder_imagestack.dm3", (3, 2, 16), "uint32", 0.059983, "µm"),
    ],
)
def test_real_files_have_the_size_of_the_instrument(
    shared_data: Path,
    name: str,
    shape: tuple[int, ...],
    dtype: str,
    size: float,
    unit: str,
) -> None:
    scan = open_scan(shared_data / (RS + name))
    assert (scan.shape, scan.data.dtype.name) == (shape, dtype)
    assert scan.pixel_size[-2:] == pytest.approx((size, size), rel=1e-4)
    assert scan.units[-2:] == (unit, unit)
    assert np.ptp(scan.plane(0)) > 0


def test_a_scale_of_one_without_a_unit_is_unknown(shared_data: Path) -> None:
    scan = open_scan(shared_data / f"{RS}3D__test-6.dm3")
    assert scan.axes == ("z", "y", "x")
    assert scan.pixel_size == (None, None, None)


def test_thumbnail_and_spectra_are_not_listed(shared_data: Path) -> None:
    listed = list_images(shared_data / f"{RS}2D__multi_signal.dm3")
    assert [(i.name, i.shape) for i in listed] == [("HAADF", (512, 512))]


def test_three_axes_of_three_units_come_in_the_order_of_the_array(
    tmp_path: Path,
) -> None:
    data = np.arange(66 * 65 * 64, dtype=np.int16).reshape(66, 65, 64)
    said = {"scale": (4.0, 3.0, 2.0), "units": ("µm", "nm", "pm")}
    scan = open_scan(dm3(tmp_path / "three.dm3", {"data": data, **said}))
    assert scan.shape == (66, 65, 64)
    assert scan.pixel_size == (4.0, 3.0, 2.0)
    assert scan.units == ("µm", "nm", "pm")
    np.testing.assert_array_equal(scan.plane(65), data[65])


def test_reciprocal_units_and_seconds_are_no_lengths(tmp_path: Path) -> None:
    data = np.ones((3, 4, 5), np.float32)
    said = {"scale": (0.5, 0.1, 0.1), "units": ("s", "1/nm", "1/nm")}
    scan = open_scan(dm3(tmp_path / "diffraction.dm3", {"data": data, **said}))
    assert scan.axes == ("t", "y", "x")
    assert scan.units == ("s", "1/nm", "1/nm")


@pytest.mark.parametrize("size", [0.0, -2.0, float("nan"), float("inf")])
def test_an_impossible_scale_is_unknown(tmp_path: Path, size: float) -> None:
    image = {
        "data": np.ones((4, 5), np.uint8),
        "scale": (size, 1),
        "units": ("nm",) * 2,
    }
    scan = open_scan(dm3(tmp_path / "odd.dm3", image))
    assert scan.pixel_size == (None, 1.0)
    assert "taken as unknown" in scan.metadata["notes"][0]


def test_several_images_are_listed_and_chosen_by_name(tmp_path: Path) -> None:
    thumbnail = {
        "data": np.zeros((4, 4, 4), np.uint8),
        "shape": (4, 4),
        "type": 23,
        "scale": (1, 1),
        "units": ("", ""),
    }
    first = {"data": np.ones((4, 5), np.uint8), "name": "BF"}
    second = {"data": np.full((6, 7), 9, np.uint16), "name": "HAADF"}
    file = dm3(tmp_path / "two.dm3", thumbnail, first, second)
    assert [i.name for i in list_images(file)] == ["BF", "HAADF"]
    assert open_scan(file, "HAADF").plane(0).max() == 9


def test_colour_is_turned_from_blue_green_red(tmp_path: Path) -> None:
    data = np.zeros((2, 3, 4), np.uint8)
    data[..., 0], data[..., 2] = 10, 200  # blue, red
    image = {
        "data": data,
        "shape": (2, 3),
        "type": 23,
        "scale": (1, 1),
        "units": ("", ""),
    }
    scan = open_scan(dm3(tmp_path / "colour.dm3", image))
    assert scan.is_rgb
    np.testing.assert_array_equal(scan.plane(0)[0, 0], [200, 0, 10])


def test_complex_images_show_their_modulus(tmp_path: Path) -> None:
    data = np.full((4, 5), 3 + 4j, np.complex64)
    scan = open_scan(dm3(tmp_path / "fft.dm3", {"data": data}))
    assert scan.plane(0).dtype == np.float32
    assert scan.plane(0)[0, 0] == 5.0


def test_one_pixel_thin_volumes_open(tmp_path: Path) -> None:
    data = np.arange(7, dtype=np.uint16).reshape(7, 1, 1)
    scan = open_scan(dm3(tmp_path / "thin.dm3", {"data": data}))
    assert scan.shape == (7, 1, 1)
    assert scan.plane(3)[0, 0] == 3


def test_big_endian_files_open_in_native_order(tmp_path: Path) -> None:
    data = np.arange(20, dtype=np.int16).reshape(4, 5)
    image = {"data": data, "scale": (3.0, 2.0), "units": ("nm", "µm")}
    scan = open_scan(dm3(tmp_path / "old.dm3", image, order=">"))
    assert (scan.pixel_size, scan.units) == ((3.0, 2.0), ("nm", "µm"))
    np.testing.assert_array_equal(scan.plane(0), data)
    assert scan.plane(0).dtype.isnative


@pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="counts handles in /proc"
)
def test_an_open_scan_holds_no_file_open(tmp_path: Path) -> None:
    file = dm3(tmp_path / "a.dm3", {"data": np.ones((4, 5), np.uint8)})
    scan = open_scan(file)
    scan.plane(0)
    assert str(file) not in open_handles()


def test_random_damage_gives_a_sentence_or_an_image(
    shared_data: Path, tmp_path: Path
) -> None:
    raw = (shared_data / f"{RS}2D__test_STEM_image.dm3").read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(60):
        bent = bytearray(raw)
        for at in rng.integers(0, 3000, 5):
            bent[at] = rng.integers(256)
        (tmp_path / "bent.dm3").write_bytes(bent)
        try:
            open_scan(tmp_path / "bent.dm3").plane(0)
        except ScanError as error:
            refused += 1
            assert "bent.dm3" in str(error)
    assert refused > 10


def test_spectra_and_unknown_types_are_refused_politely(tmp_path: Path) -> None:
    spectrum = dm3(tmp_path / "s.dm3", {"data": np.ones(9, np.float32), "name": "EELS"})
    with pytest.raises(ScanError, match=r"s\.dm3.*'EELS' is a spectrum"):
        open_scan(spectrum)
    odd = dm3(tmp_path / "odd.dm3", {"data": np.ones((2, 2), np.uint8), "type": 27})
    with pytest.raises(ScanError, match="data type 27, which is not supported"):
        open_scan(odd)


@pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="counts handles in /proc"
)
@pytest.mark.parametrize("keep", [0, 3, 12, 20, 100, 300])
def test_cut_off_files_give_a_sentence_and_stay_closed(
    tmp_path: Path, keep: int
) -> None:
    whole = dm3(tmp_path / "whole.dm3", {"data": np.ones((50, 50), np.uint16)})
    cut = tmp_path / "cut.dm3"
    cut.write_bytes(whole.read_bytes()[:keep])
    with pytest.raises(ScanError, match=r"cut\.dm3"):
        open_scan(cut)
    assert str(cut) not in open_handles()


def test_a_file_without_its_last_pixels_is_refused(
    shared_data: Path, tmp_path: Path
) -> None:
    whole = shared_data / f"{NC}/dmTest_float32_nonSquare_diffPixelSize.dm3"
    cut = tmp_path / "cut.dm3"
    cut.write_bytes(whole.read_bytes()[:60000])
    with pytest.raises(ScanError, match=r"cut\.dm3"):
        open_scan(cut)


def test_foreign_bytes_under_the_name_are_told(tmp_path: Path) -> None:
    file = tmp_path / "text.dm4"
    file.write_text("this is no micrograph, only words " * 20)
    with pytest.raises(ScanError, match=r"text\.dm4 is not a Gatan file"):
        open_scan(file)


def test_pixels_are_read_plane_by_plane(shared_data: Path) -> None:
    scan = open_scan(shared_data / f"{RS}test_stackbuilder_imagestack.dm3")
    assert scan.data.chunks[0] == (1, 1, 1)
