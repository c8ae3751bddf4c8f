"""Scenes with truth: what was drawn is what is there, and measuring finds it."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sesami.lab.metrology import print_table, self_test
from napari_sesami.lab.metrology.drawn import noise_field, wavy
from napari_sesami.lab.metrology.finer import device, runs_beside, same_labels
from napari_sesami.lab.metrology.scenes import (
    fins,
    holes,
    lines_with_psd,
    planar_films,
    rough_edges,
)
from napari_sesami.measure import Recipe, measure, palasantzas

GAA = Recipe.loads("""
format = "sesami-measure"
version = 1
[features.sheet]
class = "silicon"
area_px = [200, 4000]
[[measure]]
name = "height"
kind = "height"
feature = "sheet"
[[measure]]
name = "high-k"
kind = "thickness"
between = ["silicon", "high-k", "titanium nitride"]
feature = "sheet"
zones = { top = "north", bottom = "south" }
""")


def test_device_scenes_are_measured_as_their_finer_labels_say():
    errors = []
    for seed in (2, 5):
        drawn, fine = device("gaa", seed, "across", high_k=2.0, sheet_height=5.5)
        assert same_labels(drawn, fine) > 0.9995
        r = measure(drawn.scan(1.0), drawn.labels, drawn.classes, GAA)
        boxes = {x.number: x.geometry.lines[0] for x in r["height"] if x.number
                 and x.status == "ok"}  # fmt: skip
        for row in r:
            if (
                row.status != "ok"
                or row.statistic != "value"
                or row.number not in boxes
            ):
                continue
            (y0, x0), (y1, _) = boxes[row.number]
            box = (int(y0), int(x0) - 12, int(y1) + 1, int(x0) + 13)
            truth = runs_beside(
                fine, drawn.classes["silicon"], drawn.classes["high-k"], box
            )
            which = ("", "top", "bottom").index(row.zone)
            errors.append((row.value - truth[which], row.U))
    error, bar = np.array(errors).T
    assert len(errors) >= 15
    assert np.abs(error).max() < 0.3
    # level edges fall between rows of the fine labels, so one truth is good to 0.2 px;
    # the mean of many is better
    assert abs(error.mean()) < 0.03
    assert np.mean(np.abs(error) <= bar + 0.2) > 0.95


def test_labels_of_drawn_scenes_have_the_size_they_say():
    drawn = fins(1)
    for k, (_, middle, _) in enumerate(drawn.truth["cd"]):
        at = int(drawn.truth["middle"][k])
        rows = drawn.labels[35:55, at - 20 : at + 20] == 2
        assert rows.sum(1).mean() == pytest.approx(middle, abs=0.9)
    hole = holes(1, 12.0, 1.3, count=1)
    assert (hole.labels == 2).sum() == pytest.approx(np.pi * 144, rel=0.01)
    film = planar_films(0, 6.0)
    assert (film.labels == 2).sum(0).mean() == pytest.approx(6.0, abs=0.1)


def test_drawn_edges_have_the_spectrum_asked_for():
    left, right = rough_edges(0, 400, 256, 1.5, 8.0, 0.6, rho=0.5)
    assert left.std() == pytest.approx(1.5, rel=0.03)
    rho = np.corrcoef(left.ravel(), right.ravel())[0, 1]
    assert rho == pytest.approx(0.5, abs=0.04)
    # σ² of the middle and of the width follow from ρ
    width, middle = (right - left).var(), ((left + right) / 2).var()
    both = left.var() + right.var()
    assert width + 4 * middle == pytest.approx(2 * both, rel=1e-9)
    f = np.linspace(-200, 200, 2_000_001)
    area = np.trapezoid(palasantzas(f, 1.5, 8.0, 0.6), f)
    assert area == pytest.approx(1.5**2, rel=0.01)
    lines = lines_with_psd(3)
    assert np.all(lines.truth["right"] > lines.truth["left"])


def test_noise_has_unit_variance_whatever_its_correlation():
    for correlation in (0.0, 0.7, 1.5):
        field = noise_field((400, 400), 3, correlation)
        assert field.std() == pytest.approx(1, abs=0.03)
    neighbours = np.corrcoef(field[:, 1:].ravel(), field[:, :-1].ravel())[0, 1]
    assert neighbours > 0.8


def test_wavy_labels_are_off_as_told():
    drawn = fins(2)
    exact = (drawn.labels == 2).sum()
    assert (wavy(drawn.labels, 1, 1.5) == 2).sum() > 1.1 * exact
    assert (wavy(drawn.labels, 1, -1.5) == 2).sum() < 0.9 * exact
    assert (wavy(drawn.labels, 1, 0.0) != drawn.labels).mean() > 0.005


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_the_whole_table_meets_its_targets():
    rows = self_test(200)
    missed = [row.line() for row in rows if not row.met]
    assert not missed, "\n".join(missed)
    assert callable(print_table)
