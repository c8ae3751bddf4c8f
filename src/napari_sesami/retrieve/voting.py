"""Votes: every labelled patch speaks for its classes; a sum that can be taken back.

A row with token r, labelled shares h (over its labelled pixels) and coverage v gives
the token q the vote ``v^α · h · exp((q·r − 1) / τ)``. Because q·r ≤ 1 no running
maximum is needed and votes are plain sums. The two factors are rounded to multiples
of 2⁻²⁴ and 2⁻¹², so products and sums are exact in float64: adding and removing rows
in any order gives the same bits as a fresh start.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sesami.retrieve.bank import Rows

SIMILARITY_STEPS = 2.0**24
SHARE_STEPS = 2.0**12
CHUNK = 1 << 15  # tokens × rows kept in float64 at a time stay below about 100 MB


AREA_POWER = 0.25  # what fresh synthetic scenes liked best
AREA_STEPS = 10
AREA_SAMPLE = 1 << 14  # tokens are enough to know how much of a plane a class covers
JUDGED = 2000  # rows are enough to choose a temperature; all pairs of more take long


@dataclass(frozen=True)
class Temper:
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


def shares(rows: Rows, n_classes: int, temper: Temper) -> NDArray[np.float64]:
    """What each row says, (M, n_classes): coverage-weighted class shares."""
    counts = rows.counts(n_classes)
    weight = rows.coverage**temper.alpha
    said = counts / np.maximum(counts.sum(1, keepdims=True), 1) * weight[:, None]
    return np.maximum(np.round(said * SHARE_STEPS), counts > 0) / SHARE_STEPS


def count_votes(
    tokens: torch.Tensor, rows: Rows, n_classes: int, temper: Temper
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Votes (N, n_classes) of some rows on tokens (N, D), and the best similarity (N,).

    The tokens must have length one.
    """
    n = len(tokens)
    if len(rows) == 0 or n == 0:
        return np.zeros((n, n_classes)), np.full(n, -1, np.float32)
    keys = torch.from_numpy(rows.tokens).to(tokens)
    said = torch.from_numpy(shares(rows, n_classes, temper)).to(tokens.device)
    votes = np.empty((n, n_classes))
    best = np.empty(n, np.float32)
    step = max(1, CHUNK * 256 // max(len(rows), 1))
    for start in range(0, n, step):
        similarity = tokens[start : start + step] @ keys.T
        best[start : start + step] = similarity.amax(1).float().cpu().numpy()
        kernel = similarity.float().sub_(1).div_(temper.tau).exp_()
        kernel = kernel.mul_(SIMILARITY_STEPS).round_().double().div_(SIMILARITY_STEPS)
        votes[start : start + step] = (kernel @ said).cpu().numpy()
    return votes, best


def best_similarity(tokens: torch.Tensor, rows: Rows) -> NDArray[np.float32]:
    """The best similarity (N,) of tokens (N, D) to any row; −1 if there is none."""
    best = np.full(len(tokens), -1, np.float32)
    keys = torch.from_numpy(rows.tokens).to(tokens)
    step = max(1, CHUNK * 256 // max(len(rows), 1))
    for start in range(0, len(tokens) if len(rows) else 0, step):
        similarity = tokens[start : start + step] @ keys.T
        best[start : start + step] = similarity.amax(1).float().cpu().numpy()
    return best


def balanced(
    votes: NDArray[np.float64], mass: NDArray[np.float64], temper: Temper
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
    flat = p.reshape(-1, p.shape[-1]).astype(np.float64)
    sample = flat[:: max(1, len(flat) // AREA_SAMPLE)]
    present = sample.max(0) > 0
    share = present / max(present.sum(), 1)
    for _ in range(AREA_STEPS):
        joint = sample * share
        joint /= np.maximum(joint.sum(1, keepdims=True), 1e-300)
        share = joint.mean(0)
    weighted = flat * np.maximum(share, 1e-4) ** power
    weighted /= np.maximum(weighted.sum(1, keepdims=True), 1e-300)
    return weighted.reshape(p.shape).astype(np.float32)


def tune(
    rows: Rows, n_classes: int, grid: tuple[float, ...] = (0.02, 0.04, 0.07, 0.12, 0.2)
) -> tuple[Temper, float]:
    """Choose the temperature by leaving out one stroke at a time.

    Returns the choice and its left-out score; with fewer than two strokes of a class
    there is nothing to learn from, the default stands and the score is NaN.
    """
    best, top = Temper(), math.nan
    rows = rows.thinned(JUDGED, n_classes)
    for tau in grid:
        score = left_out_score(rows, n_classes, Temper(tau=tau))
        if not math.isnan(score) and not score <= top + 1e-9:
            best, top = Temper(tau=tau), score
    return best, top


def left_out_score(
    rows: Rows,
    n_classes: int,
    temper: Temper,
    judged: NDArray[np.bool_] | None = None,
) -> float:
    """How well each stroke is labelled by the others, in (0, 1]; NaN: nothing to judge.

    The geometric mean probability of the true class, first over the rows of a class,
    then over the classes, so that a rare class counts as much as a common one.
    `judged` narrows down the rows that are asked; all others still vote.
    """
    if len(rows) == 0:
        return math.nan
    said = shares(rows, n_classes, temper)
    truth = rows.counts(n_classes).argmax(1)
    other = rows.stroke[:, None] != rows.stroke[None, :]
    kernel = np.exp((rows.tokens @ rows.tokens.T - 1) / temper.tau) * other
    votes = kernel @ said
    mass = other @ said  # what the other strokes say of each class, per row
    at = np.arange(len(rows))
    asked = (mass[at, truth] > 0) & (True if judged is None else judged)
    if not asked.any():
        return math.nan
    scaled = votes * np.where(mass > 0, np.maximum(mass, 1e-12) ** -temper.gamma, 0)
    p = scaled[at, truth] / np.maximum(scaled.sum(1), 1e-300)
    own = np.log(np.clip(p, 1e-3, 1))[asked]
    groups = truth[asked]
    return float(np.exp(np.mean([own[groups == c].mean() for c in np.unique(groups)])))
