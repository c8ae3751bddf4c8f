"""The edge engine against edges whose place is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr

from napari_sesami.lab.metrology.table import correlated_rows, edge_rows
from napari_sesami.measure import NearPixels, fit_stack, fit_step, polynomial


def pixels(edge, *, sigma=1.0, rows=60, noise=0.0, seed=0, step=50.0):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-rows / 2 : rows / 2, -8:9]
    grey = 100 + step * ndtr((x - edge) / sigma)
    grey = grey + noise * rng.standard_normal(grey.shape)
    return NearPixels(y.ravel(), x.ravel(), grey.ravel())


@pytest.mark.parametrize("edge", [-0.73, 0.0, 0.31, 1.9])
@pytest.mark.parametrize("step", [50.0, -50.0])
def test_a_clean_edge_is_found_exactly(edge, step):
    fit = fit_step(pixels(edge, step=step), polynomial(60, 1))
    assert fit.shape == pytest.approx([edge, 0], abs=1e-4)
    assert fit.sigma == pytest.approx(1, abs=1e-3)
    assert fit.step == pytest.approx(step, rel=1e-3)


def test_a_leaning_edge_gives_its_slope():
    p = pixels(0.0)
    lean = 0.02
    grey = 100 + 50 * ndtr(p.across - lean * p.along)
    fit = fit_step(NearPixels(p.along, p.across, grey), polynomial(60, 1))
    assert fit.shape[1] == pytest.approx(lean * 30, abs=1e-4)


def test_hot_pixels_do_not_move_an_edge():
    clean = pixels(0.4, noise=2.0)
    grey = clean.grey.copy()
    grey[np.random.default_rng(1).choice(grey.size, 25, replace=False)] = 400
    fit = fit_step(NearPixels(clean.along, clean.across, grey), polynomial(60, 1))
    assert abs(fit.shape[0] - 0.4) < 0.08


def test_what_is_no_edge_gives_no_fit_or_no_contrast():
    p = pixels(0.0)
    flat = NearPixels(p.along, p.across, np.full(len(p), 7.0))
    assert fit_step(flat, polynomial(60, 1)) is None
    rng = np.random.default_rng(0)
    noise = NearPixels(p.along, p.across, rng.standard_normal(len(p)))
    fit = fit_step(noise, polynomial(60, 1))
    assert fit is None or fit.cnr < 1
    assert fit_step(p.where(np.arange(len(p)) < 5), polynomial(60, 1)) is None


@pytest.mark.parametrize("row", edge_rows(24), ids=lambda row: row.name)
def test_edges_have_no_bias_and_bars_that_hold(row):
    assert row.met, row.line()
    assert row.missed == 0
    assert row.bound < 2.0  # of 24 draws; the full table has 1.5


@pytest.mark.parametrize("row", correlated_rows(40), ids=lambda row: row.name)
def test_bars_hold_in_correlated_noise(row):
    assert row.met, row.line()


def film(thick, *, noise=0.0, seed=0, levels=(100, 150, 60)):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:42, -8 : int(thick) + 9]
    a, b, c = levels
    grey = a + (b - a) * ndtr(x) + (c - b) * ndtr(x - thick)
    grey = grey + noise * rng.standard_normal(grey.shape)
    block = (y // 6).ravel()
    near = NearPixels(y.ravel().astype(float), x.ravel().astype(float), grey.ravel())
    start = np.tile([0.5, thick + 0.6], (7, 1))
    return near, block, start


@pytest.mark.parametrize("thick", [1.5, 2.5, 4.0, 8.0])
def test_a_clean_film_is_as_thick_as_it_is(thick):
    fit = fit_stack(*film(thick), 1.0)
    value, _, dof = fit.mean(np.array([-1.0, 1.0]))
    assert value == pytest.approx(thick, abs=5e-3)
    assert dof == 6
    assert fit.levels == pytest.approx([100, 150, 60], abs=1.0)


def test_a_very_thin_film_needs_its_grey():
    near, block, start = film(1.0, noise=5.0)
    fit = fit_stack(near, block, start, 1.0, fixed_levels={1: 150.0})
    value, u, _ = fit.mean(np.array([-1.0, 1.0]))
    assert abs(value - 1.0) < 4 * u < 0.4
