"""Classes that may overlap (a wire over epoxy): each class is decided by itself.

A labelled pixel carries the class painted on top and the one that was kept below it.
The votes for a class stand against the votes of all labelled pixels that do not carry
it, and a threshold per class, chosen by leaving out one stroke at a time, decides.
Similarities count from the best one of each token, for temperatures are low here; the
votes are exact (see `voting`), and with them the settings and thresholds chosen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_sesami.retrieve.bank import UNLABELLED, RetrieveError, Rows
from napari_sesami.retrieve.exact import PAIRS, kernel, similarities
from napari_sesami.retrieve.methods import (
    GRID_BETA,
    GRID_K,
    Settings,
    check_method,
    pixel_shares,
)
from napari_sesami.retrieve.published import DEFAULT_K, weights
from napari_sesami.retrieve.upsample import Guide, nothing, upsample
from napari_sesami.retrieve.voting import BETTER, SCORE_STEPS, SHARE_STEPS, in_steps

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sesami.retrieve.methods import Method
    from napari_sesami.retrieve.published import PublishedMethod
    from napari_sesami.retrieve.retriever import Retriever
    from napari_sesami.retrieve.upsample import Check
    from napari_sesami.retrieve.voting import VoteTemperature

ASKED = 1000  # rows that are left out in turn
EVEN = 0.5  # the threshold of a class that cannot be judged
GRID_TAU = (0.002, 0.005, 0.01, 0.02, 0.04, 0.07, 0.12, 0.2)
NO = Settings(0, 0.0, math.nan)
LEAST, MOST = 0.05, 0.95  # of a threshold


@dataclass(frozen=True)
class Overlapping:
    """What retrieval says of one plane if classes may overlap.

    Attributes
    ----------
    masks
        (H, W, C) bool; channel k is class k + 1.
    votes
        (H, W, C) float32: probability of each class by itself.
    thresholds
        (C,) above which a class is said to be there.
    """

    masks: NDArray[np.bool_]
    votes: NDArray[np.float32]
    thresholds: NDArray[np.float64]


def overlapping(
    retriever: Retriever,
    plane: int,
    *,
    method: Method = "ours",
    refine: bool = True,
    check: Check = nothing,
) -> Overlapping:
    """Find every class of a plane by itself; arguments as of `Retriever.segment`."""
    check_method(method)
    rows, n = retriever.bank.rows(), retriever.n_classes
    if len(rows) == 0:
        raise RetrieveError(
            "Nothing is labelled yet: paint a stroke of each class first."
        )
    carried = carries(rows, n)
    shape, patch = retriever.store.scan.plane_shape, retriever.store.patch
    tokens = retriever.tokens(plane).astype(np.float32, copy=False)
    chosen = choice(retriever, rows, carried, method)
    if method == "ours":
        temper = replace(retriever.temper, tau=chosen.tau)
        said = _each(tokens, rows, _shares(rows, carried), temper, check)
        votes = upsample(said, shape, patch)
        if refine:
            grey = retriever.store.scan.grey(plane)
            guide = Guide(grey, patch, step=max(1, patch // 2))
            for c in range(n):
                check()
                votes[..., c] = guide.filter(votes[..., c])
            np.clip(votes, 0, 1, out=votes)
    else:
        votes = np.empty((*shape, n), np.float32)
        for c in range(n):
            alone = _alone(rows, carried, c)
            pixels = pixel_shares(tokens, alone, 2, method, chosen.how, shape, check)
            votes[..., c] = pixels[..., 0]
    limits = chosen.thresholds
    masks = votes >= limits.astype(np.float32)
    if retriever.store.scan.ignore is not None:
        masks[retriever.store.scan.ignore] = False
    return Overlapping(masks, votes, limits)


@dataclass(frozen=True)
class Choice:
    """What leaving out strokes chose: temperature or neighbours, and thresholds."""

    tau: float
    how: Settings
    thresholds: NDArray[np.float64]
    score: float


def choice(
    retriever: Retriever, rows: Rows, carried: NDArray[np.bool_], method: Method
) -> Choice:
    """Choose for the bank as it is now; kept until it changes."""
    state = retriever.voters.version, retriever.temper  # tuned later than rows change
    known = retriever.overlap_choices.get(method)
    if known is None or known[0] != state:
        found = choose_overlapping(rows, carried, method, retriever.temper)
        known = retriever.overlap_choices[method] = (state, found)
    return known[1]


def choose_overlapping(
    rows: Rows, carried: NDArray[np.bool_], method: Method, temper: VoteTemperature
) -> Choice:
    """The settings with the best left-out likelihood, and thresholds of best F1."""
    left = _LeftOut(rows, carried)
    tries = [(replace(temper, tau=tau), NO) for tau in GRID_TAU]
    how = NO
    if method != "ours":
        how = Settings(DEFAULT_K[method], GRID_BETA[0], math.nan)
        betas = GRID_BETA[: 1 if method == "distance" else None]
        tries = [(temper, Settings(k, b, 0)) for k in GRID_K[method] for b in betas]
    even = Choice(temper.tau, how, np.full(carried.shape[1], EVEN), math.nan)
    best = even
    for now, how in tries:
        p = left.votes(now) if method == "ours" else left.published(method, how)
        score = left.score(p)
        if not math.isnan(score) and not score <= best.score + BETTER:
            best = Choice(now.tau, how, left.thresholds(p), score)
    # no better than a coin: each stroke is the only one of its kind
    return best if best.score > EVEN else even


class _LeftOut:
    """Rows asked while the other strokes answer; nothing on the same patch does."""

    def __init__(self, rows: Rows, carried: NDArray[np.bool_]) -> None:
        self._rows, self._said = rows, _shares(rows, carried)
        asked = _asked(rows, carried.shape[1])
        places = _places(rows)
        tokens = torch.from_numpy(rows.tokens)
        same = rows.stroke[asked, None] == rows.stroke
        same |= places[asked, None] == places
        self._same = torch.from_numpy(same)
        self._similarity = similarities(tokens[asked], tokens)
        self._similarity[self._same] = -math.inf
        self._truth = self._said[asked] >= 0.5
        # judged: another stroke carries the class, and another does not
        with_it = ~same @ (self._said >= 0.5)
        self._judged = (with_it > 0) & (~same @ (self._said < 0.5) > 0)
        self._near: tuple[torch.Tensor, torch.Tensor] | None = None

    def votes(self, temper: VoteTemperature) -> NDArray[np.float64]:
        """Probabilities of each class on the rows asked, by votes."""
        columns = _columns(self._rows, self._said, temper)
        near = _from_best(self._similarity, temper.tau).masked_fill_(self._same, 0)
        return _balanced(near.numpy() @ columns, columns, temper.gamma)

    def published(self, method: PublishedMethod, how: Settings) -> NDArray[np.float64]:
        """The same in one of the published methods."""
        if self._near is None:
            most = min(max(GRID_K[method]), len(self._rows))
            self._near = self._similarity.float().topk(most, dim=1)
        near, index = (part[:, : how.k] for part in self._near)
        weight = weights(near, method, how.beta).nan_to_num().numpy()
        return np.einsum("nk,nkc->nc", weight, self._said[index.numpy()])

    def score(self, p: NDArray[np.float64]) -> float:
        """Mean likelihood, with and without a class counting alike; NaN: unknown."""
        right = np.log(np.clip(np.where(self._truth, p, 1 - p), 1e-3, 1))
        right = np.round(right * SCORE_STEPS) / SCORE_STEPS
        parts = []
        for c in range(p.shape[1]):
            for truth in (True, False):
                own = self._judged[:, c] & (self._truth[:, c] == truth)
                if own.any():
                    parts.append(right[own, c].mean())
        return float(np.exp(np.mean(parts))) if parts else math.nan

    def thresholds(self, p: NDArray[np.float64]) -> NDArray[np.float64]:
        """The best threshold of each class; 0.5 where it cannot be judged."""
        pairs = zip(p.T, self._truth.T, self._judged.T, strict=True)
        return np.array([best_threshold(q[j], t[j]) for q, t, j in pairs])


def carries(rows: Rows, n_classes: int) -> NDArray[np.bool_]:
    """Which classes each labelled pixel carries, (M, n_classes, p, p).

    Rows of different strokes on one patch know of each other.
    """
    classes = np.arange(1, n_classes + 1, dtype=np.uint8)[:, None, None]
    own = rows.patches[:, None] == classes
    places = _places(rows)
    order = np.argsort(places, kind="stable")
    at = order[np.bincount(places)[places[order]] > 1]
    if len(at) == 0:
        return own
    edges = np.flatnonzero(np.diff(places[at], prepend=-1))
    together = np.logical_or.reduceat(own[at], edges, axis=0)
    which = np.cumsum(np.isin(np.arange(len(at)), edges)) - 1
    labelled = rows.patches[at] != UNLABELLED
    own[at] = together[which] & labelled[:, None]
    return own


def best_threshold(p: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    """The threshold with the best F1; of equal ones the middle nearest to 0.5."""
    if truth.all() or not truth.any():
        return EVEN
    values = np.unique(p)
    middles = np.unique(np.clip((values[1:] + values[:-1]) / 2, LEAST, MOST))
    if len(middles) == 0:
        return EVEN
    said = p[:, None] >= middles
    hits = (said & truth[:, None]).sum(0)
    f1 = 2 * hits / np.maximum(said.sum(0) + truth.sum(), 1)
    best = np.flatnonzero(f1 >= f1.max() - 1e-9)
    return float(middles[best[np.abs(middles[best] - EVEN).argmin()]])


def _shares(rows: Rows, carried: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Part of each row's labelled pixels that carries a class, (M, C)."""
    labelled = (rows.patches != UNLABELLED).sum((1, 2))
    shares: NDArray[np.float64] = carried.sum((2, 3)) / np.maximum(labelled, 1)[:, None]
    return shares


