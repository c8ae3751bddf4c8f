"""`sesami segment --model RUN`, and tables of segmenters."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from tests.fakes.semi_help import CLASSES, ENCODER, config, options, picture

from napari_sesami.cli import main
from napari_sesami.lab.semi import budget, devices, study
from napari_sesami.measure.labelled import label_source
from napari_sesami.models import Segmenter, SegmenterCard, SegmenterNet, SegmenterPlan
from napari_sesami.scan import open_scan
from napari_sesami.session import Session, SessionError
from napari_sesami.train import IGNORE, PRESETS, read_set
from napari_sesami.train.semi.pool import read_pool

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A folder laid out as that of a finished run."""
    torch.manual_seed(0)
    plan = SegmenterPlan("unet", ENCODER, 3, width=16)
    card = SegmenterCard({0: "nothing", **CLASSES})
    Segmenter(SegmenterNet(plan), card, "cpu").save(tmp_path / "run" / "adapter")
    return tmp_path / "run"


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    folder.mkdir()
    for i in range(2):
        pixels = (picture(i).grey >> 8).astype(np.uint8)
        iio.imwrite(folder / f"w{i}.png", pixels)
    return folder


def test_a_folder_is_labelled_by_a_run(run: Path, scans: Path, tmp_path: Path, capsys):
    out = tmp_path / "out"
    assert main(["segment", str(scans), "--model", str(run), "-o", str(out)]) == 0
    model = Segmenter.load(run, "cpu")
    for i in range(2):
        labels = np.asarray(open_scan(out / f"w{i}_labels.ome.tif").data)
        wanted = model.segment_scan(open_scan(scans / f"w{i}.png")).labels
        np.testing.assert_array_equal(np.squeeze(labels), wanted)
    assert main(["segment", str(scans), "-o", str(out)]) == 1
    assert "--model RUN" in capsys.readouterr().err
    assert main(["segment", str(scans), "-m", str(scans), "-o", str(out)]) == 1
    assert "no segmenter" in capsys.readouterr().err


def test_it_measures_with_probabilities(run: Path, scans: Path):
    source = label_source("segmenter", folder=run)
    first = source.scans([scans])[0]
    found = source.open(first)
    assert found.votes.shape == (1, 64, 64, 2) and found.labels.shape == (64, 64)
    assert found.classes == {"metal": 1, "void": 2}


def test_classes_are_matched_by_name(run: Path, scans: Path):
    s = Session(scans / "w0.png")
    s.segmenters.use(run)
    s.classes.add("void")
    with pytest.raises(SessionError, match="metal"):
        s.segmenters.plane(0)
    s.classes.add("other"), s.classes.add("metal")
    found = s.segmenters.plane(0)
    plain = s.segmenters.model().segment_scan(s.scan, 0)
    np.testing.assert_array_equal(found.labels == 3, plain.labels == 1)
    np.testing.assert_array_equal(found.votes[..., 0], plain.votes[..., 1])


def test_a_run_learns_from_a_project_and_a_folder(scans: Path, tmp_path: Path):
    from types import SimpleNamespace

    from napari_sesami.cli.train import _data

    home = tmp_path / "wafers.sesami"
    with Session(scans / "w0.png", home) as s:
        for name in CLASSES.values():
            s.classes.add(name)
        s.document.labels.write(picture(0).classes)
        s.save()
    args = SimpleNamespace(project=home, unlabelled=scans, data=None)
    write = _data(args, config(options()))  # type: ignore[arg-type]
    assert write is not None
    write(tmp_path / "data")
    pool = read_pool(tmp_path / "data")
    assert len(pool.pictures) == 1, "the scan that judges is left out"
    assert {1, 2} <= {int(i) for p in read_set(tmp_path / "data").training
                      for i in np.unique(p.classes)}  # fmt: skip


def test_devices_differ_and_tables_are_read_again(tmp_path: Path):
    a, b = devices.picture(devices.A, 0, 96), devices.picture(devices.B, 0, 96)
    assert a.classes.shape == b.classes.shape == (96, 96)
    known = set(np.unique(a.classes)) - {0, IGNORE}
    assert known <= set(devices.CLASSES) and len(known) >= 4
    assert not np.array_equal(a.grey, devices.picture(devices.A, 1, 96).grey)
    np.testing.assert_array_equal(a.grey, devices.picture(devices.A, 0, 96).grey)
    rows = [
        {"preset": p, "seed": s, "labels": 20, "steps": 9, "cpu s": 10.0,
         **{n: {"all": 0.5 + 0.1 * s, "defect": 0.25} for n in ("A", "A noisy", "B")}}
        for p in PRESETS for s in range(2)
    ]  # fmt: skip
    told = study.table(rows, 20, 9)
    assert told.count("0.550 ± 0.635 | 0.250 ± 0.000") == 3 * len(PRESETS)
    done = [
        {"start": s, "labels": 1, "seed": 0, "seconds": 5.0, "steps": 3, "mIoU": 0.5}
        for s in ("scratch", "ImageNet", "bundled", "retrieval")
    ]
    (tmp_path / "budget.json").write_text(json.dumps(done))
    again = budget.evaluate_budget(
        tmp_path, seconds=[5.0], labels=[1], tests=1, tell=lambda line: None
    )
    assert again == done, "what is there is not trained again"


@pytest.mark.slow
def test_the_tables_train_what_they_say(tmp_path: Path):
    rows = study.evaluate_semi(
        tmp_path, presets=["supervised", "ours"], seeds=1, labels=2, steps=3, tests=2
    )
    assert [r["preset"] for r in rows] == ["supervised", "ours"]
    assert all(r["cpu s"] > 0 and 0 <= r["B"]["all"] <= 1 for r in rows)
    spent = budget.evaluate_budget(tmp_path, seconds=[2.0], labels=[1], tests=2)
    assert {r["start"] for r in spent} == {
        "scratch",
        "ImageNet",
        "bundled",
        "retrieval",
    }
