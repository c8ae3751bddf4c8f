"""VGStudio volumes: an INI text and raw voxels. No real file was at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_sesami.scan import ScanError, open_scan

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """{volume1}
[representation]
size = 4 3 2
datatype = unsigned integer
[file1]
SkipHeader = 0
FileFormat = raw
Size = 4 3 2
Name = part.vol
Datatype = unsigned integer
datarange = 0 -1
BitsPerElement = 16
{volumeprimitive12}
[geometry]
resolution = 0.004 0.005 0.006
unit = mm
"""
VOXELS = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)


def made(folder: Path, text: str = TEXT, voxels: Any = VOXELS) -> Path:
    (folder / "part.vol").write_bytes(voxels.tobytes())
    (folder / "part.vgi").write_text(text)
    return folder / "part.vgi"


@pytest.mark.parametrize("ending", [".vgi", ".vol"])
def test_sizes_turn_from_x_y_z_to_z_y_x(tmp_path: Path, ending: str) -> None:
    scan = open_scan(made(tmp_path).with_suffix(ending))
    assert scan.axes == ("z", "y", "x")
    assert scan.pixel_size == (0.006, 0.005, 0.004)
    assert scan.units == ("mm", "mm", "mm")
    np.testing.assert_array_equal(scan.data.compute(), VOXELS)
    assert scan.data.chunks[0] == (1, 1)


def test_a_header_in_front_of_the_voxels_is_skipped(tmp_path: Path) -> None:
    file = made(tmp_path, TEXT.replace("SkipHeader = 0", "SkipHeader = 5"))
    (tmp_path / "part.vol").write_bytes(b"magic" + VOXELS.tobytes())
    np.testing.assert_array_equal(open_scan(file).plane(1), VOXELS[1])


def test_floats_open(tmp_path: Path) -> None:
    text = TEXT.replace("unsigned integer", "float").replace("= 16", "= 32")
    voxels = VOXELS.astype(np.float32)
    assert open_scan(made(tmp_path, text, voxels)).plane(1)[2, 3] == 23.0


def test_the_path_of_another_computer_does_not_matter(tmp_path: Path) -> None:
    file = made(tmp_path, TEXT.replace("part.vol", r"D:\scans\chip\part.vol"))
    assert open_scan(file).shape == (2, 3, 4)


@pytest.mark.parametrize(
    "lost", ["resolution = 0.004 0.005 0.006\n", "unit = mm\n", "[geometry]\n"]
)
def test_without_resolution_or_unit_the_size_is_unknown(
    tmp_path: Path, lost: str
) -> None:
    scan = open_scan(made(tmp_path, TEXT.replace(lost, "")))
    assert scan.pixel_size == (None, None, None)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("[file1]", "[elsewhere]", "no section"),
        ("= 16", "= 12", "unsigned integer of 12 bits"),
        ("Size = 4 3 2", "Size = 4 3", "three numbers above 0"),
        ("Size = 4 3 2", "Size = 4 3 200", "cut off"),
    ],
)
def test_what_does_not_fit_is_told(
    tmp_path: Path, old: str, new: str, why: str
) -> None:
    with pytest.raises(ScanError, match=rf"part\.v.*{why}"):
        open_scan(made(tmp_path, TEXT.replace(old, new)))


def test_a_lone_half_says_what_is_missing(tmp_path: Path) -> None:
    file = made(tmp_path)
    file.with_suffix(".vol").rename(tmp_path / "other.vol")
    with pytest.raises(ScanError, match=r"part\.vol, which is not beside it"):
        open_scan(file)
    with pytest.raises(ScanError, match=r"other\.vgi.*is not beside it"):
        open_scan(tmp_path / "other.vol")
