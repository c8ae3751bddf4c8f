"""Strategies: which candidates to ask about, given a budget."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from napari_sesami.suggest.scores import SuggestError, class_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sesami.suggest.candidates import Candidates
    from napari_sesami.suggest.regions import Kind


@dataclass(frozen=True)
class State:
    """What is labelled so far, and how far one is.

    Attributes
    ----------
    labelled
        (C,) labelled pixels per class; None or zeros before the first label.
    tokens
        (M, D) mean tokens of what is labelled, for strategies that keep away from it.
    taken
        Plane and box of what was asked before.
    round, rounds
        Which round this is, from 0, and of how many.
    apart
        The same place counts as asked within so many planes: slices of a volume that
        lie close look alike.
    """

    labelled: NDArray[np.float64] | None = None
    tokens: NDArray[np.float32] | None = None
    taken: Sequence[tuple[int, tuple[int, int, int, int]]] = field(default=())
    round: int = 0
    rounds: int = 10
    apart: int = 0


class Chosen(NamedTuple):
    """Rows of the candidates, best first, and what each scored."""

    rows: NDArray[np.int64]
    scores: NDArray[np.float64]


class Rank(Protocol):
    """How a strategy chooses `n` of the candidates."""

    def __call__(
        self, pool: Candidates, n: int, state: State, rng: np.random.Generator
    ) -> Chosen:
        """Choose rows, best first; fewer than n if there are no more."""
        ...


@dataclass(frozen=True)
class Strategy:
    """A way to choose what to ask next.

    Attributes
    ----------
    name, label, note
        For scripts, for people, and what it does in one line.
    rank
        The choice itself.
    needs_maps
        Whether it says nothing before there are probabilities.
    kind
        The regions it was made for; None takes any.
    """

    name: str
    label: str
    note: str
    rank: Rank
    needs_maps: bool = True
    kind: Kind | None = None

    def choose(
        self,
        pool: Candidates,
        n: int,
        state: State | None = None,
        rng: np.random.Generator | int = 0,
    ) -> Chosen:
        """Choose up to n regions that do not overlap, best first.

        Parameters
        ----------
        pool
            The candidates, of `gather`.
        n
            The budget, in regions.
        state
            What is labelled so far.
        rng
            A generator or a seed; the same seed gives the same choice.
        """
        if n < 0:
            raise SuggestError(f"A budget of {n} regions was given; 0 is the least.")
        if self.needs_maps and pool.n_classes == 0:
            raise SuggestError(
                f"There are no probabilities yet for {self.label}: label a few places "
                'first, or start with the strategy "coreset" or "random".'
            )
        generator = np.random.default_rng(rng)
        return self.rank(pool, min(n, len(pool)), state or State(), generator)


# --- the strategies


def random(pool: Candidates, n: int, state: State, rng: np.random.Generator) -> Chosen:
    """Every region alike: the plainest baseline."""
    fair = np.flatnonzero(pool.drawn)
    order = rng.permutation(fair)
    return _spread(pool, order, np.ones(len(pool)), n, state)


def foreground(
    pool: Candidates, n: int, state: State, rng: np.random.Generator
) -> Chosen:
    """Two thirds at random where something else than the commonest class is seen."""
    fair = rng.permutation(np.flatnonzero(pool.drawn))
    common = int(pool.predicted.argmax())
    full = fair[pool.shares[fair, common] <= 1 - FOREGROUND]
    first = _spread(pool, full, np.ones(len(pool)), round(n * 2 / 3), state)
    order = np.concatenate([first.rows, np.setdiff1d(fair, first.rows)])
    rest = rng.permutation(order[len(first.rows) :])
    return _spread(pool, np.r_[first.rows, rest], np.ones(len(pool)), n, state)


def by_entropy(
    pool: Candidates, n: int, state: State, rng: np.random.Generator
) -> Chosen:
    """Where all classes are about as likely, on average over the region."""
    return _best(pool, pool.entropy, n, state)


def by_margin(
    pool: Candidates, n: int, state: State, rng: np.random.Generator
) -> Chosen:
    """Where two classes are level."""
    return _best(pool, pool.margin, n, state)


def by_disagreement(
    pool: Candidates, n: int, state: State, rng: np.random.Generator
) -> Chosen:
    """Where several answers contradict each other (BALD, Houlsby et al., 2011)."""
    if np.isnan(pool.bald).any():
        raise SuggestError(
            "Disagreement needs several answers, and these maps hold one: let strokes "
            'label the scan, or choose the strategy "entropy".'
        )
    return _best(pool, pool.bald, n, state)


def bvsb_rare(
    pool: Candidates, n: int, state: State, rng: np.random.Generator
) -> Chosen:
    """Second ÷ best × exp(−p) of the region's class (Cai et al., CVPR 2021)."""
    u = pool.bvsb.astype(np.float64)
    u = (u - u.min(initial=0)) / max(float(np.ptp(u)) if len(u) else 0.0, 1e-12)
    own = pool.looks_like - 1
    share = np.bincount(own, minlength=pool.n_classes) / max(len(own), 1)
    return _best(pool, u * np.exp(-share[own]), n, state)


