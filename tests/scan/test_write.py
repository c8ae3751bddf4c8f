"""Writers: scale and units survive, and nothing half-written stays."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import tifffile
import zarr

from napari_sesami.scan import Scan, ScanError, open_scan, save_labels, save_map
from napari_sesami.scan.writers.coco import SavedClass

CLASSES = (SavedClass(1, "oxide", "#ff0000"), SavedClass(2, "µ-void", "#00ff0080"))
ENDINGS = pytest.mark.parametrize("ending", [".ome.tif", ".ome.zarr"])
SCANS = pytest.mark.parametrize(
    ("axes", "size", "units"),
    [
        (("y", "x"), (2.0, 1.0), ("Å", "nm")),
        (("z", "y", "x"), (0.5, 3.0, 2.0), ("µm", "nm", "nm")),
        (("t", "y", "x"), (0.8, 8.2, 8.2), ("s", "pm", "pm")),
        (("z", "y", "x"), (None, 0.15, 0.15), (None, "mm", "mm")),
        (("y", "x"), (None, None), (None, None)),
        (("t", "z", "y", "x"), (None, None, 4.0, 4.0), (None, None, "nm", "nm")),
    ],
)


def scan_of(axes: tuple[str, ...], size: Any, units: Any, **more: Any) -> Scan:
    shape = (2, 3, 40, 50)[-len(axes) :]
    return Scan(np.zeros(shape, np.uint8), axes, size, units, name="chip", **more)


def labels_of(scan: Scan) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4, scan.shape, dtype=np.int64)


def lazy_planes(block: Any, count: int) -> Any:
    chunks = ((1,) * count, (64,), (64,))
    meta = np.empty((0, 0, 0), np.uint8)
    return da.map_blocks(block, chunks=chunks, dtype=np.uint8, meta=meta)


@ENDINGS
@SCANS
def test_our_own_reader_finds_size_and_units_again(
    tmp_path: Path, ending: str, axes: Any, size: Any, units: Any
) -> None:
    scan = scan_of(axes, size, units)
    labels = labels_of(scan)
    save_labels(labels, tmp_path / f"l{ending}", like=scan, classes=CLASSES)
    again = open_scan(tmp_path / f"l{ending}")
    assert again.axes == axes
    assert again.pixel_size == pytest.approx(size)
    assert again.units == units
    assert again.data.dtype == np.uint8
    np.testing.assert_array_equal(again.data.compute(), labels)


@SCANS
def test_napari_ome_zarr_finds_them_too(
    tmp_path: Path, axes: Any, size: Any, units: Any
) -> None:
    from napari.layers import Image, Labels
    from napari_ome_zarr._reader import napari_get_reader

    scan = scan_of(axes, size, units)
    path = str(tmp_path / "l.ome.zarr")
    save_labels(labels_of(scan), path, like=scan, classes=CLASSES)
    layers = napari_get_reader(path)(path)
    assert [kind for *_, kind in layers] == ["image", "labels"]
    words = {
        "Å": "angstrom",
        "nm": "nanometer",
        "µm": "micrometer",
        "pm": "picometer",
        "mm": "millimeter",
        "s": "second",
        None: "pixel",
    }
    for (data, meta, kind), make in zip(layers, (Image, Labels), strict=True):
        kept = {k: meta[k] for k in ("scale", "units", "axis_labels") if k in meta}
        layer = make(np.asarray(data[0]), **kept)
        assert tuple(layer.scale) == pytest.approx([s or 1.0 for s in size])
        assert [str(u) for u in layer.units] == [words[u] for u in units]
        assert kind == make.__name__.lower()
    assert layers[1][1]["properties"]["name"] == ["oxide", "µ-void"]
    assert list(tmp_path.iterdir()) == [tmp_path / "l.ome.zarr"]


@ENDINGS
def test_maps_keep_every_bit(tmp_path: Path, ending: str) -> None:
    scan = scan_of(("z", "y", "x"), (0.5, 3.0, 2.0), ("µm", "nm", "nm"))
    values = np.random.default_rng(0).random(scan.shape, dtype=np.float32)
    values[0, 0, :2] = np.nan, np.inf
    save_map(values, tmp_path / f"m{ending}", like=scan)
    again = open_scan(tmp_path / f"m{ending}")
    assert (again.pixel_size, again.units) == (scan.pixel_size, scan.units)
    np.testing.assert_array_equal(again.data.compute(), values)


def test_reciprocal_units_and_the_origin_live_in_zarr(tmp_path: Path) -> None:
    scan = scan_of(("y", "x"), (0.1, 0.2), ("1/nm", "1/nm"), origin=(-2.0, 5.5))
    save_map(np.ones((40, 50)), tmp_path / "m.zarr", like=scan)
    again = open_scan(tmp_path / "m.zarr")
    assert (again.units, again.origin) == (scan.units, scan.origin)


def test_reciprocal_units_never_become_lengths_in_tiff(tmp_path: Path) -> None:
    scan = scan_of(("y", "x"), (0.1, 0.2), ("1/nm", "1/nm"))
    save_map(np.ones((40, 50)), tmp_path / "m.ome.tif", like=scan)
    assert open_scan(tmp_path / "m.ome.tif").pixel_size == (None, None)


def test_projections_keep_their_angle_axis_in_zarr(tmp_path: Path) -> None:
    scan = scan_of(("angle", "y", "x"), (None, 1.5, 1.5), (None, "µm", "µm"))
    save_labels(labels_of(scan), tmp_path / "a.zarr", like=scan)
    assert open_scan(tmp_path / "a.zarr").axes == ("angle", "y", "x")


@ENDINGS
def test_lazy_labels_are_computed_band_by_band(tmp_path: Path, ending: str) -> None:
    alive = []

    def block(block_id: tuple[int, ...]) -> np.ndarray:
        alive.append(block_id)
        return np.full((1, 64, 64), block_id[0], np.uint8)

    lazy = lazy_planes(block, 9)
    save_labels(lazy, tmp_path / f"l{ending}")
    assert alive == [(i, 0, 0) for i in range(9)]  # in order, each once
    assert open_scan(tmp_path / f"l{ending}").plane(8).max() == 8


def test_large_planes_get_a_pyramid_that_keeps_labels(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 3, (2500, 4100), dtype=np.uint8)
    save_labels(labels, tmp_path / "big.ome.zarr")
    scan = open_scan(tmp_path / "big.ome.zarr")
    assert [level.shape for level in scan.levels] == [
        (1250, 2050),
        (625, 1025),
        (313, 513),
    ]
    for i, level in enumerate(scan.levels, 1):
        np.testing.assert_array_equal(level.compute(), labels[:: 2**i, :: 2**i])
    np.testing.assert_array_equal(scan.data.compute(), labels)


def test_pyramids_of_maps_average_and_stay_in_place(tmp_path: Path) -> None:
    ramp = np.add.outer(np.arange(2048.0), np.zeros(2048)).astype(np.float32)
    scan = Scan(ramp, ("y", "x"), (2.0, 2.0), ("nm", "nm"), name="ramp")
    save_map(ramp, tmp_path / "m.ome.zarr", like=scan)
    group = zarr.open(tmp_path / "m.ome.zarr", mode="r")
    assert group["1"][:3, 0].tolist() == [0.5, 2.5, 4.5]
    moved = group.attrs["multiscales"][0]["datasets"][1]["coordinateTransformations"]
    assert moved[0]["scale"] == [4.0, 4.0]
    assert moved[1]["translation"] == [1.0, 1.0]  # half a fine pixel


@ENDINGS
def test_labels_of_one_plane_of_a_stack(tmp_path: Path, ending: str) -> None:
    scan = scan_of(("z", "y", "x"), (0.5, 3.0, 2.0), ("µm", "nm", "nm"))
    save_labels(np.ones((40, 50), bool), tmp_path / f"p{ending}", like=scan)
    assert open_scan(tmp_path / f"p{ending}").pixel_size == (3.0, 2.0)


def test_class_names_travel_with_a_tiff(tmp_path: Path) -> None:
    save_labels(np.ones((4, 5), np.uint8), tmp_path / "l.ome.tif", classes=CLASSES)
    with tifffile.TiffFile(tmp_path / "l.ome.tif") as tif:
        assert "µ-void" in (tif.ome_metadata or "")


@pytest.mark.parametrize(
    ("labels", "name", "why"),
    [
        (np.ones((40, 51), np.uint8), "a.tif", r"\(40, 51\) do not fit chip"),
        (np.ones((40, 50)), "a.tif", "Labels are whole numbers"),
        (np.full((40, 50), -1), "a.tif", "these go from -1 to -1"),
        (np.ones((40, 50), np.uint8), "a.png", r"saved as \.ome\.tif or \.ome\.zarr"),
        (np.ones((0, 50), np.uint8), "a.tif", "at least one pixel"),
    ],
)
def test_what_cannot_be_saved_is_told(
    tmp_path: Path, labels: Any, name: str, why: str
) -> None:
    scan = scan_of(("y", "x"), (1.0, 1.0), ("nm", "nm"))
    with pytest.raises(ScanError, match=why):
        save_labels(labels, tmp_path / name, like=scan)
    assert not list(tmp_path.iterdir())


@ENDINGS
def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"l{ending}"
    old, new = np.full((40, 50), 1, np.uint8), np.full((40, 50), 2, np.uint8)
    save_labels(old, path)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(ScanError, match=r"the disk is full.*unchanged"):
            save_labels(new, path)
    assert list(tmp_path.iterdir()) == [path]
    assert open_scan(path).plane(0).max() == 1


@ENDINGS
def test_a_disk_that_fills_up_while_writing(tmp_path: Path, ending: str) -> None:
    def block(block_id: tuple[int, ...]) -> np.ndarray:
        if block_id[0] == 2:  # what writing raises, after some planes are out
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return np.ones((1, 64, 64), np.uint8)

    lazy = lazy_planes(block, 4)
    with pytest.raises(ScanError, match="the disk is full"):
        save_labels(lazy, tmp_path / f"l{ending}")
    assert not list(tmp_path.iterdir())


@ENDINGS
def test_any_failure_removes_the_draft(tmp_path: Path, ending: str) -> None:
    def block(block_id: tuple[int, ...]) -> np.ndarray:
        raise ValueError("the model failed")

    lazy = lazy_planes(block, 1)
    with pytest.raises(ValueError, match="the model failed"):
        save_labels(lazy, tmp_path / f"l{ending}")
    assert not list(tmp_path.iterdir())


@ENDINGS
def test_a_read_only_folder_is_told(ending: str) -> None:
    folder = Path("/sys")
    if not folder.is_dir():
        pytest.skip("needs a folder that even root cannot write to")
    with pytest.raises(ScanError, match=r"/sys/l.* was not written"):
        save_labels(np.ones((4, 5), np.uint8), folder / f"l{ending}")


@ENDINGS
def test_a_missing_folder_is_told(tmp_path: Path, ending: str) -> None:
    with pytest.raises(ScanError, match="there is no folder"):
        save_labels(np.ones((4, 5), np.uint8), tmp_path / "no" / f"l{ending}")
    assert not list(tmp_path.iterdir())


@ENDINGS
def test_saving_again_replaces(tmp_path: Path, ending: str) -> None:
    for value in (1, 2):
        save_labels(np.full((4, 5), value, np.uint8), tmp_path / f"l{ending}")
    assert open_scan(tmp_path / f"l{ending}").plane(0).max() == 2
    assert len(list(tmp_path.iterdir())) == 1
