"""Votes: every labelled patch speaks for its classes; a sum that can be taken back.

A row with token r, labelled shares h (over its labelled pixels) and coverage v gives
the token q the vote ``v^α · h · exp((q·r − 1) / τ)``. Because q·r ≤ 1 no running
maximum is needed and votes are plain sums. The kernel is known exactly (`exact` tells
why) as a multiple of 2⁻²⁴, the share of a class is rounded to one of 2⁻¹². So products
are multiples of 2⁻³⁶, and float64 holds their sums over 131 072 rows: adding and
removing rows in any order, any number at a time, gives the same bits as a fresh start,
on every processor. Exact, too, is the best similarity. What is made of the votes for
the eye (`with_area`, pixels between tokens) is float32 and agrees within 1e-5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_sesami.retrieve.exact import PAIRS, kernel, kernels, similarities

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_sesami.retrieve.bank import Rows

SHARE_STEPS = 2.0**12  # of a share, for the same reason as the next
SCORE_STEPS = 2.0**20  # of a logarithm: sums of them do not depend on the order
# p(c) ∝ votes(c) · area(c)^AREA_POWER; scripts/choose_evidence.py looks for it
AREA_POWER = 0.25
LEAST_SHARE = 0.003  # of a plane, so that a class of a few pixels is not swallowed
AREA_STEPS = 10
AREA_SAMPLE = 1 << 14  # tokens are enough to know how much of a plane a class covers
ROWS = 512  # that are asked at a time
JUDGED = 2000  # rows are enough to choose a temperature; all pairs of more take long
BETTER = 1e-6  # another setting must win by more than the last bits of a logarithm


@dataclass(frozen=True)
class VoteTemperature:
    """How votes are counted: what `tune` chooses from the strokes.

    Attributes
    ----------
    tau
        Temperature of the similarity.
    alpha
        Power of the coverage: a patch with few labelled pixels speaks more softly.
    gamma
        Power by which a class is divided by its own number of votes (class balance).
    """

    tau: float = 0.07
    alpha: float = 0.5
    gamma: float = 1.0


def shares(rows: Rows, n_classes: int, temper: VoteTemperature) -> NDArray[np.float64]:
    """What each row says, (M, n_classes): coverage-weighted class shares."""
    counts = rows.counts(n_classes)
    weight = rows.coverage**temper.alpha
    said = counts / np.maximum(counts.sum(1, keepdims=True), 1) * weight[:, None]
    return np.maximum(in_steps(said), (counts > 0) / SHARE_STEPS)


def in_steps(said: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round shares to multiples of 2⁻¹², so that sums of votes are exact."""
    return np.round(said * SHARE_STEPS) / SHARE_STEPS


