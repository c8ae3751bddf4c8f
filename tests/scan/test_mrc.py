"""MRC: ångström per axis, and what writers leave there when they know nothing."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import mrcfile
import numpy as np
import pytest

from napari_sesami.scan import ScanError, open_scan

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

FIXTURES = "format_fixtures"


def made(path: Path, data: NDArray[Any], voxel: tuple[float, float, float]) -> Path:
    """Write an MRC file; `voxel` is x, y, z in ångström."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with mrcfile.new(path, overwrite=True) as mrc:
            mrc.set_data(data)
            mrc.voxel_size = voxel
    return path


def test_a_file_without_the_map_stamp_opens(shared_data: Path) -> None:
    scan = open_scan(shared_data / FIXTURES / "ncempy/temp.mrc")
    assert (scan.shape, scan.data.dtype.name) == ((3, 128, 128), "float32")
    assert scan.pixel_size == (2.0, 2.0, 2.0)
    assert scan.units == ("Å", "Å", "Å")


def test_a_z_of_zero_does_not_spoil_y_and_x(shared_data: Path) -> None:
    scan = open_scan(shared_data / FIXTURES / "rosettasciio/mrc__HAADFscan.mrc")
    assert scan.shape == (16, 16)
    assert scan.pixel_size == pytest.approx((56.7913, 56.7913))


def test_negative_sizes_are_unknown(shared_data: Path) -> None:
    scan = open_scan(shared_data / FIXTURES / "rosettasciio/mrc__Custom_movie.mrc")
    assert scan.shape == (30, 16, 16)
    assert scan.pixel_size == (None, None, None)


@pytest.mark.parametrize(
    ("voxel", "expected"),
    [
        ((1.0, 1.0, 1.0), (None, None, None)),
        ((2.0, 3.0, 0.0), (None, 3.0, 2.0)),
        ((2.0, 3.0, 5.0), (5.0, 3.0, 2.0)),
    ],
)
def test_every_axis_is_judged_by_itself(
    tmp_path: Path, voxel: tuple[float, ...], expected: tuple[Any, ...]
) -> None:
    data = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)
    scan = open_scan(made(tmp_path / "a.mrc", data, voxel))
    assert scan.pixel_size == expected
    np.testing.assert_array_equal(scan.data.compute(), data)


def test_an_extended_header_is_skipped(tmp_path: Path) -> None:
    file = tmp_path / "extended.mrc"
    data = np.arange(12, dtype=np.float32).reshape(3, 4)
    with mrcfile.new(file) as mrc:
        mrc.set_data(data)
        mrc.set_extended_header(np.zeros(256, dtype="V1"))
    np.testing.assert_array_equal(open_scan(file).plane(0), data)


def test_rec_files_open_and_are_lazy(tmp_path: Path) -> None:
    data = np.ones((5, 8, 9), np.int8)
    scan = open_scan(made(tmp_path / "tomogram.rec", data, (5.0, 5.0, 5.0)))
    assert scan.data.chunks[0] == (1,) * 5


@pytest.mark.parametrize("keep", [0, 100, 1024, 1100])
def test_cut_off_files_give_a_sentence(tmp_path: Path, keep: int) -> None:
    whole = made(tmp_path / "w.mrc", np.ones((20, 20), np.float32), (2.0, 2.0, 0.0))
    cut = tmp_path / "cut.mrc"
    cut.write_bytes(whole.read_bytes()[:keep])
    with pytest.raises(ScanError, match=r"cut\.mrc"):
        open_scan(cut)


def test_foreign_bytes_give_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "words.mrc"
    file.write_text("no header at all " * 100)
    with pytest.raises(ScanError, match=r"words\.mrc"):
        open_scan(file)


def test_a_file_larger_than_memory_opens_and_scrolls(tmp_path: Path) -> None:
    file = made(tmp_path / "huge.mrc", np.ones((1, 1, 1), np.float32), (2.0, 2.0, 2.0))
    with mrcfile.open(file, "r+", permissive=True) as mrc:
        mrc.header.nx, mrc.header.ny, mrc.header.nz = 2048, 2048, 2500
        mrc.header.mx, mrc.header.my, mrc.header.mz = 2048, 2048, 2500
        mrc.header.cella = (4096.0, 4096.0, 5000.0)
    with file.open("r+b") as raw:
        raw.truncate(1024 + 2048 * 2048 * 2500 * 4)  # 42 GB, none of it on the disk
        raw.seek(1024 + 2048 * 2048 * 2499 * 4)
        raw.write(np.full(2048, 7, "<f4").tobytes())
    scan = open_scan(file)
    assert scan.shape == (2500, 2048, 2048)
    assert scan.pixel_size == (2.0, 2.0, 2.0)
    assert scan.plane(2499)[0].max() == 7.0
    assert scan.plane(1200).max() == 0.0
