"""Stacked memory in 3-D and wire bonds from above, against what was drawn."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from napari_sesami.lab.metrology import measure_truth, nearest_truth
from napari_sesami.lab.scenes import hbm, wire_bond
from napari_sesami.measure import MeasureError, Recipe, measure
from napari_sesami.scan import Scan

HEAD = 'format = "sesami-measure"\nversion = 1\nunit = "µm"\n'


def recipe(features, quantities):
    text = HEAD
    for name, (class_, area) in features.items():
        text += f'[features.{name}]\nclass = "{class_}"\narea_px = [{area}, 1000000]\n'
    for kind, fields in quantities:
        text += f'[[measure]]\nname = "{kind}"\nkind = "{kind}"\n{fields}\n'
    return Recipe.loads(text)


MEMORY = recipe(
    {n: (c, 0) for n, c in (("via", "TSV"), ("pillar", "Cu pillar"), ("pad", "Cu pad"),
                            ("solder", "solder"), ("crack", "crack"))},
    [
        ("via diameter", 'feature = "via"'),
        ("via tilt", 'feature = "via"'),
        ("bump diameter", 'feature = "pillar"'),
        ("bump height", 'feature = "solder"'),
        ("gap", 'between = ["silicon", "underfill", "silicon"]'),
        ("misalignment", 'feature = "pillar"\nto = "pad"'),
        ("crack", 'feature = "crack"\nto = "solder"'),
    ],
)  # fmt: skip


@pytest.fixture(scope="module")
def memory():
    scene = hbm(3, (72, 128, 128), "memory", void_rate=0, crack_rate=0.25)
    return scene, measure(scene.scan(), scene.labels, scene.classes, MEMORY)


def errors(scene, rows, kind, zone="", reach=6.0):
    """Value minus truth of every row whose place is known."""
    truth = measure_truth(scene, kind, zone)
    out = []
    for r in rows:
        points = [*r.geometry.lines, *r.geometry.edges]
        if r.zone != zone or not r.has_value or not r.number or not points:
            continue
        y, x = np.concatenate(points).mean(0)
        place = (r.plane, y, x) if len(truth[0].place) == 3 else (y, x)
        near = nearest_truth(truth, place, reach)
        if near is not None:
            out.append((r.value - near.value, r.U))
    return np.array(out)


def test_vias_bumps_and_shifts_of_a_memory(memory):
    scene, r = memory
    found = errors(scene, r["via diameter"], "via diameter", reach=30)
    assert len(found) >= 4 and abs(np.median(found[:, 0])) < 0.15
    for zone in ("dx", "dy"):
        found = errors(scene, r["misalignment"], "misalignment", zone)
        assert len(found) >= 2 and np.abs(found[:, 0]).max() < 0.25
    height = errors(scene, r["bump height"], "bump height", reach=4)
    assert len(height) and np.abs(height[:, 0]).max() < 1.0
    tilt = [v for v in r["via tilt"] if v.has_value and v.number]
    assert all(v.value < max(1.0, 1.5 * v.U) and v.unit == "°" for v in tilt)
    gaps = [v for v in r["gap"] if v.zone == "" and v.has_value]
    assert gaps and abs(gaps[0].value - 22) < 0.5 and gaps[0].unit == "µm"
    assert abs(gaps[0].value - 22) <= gaps[0].U  # the wiring beneath is in the bar
    # reconstruction makes pillars wide, all of them alike: that is in the bar, too
    bump = errors(scene, r["bump diameter"], "bump diameter", reach=4)
    assert len(bump) >= 4 and np.all(np.abs(bump[:, 0]) <= bump[:, 1])
    (mean,) = (v for v in r["bump diameter"] if v.statistic == "mean")
    assert mean.budget.u("distortion") > 0.9 * 0.2
    assert {v.zone for v in r["gap"]} == {"", "range", "warpage"}
    shares = [v for v in r["crack"] if v.zone == "share" and v.has_value]
    assert all(0 <= v.value < 100 for v in shares) and any(v.value for v in shares)
    assert {v.status for v in r["misalignment"]} <= {"ok", "cut_off", "not_found"}


class Lazy:
    """Labels that are read slice by slice, and say how much was read at once."""

    def __init__(self, labels):
        self._labels, self.shape, self.most = labels, labels.shape, 0

    def __getitem__(self, index):
        part = self._labels[index]
        self.most = max(self.most, part.size)
        return part


def test_a_lazy_volume_is_never_read_at_once(memory):
    scene, whole = memory
    lazy = Lazy(scene.labels)
    only = MEMORY.model_copy(
        update={"measure": tuple(m for m in MEMORY.measure if m.kind != "gap")}
    )
    r = measure(scene.scan(), lazy, scene.classes, only, planes=[])
    assert lazy.most < scene.labels.size / 8
    for name in ("via diameter", "misalignment", "crack"):
        assert [repr(v.value) for v in r[name]] == [repr(v.value) for v in whole[name]]


def test_a_plane_is_no_volume():
    scan = Scan.from_array(np.zeros((20, 20), np.uint8))
    classes = {"TSV": 1, "Cu pillar": 2, "Cu pad": 3, "solder": 4, "crack": 5,
               "silicon": 6, "underfill": 7}  # fmt: skip
    with pytest.raises(MeasureError, match="volume"):
        measure(scan, np.ones((20, 20), np.uint8), classes, MEMORY)


BONDS = recipe(
    {"wire": ("wire", 200), "ball": ("ball", 60), "wedge": ("wedge", 30),
     "pad": ("pad", 20)},
    [
        ("wire diameter", 'feature = "wire"'),
        ("wire sweep", 'feature = "wire"'),
        ("ball", 'feature = "ball"\nto = "wire"'),
        ("ball offset", 'feature = "ball"\nto = "pad"'),
        ("wedge", 'feature = "wedge"\nto = "wire"\nlimits = { lower = 1.2 }'),
        ("clearance", 'feature = "wire"'),
    ],
)  # fmt: skip


def test_the_recipe_for_wire_bonds_of_the_page_measures_ratios():
    page = (Path(__file__).parents[2] / "docs" / "metrology.md").read_text("utf-8")
    shown = [b for b in re.findall(r"```toml\n(.*?)```", page, re.S) if "wedge" in b]
    scene = wire_bond(5, (300, 300), 2.5)
    r = measure(scene.scan(), scene.labels, scene.classes, Recipe.loads(shown[0]))
    ratios = [v for v in r["ball in wire diameters"] if v.zone == "in wires"]
    assert all(2 < v.value < 5 for v in ratios if v.number and v.has_value)
    assert {v.verdict for v in r["clearance"] if v.has_value} == {"pass"}


def test_balls_wires_and_wedges_of_a_bond_picture():
    scene = wire_bond(5, (400, 400), 2.5)
    r = measure(scene.scan(), scene.labels, scene.classes, BONDS)
    ball = errors(scene, r["ball"], "ball")
    assert len(ball) >= 4 and np.abs(ball[:, 0]).max() < 0.6  # µm; a pixel is 2.5
    for zone in ("dx", "dy"):
        offset = errors(scene, r["ball offset"], "ball offset", zone)
        assert len(offset) >= 3 and np.abs(offset[:, 0]).max() < 1.5
    wires = [v for v in r["wire diameter"] if v.has_value and v.number]
    assert all(25 <= v.value < 28.5 for v in wires)  # drawn up to 10 % wider above
    sweep = [
        v for v in r["wire sweep"] if v.zone == "sweep" and v.has_value and v.number
    ]
    truth = sorted(t.value for t in measure_truth(scene, "wire sweep"))
    assert sweep and all(
        0 <= v.value <= truth[-1] + 0.5 and v.unit == "%" for v in sweep
    )
    ratios = [v for v in r["wedge"] if v.zone == "width in wires" and v.number]
    assert ratios and all(1.2 < v.value < 3.5 for v in ratios)
    assert all(v.value > 10 for v in r["clearance"] if v.has_value)