def _each(
    tokens: NDArray[np.float32],
    rows: Rows,
    said: NDArray[np.float64],
    temper: VoteTemperature,
    check: Check,
) -> NDArray[np.float32]:
    """Probability of each class by itself on every token, (h, w, C)."""
    h, w, dim = tokens.shape
    flat = tokens.reshape(-1, dim)
    columns = _columns(rows, said, temper)
    keys = torch.from_numpy(rows.tokens)
    found = np.empty((len(flat), columns.shape[1]))
    step = max(1, PAIRS // len(rows))
    for start in range(0, len(flat), step):
        check()
        part = similarities(torch.from_numpy(flat[start : start + step]), keys)
        near = _from_best(part, temper.tau)
        found[start : start + step] = (near @ torch.from_numpy(columns)).numpy()
    p = _balanced(found, columns, temper.gamma)
    return p.reshape(h, w, -1).astype(np.float32)


def _from_best(similarity: torch.Tensor, tau: float) -> torch.Tensor:
    """The kernel of similarities (N, M), in which the best of a token counts as 1."""
    top = similarity.amax(1, keepdim=True).clamp_(min=-1)
    return kernel(similarity - top + 1, tau)


def _columns(
    rows: Rows, said: NDArray[np.float64], temper: VoteTemperature
) -> NDArray[np.float64]:
    """What each row says for each class, and last in all, in steps of 2⁻¹²."""
    loud = np.maximum(in_steps(rows.coverage**temper.alpha), 1 / SHARE_STEPS)[:, None]
    return np.c_[in_steps(said * loud), loud]


def _balanced(
    votes: NDArray[np.float64], columns: NDArray[np.float64], gamma: float
) -> NDArray[np.float64]:
    """Votes for a class against those without it, each side by its own number."""
    mass, positive = columns.sum(0), votes[:, :-1]
    scale = [_scale(m, gamma) for m in (mass[:-1], mass[-1] - mass[:-1])]
    for_it = positive * scale[0]
    against = (votes[:, -1:] - positive) * scale[1]
    return np.asarray(for_it / np.maximum(for_it + against, 1e-300))


def _scale(mass: NDArray[np.float64], gamma: float) -> NDArray[np.float64]:
    return np.where(mass > 1e-9, np.maximum(mass, 1e-9) ** -gamma, 0)


def _alone(rows: Rows, carried: NDArray[np.bool_], c: int) -> Rows:
    """The rows as if there were two classes: carries it, does not."""
    patches = np.where(carried[:, c], 1, 2).astype(np.uint8)
    patches[rows.patches == UNLABELLED] = UNLABELLED
    return Rows(rows.tokens, patches, rows.where, rows.stroke)


def _places(rows: Rows) -> NDArray[np.int64]:
    """A number for each patch; rows of a bank are told apart by their tokens, too."""
    token = np.ascontiguousarray(rows.tokens[:, :4]).view(np.int32)
    keys = np.concatenate([rows.where, token], 1)
    return np.unique(keys, axis=0, return_inverse=True)[1].ravel()


def _asked(rows: Rows, n_classes: int) -> NDArray[np.int64]:
    """Places of the rows that are left out in turn."""
    number = np.arange(len(rows))
    named = Rows(rows.tokens, rows.patches, rows.where, number)
    return named.thinned(ASKED, n_classes).stroke
