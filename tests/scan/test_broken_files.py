"""Broken, cut, empty and foreign files: one sentence each, and nothing left open."""

from __future__ import annotations

import gc
import os
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from napari_sesami.scan import ScanError, list_images, open_scan, readable_extensions

PIXELS = np.random.default_rng(0).integers(0, 255, (6, 64, 96), dtype=np.uint8)


def is_open(*paths: Path) -> bool:
    """Whether this process still holds one of these files open."""
    wanted = {str(path) for path in paths}
    if wanted.isdisjoint(open_files()):
        return False
    gc.collect()  # slow, so only where reference counting did not do
    return not wanted.isdisjoint(open_files())


def open_files() -> set[str]:
    """Files that this process holds open."""
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("needs /proc to count open files")
    names = set()
    for link in folder.iterdir():
        try:
            names.add(os.readlink(link))
        except OSError:
            continue
    return names


def make(folder: Path, kind: str) -> Path:
    path = folder / kind
    if kind.startswith("packed"):
        tifffile.imwrite(path, PIXELS, compression="zlib", metadata=None)
    elif kind.startswith("plain"):
        tifffile.imwrite(path, PIXELS, metadata=None)
    elif kind.endswith(".ome.tif"):
        tifffile.imwrite(path, PIXELS, metadata={"axes": "ZYX", "PhysicalSizeX": 1.0})
    elif kind.startswith("imagej"):
        tifffile.imwrite(path, PIXELS, imagej=True, metadata={"axes": "ZYX"})
    elif kind.endswith(".h5"):
        with h5py.File(path, "w") as file:
            file.create_dataset(
                "v", data=PIXELS, chunks=(1, 64, 96), compression="gzip"
            )
    else:
        Image.fromarray(PIXELS[0]).save(path)
    return path


KINDS = [
    "packed.tif",
    "plain.tif",
    "a.ome.tif",
    "imagej.tif",
    "a.h5",
    "a.png",
    "a.jpg",
    "a.bmp",
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
def test_a_file_cut_short_is_one_sentence_and_is_closed(tmp_path, kind, share):
    path = make(tmp_path, kind)
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * share)])
    with pytest.raises(ScanError, match=kind.replace(".", r"\.")) as raised:
        np.asarray(open_scan(path).data)
    assert "\n" not in str(raised.value)
    raised.value.__traceback__ = None
    del raised
    assert not is_open(path)


@pytest.mark.parametrize("kind", KINDS)
def test_noise_in_the_middle_never_raises_anything_but_scan_errors(tmp_path, kind):
    path = make(tmp_path, kind)
    raw = path.read_bytes()
    rng = np.random.default_rng(0)
    for attempt in range(25):
        broken = bytearray(raw)
        for at in rng.integers(4, len(raw), 1 + attempt):
            broken[at] = rng.integers(256)
        path.write_bytes(broken)
        try:
            scan = open_scan(path)
            for index in range(min(scan.n_planes, 3)):
                scan.plane(index)
        except ScanError as error:
            assert kind in str(error)
    scan = None
    assert not is_open(path)


@pytest.mark.parametrize("extension", sorted({*readable_extensions(), ".xyz", ""}))
def test_empty_files_are_named(tmp_path, extension):
    path = tmp_path / f"a{extension}"
    path.touch()
    with pytest.raises(ScanError, match=r"0 bytes"):
        open_scan(path)


@pytest.mark.parametrize("extension", readable_extensions())
@pytest.mark.parametrize("content", [b"\0" * 5000, b"hello world " * 500, b"\x01"])
def test_foreign_content_under_a_known_extension_is_one_sentence(
    tmp_path, extension, content
):
    path = tmp_path / f"a{extension}"
    path.write_bytes(content)
    with pytest.raises(ScanError, match=r"\ba\.") as raised:
        open_scan(path)
    assert "\n" not in str(raised.value)
    raised.value.__traceback__ = None
    assert not is_open(path)


def test_foreign_formats_are_told_what_is_read(tmp_path):
    (tmp_path / "a.docx").write_bytes(b"%PDF-1.7 whatever")
    with pytest.raises(ScanError, match="in no format that Sesami reads"):
        open_scan(tmp_path / "a.docx")


def test_archives_even_with_a_password_want_to_be_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.tif", b"x")
    with pytest.raises(ScanError, match="ZIP archive, not an image; unpack it first"):
        open_scan(tmp_path / "a.zip")
    (tmp_path / "b.7z").write_bytes(b"7z\xbc\xaf\x27\x1c rest")
    with pytest.raises(ScanError, match="7z archive"):
        list_images(tmp_path / "b.7z")


def test_files_that_are_not_there_or_not_ours_to_read(tmp_path):
    with pytest.raises(ScanError, match="does not exist"):
        open_scan(tmp_path / "nothing.tif")
    path = make(tmp_path, "plain.tif")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(ScanError, match="cannot be read"):
        open_scan(path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_scan_that_is_let_go_lets_go_of_its_file(tmp_path, kind):
    path = make(tmp_path, kind)
    scan = open_scan(path)
    scan.plane(0)
    del scan
    assert not is_open(path)


def test_opening_holds_nothing_before_the_first_pixel(tmp_path):
    paths = [make(tmp_path, kind) for kind in ("packed.tif", "plain.tif", "a.h5")]
    scans = [open_scan(path) for path in paths]
    assert not is_open(*paths)
    assert all(scan.n_planes == 6 for scan in scans)


def test_readers_stay_unloaded_until_they_are_needed(tmp_path):
    import subprocess

    zarr.create_array(tmp_path / "a.zarr", data=PIXELS)
    code = (
        "import sys, napari_sesami.scan as s; s.readable_extensions();"
        "bad = {'tifffile', 'h5py', 'zarr', 'dask', 'PIL', 'ncempy', 'torch', 'scipy'};"
        "assert not bad & set(sys.modules), bad & set(sys.modules);"
        f"s.open_scan({str(make(tmp_path, 'a.png'))!r});"
        "assert not {'h5py', 'ncempy', 'zarr', 'tifffile'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