def count_votes(
    tokens: torch.Tensor, rows: Rows, n_classes: int, temper: VoteTemperature
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Votes (N, n_classes) of some rows on tokens (N, D), and the best similarity (N,).

    The tokens must have length one and be `on_grid`, as those of a store are.
    """
    n = len(tokens)
    if len(rows) == 0 or n == 0:
        return np.zeros((n, n_classes)), np.full(n, -1, np.float32)
    said = torch.from_numpy(shares(rows, n_classes, temper)).to(tokens.device)
    votes = np.zeros((n, n_classes))
    best = np.full(n, -1, np.float32)
    for part, keys, similarity in _blocks(tokens, rows):
        top = similarity.amax(1).cpu().numpy()
        np.maximum(best[part], top, out=best[part])
        votes[part] += (kernel(similarity, temper.tau) @ said[keys]).cpu().numpy()
    return votes, best


def best_similarity(tokens: torch.Tensor, rows: Rows) -> NDArray[np.float32]:
    """The best similarity (N,) of tokens (N, D) to any row; −1 if there is none."""
    best = np.full(len(tokens), -1, np.float32)
    for part, _, similarity in _blocks(tokens, rows):
        top = similarity.amax(1).cpu().numpy()
        np.maximum(best[part], top, out=best[part])
    return best


def _blocks(
    tokens: torch.Tensor, rows: Rows
) -> Iterator[tuple[slice, slice, torch.Tensor]]:
    """Similarities of some tokens to some rows at a time: they stay in the cache."""
    keys = torch.from_numpy(rows.tokens).to(tokens.device)
    step = PAIRS // max(1, min(len(rows), ROWS))
    for start in range(0, len(tokens), step):
        part = slice(start, start + step)
        for first in range(0, len(rows), ROWS):
            some = slice(first, first + ROWS)
            yield part, some, similarities(tokens[part].to(keys.dtype), keys[some])


def balanced(
    votes: NDArray[np.float64], mass: NDArray[np.float64], temper: VoteTemperature
) -> NDArray[np.float32]:
    """Probabilities (…, C) of summed votes, each class divided by its own mass^γ.

    Parameters
    ----------
    votes
        (…, C) sums of `count_votes`.
    mass
        (C,) what all rows together said of each class.
    temper
        Holds the power γ.
    """
    scale = np.where(mass > 0, np.maximum(mass, 1e-12) ** -temper.gamma, 0.0)
    scaled = votes * scale
    total = scaled.sum(-1, keepdims=True)
    n = max(int((mass > 0).sum()), 1)
    even = np.where(mass > 0, 1.0 / n, 0.0)
    return np.where(total > 0, scaled / np.maximum(total, 1e-300), even).astype(
        np.float32
    )


def with_area(p: NDArray[np.float32], power: float = AREA_POWER) -> NDArray[np.float32]:
    """Let a class that covers much of a plane win more of the undecided tokens.

    Balanced votes treat all classes alike, so a class of a few pixels is painted over
    too much. Its share of the plane is estimated from the votes themselves
    (expectation maximisation) and enters with a small power, so that a rare class stays
    visible.

    Parameters
    ----------
    p
        (…, C) of `balanced`, for a whole plane.
    power
        0 leaves the votes as they are, 1 would be Bayes' rule.
    """
    return weighed(p, area_weights(p, power))


def area_weights(
    p: NDArray[np.float32], power: float = AREA_POWER
) -> NDArray[np.float64]:
    """The weight of each class, (C,), by which `with_area` multiplies."""
    flat = p.reshape(-1, p.shape[-1])
    sample = flat[:: max(1, len(flat) // AREA_SAMPLE)].astype(np.float64)
    present = sample.max(0) > 0
    share = present / max(present.sum(), 1)
    for _ in range(AREA_STEPS):
        joint = sample * share
        joint /= np.maximum(joint.sum(1, keepdims=True), 1e-300)
        share = joint.mean(0)
    found: NDArray[np.float64] = np.maximum(share, 1e-4) ** power
    return found


def weighed(
    p: NDArray[np.float32], weights: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Probabilities (…, C) times a weight of each class, with a sum of one again."""
    flat = p.reshape(-1, p.shape[-1]).astype(np.float64) * weights
    flat /= np.maximum(flat.sum(1, keepdims=True), 1e-300)
    return flat.reshape(p.shape).astype(np.float32)


def mean_share(p: NDArray[np.float32]) -> NDArray[np.float64]:
    """The part of a plane (…, C) that each class seems to cover, (C,)."""
    flat = p.reshape(-1, p.shape[-1])
    sample = flat[:: max(1, len(flat) // AREA_SAMPLE)]
    return np.asarray(sample.mean(0, dtype=np.float64))


def by_share(p: NDArray[np.float32], share: NDArray[np.float64]) -> NDArray[np.float32]:
    """Probabilities of balanced classes made those of a plane, by Bayes' rule.

    Forests learn all classes alike, so that a rare one is painted over too much. The
    mean of what they say is the prior: it is drawn towards even, which keeps a rare
    class from being swallowed; estimating it to the end (as `with_area`) does not.
    """
    weight = np.where(share > 0, np.maximum(share, LEAST_SHARE), 0).astype(np.float32)
    out = p * weight
    out /= np.maximum(out.sum(-1, keepdims=True), np.float32(1e-30))
    return out


def tune(
    rows: Rows, n_classes: int, grid: tuple[float, ...] = (0.02, 0.04, 0.07, 0.12, 0.2)
) -> tuple[VoteTemperature, float]:
    """Choose the temperature by leaving out one stroke at a time.

    Returns the choice and its left-out score; with fewer than two strokes of a class
    there is nothing to learn from, the default stands and the score is NaN.
    """
    best, top = VoteTemperature(), math.nan
    rows = rows.thinned(JUDGED, n_classes)
    for tau in grid:
        score = left_out_score(rows, n_classes, VoteTemperature(tau=tau))
        if not math.isnan(score) and not score <= top + BETTER:
            best, top = VoteTemperature(tau=tau), score
    return best, top


def left_out_score(
    rows: Rows,
    n_classes: int,
    temper: VoteTemperature,
    judged: NDArray[np.bool_] | None = None,
) -> float:
    """How well each stroke is labelled by the others, in (0, 1]; NaN: nothing to judge.

    The geometric mean probability of the true class, first over the rows of a class,
    then over the classes, so that a rare class counts as much as a common one.
    `judged` narrows down the rows that are asked; all others still vote. Votes are
    exact, and logarithms are rounded: processors differ in the last bit at most.
    """
    if len(rows) == 0:
        return math.nan
    said = shares(rows, n_classes, temper)
    truth = rows.counts(n_classes).argmax(1)
    other = rows.stroke[:, None] != rows.stroke[None, :]
    votes = (kernels(rows.tokens, rows.tokens, temper.tau) * other) @ said
    mass = other @ said  # what the other strokes say of each class, per row
    at = np.arange(len(rows))
    asked = (mass[at, truth] > 0) & (True if judged is None else judged)
    if not asked.any():
        return math.nan
    return likelihood(votes[asked], mass[asked], truth[asked], temper)


def likelihood(
    votes: NDArray[np.float64],
    mass: NDArray[np.float64],
    truth: NDArray[np.int64],
    temper: VoteTemperature,
) -> float:
    """Geometric mean share of the true class in votes (M, C), all classes alike."""
    scaled = votes * np.where(mass > 0, np.maximum(mass, 1e-12) ** -temper.gamma, 0)
    p = scaled[np.arange(len(truth)), truth] / np.maximum(scaled.sum(1), 1e-300)
    own = np.round(np.log(np.clip(p, 1e-3, 1)) * SCORE_STEPS) / SCORE_STEPS
    counts = np.bincount(truth)
    there = counts > 0
    return float(np.exp((np.bincount(truth, own)[there] / counts[there]).mean()))
