"""Clicks saved, with an honest interval, and when to stop."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sesami.suggest import (
    Point,
    SuggestError,
    clicks_saved,
    control_slices,
    stop_advice,
)

CLICKS = np.arange(10, 210, 20)


def curve(speed, chosen, noise=0.0, run=0, top=0.9):
    rng = np.random.default_rng(run + 10 * chosen)
    y = top * (1 - np.exp(-CLICKS * speed / 60)) + noise * rng.normal(size=len(CLICKS))
    return [
        Point(float(c), float(a), chosen, run) for c, a in zip(CLICKS, y, strict=True)
    ]


def test_control_slices_are_by_lot_and_stay_the_same():
    a = control_slices(200, seed=1)
    assert a == control_slices(200, seed=1) != control_slices(200, seed=2)
    assert len(a) == 5 and len(set(a)) == 5 and 0 <= min(a) <= max(a) < 200
    assert len(control_slices(8)) == 1 and len(control_slices(60)) == 3
    drawn = {s for seed in range(200) for s in control_slices(8, seed)}
    assert drawn == set(range(8))


def test_a_scan_of_one_plane_has_none_to_spare():
    assert control_slices(1) == []
    with pytest.raises(SuggestError, match="leave nothing"):
        control_slices(3, k=3)
    with pytest.raises(SuggestError, match="at least one plane"):
        control_slices(0)


def test_twice_as_fast_saves_half_the_clicks():
    saved = clicks_saved(curve(2, True) + curve(1, False))
    assert saved is not None
    assert saved.percent == pytest.approx(50, abs=8)
    assert 0 < saved.low <= saved.percent <= saved.high
    assert saved.sentence.startswith("Clicks saved against random: ")
    assert " %" in saved.sentence and "–" in saved.sentence


def test_no_difference_is_said_to_be_unclear():
    saved = clicks_saved(
        curve(1, True, 0.02) + curve(1, False, 0.02) + curve(1, False, 0.02, run=1)
    )
    assert saved is not None and saved.low < 0 < saved.high
    assert "No clear saving" in saved.sentence


def test_a_worse_choice_is_admitted():
    saved = clicks_saved(curve(1, True) + curve(3, False))
    assert saved is not None and saved.percent < 0 and saved.high < 0
    assert "times the clicks of random" in saved.sentence


def test_too_little_says_nothing():
    assert clicks_saved([]) is None
    assert clicks_saved(curve(2, True)) is None
    assert clicks_saved(curve(2, True)[:3] + curve(1, False)) is None
    apart = [Point(p.clicks, p.accuracy + 5) for p in curve(2, True)]
    assert clicks_saved(apart + curve(1, False)) is None
    broken = [Point(p.clicks, float("nan")) for p in curve(2, True)]
    assert clicks_saved(broken + curve(1, False)) is None


def test_stop_is_advised_when_the_curve_is_level():
    level = [Point(10.0 * i, 0.8) for i in range(1, 8)]
    said = stop_advice(level)
    assert said is not None and "Stop" in said and "now 80" in said
    rising = [Point(10.0 * i, 0.5 + 0.04 * i) for i in range(1, 8)]
    assert stop_advice(rising) is None
    assert stop_advice(level[:4]) is None


def test_a_noisy_curve_is_not_called_level():
    rng = np.random.default_rng(2)
    noisy = [Point(10.0 * i, 0.8 + 0.05 * rng.normal()) for i in range(1, 9)]
    assert stop_advice(noisy) is None


def test_points_of_the_random_order_do_not_stop_anything():
    lots = [Point(10.0 * i, 0.8, chosen=False) for i in range(1, 9)]
    assert stop_advice(lots) is None