def coreset(pool: Candidates, n: int, state: State, rng: np.random.Generator) -> Chosen:
    """Greedy k-centre: always the region least like anything labelled or chosen.

    Mean tokens are compared in float32: of regions that are level within 1e-6 another
    processor may choose another.
    """
    if pool.tokens.shape[1] == 0:
        raise SuggestError(
            "Coreset compares tokens and was given none: compute the tokens first."
        )
    nearest = np.full(len(pool), -1.0, np.float32)
    if state.tokens is not None and len(state.tokens):
        nearest = (pool.tokens @ state.tokens.T).max(1)
    elif len(pool):  # the most typical one first
        first = int((pool.tokens @ pool.tokens.mean(0)).argmax())
        nearest = np.where(np.arange(len(pool)) == first, -1.0, -0.5)
    free = _Free(pool, state)
    rows: list[int] = []
    scores: list[float] = []
    while len(rows) < n and free.any():
        row = int(np.where(free.mask, nearest, np.inf).argmin())
        rows.append(row)
        scores.append(1 - float(nearest[row]))
        nearest = np.maximum(nearest, pool.tokens @ pool.tokens[row])
        free.take(row)
    return Chosen(np.array(rows, np.int64), np.array(scores, np.float64))


def clasp(pool: Candidates, n: int, state: State, rng: np.random.Generator) -> Chosen:
    """Two thirds split over the classes, the rest by entropy, with annealed noise."""
    beta = 100.0 ** (min(state.round, state.rounds - 1) / max(state.rounds - 1, 1))
    free, groups = _Free(pool, state), list[list[int]]()
    common = int(pool.predicted.argmax())
    classes = [c for c in range(pool.n_classes) if c != common and pool.predicted[c]]
    noisy = _noisy(pool.entropy, beta, rng)
    for c in rng.permutation(classes).astype(int):
        left = n - sum(map(len, groups))
        each = min(round(n * STRATIFIED / len(classes)), left)
        groups.append(_top(_noisy(pool.heat[:, c], beta, rng), each, free))
    groups.append(_top(noisy, n - sum(map(len, groups)), free))
    rows = _in_turn(groups)
    return Chosen(rows, pool.entropy[rows].astype(np.float64))


def rare(pool: Candidates, n: int, state: State, rng: np.random.Generator) -> Chosen:
    """Entropy × capped class weight, and novelty; stratified and spread out.

    A share goes to what is unlike all labels, for a class that is never predicted has
    no weight. The rest asks the classes in turn, rarer ones more often, for the places
    where a class is likeliest and yet in doubt; what looks like a place already chosen
    waits.
    """
    if pool.n_classes == 0:
        return coreset(pool, n, state, rng)
    weights = class_weights(pool.predicted, state.labelled)
    total = rare_scores(pool, weights)
    free, groups = _Free(pool, state), list[list[int]]()
    early = 1 - state.round / max(state.rounds, 1)
    groups.append(_novel(pool, min(n, round(n * NOVEL * early)), free))
    quota = np.maximum(weights - 1, 0) * (pool.peak.max(0, initial=0) > SEEN)
    quota *= n * STRATIFIED / max(float(quota.sum()), 1e-12)
    for c in np.argsort(-quota, kind="stable"):
        left = n - sum(map(len, groups))
        groups.append(_top(pool.peak[:, c], min(round(quota[c]), left), free))
    groups.append(_top(total, n - sum(map(len, groups)), free))
    rows = _in_turn(groups)
    return Chosen(rows, reason_scores(pool, weights)[rows])


