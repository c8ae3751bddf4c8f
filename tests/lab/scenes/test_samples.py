"""Samples in the package: load anywhere, right scale, small, drawn again alike."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import napari_sesami
from napari_sesami.lab.scenes import samples, wire_bond
from napari_sesami.scan import ScanError, list_samples, load_sample

HOME = Path(napari_sesami.__file__).parent
FOLDER = HOME / "sample_data"
SIZES = {  # pixel size per axis, unit, modality
    "tem": ((0.16217, 0.16217), "nm", "TEM"),
    "sem_pair": ((4.92818, 4.92818), "nm", "SEM"),
    "xrm": ((1.8, 1.8, 1.8), "µm", "XRM"),
    "aoi": ((2.0, 2.0), "µm", "AOI"),
}


def test_the_package_brings_four_samples():
    assert list_samples() == tuple(SIZES)


@pytest.mark.parametrize("key", SIZES)
def test_a_sample_has_scale_truth_and_classes(key):
    sample = load_sample(key)
    size, unit, modality = SIZES[key]
    grid = len(size)
    assert sample.scan.pixel_size[:grid] == pytest.approx(size, rel=1e-4)
    assert sample.scan.units[:grid] == (unit,) * grid
    assert sample.scan.modality == modality
    assert sample.labels.shape == sample.scan.shape[:grid]
    present = set(np.unique(sample.labels).tolist()) - {0}
    assert len(present) >= 3
    assert present <= {spec.id for spec in sample.classes}
    assert sample.title


def test_the_high_magnification_lies_on_its_place_in_the_low_one():
    sample = load_sample("sem_pair")
    (high,) = sample.companions
    defect = sample.classes[3].id
    assert sample.classes[3].name == "bridge"

    def middle(part):
        at = np.argwhere(part.labels == defect).mean(0)
        return np.asarray(part.scan.origin) + at * part.scan.pixel_size

    assert middle(high) == pytest.approx(middle(sample), abs=20)  # nm, 4 pixels


def test_samples_are_small():
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 20e6


def test_faults_of_the_memory_stack_are_rare():
    sample = load_sample("xrm")
    names = {spec.name: spec.id for spec in sample.classes}
    faults = np.isin(sample.labels, [names["void"], names["crack"]]).mean()
    assert 0 < faults < 0.005


def test_an_unknown_sample_is_refused_with_the_list():
    with pytest.raises(ScanError, match="tem, sem_pair, xrm, aoi"):
        load_sample("afm")


def test_samples_are_drawn_again_pixel_by_pixel(tmp_path):
    """Truth to the bit; grey values may be rounded otherwise by another processor."""
    import tifffile

    written = samples.make_samples(tmp_path)
    assert {path.name for path in written} == {path.name for path in FOLDER.iterdir()}
    for path in written:
        shipped = FOLDER / path.name
        if path.suffix == ".json":
            assert json.loads(path.read_text()) == json.loads(shipped.read_text())
        else:
            drawn, kept = tifffile.imread(path), tifffile.imread(shipped)
            assert drawn.dtype == kept.dtype and drawn.shape == kept.shape, path.name
            apart = np.abs(drawn.astype(int) - kept)
            assert apart.max() <= (0 if "truth" in path.name else 1), path.name
            assert (apart > 0).mean() < 1e-3, path.name  # a rounding, not a shift


def test_writing_twice_gives_the_same_bytes(tmp_path):
    scene = wire_bond(0, (64, 64), 12.0)
    files = [tmp_path / folder / "aoi.ome.tif" for folder in "ab"]
    for file in files:
        file.parent.mkdir()
        samples._write(file, scene.image, scene)
    assert files[0].read_bytes() == files[1].read_bytes()


LOAD = """
import json, sys
sys.path.insert(0, sys.argv[1])
import napari_sesami
assert napari_sesami.__file__.startswith(sys.argv[1]), napari_sesami.__file__
from napari_sesami.scan import list_samples, load_sample
print(json.dumps([[k, list(load_sample(k).scan.shape)] for k in list_samples()]))
"""


@pytest.mark.parametrize("packed", [False, True], ids=["wheel unpacked", "zip"])
def test_samples_load_from_an_installed_copy(tmp_path, packed):
    place = tmp_path / ("copy.zip" if packed else "copy")
    archive = tmp_path / "copy.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in HOME.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                file.write(path, path.relative_to(HOME.parent))
    if not packed:
        with zipfile.ZipFile(archive) as file:
            file.extractall(place)
    result = subprocess.run(
        [sys.executable, "-c", LOAD, str(place)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    shapes = dict(json.loads(result.stdout))
    assert shapes["xrm"] == [72, 224, 224]
    assert list(shapes) == list(SIZES)
