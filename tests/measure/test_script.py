"""The script of docs/metrology.md, line by line, and its recipe."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from napari_sesami.lab.metrology.scenes import nanosheets
from napari_sesami.scan import open_scan, save_map
from napari_sesami.session import Session

PAGE = (Path(__file__).parents[2] / "docs" / "metrology.md").read_text("utf-8")
SCRIPT = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]
RECIPE = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)[1]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A lot of two scans in a project, and the recipe, where the script looks."""
    monkeypatch.chdir(tmp_path)
    Path("L7").mkdir()
    Path("gaa-across.toml").write_text(RECIPE)
    names = ("titanium nitride", "high-k", "silicon", "oxide")
    for k, site in enumerate(("C5", "C6")):
        drawn = nanosheets(k, floor=24).noisy(4.0, k)
        path = Path("L7") / f"L7_W03_{site}.ome.tif"
        save_map(drawn.image, path, like=drawn.scan(0.25))
        with Session(open_scan(path), project="L7.sesami") as s:
            if not len(s.classes):
                for name in names:
                    s.classes.add(name)
            s.document.labels.write(drawn.labels)
            s.save()
    return tmp_path


def test_the_script_of_the_page_runs(folder, capsys):
    lines = SCRIPT.replace("L7_W03_C5.dm4", "L7/L7_W03_C5.ome.tif")
    assert lines.count("\n") < 25
    space: dict = {}
    exec(compile(lines, "docs/metrology.md", "exec"), space)
    told = capsys.readouterr().out
    assert "high-k top" in told and "nm (k = 2" in told
    r, lot = space["r"], space["lot"]
    assert r["high-k"][0].budget.u("edge") > 0
    assert r.value("high-k", zone="top").value == pytest.approx(5.5 / 4, abs=0.03)
    assert len(r.to_frame()) == len(r)
    assert (folder / "OUT" / "report.html").exists()
    assert {p.site for p in lot.provenance} == {"C5", "C6"}
    space["s"].close()
