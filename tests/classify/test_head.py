"""The head is what it says: exact without a lot, calibrated, honest about shares."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sesami.classify import best_temperature, fit_head, probabilities, wilson
from napari_sesami.classify.decide import NEVER, share_text, thresholds
from napari_sesami.classify.head import CONSTANT, PENALTIES


def blobs(n=60, d=12, k=3, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % k
    middles = rng.normal(0, 1.5, (k, d))
    return (middles[labels] + rng.normal(0, 1, (n, d))).astype(np.float32), labels


@pytest.mark.parametrize("d", [5, 150])  # fewer and more features than labels
def test_held_out_answers_are_those_of_a_head_solved_without_the_group(d):
    x, y = blobs(60, d)
    groups = np.r_[np.arange(20) // 10, np.arange(40) + 100]  # two lots, and singles
    _, held = fit_head(x, y, 3, groups)
    share = np.sqrt(len(y) / (3 * np.bincount(y)))[y]
    rows = share[:, None] * np.column_stack([x, np.full(60, CONSTANT)]).astype(float)
    wanted = share[:, None] * (np.eye(3)[y] - 1 / 3)
    best = []
    for penalty in PENALTIES:
        told = np.empty((60, 3))
        for g in np.unique(groups):
            kept = groups != g
            a = rows[kept].T @ rows[kept] + penalty * d * np.eye(d + 1)
            solved = np.linalg.solve(a, rows[kept].T @ wanted[kept])
            told[~kept] = rows[~kept] @ solved / share[~kept, None]
        best.append((best_temperature(told, y)[1], told))
    np.testing.assert_allclose(held, min(best, key=lambda b: b[0])[1], atol=1e-6)


def test_prototypes_answer_from_one_label_a_class():
    x, y = blobs()
    head, _ = fit_head(x[:3], y[:3], 3, np.arange(3))
    assert head.kind == "prototypes"
    assert (head.scores(x).argmax(1) == y).mean() > 0.8
    assert fit_head(x, y, 3, np.arange(60))[0].kind == "ridge"


def test_temperature_makes_confidence_mean_what_it_says():
    x, y = blobs(600, d=4, seed=1)
    head, held = fit_head(x[:300], y[:300], 3, np.arange(300))
    temperature, _ = best_temperature(held, y[:300])
    table = probabilities(head.scores(x[300:]), temperature)
    right = table.argmax(1) == y[300:]
    assert abs(table.max(1).mean() - right.mean()) < 0.05


def test_an_interval_says_how_little_twelve_are():
    low, high = wilson(12, 12)
    assert (round(100 * low), round(100 * high)) == (76, 100)
    assert share_text(12, 12) == "12 of 12 [76, 100] %"
    assert wilson(0, 0) == (0, 1) and share_text(0, 0) == "–"
    assert wilson(0, 10)[0] == 0 < wilson(0, 10)[1] < 0.3


def test_a_threshold_reaches_the_wished_purity_or_never():
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 1, 2000)
    labels = (rng.random(2000) > sure).astype(int)  # class 0 is right with p = sure
    held = np.column_stack([sure, 1 - sure])
    for purity in (0.75, 0.9):
        chosen = thresholds(held, labels, np.zeros(2000, bool), purity)[0]
        new = rng.uniform(0.5, 1, 20_000)
        decided = new >= chosen.confidence
        assert (rng.random(20_000) < new)[decided].mean() > purity - 0.03
        assert chosen.of == (sure >= chosen.confidence).sum()
    few = thresholds(held[:4], labels[:4] * 0, np.zeros(4, bool), 0.95)
    assert few[0].confidence == NEVER  # four right ones promise no 95 %
    novel = thresholds(held, labels, np.ones(2000, bool), 0.5)
    assert novel[0].confidence == NEVER
