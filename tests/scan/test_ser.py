"""TIA: metres or 1/m, negative steps, series, and the .emi that owns them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_sesami.scan import ScanError, list_images, open_scan
from tests.fakes.made_files import emi, ser

if TYPE_CHECKING:
    from pathlib import Path

NC, RS = "format_fixtures/ncempy", "format_fixtures/rosettasciio/tia__"
RAMP = np.arange(12, dtype=np.uint16).reshape(3, 4)


@pytest.mark.parametrize("ending", ["-TEM_search.emi", "-TEM_search_1.ser"])
def test_the_description_opens_its_pixels(shared_data: Path, ending: str) -> None:
    scan = open_scan(shared_data / f"{RS}new__128x128{ending}")
    assert (scan.shape, scan.data.dtype.name) == ((128, 128), "int32")
    assert scan.pixel_size == pytest.approx((5.2612, 5.2612), rel=1e-4)
    assert scan.units == ("nm", "nm")
    assert scan.metadata["emi"]["Mode"] == "TEM uP SA Zoom Image"


def test_atoms_have_picometres(shared_data: Path) -> None:
    scan = open_scan(shared_data / NC / "16_STOimage_1.ser")
    assert (scan.shape, scan.data.dtype.name) == ((1024, 1024), "uint16")
    assert scan.pixel_size == pytest.approx((10.0127, 10.0127), rel=1e-4)
    assert scan.units == ("pm", "pm")


def test_pixels_are_turned_upright_as_ncempy_does(shared_data: Path) -> None:
    file = shared_data / NC / "16_STOimage_1.ser"
    raw = file.read_bytes()
    (table,) = struct.unpack_from("<i", raw, 22)
    (start,) = struct.unpack_from("<i", raw, table)
    stored = np.frombuffer(raw, "<u2", 1024 * 1024, start + 50).reshape(1024, 1024)
    np.testing.assert_array_equal(open_scan(file).plane(0), stored[::-1])


def test_a_series_is_a_stack(shared_data: Path) -> None:
    scan = open_scan(shared_data / f"{RS}old__64x64x5_TEM_preview.emi")
    assert (scan.shape, scan.axes) == ((5, 64, 64), ("t", "y", "x"))
    assert scan.pixel_size[0] is None
    assert scan.pixel_size[1:] == pytest.approx((6.2818, 6.2818), rel=1e-4)


def test_spectra_are_refused_where_other_readers_crash(shared_data: Path) -> None:
    with pytest.raises(ScanError, match=r"no_AcquireDate_1\.ser holds spectra"):
        open_scan(shared_data / f"{RS}old__no_AcquireDate_1.ser")


def test_negative_steps_become_positive_with_a_note(tmp_path: Path) -> None:
    scan = open_scan(ser(tmp_path / "n_1.ser", [RAMP], step=(-1.8739e-9, 1.8739e-9)))
    assert scan.pixel_size == pytest.approx((1.8739, 1.8739))
    assert scan.units == ("nm", "nm")
    assert "negative pixel size along y" in scan.metadata["notes"][0]
    np.testing.assert_array_equal(scan.plane(0), RAMP)


@pytest.mark.parametrize(
    ("mode", "unit"),
    [
        ("TEM uP SA Zoom Diffraction", "1/nm"),
        ("STEM nP SA Zoom Diffraction", "nm"),
        ("TEM uP SA Zoom Image", "nm"),
    ],
)
def test_diffraction_is_told_by_the_mode(tmp_path: Path, mode: str, unit: str) -> None:
    step = 2e7 if unit == "1/nm" else 2e-9
    file = ser(tmp_path / "d_1.ser", [RAMP], step=(step, step))
    emi(tmp_path / "d.emi", mode)
    assert open_scan(file).units == (unit, unit)


def test_diffraction_is_told_by_absurd_sizes_without_an_emi(tmp_path: Path) -> None:
    scan = open_scan(ser(tmp_path / "d_1.ser", [RAMP], step=(1.1443e8, 1.1443e8)))
    assert scan.units == ("1/nm", "1/nm")
    assert scan.pixel_size == pytest.approx((0.11443, 0.11443))


@pytest.mark.parametrize("step", [0.0, 1.0, float("nan")])
def test_steps_that_say_nothing_are_unknown(tmp_path: Path, step: float) -> None:
    scan = open_scan(ser(tmp_path / "u_1.ser", [RAMP], step=(step, step)))
    assert scan.pixel_size == (None, None)


def test_a_map_of_images_has_four_axes(tmp_path: Path) -> None:
    planes = [RAMP + i for i in range(6)]
    dims = ((3, 2e-9, "Position", "m"), (2, 4e-9, "Position", "m"))
    scan = open_scan(ser(tmp_path / "map_1.ser", planes, dims=dims))
    assert scan.axes == ("scan_y", "scan_x", "y", "x")
    assert scan.shape == (2, 3, 3, 4)
    assert scan.pixel_size[:2] == (4.0, 2.0)
    np.testing.assert_array_equal(scan.plane(4), planes[4])
    assert scan.data.chunks[:2] == ((1, 1), (1, 1, 1))


def test_images_of_two_shapes_are_listed(tmp_path: Path) -> None:
    file = ser(tmp_path / "mixed_1.ser", [RAMP, RAMP[:2]])
    assert [i.shape for i in list_images(file)] == [(3, 4), (2, 4)]
    assert open_scan(file, 1).shape == (2, 4)


def test_an_emi_lists_all_its_series(tmp_path: Path) -> None:
    ser(tmp_path / "a_1.ser", [RAMP])
    ser(tmp_path / "a_2.ser", [RAMP, RAMP])
    ser(tmp_path / "ab_1.ser", [RAMP])
    file = emi(tmp_path / "a.emi", "STEM")
    assert [(i.key, i.shape) for i in list_images(file)] == [
        ("1", (3, 4)),
        ("2", (2, 3, 4)),
    ]


def test_an_emi_alone_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match=r"alone_1\.ser with the pixels is not beside"):
        open_scan(emi(tmp_path / "alone.emi", "STEM"))


@pytest.mark.parametrize("keep", [0, 3, 6, 20, 60, 120, 200])
def test_cut_off_series_give_a_sentence(tmp_path: Path, keep: int) -> None:
    whole = ser(tmp_path / "w_1.ser", [RAMP.repeat(9, 0)])
    cut = tmp_path / "cut_1.ser"
    cut.write_bytes(whole.read_bytes()[:keep])
    with pytest.raises(ScanError, match=r"cut_1\.ser"):
        open_scan(cut)


def test_foreign_bytes_under_the_name_are_told(tmp_path: Path) -> None:
    file = tmp_path / "video.ser"
    file.write_bytes(b"LUCAM-RECORDER" * 30)
    with pytest.raises(ScanError, match=r"video\.ser is not a TIA series"):
        open_scan(file)


def test_the_step_along_a_line_of_images_is_known(tmp_path: Path) -> None:
    """TIA states in metres how far the beam went from one image to the next."""
    planes = [np.full((8, 9), i, np.uint16) for i in range(4)]
    path = ser(tmp_path / "a_1.ser", planes, dims=((4, 3.69e-9, "Position", "m"),))
    scan = open_scan(path)
    assert scan.pixel_size[0] == pytest.approx(3.69) and scan.units[0] == "nm"
    assert scan.pixel_size[1:] == (pytest.approx(1.0), pytest.approx(1.0))
