"""The manifest is valid, and what it offers works without a window."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

import napari_sesami
from napari_sesami.scan import Scan, ScanError, list_samples, open_scan
from napari_sesami.viewer.app import manifest
from napari_sesami.viewer.layers.spatial import KEPT_SCAN

ROOT = Path(__file__).parents[3]
MANIFEST = Path(napari_sesami.__file__).parent / "napari.yaml"
NM = {"scale": (0.5, 0.25), "units": ("nm", "nm"), "axis_labels": ("y", "x")}


def contributions():
    return yaml.safe_load(MANIFEST.read_text())["contributions"]


def test_the_manifest_is_valid_with_all_its_imports():
    npe2 = shutil.which("npe2", path=str(Path(sys.executable).parent))
    ran = subprocess.run(
        [npe2, "validate", "--imports", "napari-sesami"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "valid" in ran.stdout


def test_the_top_level_manifest_is_the_one_in_the_package():
    assert (ROOT / "napari.yaml").resolve().read_bytes() == MANIFEST.read_bytes()


def test_readers_leave_naparis_own_files_to_napari():
    import napari_builtins

    own = Path(napari_builtins.__file__).parent / "builtins.yaml"
    theirs: set[str] = set()
    for reader in yaml.safe_load(own.read_text())["contributions"]["readers"]:
        theirs.update(reader["filename_patterns"])
    ours = {p for r in contributions()["readers"] for p in r["filename_patterns"]}
    assert not ours & theirs
    assert {"*.dm4", "*.mrc", "*.emd", "*.ser", "*.txrm", "*.vgi"} <= ours


def test_menus_use_only_the_places_that_napari_offers():
    from napari._app_model.constants import MenuId

    offered = {menu.value for menu in MenuId if menu.value.startswith("napari/")}
    own = {submenu["id"] for submenu in contributions()["submenus"]}
    assert set(contributions()["menus"]) <= offered | own
    assert {"napari/layers/segment", "napari/layers/annotate"} <= set(
        contributions()["menus"]
    )


def test_samples_of_the_manifest_are_those_of_the_package():
    assert {s["key"] for s in contributions()["sample_data"]} == set(list_samples())


@pytest.mark.parametrize("key", ["tem", "sem_pair", "xrm", "aoi"])
def test_a_sample_comes_with_size_classes_and_hidden_truth(key):
    (data, options, kind), (labels, truth, truth_kind), *more = manifest.sample(key)
    assert (kind, truth_kind) == ("image", "labels")
    assert labels.shape == data.shape[: labels.ndim]
    assert options["scale"] == truth["scale"]
    assert set(options["units"]) <= {"nm", "µm"}
    assert isinstance(options["metadata"][KEPT_SCAN], Scan)
    assert not truth["visible"]
    assert bool(more) == (key == "sem_pair")


def test_a_broken_file_is_one_sentence(tmp_path):
    path = tmp_path / "wafer.dm4"
    path.write_bytes(b"\0\0\0\x04not more than this")
    reader = manifest.napari_get_reader(str(path))
    with pytest.raises(ScanError, match=r"wafer\.dm4"):
        reader(str(path))


def test_several_files_at_once_are_left_to_others():
    assert manifest.napari_get_reader(["a.dm4", "b.dm4"]) is None


@pytest.mark.parametrize("ending", [".ome.tif", ".ome.zarr"])
def test_labels_keep_scale_and_units(tmp_path, ending):
    labels = np.zeros((30, 40), np.uint8)
    labels[5:9, 7:12] = 2
    path = str(tmp_path / f"labels{ending}")
    assert manifest.write_labels(path, labels, {"name": "labels", **NM}) == [path]
    again = open_scan(path)
    np.testing.assert_array_equal(np.asarray(again.data), labels)
    assert again.pixel_size == (0.5, 0.25)
    assert again.units == ("nm", "nm")


def test_a_map_keeps_scale_and_units(tmp_path):
    votes = np.random.default_rng(0).random((30, 40), np.float32)
    path = str(tmp_path / "votes.ome.tif")
    manifest.write_map(path, votes, {"name": "votes", **NM})
    again = open_scan(path)
    np.testing.assert_array_equal(np.asarray(again.data), votes)
    assert again.pixel_size == (0.5, 0.25)


def test_a_colour_image_is_refused_as_a_map(tmp_path):
    meta = {"name": "photo", "rgb": True, **NM}
    with pytest.raises(ValueError, match="photo is a colour image"):
        manifest.write_map(
            str(tmp_path / "x.ome.tif"), np.zeros((9, 9, 3), np.uint8), meta
        )


def test_masks_are_written_as_coco(tmp_path):
    labels = np.zeros((30, 40), np.uint8)
    labels[5:9, 7:12] = 1
    path = tmp_path / "masks.json"
    manifest.write_coco(str(path), labels, {"name": "labels", **NM})
    document = json.loads(path.read_text())
    assert [a["area"] for a in document["annotations"]] == [20]


def test_settings_have_their_defaults_and_a_page():
    from napari_sesami.viewer.app.settings import ViewerSettings, read_settings

    properties = {
        name: given["default"]
        for group in contributions()["configurations"].values()
        for name, given in group["properties"].items()
    }
    default = ViewerSettings()
    assert properties == {
        "device": default.device,
        "model": default.model,
        "cache_folder": "",
        "autosave_seconds": default.autosave_seconds,
    }
    assert read_settings() == default
