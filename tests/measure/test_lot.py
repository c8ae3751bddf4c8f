"""Lots: files and projects, processes, resuming, verifying, what can go wrong."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest

from napari_sesami.cli import main
from napari_sesami.common import disk
from napari_sesami.common.cancel import Cancelled
from napari_sesami.lab.metrology.scenes import fins
from napari_sesami.measure import (
    FileLabels,
    MeasureError,
    Recipe,
    load_results,
    measure_lot,
    verify,
)
from napari_sesami.scan import save_labels, save_map

RECIPE = """
format = "sesami-measure"
version = 1
name = "fins"
[scale]
u_rel = 0.004
source = "grating"
[features.fin]
class = "silicon"
expect = 3
[[measure]]
name = "fin CD"
kind = "cd"
feature = "fin"
at = [0.5]
limits = { lower = 5, upper = 40 }
[[measure]]
name = "pitch"
kind = "pitch"
feature = "fin"
[lot]
pattern = '(?P<lot>\\w+)_(?P<wafer>W\\d+)_(?P<site>[A-Z]\\d+)'
"""


class Entry:
    def __init__(self, id, name):
        self.id, self.name, self.color = id, name, "#ff0000"


@pytest.fixture
def lot(tmp_path):
    """Three scans with labels beside them, and a recipe."""
    folder = tmp_path / "L7"
    folder.mkdir()
    for k, site in enumerate(("A1", "A2", "A2r")):
        drawn = fins(min(k, 1), count=3).noisy(3.0, k)
        scan = drawn.scan(0.5)
        save_map(drawn.image, folder / f"L7_W01_{site}.ome.tif", like=scan)
        classes = [Entry(i, n) for n, i in drawn.classes.items()]
        path = folder / f"L7_W01_{site}_labels.ome.tif"
        save_labels(drawn.labels, path, like=scan, classes=classes)
    (tmp_path / "fins.toml").write_text(RECIPE)
    return tmp_path


def rows(results):
    return [(r.measurement, r.number, r.value, r.U) for r in results if r.has_value]


def test_a_lot_is_measured_written_and_read_back(lot):
    recipe = Recipe.load(lot / "fins.toml")
    found = measure_lot(recipe, [lot / "L7"], "files", lot / "OUT")
    assert not found.failures
    assert len(found["fin CD"]) == 3 * 4 and len(found["pitch"]) == 3 * 3
    first = found.provenance[0]
    assert (first.lot, first.wafer, first.site) == ("L7", "W01", "A1")
    names = {p.name for p in (lot / "OUT").iterdir()}
    wanted = {"results.csv", "results.json", "report.html", "recipe.toml"}
    assert wanted | {"edges", "overlay", "parts"} <= names
    assert len(list((lot / "OUT" / "overlay").glob("*.png"))) == 3
    back = load_results(lot / "OUT")
    assert rows(back) == rows(found)
    assert back.recipe == recipe
    table = found.to_frame()
    assert len(table) == len(found) and table["u_scale"].notna().any()
    html = (lot / "OUT" / "report.html").read_text()
    assert "http" not in html.replace("http://www.w3.org/2000/svg", "")
    assert "<script" not in html and "fin CD" in html


def test_a_stopped_lot_goes_on_and_processes_change_nothing(lot):
    recipe = Recipe.load(lot / "fins.toml")
    done = []
    with pytest.raises(Cancelled):
        measure_lot(
            recipe, [lot / "L7"], "files", lot / "OUT",
            progress=lambda n, of: done.append(n), stop=lambda: len(done) == 2,
        )  # fmt: skip
    again = measure_lot(recipe, [lot / "L7"], "files", lot / "OUT")
    assert again.resumed == 2
    fresh = measure_lot(recipe, [lot / "L7"], "files", workers=2)
    assert rows(again) == rows(fresh)


def test_other_labels_or_another_recipe_are_measured_again(lot):
    recipe = Recipe.load(lot / "fins.toml")
    measure_lot(recipe, [lot / "L7"], "files", lot / "OUT")
    other = Recipe.loads(RECIPE.replace("0.004", "0.005"))
    assert measure_lot(other, [lot / "L7"], "files", lot / "OUT").resumed == 0
    assert measure_lot(other, [lot / "L7"], "files", lot / "OUT").resumed == 3


def test_one_broken_scan_is_told_and_the_rest_done(lot, capsys):
    (lot / "L7" / "L7_W01_A1.ome.tif").write_bytes(b"II*\0 not a picture")
    code = main(
        ["measure", str(lot / "fins.toml"), str(lot / "L7"), "-o", str(lot / "OUT")]
    )
    out = capsys.readouterr()
    assert code == 1
    assert "L7_W01_A1" in out.err and "2 scans measured" in out.out


def test_the_command_checks_limits_verifies_and_compares_repeats(lot, capsys):
    call = ["measure", str(lot / "fins.toml"), str(lot / "L7"), "-o", str(lot / "OUT")]
    assert main([*call, "--check", "--repeat", "fin CD"]) == 0
    assert "GRR" in capsys.readouterr().out
    assert main(["measure", "--verify", str(lot / "OUT")]) == 0
    assert "bit for bit" in capsys.readouterr().out
    path = lot / "OUT" / "results.json"
    data = json.loads(path.read_text())
    data["results"][0]["value"] += 1e-9
    path.write_text(json.dumps(data))
    assert main(["measure", "--verify", str(lot / "OUT")]) == 1
    strict = RECIPE.replace("lower = 5, upper = 40", "lower = 39, upper = 40")
    (lot / "strict.toml").write_text(strict)
    call[1] = str(lot / "strict.toml")
    assert main([*call, "--check"]) == 2
    assert main(call) == 0


def test_a_full_disk_ends_the_lot_and_keeps_what_was_written(lot, monkeypatch):
    recipe = Recipe.load(lot / "fins.toml")
    written = []
    from napari_sesami.measure import lot as room

    def full(path, data):
        if len(written) == 1:
            raise OSError(28, "No space left on device")
        written.append(path)
        disk.write_atomic(path, data)

    monkeypatch.setattr(room, "write_atomic", full)
    with pytest.raises(OSError, match="No space"):
        measure_lot(recipe, [lot / "L7"], "files", lot / "OUT")
    monkeypatch.undo()
    assert measure_lot(recipe, [lot / "L7"], "files", lot / "OUT").resumed == 1


def test_labels_come_from_a_project(lot):
    from napari_sesami.scan import open_scan
    from napari_sesami.session import Session

    for k, site in enumerate(("A1", "A2")):
        drawn = fins(k, count=3)
        scan = open_scan(lot / "L7" / f"L7_W01_{site}.ome.tif")
        with Session(scan, project=lot / "L7.sesami") as s:
            if not len(s.classes):
                for name in drawn.classes:
                    s.classes.add(name)
            s.document.labels.write(drawn.labels)
            s.save()
    recipe = Recipe.load(lot / "fins.toml")
    found = measure_lot(recipe, [lot / "L7"], labels="project")
    assert {p.site for p in found.provenance} == {"A1", "A2"}
    files = measure_lot(
        recipe, sorted((lot / "L7").glob("*_A[12].ome.tif")), labels="files"
    )
    assert rows(found) == rows(files)
    whole = measure_lot(recipe, [lot / "L7.sesami"], labels="project")
    assert rows(whole) == rows(found)
    with pytest.raises(ValueError, match="no project"):
        measure_lot(recipe, [lot / "L7" / "L7_W01_A1.ome.tif"], labels="project",
                    project=lot / "nothing.sesami")  # fmt: skip


def test_charts_and_gauge_of_a_lot(lot):
    recipe = Recipe.load(lot / "fins.toml")
    found = measure_lot(recipe, [lot / "L7"], "files")
    chart = found.spc("fin CD", by="site")
    assert chart.labels == ("A1", "A2")  # A2r is the second look at A2
    assert chart.preliminary and np.all(chart.errors > 0)
    assert "<svg" in chart.svg()
    study = found.repeatability("fin CD")
    assert 0 < study.ev < 0.3 and study.parts == 6
    assert math.isfinite(study.precision_to_tolerance)


def test_labels_that_are_not_there_are_one_sentence(lot):
    recipe = Recipe.load(lot / "fins.toml")
    lone = lot / "alone.ome.tif"
    save_map(np.zeros((20, 20), np.float32), lone)
    found = measure_lot(recipe, [lone], "files")
    assert "no labels" in found.errors[str(lone)]
    with pytest.raises(MeasureError, match="no scan"):
        (lot / "empty").mkdir()
        measure_lot(recipe, [lot / "empty"], "files")
    with pytest.raises(MeasureError, match="files, project, bank"):
        measure_lot(recipe, [lone], "elsewhere")
    assert FileLabels().scans([lot / "L7"]) == sorted(
        str(p) for p in (lot / "L7").iterdir() if "_labels" not in p.name
    )


def test_nothing_in_a_results_folder_can_leave_it(lot):
    recipe = Recipe.load(lot / "fins.toml")
    source = FileLabels()
    opened = source.open(source.scans([lot / "L7"])[0])

    class Odd:
        def scans(self, given):
            return ["odd"]

        def open(self, name):
            from dataclasses import replace

            return replace(opened, scan=replace(opened.scan, name="../../out <b>"))

    measure_lot(recipe, ["x"], Odd(), lot / "OUT")
    assert not list(lot.parent.glob("out*")) and not list(lot.glob("out*"))
    assert "<b>" not in (lot / "OUT" / "report.html").read_text().split("<table")[1]


def test_verify_needs_results(tmp_path):
    with pytest.raises(MeasureError, match="measure into it first"):
        verify(tmp_path)


def test_a_spreadsheet_holds_the_same_numbers(lot):
    xlsxwriter = pytest.importorskip("xlsxwriter")
    assert xlsxwriter
    import zipfile

    from napari_sesami.measure import save_xlsx

    recipe = Recipe.load(lot / "fins.toml")
    found = measure_lot(recipe, [lot / "L7" / "L7_W01_A1.ome.tif"], "files")
    path = save_xlsx(found, lot / "results.xlsx")
    with zipfile.ZipFile(path) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
        assert any(name.startswith("xl/charts/") for name in book.namelist())
    numbers = [float(v) for v in re.findall(r"<v>([-\d.eE]+)</v>", sheet)]
    assert any(abs(v - found["fin CD"][0].value) < 1e-9 for v in numbers)


def test_without_the_extra_a_spreadsheet_says_what_to_install(lot, monkeypatch):
    import sys

    from napari_sesami.measure import save_xlsx

    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    recipe = Recipe.load(lot / "fins.toml")
    found = measure_lot(recipe, [lot / "L7" / "L7_W01_A1.ome.tif"], "files")
    with pytest.raises(MeasureError, match=r"napari-sesami\[xlsx\]"):
        save_xlsx(found, lot / "results.xlsx")
