"""Honest control: what choosing saved against labels at random, and when to stop.

A few slices are drawn at random and labelled with the rest. They judge the model after
every answer, so they are never taken for training. The same labels, learned in random
order, tell how good the model would have been without choosing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.suggest.scores import SuggestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

LEVELS = 25  # accuracies at which clicks are compared
DRAWS = 400  # of the bootstrap
LEAST = 4  # points that a curve needs before anything is said
FLAT = 4  # last points that must be level for the advice to stop


@dataclass(frozen=True)
class Point:
    """How good the model was on the control slices after so many clicks.

    Attributes
    ----------
    clicks
        Spent until then, of one way of choosing.
    accuracy
        On the control slices, in [0, 1]: a mean IoU, or whatever is watched.
    chosen
        True for labels in the order of the queue, False for the same or other labels
        in random order.
    run
        Number of the random order (or of the repetition), from 0.
    """

    clicks: float
    accuracy: float
    chosen: bool = True
    run: int = 0


@dataclass(frozen=True)
class Saved:
    """Clicks saved against random, in per cent, with a 90 % interval."""

    percent: float
    low: float
    high: float
    sentence: str


def control_slices(n_planes: int, seed: int = 0, k: int | None = None) -> list[int]:
    """Draw slices at random that judge and never teach, stratified on nothing.

    Parameters
    ----------
    n_planes
        Of the scan.
    seed
        The project's; the same seed gives the same slices.
    k
        How many; by default one in 20, at least one and at most five. A scan of one
        plane has none to spare: the list is empty.
    """
    if n_planes < 1:
        raise SuggestError(f"A scan has at least one plane, not {n_planes}.")
    if n_planes == 1:
        return []
    k = int(np.clip(round(n_planes / 20), 1, 5)) if k is None else k
    if not 0 <= k < n_planes:
        raise SuggestError(
            f"{k} control slices of {n_planes} planes would leave nothing to learn "
            f"from: ask for at most {n_planes - 1}."
        )
    drawn = np.random.default_rng([seed, 53]).permutation(n_planes)[:k]
    return sorted(int(i) for i in drawn)


def clicks_saved(
    history: Sequence[Point], seed: int = 0, draws: int = DRAWS
) -> Saved | None:
    """Estimate how many clicks choosing saved against random order.

    At every accuracy that both ways reached, the clicks that each needed are compared;
    the estimate is the mean over these accuracies, and its interval comes from drawing
    the points of both curves anew. None while there is too little to compare.

    Parameters
    ----------
    history
        Points of both ways; at least four of each.
    seed, draws
        Of the bootstrap.
    """
    points = [p for p in history if np.isfinite(p.accuracy) and np.isfinite(p.clicks)]
    ours = _points(p for p in points if p.chosen)
    lots = _points(p for p in points if not p.chosen)
    if min(len(ours), len(lots)) < LEAST:
        return None
    rng = np.random.default_rng([seed, 54])
    value = _saving(ours, lots)
    if value is None:
        return None
    found = []
    for _ in range(draws):
        a = ours[np.sort(rng.integers(0, len(ours), len(ours)))]
        b = lots[np.sort(rng.integers(0, len(lots), len(lots)))]
        one = _saving(a, b)
        if one is not None:
            found.append(one)
    if len(found) < draws // 4:
        return None
    low, high = (float(q) for q in np.percentile(found, [5, 95]))
    low, high = min(low, value), max(high, value)
    return Saved(100 * value, 100 * low, 100 * high, _saved_sentence(value, low, high))


def stop_advice(history: Sequence[Point], least: float = 0.02) -> str | None:
    """Say that labelling on is not worth it, or None.

    Said when the last four points of the control curve are level: a line through them
    rises by less than `least` over the stretch, its own error counted in, and does not
    fall by more.
    """
    curve = _points(p for p in history if p.chosen and np.isfinite(p.accuracy))
    if len(curve) < FLAT + 1:
        return None
    x, y = curve[-FLAT:, 0], curve[-FLAT:, 1]
    if np.ptp(x) <= 0:
        return None
    slope, offset = np.polyfit(x, y, 1)
    rest = y - (slope * x + offset)
    error = np.sqrt((rest**2).sum() / (FLAT - 2) / ((x - x.mean()) ** 2).sum())
    rise, doubt = slope * np.ptp(x), error * np.ptp(x)
    if rise + doubt > least or doubt > least or rise - doubt < -2 * least:
        return None
    return (
        f"The last {np.ptp(x):.0f} clicks changed the control slices by "
        f"{100 * rise:+.1f} ± {100 * doubt:.1f} points (now {100 * y[-1]:.0f}): "
        "more labels of this kind will hardly help. Stop, or label another scan."
    )


# --- inside


def _points(points: Iterable[Point]) -> NDArray[np.float64]:
    """Clicks and accuracy, (n, 2), in the order of the clicks."""
    rows = [(p.clicks, p.accuracy) for p in points]
    table = np.array(rows, np.float64).reshape(-1, 2)
    return table[np.argsort(table[:, 0], kind="stable")]


def _needed(
    curve: NDArray[np.float64], levels: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Clicks at which a curve first reaches each level; a drop later does not count."""
    clicks, where = np.unique(curve[:, 0], return_inverse=True)
    sums = np.bincount(where, curve[:, 1])
    best = np.maximum.accumulate(sums / np.bincount(where))
    first = np.r_[True, np.diff(best) > 0]
    return np.interp(levels, best[first], clicks[first])


def _saving(ours: NDArray[np.float64], lots: NDArray[np.float64]) -> float | None:
    low = max(ours[:, 1].min(), lots[:, 1].min())
    high = min(_top(ours), _top(lots))
    if not high > low:
        return None
    levels = np.linspace(low, high, LEVELS + 1)[1:]
    needed = _needed(lots, levels)
    return float(np.mean(1 - _needed(ours, levels) / np.maximum(needed, 1e-9)))


def _top(curve: NDArray[np.float64]) -> float:
    """Highest accuracy, runs of the same clicks averaged."""
    _, where = np.unique(curve[:, 0], return_inverse=True)
    return float((np.bincount(where, curve[:, 1]) / np.bincount(where)).max())


def _saved_sentence(value: float, low: float, high: float) -> str:
    span = f"({100 * low:.0f} to {100 * high:.0f})"
    if low > 0:
        span = f"({100 * low:.0f}–{100 * high:.0f})"
        return f"Clicks saved against random: {100 * value:.0f} % {span}"
    if high < 0:
        span = f"({1 - high:.1f}–{1 - low:.1f})"
        return f"Choosing cost {1 - value:.1f} times the clicks of random {span}"
    return f"No clear saving against random yet: {100 * value:.0f} % {span}"
