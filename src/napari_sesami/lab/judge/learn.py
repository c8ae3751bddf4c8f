"""Learn the judge from questions, and say how well it chooses on families left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.isotonic import IsotonicRegression

from napari_sesami.prompt import JudgeTrees

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sesami.lab.judge.questions import Asked

SETTINGS: dict[str, Any] = {
    "max_iter": 160,
    "learning_rate": 0.06,
    "max_leaf_nodes": 12,
    "min_samples_leaf": 40,
    "l2_regularization": 1.0,
    "max_features": 0.5,
    "early_stopping": False,
    "random_state": 0,
}
KNOTS = 16
FOLDS = (
    ("finfet", "hbm"),
    ("gaa", "wire"),
    ("dram", "sem"),
    ("nand", "random"),
    ("beol",),
)
"""Kinds of scenes that are left out together."""


def grow(questions: Sequence[Asked], **changes: Any) -> HistGradientBoostingRegressor:
    """Fit trees; each question counts the same however many candidates it has."""
    x = np.concatenate([q.numbers for q in questions])
    y = np.concatenate([q.overlap for q in questions])
    x[:, np.isnan(x).all(0)] = 0  # nothing to learn from
    weight = np.concatenate(
        [np.full(len(q.overlap), 1 / len(q.overlap)) for q in questions]
    )
    model = HistGradientBoostingRegressor(**{**SETTINGS, **changes})
    return model.fit(x, y, sample_weight=weight / weight.mean())


def left_out(questions: Sequence[Asked], **changes: Any) -> list[NDArray[np.float32]]:
    """Predict each question by trees that never saw its family, nor its cousins."""
    out: list[NDArray[np.float32]] = [np.zeros(0, np.float32)] * len(questions)
    for fold in FOLDS:
        mine = [i for i, q in enumerate(questions) if q.family.startswith(fold)]
        if not mine:
            continue
        rest = [q for q in questions if not q.family.startswith(fold)]
        model = grow(rest, **changes)
        said = model.predict(np.concatenate([questions[i].numbers for i in mine]))
        ends = np.cumsum([len(questions[i].overlap) for i in mine])[:-1]
        for i, part in zip(mine, np.split(said, ends), strict=True):
            out[i] = part.astype(np.float32)
    return out


def choose(question: Asked, said: NDArray[np.float32]) -> int:
    """Which candidate is taken: the best that does not run out of its window."""
    return int(np.argmax(np.where(question.cut, said - 9, said)))


def stopped(
    question: Asked, said: NDArray[np.float32], enough: float
) -> tuple[int, int]:
    """Which candidate is taken if no window is opened after one that says enough."""
    worth = np.where(question.cut, said - 9, said)
    steps = np.unique(question.level)
    for count, step in enumerate(steps, 1):
        here = np.where(question.level <= step, worth, -99)
        if here.max() >= enough or count == len(steps):
            return int(np.argmax(here)), count
    raise AssertionError("a question has windows")


def calibrate(
    said: NDArray[Any], true: NDArray[Any]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Line segments from what was said of the chosen ones to what they were."""
    fit = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(said, true)
    at = np.unique(np.quantile(said, np.linspace(0.01, 0.99, KNOTS)))
    # means of the isotonic steps around each knot: no flat stairs
    around = np.linspace(-0.05, 0.05, 21)
    level = fit.predict((at[:, None] + around).ravel()).reshape(-1, 21).mean(1)
    return at.astype(np.float32), np.maximum.accumulate(level).astype(np.float32)


def as_arrays(
    model: HistGradientBoostingRegressor, said: NDArray[Any], true: NDArray[Any]
) -> JudgeTrees:
    """Bring grown trees and their calibration into plain arrays."""
    nodes = [p[0].nodes for p in model._predictors]
    most = max(len(n) for n in nodes)
    shape = (len(nodes), most)
    feature, left, right = (np.zeros(shape, np.int16) for _ in range(3))
    threshold, value = (np.zeros(shape, np.float32) for _ in range(2))
    missing = np.zeros(shape, bool)
    for t, tree in enumerate(nodes):
        n, leaf = len(tree), tree["is_leaf"].astype(bool)
        own = np.arange(n)
        feature[t, :n] = np.where(leaf, 0, tree["feature_idx"])
        # features are float32: the cut is rounded down, so that none changes sides
        cut = tree["num_threshold"].astype(np.float32)
        high = cut.astype(np.float64) > tree["num_threshold"]
        threshold[t, :n] = np.where(high, np.nextafter(cut, np.float32(-np.inf)), cut)
        left[t, :n] = np.where(leaf, own, tree["left"])
        right[t, :n] = np.where(leaf, own, tree["right"])
        missing[t, :n] = tree["missing_go_to_left"].astype(bool)
        value[t, :n] = np.where(leaf, tree["value"], 0)
    base = float(np.ravel(model._baseline_prediction)[0])
    depth = max(int(n["depth"].max()) for n in nodes)
    return JudgeTrees(
        feature, threshold, left, right, value, missing, base, depth,
        *calibrate(said, true),
    )  # fmt: skip


def reliability(
    said: NDArray[Any], true: NDArray[Any], bins: int = 10
) -> tuple[float, float, list[tuple[float, float, int]]]:
    """Correlation, expected calibration error, and (mean said, mean true, count)."""
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.digitize(said, edges) - 1, 0, bins - 1)
    rows, error = [], 0.0
    for b in range(bins):
        here = place == b
        if here.any():
            rows.append(
                (float(said[here].mean()), float(true[here].mean()), int(here.sum()))
            )
            error += here.mean() * abs(said[here].mean() - true[here].mean())
    related = float(np.corrcoef(said, true)[0, 1]) if len(said) > 2 else float("nan")
    return related, float(error), rows
