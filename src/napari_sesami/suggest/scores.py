"""Scores: how much a label at each pixel would teach, from any probability map.

All take probabilities (…, C) that sum to one and return float32 maps in [0, 1] (or a
stated unit), high meaning "ask here".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import ndimage

from napari_sesami.common.errors import SesamiError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Map = NDArray[np.float32]

RareWeight = Literal["exp", "log", "sqrt", "none"]
Uncertainty = Literal["entropy", "margin", "bvsb"]
# class weight = min(w / min w, CAP), with w = p^−½, −log p or exp(−p) of the class's
# share p: a class is never worth more than this times the commonest
CAP = 8.0
SLACK = 0.01  # by which probabilities may miss 0 and 1


class SuggestError(SesamiError):
    """One plain sentence: what was given, what is needed, what to do."""


def check_maps(p: Map, shape: tuple[int, int] | None = None) -> Map:
    """Refuse in a sentence what cannot be a map of probabilities; else return it.

    Parameters
    ----------
    p
        (…, C).
    shape
        (H, W) that a map of one plane must have; None takes any.
    """
    if p.ndim < 2 or p.shape[-1] == 0:
        raise SuggestError(
            f"A map of shape {p.shape} holds no classes: probabilities (y, x, class) "
            "are needed."
        )
    if shape is not None and p.shape[:-1] != tuple(shape):
        raise SuggestError(
            f"A map of {p.shape[:-1]} pixels was given for a plane of {tuple(shape)}: "
            "segment this plane again."
        )
    low, high = (float(p.min()), float(p.max())) if p.size else (0.0, 0.0)
    if not (np.isfinite(low) and np.isfinite(high)):
        bad = int((~np.isfinite(p)).any(-1).sum())
        raise SuggestError(
            f"The probabilities of {bad} pixels are not numbers (NaN or infinite): the "
            "model that made them is broken; train it again or choose another."
        )
    if low < -SLACK or high > 1 + SLACK:
        raise SuggestError(
            f"Probabilities lie in [0, 1]; these run from {low:.3g} to {high:.3g}. "
            "Give the softmax of a model's outputs, not the outputs."
        )
    return p


def entropy(p: Map) -> Map:
    """Shannon entropy as a share of its maximum, 0 (sure) to 1 (all classes alike)."""
    n = p.shape[-1]
    out = np.zeros(p.shape[:-1], np.float32)
    if n < 2:
        return out
    for c in range(n):  # one class at a time: no temporary of the size of the map
        one = np.maximum(p[..., c], np.float32(1e-12))
        out -= one * np.log(one)
    return np.clip(out / np.float32(np.log(n)), 0, 1)


def _top_two(p: Map) -> tuple[Map, Map]:
    best = p[..., 0].astype(np.float32)
    second = np.zeros_like(best)
    for c in range(1, p.shape[-1]):
        one = p[..., c]
        np.maximum(second, np.minimum(best, one), out=second)
        np.maximum(best, one, out=best)
    return best, second


def margin(p: Map) -> Map:
    """1 − (best − second): 1 where two classes are level; 0 if there is one class."""
    if p.shape[-1] < 2:
        return np.zeros(p.shape[:-1], np.float32)
    best, second = _top_two(p)
    return np.asarray(1 - (best - second), np.float32)


def best_versus_second(p: Map) -> Map:
    """Second ÷ best: 1 where two classes are level (Cai et al., CVPR 2021)."""
    best, second = _top_two(p)
    return np.asarray(second / np.maximum(best, np.float32(1e-12)), np.float32)


def disagreement(votes: Sequence[Map]) -> Map:
    """Mutual information of several answers (augmentations, dropout), 0 to 1.

    Entropy of the mean minus mean of the entropies (BALD): noise on which all answers
    agree to be unsure does not count. The answers may be votes of retrieval with one
    stroke left out each, or of a model on flipped and turned planes (`views`).
    """
    if len(votes) < 2:
        raise SuggestError(
            f"Disagreement needs at least two answers, {len(votes)} was given."
        )
    shapes = sorted({v.shape for v in votes})
    if len(shapes) > 1:
        raise SuggestError(
            f"Answers of different shapes {shapes} cannot be compared: ask for the "
            "same plane and classes each time."
        )
    total = np.zeros(votes[0].shape, np.float32)
    own = np.zeros(votes[0].shape[:-1], np.float32)
    for p in votes:
        total += check_maps(p)
        own += entropy(p)
    n = np.float32(len(votes))
    return np.clip(entropy(total / n) - own / n, 0, 1).astype(np.float32)


def views(plane: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Give a plane as it is, mirrored and turned: what `disagreement` compares.

    Bring the answers back with `unview`, in the same order.
    """
    return [np.ascontiguousarray(_turned(plane, i)) for i in range(4)]


def unview(answers: Sequence[Map]) -> list[Map]:
    """Turn the answers (H, W, C) to `views` back into the plane's own directions."""
    return [np.ascontiguousarray(_turned(p, i)) for i, p in enumerate(answers)]


def _turned(a: NDArray[np.float32], number: int) -> NDArray[np.float32]:
    """Each of the four is its own inverse: as is, upside down, mirrored, both."""
    return a[:: -1 if number & 1 else 1, :: -1 if number & 2 else 1]


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
        if len(labelled) != len(predicted):
            raise SuggestError(
                f"{len(labelled)} labelled classes do not fit {len(predicted)} "
                "predicted ones: segment again after adding or deleting a class."
            )
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

    uncertainty: Uncertainty = "margin"
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
    check_maps(p)
    if novelty is not None and novelty.shape != p.shape[:-1]:
        raise SuggestError(
            f"Novelty of {novelty.shape} does not fit probabilities of "
            f"{p.shape[:-1]}: both must come from the same plane."
        )
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
    rare = ((weight - 1) / (CAP - 1)).clip(0, 1).astype(np.float32)
    return Scores(total.astype(np.float32), u, rare, new)
