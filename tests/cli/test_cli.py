"""The command line: what users type, what it answers, how it fails."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_sesami import cli
from napari_sesami.cli import doctor, main
from napari_sesami.models import build_tiny_sam, catalog
from napari_sesami.scan import Scan, open_scan
from napari_sesami.session import Session


def test_info_tells_shape_and_pixel_size(tmp_path, capsys):
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(
        path,
        np.zeros((20, 30), np.uint16),
        metadata={"axes": "YX", "PhysicalSizeX": 2.5, "PhysicalSizeXUnit": "nm"},
    )
    assert main(["info", str(path)]) == 0
    out = capsys.readouterr().out
    assert "20 × 30 uint16" in out
    assert "y unknown, x 2.5 nm" in out


def test_a_broken_file_is_one_sentence_and_a_failure(tmp_path, capsys):
    path = tmp_path / "broken.dm4"
    path.write_bytes(b"")
    assert main(["info", str(path)]) == 1
    assert "broken.dm4" in capsys.readouterr().err


def test_models_are_listed_imported_shown_and_removed(tmp_path, capsys):
    import torch

    path = tmp_path / "lab.pth"
    torch.save(build_tiny_sam().sam.state_dict(), path)
    assert main(["models", "import", str(path), "--licence", "Apache-2.0"]) == 0
    assert main(["models", "list"]) == 0
    out = capsys.readouterr().out
    assert "sesami-nano" in out and "lab" in out and "downloadable" in out
    assert main(["models", "info", "lab"]) == 0
    assert "Apache-2.0" in capsys.readouterr().out
    assert main(["models", "remove", "lab"]) == 0
    assert [e.name for e in catalog.entries()] == ["sesami-nano"]


def test_an_unknown_model_is_a_sentence(capsys):
    assert main(["models", "info", "nothing"]) == 1
    assert "There is no model" in capsys.readouterr().err


def test_nothing_is_downloaded_unasked(capsys, monkeypatch):
    monkeypatch.setattr(catalog, "download", lambda *a, **k: pytest.fail("downloaded"))
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert main(["models", "download", "sam-vit-b"]) == 1
    assert "--yes" in capsys.readouterr().err


@pytest.fixture
def bank(tmp_path):
    session = Session(layers())
    for name, y in (("oxide", 12), ("metal", 50)):
        entry = session.classes.add(name)
        stroke = np.zeros((64, 96), np.uint8)
        stroke[y : y + 3, 10:60] = entry.id
        session.paint(stroke)
    return session.retrieval.export_bank(tmp_path / "device.bank")


def layers() -> Scan:
    grey = np.full((64, 96), 60, np.uint8)
    grey[32:] = 180
    noise = np.random.default_rng(0).integers(-9, 9, grey.shape)
    pixels = (grey + noise).astype(np.uint8)
    return Scan.from_array(pixels, pixel_size=2.0, units="nm")


def test_a_folder_is_labelled_by_a_bank(tmp_path, bank, capsys):
    folder = tmp_path / "lot"
    folder.mkdir()
    for name in ("a", "b"):
        tifffile.imwrite(
            folder / f"{name}.ome.tif",
            np.asarray(layers().data),
            metadata={
                "axes": "YX",
                **{f"PhysicalSize{a}": 2.0 for a in "XY"},
                **{f"PhysicalSize{a}Unit": "nm" for a in "XY"},
            },
        )
    out = tmp_path / "labels"
    assert main(["segment", str(folder), "--bank", str(bank), "-o", str(out)]) == 0
    for name in ("a", "b"):
        labels = open_scan(out / f"{name}_labels.ome.tif")
        assert labels.pixel_size == (2.0, 2.0) and labels.units == ("nm", "nm")
        assert (np.asarray(labels.data)[:28] == 1).mean() > 0.9
        assert (np.asarray(labels.data)[36:] == 2).mean() > 0.9


def test_the_demonstration_runs_without_a_screen(tmp_path, capsys):
    out = tmp_path / "demo"
    assert main(["demo", "--headless", "-s", "sem_pair", "-o", str(out)]) == 0
    printed = capsys.readouterr().out.splitlines()
    names = ("image.png", "masks.png", "labels.ome.tif", "objects.csv", "sheet.png")
    for suffix in names:
        path = out / f"sem_pair_{suffix}"
        assert path.stat().st_size > 0
        assert str(path) in printed
    assert sum(line[:2] in ("1.", "2.", "3.", "4.") for line in printed) == 4
    labels = open_scan(out / "sem_pair_labels.ome.tif")
    assert labels.units == ("nm", "nm")
    assert np.asarray(labels.data).max() > 0


def test_every_verb_is_one_file_with_a_parser_and_a_run():
    folder = Path(cli.__file__).parent
    files = {path.stem for path in folder.glob("*.py")} - {
        "__init__",
        "checks",
        "demo_sheet",
    }
    names = {verb.replace("-", "_") for verb in cli.VERBS}
    assert files == names
    for name in names:
        module = import_module(f"napari_sesami.cli.{name}")
        assert callable(module.add_parser) and callable(module.run)


def test_help_loads_nothing_heavy_and_no_lab():
    code = (
        "import sys; from napari_sesami.cli import build_parser;"
        "print(build_parser().format_help());"
        "heavy = ('torch', 'scipy', 'skimage', 'qtpy', 'napari', 'napari_sesami.lab');"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
    assert all(verb in done.stdout for verb in cli.VERBS)


def test_a_bug_is_not_told_as_advice(monkeypatch):
    def broken(arguments):
        raise ValueError("operands could not be broadcast")

    monkeypatch.setattr(doctor, "run", broken)
    with pytest.raises(ValueError, match="broadcast"):
        main(["doctor"])
