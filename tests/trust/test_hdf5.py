"""HDF5 that leads elsewhere, promises too much or crashes its library is a sentence."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest

from napari_sesami.scan import ScanError, list_images, open_scan
from napari_sesami.scan.readers import crash_trial

if TYPE_CHECKING:
    from pathlib import Path


def test_external_storage_is_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(range(256)) * 4)
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("v", (32, 32), "u1", external=[(str(secret), 0, 1024)])
    with pytest.raises(ScanError, match="pixels lie in another file"):
        open_scan(path)


@pytest.mark.parametrize("ending", [".h5", ".emd", ".nxs"])
def test_external_links_are_not_followed(tmp_path: Path, ending: str) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["v"] = np.ones((32, 32), "u1")
    path = tmp_path / f"a{ending}"
    with h5py.File(path, "w") as file:
        file["data"] = h5py.ExternalLink("other.h5", "/v")
        file["Data"] = h5py.ExternalLink("other.h5", "/")
        file.attrs["default"] = "data"
    with pytest.raises(ScanError) as caught:
        open_scan(path)
    assert "other.h5" in str(caught.value)


def test_a_virtual_dataset_of_other_files_is_not_followed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["v"] = np.ones((32, 32), "u1")
    layout = h5py.VirtualLayout((2, 32, 32), "u1")
    layout[0] = h5py.VirtualSource(str(tmp_path / "other.h5"), "v", (32, 32))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_virtual_dataset("v", layout)
    with pytest.raises(ScanError, match="another file"):
        open_scan(tmp_path / "a.h5")


def test_a_contiguous_dataset_must_be_stored_whole(tmp_path: Path) -> None:
    """Else the library reads beyond its memory, and the program ends."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["v"] = np.ones((40, 50), "u1")
    raw = bytearray(path.read_bytes())
    at = raw.find((40).to_bytes(8, "little") + (50).to_bytes(8, "little"))
    raw[at : at + 8] = (4_000_000).to_bytes(8, "little")
    again = raw.find((40).to_bytes(8, "little") + (50).to_bytes(8, "little"), at)
    if again > 0:
        raw[again : again + 8] = (4_000_000).to_bytes(8, "little")
    path.write_bytes(raw)
    with pytest.raises(ScanError) as caught:
        open_scan(path).plane(0)
    assert "\n" not in str(caught.value)


def test_a_crash_is_a_sentence_and_is_tried_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["v"] = np.ones((32, 32), "u1")
    count, run = [], subprocess.run

    def counting(command, **more):
        count.append(command)
        return run(command, **more)

    monkeypatch.setattr(crash_trial.subprocess, "run", counting)
    assert open_scan(path).shape == (32, 32)
    assert list_images(path) and open_scan(path)
    assert len(count) == 1
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    monkeypatch.setattr(crash_trial, "HELPER", crash)
    open_scan(path)  # known to be whole
    path.touch()
    time.sleep(0.01)
    path.write_bytes(path.read_bytes() + b"\0")  # another file
    for _ in range(2):
        with pytest.raises(ScanError, match="HDF5 library crashes"):
            open_scan(path)
    assert len(count) == 2


def test_a_filter_that_is_missing_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((32, 32))
        plist.set_filter(32008, h5py.h5z.FLAG_OPTIONAL, ())  # bitshuffle, as Arina has
        space = h5py.h5s.create_simple((32, 32))
        h5py.h5d.create(file.id, b"v", h5py.h5t.NATIVE_UINT8, space, plist)
    if h5py.h5z.filter_avail(32008):
        pytest.skip("the filter is installed here")
    with pytest.raises(ScanError, match="hdf5plugin"):
        open_scan(path)


def test_a_scan_of_many_small_planes_is_named_quickly(tmp_path: Path) -> None:
    path = tmp_path / "4d.h5"
    pixels = np.random.default_rng(0).integers(0, 9, (64, 64, 32, 32), np.uint8)
    with h5py.File(path, "w") as file:
        file.create_dataset("v", data=pixels, chunks=(16, 16, 32, 32), compression=1)
    scan = open_scan(path)
    begun = time.process_time()
    name = scan.content_hash
    assert time.process_time() - begun < 1.0
    again = open_scan(path)
    from hashlib import blake2b

    digest = blake2b(f"{again.shape} |u1".encode(), digest_size=16)
    digest.update(pixels.tobytes())
    assert name == digest.hexdigest()  # as it was when planes were read one by one


def test_delmic_states_metres(tmp_path: Path) -> None:
    path = tmp_path / "sparc.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("Acquisition0/ImageData")
        group["Image"] = np.ones((1, 1, 1, 40, 50), "u2")
        for name, value in (("X", 2e-8), ("Y", 3e-8), ("Z", 0.0), ("T", 0.5)):
            group[f"DimensionScale{name}"] = value
    scan = open_scan(path)
    size = dict(
        zip(scan.axes, zip(scan.pixel_size, scan.units, strict=True), strict=True)
    )
    assert size["x"] == (pytest.approx(20), "nm")
    assert size["y"] == (pytest.approx(30), "nm")