def rare_scores(pool: Candidates, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Entropy × class weight of each region on average, in [0, 1]; or its novelty."""
    top = max(float(weights.max(initial=1)), 1.0)
    known = (pool.heat @ weights) / top
    return np.asarray(np.maximum(known, 0.5 * pool.novelty), np.float64)


def reason_scores(
    pool: Candidates, weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The strongest reason to ask about each region, be it in a few pixels only."""
    top = max(float(weights.max(initial=1)), 1.0)
    doubt = (pool.peak * weights).max(1, initial=0) / top
    return np.asarray(np.maximum(doubt, pool.novel), np.float64)


FOREGROUND = 0.2  # share of a region that must look like something to count
# share of the n queries that is split over the classes: evenly in `clasp` (ClaSP PE's
# stratified part), by class weight in `rare`: n · STRATIFIED · (w − 1) / Σ(w − 1)
STRATIFIED = 0.66
SEEN = 0.01  # entropy × probability from which a class is somewhere at all
# share that goes to what is unlike all labels, less in each round r of R:
# n · NOVEL · (1 − r / R)
NOVEL = 0.65

STRATEGIES: dict[str, Strategy] = {
    s.name: s
    for s in (
        Strategy(
            "rare",
            "rareness-aware",
            "uncertain × rare, or unlike all labels; every class gets its share",
            rare,
            needs_maps=False,
        ),
        Strategy("random", "random", "any region, at random", random, needs_maps=False),
        Strategy(
            "foreground",
            "foreground-aware random",
            "at random, two thirds where more than the commonest class is seen",
            foreground,
        ),
        Strategy("entropy", "entropy", "where all classes are level", by_entropy),
        Strategy("margin", "margin", "where the two best classes are level", by_margin),
        Strategy(
            "bald",
            "disagreement (BALD)",
            "where single trees, each sure of itself, contradict each other",
            by_disagreement,
        ),
        Strategy(
            "bvsb",
            "BvSB × exp(−p)",
            "second ÷ best, times exp(−share) of the class, on superpixels",
            bvsb_rare,
            kind="superpixel",
        ),
        Strategy(
            "coreset",
            "coreset",
            "least like anything labelled, by tokens",
            coreset,
            needs_maps=False,
        ),
        Strategy(
            "clasp",
            "ClaSP PE",
            "entropy per class, two thirds stratified, noise that calms down",
            clasp,
        ),
    )
}


# --- inside


class _Free:
    """Which candidates may still be chosen: no overlap, none again close by."""

    def __init__(self, pool: Candidates, state: State) -> None:
        self.pool, self.apart = pool, state.apart
        self.mask = np.ones(len(pool), bool)
        for plane, box in state.taken:
            self._block(plane, np.asarray(box), state.apart)

    def any(self) -> bool:
        return bool(self.mask.any())

    def take(self, row: int) -> None:
        """Choose a row; it and what it overlaps is free no more."""
        self.mask[row] = False
        self._block(int(self.pool.plane[row]), self.pool.bbox[row], self.apart)

    def _block(self, plane: int, box: NDArray[np.int32], apart: int) -> None:
        near = np.abs(self.pool.plane - plane) <= apart
        b = self.pool.bbox
        near &= (b[:, 0] < box[2]) & (box[0] < b[:, 2])
        near &= (b[:, 1] < box[3]) & (box[1] < b[:, 3])
        self.mask[near] = False


def _top(scores: NDArray[Any], n: int, free: _Free) -> list[int]:
    """Take the n best free rows."""
    rows: list[int] = []
    for row in np.argsort(-np.asarray(scores), kind="stable"):
        if len(rows) >= n:
            break
        if free.mask[row]:
            rows.append(int(row))
            free.take(int(row))
    return rows


def _novel(pool: Candidates, n: int, free: _Free) -> list[int]:
    """Take regions with something unlike all labels and unlike each other."""
    novel = pool.novel.astype(np.float64)
    rows: list[int] = []
    while len(rows) < n and free.any():
        row = int(np.where(free.mask, novel, -1).argmax())
        if novel[row] <= 0:
            break
        rows.append(row)
        free.take(row)
        if pool.oddest.shape[1]:
            novel = np.minimum(novel, 1 - pool.oddest @ pool.oddest[row])
    return rows


def _in_turn(groups: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """Deal the groups out evenly, so that the first few have some of each."""
    places = [
        ((i + 0.5) / len(group), number, row)
        for number, group in enumerate(groups)
        for i, row in enumerate(group)
    ]
    return np.array([row for *_, row in sorted(places)], np.int64)


def _best(
    pool: Candidates, scores: NDArray[np.floating], n: int, state: State
) -> Chosen:
    order = np.argsort(-scores, kind="stable")
    return _spread(pool, order, scores, n, state)


def _spread(
    pool: Candidates,
    order: NDArray[np.int64],
    scores: NDArray[np.floating],
    n: int,
    state: State,
) -> Chosen:
    """Take the first n rows of an order that do not overlap."""
    free = _Free(pool, state)
    rows: list[int] = []
    for row in order:
        if len(rows) == n:
            break
        if free.mask[row]:
            rows.append(int(row))
            free.take(int(row))
    index = np.array(rows, np.int64)
    return Chosen(index, np.asarray(scores, np.float64)[index])


def _noisy(
    scores: NDArray[np.floating], beta: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    raw = np.log(np.maximum(np.asarray(scores, np.float64), 1e-9))
    return np.asarray(raw + rng.gumbel(0, 1 / beta, len(raw)), np.float64)
