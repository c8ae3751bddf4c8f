"""The table of states of the bundled model: equal objects, rivals, honest scores."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_sesami.cli import main
from napari_sesami.lab.tables import nano as table
from napari_sesami.models import Nano, NanoNet, save_nano
from napari_sesami.scan import Scan
from napari_sesami.train import Score, click_through


def discs() -> tuple[np.ndarray, np.ndarray]:
    """Two bright discs on a dark ground with a little noise, and their regions."""
    y, x = np.mgrid[:160, :200]
    regions = np.zeros((160, 200), int)
    regions[np.hypot(y - 70, x - 60) < 30] = 1
    regions[np.hypot(y - 80, x - 150) < 12] = 2
    noise = np.random.default_rng(0).normal(0, 0.01, regions.shape)
    return 0.2 + 0.6 * (regions > 0) + noise, regions


@pytest.mark.parametrize("kind", ["flood", "walker"])
def test_rivals_find_a_plain_disc(kind):
    image, regions = discs()
    score = click_through(
        table.ClassicalRival(kind), Scan.from_array(image), regions == 1, most=3
    )
    assert score.clicks[1] > 0.9
    assert score.box > 0.9


def test_a_click_off_the_object_takes_its_flood_away():
    image, regions = discs()
    rival, scan = table.ClassicalRival("flood"), Scan.from_array(image)
    both = rival.predict(scan, points=[(70, 60), (80, 150)], labels=[1, 1]).full
    assert both[regions == 2].mean() > 0.7
    one = rival.predict(
        scan, points=[(70, 60), (80, 150), (80, 152)], labels=[1, 1, 0]
    ).full
    assert one[regions == 1].mean() > 0.8
    assert not one[80, 152]


def found(said, true, size=500, thin=False, group="a"):
    """An object whose answers had these scores and overlaps."""
    clicks = dict.fromkeys((1, 2, 3), true[0])
    return table.Found(Score(group, thin, clicks, true[-1]), size, said, true)


def test_honest_scores_are_told_from_dishonest_ones():
    honest = [found((v, v), (v, v)) for v in np.linspace(0.05, 0.95, 20)]
    told = table.honesty(honest)
    assert told["correlation"] == told["of first clicks"] == 1
    assert told["calibration error"] == 0
    proud = [found((min(v + 0.3, 1),), (v,)) for v in np.linspace(0.05, 0.65, 20)]
    assert table.honesty(proud)["calibration error"] == pytest.approx(0.3)


def test_rows_are_by_size_and_family():
    rows = table.rows_of([
        found((0.5,), (0.2,), thin=True), found((0.5,), (0.6,)),
        found((0.5,), (1.0,), size=30_000, group="b"),
    ])  # fmt: skip
    assert list(rows) == ["all", "thin", "middle", "large", "a", "b"]
    assert rows["all"]["1 click"] == 0.6
    assert rows["a"]["3 clicks"] == 0.4
    assert rows["large"]["objects"] == 1


@pytest.mark.slow
def test_states_and_rivals_answer_the_same_objects(monkeypatch, tmp_path, capsys):
    image, regions = discs()
    scan = Scan.from_array(image)

    def scans(exam):
        yield "sections", "discs", scan, regions, 0.35

    monkeypatch.setattr(table, "exam_scans", scans)
    monkeypatch.setattr(table, "_vote_scans", lambda exam: iter([(image, regions)]))
    save_nano(NanoNet(32), tmp_path / "a.safetensors")
    path = str(tmp_path / "a.safetensors")
    assert main(["evaluate", path, "--weights", path, "--rivals"]) == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert list(report) == ["sesami-nano", path, "flood fill", "random walker"]
    same = report["sesami-nano"], report[path]
    assert same[0] == same[1]
    assert same[0]["sections"]["all"]["objects"] == 2
    assert 0 <= same[0]["votes"]["mean IoU"]["families"] <= 1
    assert report["flood fill"]["sections"]["all"]["1 click"] > 0.8
    assert same[0]["score"]["all"]["answers"] == 8


def test_sections_are_fresh_and_large():
    exam = table.NanoExam(scans=0, sections=1, each=1, clicks=3, votes=1)
    part, _, scan, regions, most = next(table.exam_scans(exam))
    assert (part, most) == ("sections", 0.35)
    assert scan.plane_shape == regions.shape == (1024, 1024)
    assert Nano.tile < 1024
