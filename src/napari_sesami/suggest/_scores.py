"""Scores: how much a label at each pixel would teach, from any probability map.

All take probabilities (…, C) that sum to one and return float32 maps in [0, 1] (or a
stated unit), high meaning "ask here".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Map = NDArray[np.float32]

RareWeight = Literal["exp", "log", "sqrt", "none"]
CAP = 8.0  # a class is never worth more than this times the commonest


class SuggestError(ValueError):
    """One plain sentence: what was given, what is needed, what to do."""


def entropy(p: Map) -> Map:
    """Shannon entropy as a share of its maximum, 0 (sure) to 1 (all classes alike)."""
    n = p.shape[-1]
    if n < 2:
        return np.zeros(p.shape[:-1], np.float32)
    safe = np.clip(p, 1e-12, 1)
    h = -(safe * np.log(safe)).sum(-1) / np.log(n)
    return h.astype(np.float32)


def _top_two(p: Map) -> tuple[Map, Map]:
    if p.shape[-1] < 2:
        return p[..., 0], np.zeros(p.shape[:-1], np.float32)
    top = np.partition(p, -2, axis=-1)
    return top[..., -1], top[..., -2]


def margin(p: Map) -> Map:
    """1 − (best − second): 1 where two classes are level."""
    best, second = _top_two(p)
    return (1 - (best - second)).astype(np.float32)


def best_versus_second(p: Map) -> Map:
    """Second ÷ best: 1 where two classes are level (Cai et al., CVPR 2021)."""
    best, second = _top_two(p)
    return (second / np.maximum(best, 1e-12)).astype(np.float32)


def disagreement(votes: Sequence[Map]) -> Map:
    """Mutual information of several answers (augmentations, dropout), 0 to 1.

    Entropy of the mean minus mean of the entropies (BALD): noise on which all answers
    agree to be unsure does not count.
    """
    if len(votes) < 2:
        raise SuggestError(
            f"Disagreement needs at least two answers, {len(votes)} was given."
        )
    mean = np.mean(votes, axis=0)
    own = np.mean([entropy(p) for p in votes], axis=0)
    return np.clip(entropy(mean) - own, 0, 1).astype(np.float32)


def impurity(p: Map, radius: int = 1) -> Map:
    """Entropy of the predicted classes in a window: 1 where regions meet."""
    n = p.shape[-1]
    if n < 2:
        return np.zeros(p.shape[:-1], np.float32)
    labels = p.argmax(-1)
    size = 2 * radius + 1
    shares = np.stack(
        [
            ndimage.uniform_filter((labels == c).astype(np.float32), size)
            for c in range(n)
        ],
        axis=-1,
    )
    return entropy(np.clip(shares, 0, 1))


def class_weights(
    predicted: NDArray[np.float64],
    labelled: NDArray[np.float64] | None = None,
    how: RareWeight = "sqrt",
) -> NDArray[np.float64]:
    """How much each class counts, from its share of the predictions and the labels.

    The rarer of the two shares counts, so a class that was labelled by hand but never
    predicted is still looked for. The commonest class has weight 1.

    Parameters
    ----------
    predicted, labelled
        Pixels (or regions) per class, (C,).
    how
        "exp" is exp(−p) as published (it saturates: at most e), "log" is −log p,
        "sqrt" is p^−½; all capped at 8; "none" gives ones.
    """
    shares = [_shares(predicted)]
    if labelled is not None and np.sum(labelled) > 0:
        shares.append(_shares(labelled))
    p = np.clip(np.min(shares, axis=0), 1e-9, 1)
    if how == "none":
        return np.ones_like(p)
    raw = {
        "exp": np.exp(-p),
        "log": -np.log(np.minimum(p, 0.99)),
        "sqrt": p**-0.5,
    }[how]
    return np.minimum(raw / raw.min(), CAP)


def _shares(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    counts = np.asarray(counts, np.float64)
    return counts / max(float(counts.sum()), 1e-12)


def rareness(p: Map, weights: NDArray[np.float64]) -> Map:
    """Expected class weight, mapped so that 0 is the commonest and 1 the cap."""
    expected = p @ weights.astype(np.float32)
    return ((expected - 1) / (CAP - 1)).clip(0, 1).astype(np.float32)


@dataclass(frozen=True)
class Mix:
    """How the parts are put together: uncertainty · class weight, or novelty.

    Attributes
    ----------
    uncertainty
        Which score of the probabilities is used.
    rare
        Class weight.
    novelty
        Weight of "unlike all strokes" beside the rest; 0 leaves it out.
    """

    uncertainty: Literal["entropy", "margin", "bvsb"] = "margin"
    rare: RareWeight = "sqrt"
    novelty: float = 0.5


@dataclass(frozen=True)
class Scores:
    """The parts and their combination, each (…,) float32."""

    total: Map
    uncertainty: Map
    rareness: Map
    novelty: Map


UNCERTAINTY = {"entropy": entropy, "margin": margin, "bvsb": best_versus_second}


def score(
    p: Map,
    novelty: Map | None = None,
    *,
    predicted: NDArray[np.float64] | None = None,
    labelled: NDArray[np.float64] | None = None,
    mix: Mix | None = None,
) -> Scores:
    """Every part and the total: (u · w + ν · novelty) / (cap + ν), in [0, 1].

    Parameters
    ----------
    p
        Probabilities (…, C).
    novelty
        1 − best similarity to anything labelled, in [0, 1]; None counts as 0.
    predicted
        Pixels per predicted class of the whole pool; from `p` if None.
    labelled
        Labelled pixels per class.
    mix
        The recipe.
    """
    mix = mix or Mix()
    if predicted is None:
        labels = p.argmax(-1).ravel()
        predicted = np.bincount(labels, minlength=p.shape[-1]).astype(np.float64)
    weights = class_weights(predicted, labelled, mix.rare)
    u = UNCERTAINTY[mix.uncertainty](p)
    weight = p @ weights.astype(np.float32)
    new = np.zeros_like(u) if novelty is None else np.clip(novelty, 0, 1)
    scale = CAP if mix.rare != "none" else 1.0
    total = (u * weight + mix.novelty * scale * new) / (scale * (1 + mix.novelty))
    return Scores(total.astype(np.float32), u, rareness(p, weights), new)