def test_hyperspy_states_each_axis(tmp_path: Path) -> None:
    path = tmp_path / "a.hspy"
    with h5py.File(path, "w") as file:
        group = file.create_group("Experiments/x")
        group["data"] = np.ones((40, 50), "f4")
        for i, scale in enumerate((0.5, 0.25)):
            axis = group.create_group(f"axis-{i}")
            axis.attrs["scale"], axis.attrs["units"] = scale, "nm"
    scan = open_scan(path)
    assert scan.pixel_size == (0.5, 0.25) and scan.units == ("nm", "nm")


def test_jeol_states_magnification(tmp_path: Path) -> None:
    import tifffile

    xml = (
        "<TemReporter><Eos><EosMode>eosTEM</EosMode></Eos><ImageFormingSystem>"
        "<ModeString>MAG</ModeString><SelectorValue>10000</SelectorValue>"
        "</ImageFormingSystem></TemReporter>"
    )
    path = tmp_path / "jeol.tif"
    tifffile.imwrite(
        path, np.ones((40, 50), "u2"), description=xml, resolution=(500, 500),
        resolutionunit=3, metadata=None, extratags=[(271, "s", 0, "JEOL Ltd.", True)],
    )  # fmt: skip
    scan = open_scan(path)  # 500 pixels a cm: 20 µm printed, 2 nm of the specimen
    assert scan.pixel_size == (pytest.approx(2), pytest.approx(2))
    assert scan.units == ("nm", "nm")


def test_ome_xml_that_is_damaged_is_no_traceback(tmp_path: Path) -> None:
    import tifffile

    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, np.ones((3, 40, 50), "u1"), metadata={"axes": "ZYX"})
    for cut in (b"</OME>", b"<Pixels", b"Image"):
        raw = path.read_bytes()
        broken = tmp_path / f"b{len(cut)}.ome.tif"
        broken.write_bytes(raw.replace(cut, b"<" * len(cut)))
        try:
            open_scan(broken)
        except ScanError as error:
            assert "\n" not in str(error)


def test_a_huge_colour_tiff_is_refused_at_once(tmp_path: Path) -> None:
    import struct

    import tifffile

    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, np.zeros((64, 64, 3), "u1"), photometric="rgb", compression="zlib",
        tile=(64, 64), metadata=None,
    )  # fmt: skip
    raw = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tif:
        offsets = [tif.pages[0].tags[c].offset + 8 for c in (256, 257)]
        kinds = [tif.pages[0].tags[c].dtype for c in (256, 257)]
    for offset, kind in zip(offsets, kinds, strict=True):
        raw[offset : offset + 4] = struct.pack("<I", 60_000 if kind == 3 else 200_000)
    path.write_bytes(raw)
    begun = time.process_time()
    with pytest.raises(ScanError):
        open_scan(path)
    assert time.process_time() - begun < 5


def test_a_library_that_goes_in_circles_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["v"] = np.ones((32, 32), "u1")
    head = crash_trial.HELPER.partition("import hdf5plugin")[0] + "    pass\n"
    endless = head + "except ImportError:\n    pass\nwhile True:\n    pass\n"
    monkeypatch.setattr(crash_trial, "HELPER", endless)
    monkeypatch.setattr(crash_trial, "WORK", 1)
    with pytest.raises(ScanError, match="never ends"):
        open_scan(path)


def test_topspin_states_a_calibration(tmp_path: Path) -> None:
    guid = "18d9446f-22bf-4fb1-8d13-338174e75d20"
    axis = "<Offset>0</Offset><Scale>{}</Scale><Unit><a>1</a><b>nm</b></Unit>"
    xml = (
        f"<M><Value Serializer='ImageDataSerializer'><Name>{guid}</Name><Calibration>"
        f"<X>{axis.format(0.5)}</X><Y>{axis.format(0.25)}</Y></Calibration></Value></M>"
    )
    with h5py.File(tmp_path / "a.app5", "w") as file:
        file["Metadata"] = xml
        file[guid] = np.ones((40, 50), "f4")
    scan = open_scan(tmp_path / "a.app5")
    assert scan.pixel_size == (0.25, 0.5) and scan.units == ("nm", "nm")


def test_a_bomb_in_metadata_says_nothing(tmp_path: Path) -> None:
    guid = "18d9446f-22bf-4fb1-8d13-338174e75d20"
    bomb = '<!DOCTYPE a [<!ENTITY x0 "xx">'
    for i in range(1, 12):
        bomb += f'<!ENTITY x{i} "{10 * f"&x{i - 1};"}">'
    with h5py.File(tmp_path / "a.app5", "w") as file:
        file["Metadata"] = bomb + "]><a>&x11;</a>"
        file[guid] = np.ones((40, 50), "f4")
    assert open_scan(tmp_path / "a.app5").pixel_size == (None, None)
