"""Keep a bank small: drop rows that the others already say, and tell what it costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.retrieve.bank import even_quotas
from napari_sesami.retrieve.exact import kernels
from napari_sesami.retrieve.upsample import nothing
from napari_sesami.retrieve.voting import VoteTemperature, shares

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sesami.retrieve.bank import Rows
    from napari_sesami.retrieve.upsample import Check

CAP = 10_000  # rows that may vote
CHUNK = 250  # rows that are asked at a time
POOL = 30_000  # of more rows a selection is taken first: all pairs are compared
ASKED = 4_000  # rows that tell the accuracy


@dataclass(frozen=True)
class Condensed:
    """What is left of a bank, and the share of rows it labels right before and after.

    Accuracy is class-balanced, over rows of the full bank, each judged by the rows of
    other strokes. `total` is how many rows there were.
    """

    rows: Rows
    accuracy_before: float
    accuracy_after: float
    total: int = 0

    @property
    def sentence(self) -> str:
        """What happened, and what it costs."""
        points = 100 * (self.accuracy_after - self.accuracy_before)
        sign = "+" if points > 0.05 else "−" if points < -0.05 else "±"
        was, now = (f"{n:,}".replace(",", " ") for n in (self.total, len(self.rows)))
        return (
            f"{was} patches condensed to {now}: {sign}{abs(points):.1f} points on your "
            "strokes."
        )


def condense(
    rows: Rows,
    n_classes: int,
    temper: VoteTemperature | None = None,
    cap: int = CAP,
    seed: int = 0,
    check: Check = nothing,
) -> Condensed:
    """Reduce a bank to `cap` rows.

    Every class keeps at least its even share of the cap (or all its rows); within a
    class, rows that the others get wrong or nearly wrong go first, for they carry what
    the others do not, and the rest is drawn at random so that the middle stays.
    `check` is called now and then; what it raises ends the work.
    """
    temper = temper or VoteTemperature()
    if len(rows) <= cap:
        asked = rows.thinned(ASKED, n_classes)
        score = accuracy(asked, rows, n_classes, temper)
        return Condensed(rows, score, score, len(rows))
    asked, full = rows.thinned(ASKED, n_classes), rows
    rows = rows.thinned(max(POOL, cap), n_classes)
    p = own_probability(rows, rows, n_classes, temper, check)
    truth = rows.counts(n_classes).argmax(1)
    rng = np.random.default_rng(seed)
    kept: list[NDArray[np.int64]] = []
    for c, quota in even_quotas(np.bincount(truth, minlength=n_classes), cap):
        own = np.flatnonzero(truth == c)
        hard = own[np.argsort(p[own], kind="stable")][: quota // 2]
        rest = np.setdiff1d(own, hard)
        kept += [hard, rng.choice(rest, min(quota - len(hard), len(rest)), False)]
    small = rows.take(np.sort(np.concatenate(kept)))
    return Condensed(
        small,
        accuracy(asked, full, n_classes, temper, check),
        accuracy(asked, small, n_classes, temper, check),
        len(full),
    )


def own_probability(
    asked: Rows,
    bank: Rows,
    n_classes: int,
    temper: VoteTemperature,
    check: Check = nothing,
) -> NDArray[np.float64]:
    """Probability of each row's own class, by the bank's rows of other strokes.

    Made of exact votes: the same rows are kept on every processor.
    """
    said = shares(bank, n_classes, temper)
    scale = np.maximum(said.sum(0), 1e-12) ** -temper.gamma
    truth = asked.counts(n_classes).argmax(1)
    out = np.empty(len(asked))
    for start in range(0, len(asked), CHUNK):
        check()
        part = asked.take(slice(start, start + CHUNK))
        kernel = kernels(part.tokens, bank.tokens, temper.tau)
        kernel *= part.stroke[:, None] != bank.stroke[None, :]
        votes = (kernel @ said) * scale
        own = votes[np.arange(len(part)), truth[start : start + CHUNK]]
        out[start : start + CHUNK] = own / np.maximum(votes.sum(1), 1e-300)
    return out


def accuracy(
    asked: Rows,
    bank: Rows,
    n_classes: int,
    temper: VoteTemperature,
    check: Check = nothing,
) -> float:
    """Class-balanced share of rows whose own class has more than half of the votes."""
    truth = asked.counts(n_classes).argmax(1)
    right = own_probability(asked, bank, n_classes, temper, check) > 0.5
    return float(np.mean([right[truth == c].mean() for c in np.unique(truth)]))
