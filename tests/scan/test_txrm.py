"""Zeiss X-ray microscope: order and orientation as stored, sizes in µm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import olefile
import pytest

from napari_sesami.scan import ScanError, open_scan
from tests.fakes.made_files import ole, xrm

if TYPE_CHECKING:
    from pathlib import Path


def stack(n: int, side: int = 64) -> np.ndarray:
    return np.arange(n * side * side, dtype=np.uint16).reshape(n, side, side)


def test_projections_have_an_angle_axis_without_a_length(shared_data: Path) -> None:
    scan = open_scan(shared_data / "xrm_testchip/txrm_test_chip_tomo.txrm")
    assert (scan.shape, scan.data.dtype.name) == ((7, 256, 256), "uint16")
    assert scan.axes == ("angle", "y", "x")
    assert scan.pixel_size[0] is None
    assert scan.pixel_size[1:] == pytest.approx((0.155789, 0.155789), rel=1e-5)
    assert scan.units == (None, "µm", "µm")
    angles = scan.metadata["angles"]
    assert (angles[0], angles[-1]) == pytest.approx((-45.02, 44.99), abs=0.01)


def test_a_single_image_is_no_stack(shared_data: Path) -> None:
    scan = open_scan(shared_data / "xrm_testchip/test_chip00.xrm")
    assert scan.shape == (512, 512)
    assert scan.pixel_size == pytest.approx((0.0778947, 0.0778947), rel=1e-5)


def test_pixels_are_as_stored_neither_flipped_nor_sorted(shared_data: Path) -> None:
    file = shared_data / "xrm_testchip/txrm_test_chip_tomo.txrm"
    scan = open_scan(file)
    with olefile.OleFileIO(file) as raw:
        for index in (0, 6):
            stream = raw.openstream(f"ImageData1/Image{index + 1}").read()
            stored = np.frombuffer(stream, "<u2").reshape(256, 256)
            np.testing.assert_array_equal(scan.plane(index), stored)


def test_a_reconstruction_has_the_same_size_along_z(tmp_path: Path) -> None:
    data = stack(5)  # .txm is written with its sectors shuffled
    scan = open_scan(xrm(tmp_path / "volume.txm", data, size=0.5))
    assert scan.axes == ("z", "y", "x")
    assert scan.pixel_size == (0.5, 0.5, 0.5)
    np.testing.assert_array_equal(scan.data.compute(), data)


def test_images_past_the_hundredth_lie_in_the_next_storage(tmp_path: Path) -> None:
    data = stack(103, side=8)  # so small that they lie in small sectors
    scan = open_scan(xrm(tmp_path / "many.txrm", data))
    assert scan.shape == (103, 8, 8)
    np.testing.assert_array_equal(scan.data.compute(), data)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_other_types(tmp_path: Path, dtype: str) -> None:
    data = stack(2).astype(dtype)
    scan = open_scan(xrm(tmp_path / "typed.txrm", data))
    np.testing.assert_array_equal(scan.plane(1), data[1])


@pytest.mark.parametrize("size", [0.0, -1.0, float("nan")])
def test_an_impossible_size_is_unknown(tmp_path: Path, size: float) -> None:
    assert open_scan(xrm(tmp_path / "a.xrm", stack(1), size)).pixel_size == (None, None)


def test_a_scan_that_was_stopped_keeps_what_was_taken(tmp_path: Path) -> None:
    changes = {"NoOfImages": (9).to_bytes(4, "little")}
    scan = open_scan(xrm(tmp_path / "stopped.txrm", stack(4), **changes))
    assert scan.shape == (4, 64, 64)


def test_missing_parts_are_named(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match=r"a\.txrm does not say how large"):
        open_scan(xrm(tmp_path / "a.txrm", stack(1), ImageWidth=b""))
    with pytest.raises(ScanError, match=r"b\.txrm holds pixels of the Zeiss type 7"):
        open_scan(xrm(tmp_path / "b.txrm", stack(1), DataType=b"\7\0\0\0"))
    lots = {n: (9).to_bytes(4, "little") for n in ("NoOfImages", "ImagesTaken")}
    with pytest.raises(ScanError, match=r"promises 9 images and 4 are whole"):
        open_scan(xrm(tmp_path / "c.txrm", stack(4), **lots))


def test_a_password_is_told(tmp_path: Path) -> None:
    file = ole(
        tmp_path / "locked.txrm",
        {"EncryptedPackage": b"x" * 5000, "EncryptionInfo": b"AES"},
    )
    with pytest.raises(ScanError, match=r"locked\.txrm is protected with a password"):
        open_scan(file)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.2, 0.6])
def test_cut_off_files_give_a_sentence(
    shared_data: Path, tmp_path: Path, share: float
) -> None:
    raw = (shared_data / "xrm_testchip/txrm_test_chip_tomo.txrm").read_bytes()
    cut = tmp_path / "cut.txrm"
    cut.write_bytes(raw[: int(len(raw) * share)])
    with pytest.raises(ScanError, match=r"cut\.txrm"):
        open_scan(cut)


def test_foreign_bytes_under_the_name_are_told(tmp_path: Path) -> None:
    file = tmp_path / "text.txm"
    file.write_text("just words " * 200)
    with pytest.raises(ScanError, match=r"text\.txm is not a Zeiss X-ray"):
        open_scan(file)
