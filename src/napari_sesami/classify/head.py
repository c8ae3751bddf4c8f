"""Heads on frozen features: prototypes, or ridge with exact answers for held-out lots.

Nothing is learnt by steps: a head is solved in closed form in milliseconds, and the
answers it would give without a lot (or without a defect) follow from the same
decomposition, so that every label can be judged by a head that never saw it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Whole = NDArray[np.int64]

PENALTIES = tuple(10.0 ** np.arange(-1.0, 2.75, 0.5))
"""Of ridge, per feature; the one with the best held-out answers is taken."""
CONSTANT = 3.0
"""The column that becomes the bias; so large that its penalty does not count."""
LEAST_EACH = 3
"""Labels a class on average from which ridge is used; before that, prototypes."""
TEMPERATURES = 0.02, 20.0
"""The least and the most."""
GOLDEN = (5**0.5 - 1) / 2
SECTIONS = 12


@dataclass(frozen=True, eq=False)
class LinearHead:
    """A class's score is a weighted sum of features.

    Attributes
    ----------
    weights
        (features, classes).
    bias
        Per class.
    kind
        "prototypes" or "ridge".
    """

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    kind: str

    def on_raw(
        self, mean: NDArray[np.float32], scale: NDArray[np.float32]
    ) -> LinearHead:
        """Give the same head for features before they are standardised."""
        weights = self.weights / scale[:, None]
        return LinearHead(weights, self.bias - mean @ weights, self.kind)

    def scores(self, features: NDArray[np.float32]) -> Floats:
        """Give scores (defects, classes) of features."""
        return (features @ self.weights + self.bias).astype(np.float64)


def fit_head(
    features: NDArray[np.float32],
    labels: Whole,
    n_classes: int,
    groups: Whole,
    judges: NDArray[np.bool_] | None = None,
) -> tuple[LinearHead, Floats]:
    """Solve a head, and give the scores each labelled defect gets without its group.

    Parameters
    ----------
    features
        (labelled defects, features), standardised.
    labels
        Class of each, 0 …; every class occurs.
    n_classes
        How many classes there are.
    groups
        What is held out together: equal numbers are one lot, or one defect's twins.
    judges
        Whose held-out answers choose the penalty; None takes all.
    """
    x, y = features.astype(np.float64), labels
    counts = np.bincount(y, minlength=n_classes).astype(np.float64)
    share = np.sqrt(len(y) / (n_classes * np.maximum(counts, 1)))[y]
    if len(y) < LEAST_EACH * n_classes:
        return _prototypes(x, y, n_classes, groups)
    rows = share[:, None] * np.column_stack([x, np.full(len(x), CONSTANT)])
    targets = np.eye(n_classes)[y] - 1 / n_classes
    wanted = share[:, None] * targets
    left, strength, back = _decomposed(rows)
    best: tuple[float, Floats, float] | None = None
    judging = slice(None) if judges is None else judges
    for penalty in PENALTIES:
        ridge = penalty * x.shape[1]
        shrunk = strength / (strength + ridge)
        held = _held_out(left, shrunk, wanted, groups) / share[:, None]
        _, loss = best_temperature(held[judging], y[judging])
        if best is None or loss < best[0]:
            best = loss, held, ridge
    assert best is not None
    _, held, ridge = best
    solved = back @ (
        (left.T @ wanted) * (np.sqrt(strength) / (strength + ridge))[:, None]
    )
    return (
        LinearHead(
            solved[:-1].astype(np.float32),
            (CONSTANT * solved[-1]).astype(np.float32),
            "ridge",
        ),
        held,
    )


def _decomposed(rows: Floats) -> tuple[Floats, Floats, Floats]:
    """Give U, S², V of the rows by the smaller of their two products."""
    n, d = rows.shape
    if n <= d:
        strength, left = np.linalg.eigh(rows @ rows.T)
    else:
        strength, back = np.linalg.eigh(rows.T @ rows)
    kept = strength > 1e-9 * strength[-1]
    strength = strength[kept]
    root = np.sqrt(strength)
    if n <= d:
        left = left[:, kept]
        return left, strength, rows.T @ left / root
    back = back[:, kept]
    return rows @ back / root, strength, back


def _held_out(left: Floats, shrunk: Floats, wanted: Floats, groups: Whole) -> Floats:
    """Give the answers of ridge without each group, exactly, from one decomposition.

    Without the rows of a group g the residual there is (1 - H_gg)⁻¹ (t - H t)_g, where
    H maps targets to answers.
    """
    answers = left @ (shrunk[:, None] * (left.T @ wanted))
    missing = wanted - answers
    held = np.empty_like(wanted)
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(groups[order]) != 0])
    several = []
    for place, end in zip(starts, [*starts[1:], len(order)], strict=True):
        if end - place > 1:
            several.append(order[place:end])
    alone = np.ones(len(groups), bool)
    for rows in several:
        alone[rows] = False
        part = left[rows]
        own = np.eye(len(rows)) - (part * shrunk) @ part.T
        held[rows] = wanted[rows] - np.linalg.solve(own, missing[rows])
    lever = np.clip(1 - (left[alone] ** 2) @ shrunk, 1e-9, None)
    held[alone] = wanted[alone] - missing[alone] / lever[:, None]
    return held


def _prototypes(
    x: Floats, y: Whole, n_classes: int, groups: Whole
) -> tuple[LinearHead, Floats]:
    """Score by how near the mean of a class is; means of few lean to that of all."""
    d = x.shape[1]

    def means(rows: NDArray[np.bool_]) -> Floats:
        own = np.zeros((n_classes, d))
        for k in range(n_classes):
            members = x[rows & (y == k)]
            # one example says as much as the middle of all labels
            own[k] = members.sum(0) / (len(members) + 1.0)
        return own

    def scored(own: Floats) -> tuple[Floats, Floats]:
        return 2 * own.T / d, -(own**2).sum(1) / d

    weights, bias = scored(means(np.ones(len(y), bool)))
    held = np.empty((len(y), n_classes))
    for group in np.unique(groups):
        rows = groups == group
        w, b = scored(means(~rows))
        held[rows] = x[rows] @ w + b
    head = LinearHead(weights.astype(np.float32), bias.astype(np.float32), "prototypes")
    return head, held


def best_temperature(scores: Floats, labels: Whole) -> tuple[float, float]:
    """Find the temperature at which the scores' probabilities fit the labels best.

    Every class counts alike. Gives the temperature, and the loss there (mean of
    -log p).
    """
    counts = np.bincount(labels, minlength=scores.shape[1])
    weight = 1 / counts[labels]
    weight /= weight.sum()
    # the loss is convex in 1 / temperature: a golden section finds its minimum
    apart = scores - scores[np.arange(len(labels)), labels][:, None]
    top = apart.max(1)
    apart -= top[:, None]

    def loss(sharp: float) -> float:
        return float(weight @ (np.log(np.exp(apart * sharp).sum(1)) + top * sharp))

    low, high = (float(np.log(1 / t)) for t in reversed(TEMPERATURES))
    inner = [high - GOLDEN * (high - low), low + GOLDEN * (high - low)]
    found = [loss(float(np.exp(place))) for place in inner]
    for _ in range(SECTIONS):
        if found[0] <= found[1]:
            high, inner[1], found[1] = inner[1], inner[0], found[0]
            inner[0] = high - GOLDEN * (high - low)
            found[0] = loss(float(np.exp(inner[0])))
        else:
            low, inner[0], found[0] = inner[0], inner[1], found[1]
            inner[1] = low + GOLDEN * (high - low)
            found[1] = loss(float(np.exp(inner[1])))
    best = int(found[1] < found[0])
    return float(np.exp(-inner[best])), found[best]


def probabilities(scores: Floats, temperature: float) -> Floats:
    """Turn scores into probabilities that sum to one."""
    scaled = scores / temperature
    scaled = scaled - scaled.max(1, keepdims=True)
    out = np.exp(scaled)
    return out / out.sum(1, keepdims=True)
