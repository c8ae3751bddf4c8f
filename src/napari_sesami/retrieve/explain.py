"""Why a pixel got its class, what a stroke is worth, at which zoom to read a scan."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_sesami.common.cancel import Cancelled
from napari_sesami.retrieve.bank import UNLABELLED, RetrieveError, Rows, rows_by_stroke
from napari_sesami.retrieve.exact import kernel, kernels, similarities
from napari_sesami.retrieve.upsample import nothing
from napari_sesami.retrieve.voting import likelihood, shares, tune

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_sesami.common.cancel import IsCancelled
    from napari_sesami.retrieve.painted import PaintedPixels
    from napari_sesami.retrieve.retriever import Retriever
    from napari_sesami.retrieve.token_store import TokenStore
    from napari_sesami.retrieve.upsample import Check
    from napari_sesami.retrieve.voting import VoteTemperature

ZOOMS = (1.0, 0.5, 2.0)
PART = 1000  # rows whose similarities to all others are in memory at a time
BETTER = 0.02  # another zoom must win by so much: native pixels are the safe choice


@dataclass(frozen=True)
class Reason:
    """One labelled patch that spoke for a pixel, or the loudest one of a stroke.

    `bbox` is (y0, x0, y1, x1) in pixels of `plane`; `share` is its part, or that of the
    whole stroke, of all votes that the pixel got.
    """

    stroke: int
    class_id: int
    plane: int
    bbox: tuple[int, int, int, int]
    similarity: float
    share: float


def why(
    retriever: Retriever, plane: int, y: float, x: float, n: int = 3
) -> list[Reason]:
    """The n labelled patches that decided the pixel (y, x) of a plane."""
    rows, near = _likenesses(retriever, plane, y, x)
    temper = retriever.temper
    weight = kernel(near, temper.tau)[:, 0].numpy() * rows.coverage**temper.alpha
    weight /= max(float(weight.sum()), 1e-300)
    best = np.argsort(-weight, kind="stable")[:n]
    return [_reason(retriever, rows, near, int(i), float(weight[i])) for i in best]


def strokes_behind(
    retriever: Retriever, plane: int, y: float, x: float
) -> list[Reason]:
    """Give every stroke's part of the votes for a pixel, the strongest first.

    All parts add up to one. They are balanced as where a plane is labelled: a class is
    divided by the power γ of all that is labelled of it. A stroke is shown by its patch
    that speaks loudest.
    """
    rows, near = _likenesses(retriever, plane, y, x)
    temper = retriever.temper
    said = shares(rows, retriever.n_classes, temper)
    scale = np.maximum(said.sum(0), 1e-12) ** -temper.gamma
    weight = kernel(near, temper.tau)[:, 0].numpy() * (said @ scale)
    weight /= max(float(weight.sum()), 1e-300)
    names, owner = np.unique(rows.stroke, return_inverse=True)
    share = np.bincount(owner, weight, len(names))
    out = []
    for each in np.argsort(-share, kind="stable"):
        own = np.flatnonzero(owner == each)
        loudest = int(own[weight[own].argmax()])
        out.append(_reason(retriever, rows, near, loudest, float(share[each])))
    return out


def _likenesses(
    retriever: Retriever, plane: int, y: float, x: float
) -> tuple[Rows, torch.Tensor]:
    """All labelled patches, and how alike each is to that of the pixel, (M, 1)."""
    tokens = retriever.store.plane(plane)
    if tokens is None:
        raise RetrieveError("The tokens of this plane are not computed yet.")
    rows = retriever.bank.rows()
    if len(rows) == 0:
        raise RetrieveError("Nothing is labelled yet: there is no reason to show.")
    patch = retriever.store.patch
    cell = tokens[
        min(int(y) // patch, tokens.shape[0] - 1),
        min(int(x) // patch, tokens.shape[1] - 1),
    ].astype(np.float32)
    keys = torch.from_numpy(rows.tokens)
    return rows, similarities(keys, torch.from_numpy(cell[None]))


def _reason(
    retriever: Retriever, rows: Rows, near: torch.Tensor, i: int, share: float
) -> Reason:
    patch = retriever.store.patch
    labelled = rows.patches[i][rows.patches[i] != UNLABELLED]
    plane, row, column = (int(v) for v in rows.where[i])
    y, x = row * patch, column * patch
    return Reason(
        stroke=int(rows.stroke[i]),
        class_id=int(np.bincount(labelled).argmax()),
        plane=plane,
        bbox=(y, x, y + patch, x + patch),
        similarity=float(near[i, 0]),
        share=share,
    )


def worth(retriever: Retriever, check: Check = nothing) -> dict[int, float]:
    """What each stroke adds to the others: the fall of their left-out score without it.

    Negative: the other strokes are told apart better without it, so look at it again.
    A stroke that is the only one of its class cannot be judged and gets NaN. `check` is
    called before each stroke; what it raises ends the work.
    """
    rows = retriever.bank.rows()
    if len(rows) == 0:
        return {}
    judge = _Judge(rows, retriever.bank.n_classes, retriever.temper, check)
    out: dict[int, float] = {}
    for stroke, own in judge.strokes():
        check()
        out[stroke] = judge.worth(own)
    return out


class _Judge:
    """Left-out scores with and without a stroke; nothing is counted twice.

    Votes are exact sums: without a stroke they are what they were, less its own.
    """

    def __init__(
        self, rows: Rows, n: int, temper: VoteTemperature, check: Check
    ) -> None:
        self._rows, self._temper = rows, temper
        self._said = shares(rows, n, temper)
        self._truth = rows.counts(n).argmax(1)
        self._carries = rows.counts(n) > 0
        order = np.argsort(rows.stroke, kind="stable")
        names, starts = np.unique(rows.stroke[order], return_index=True)
        self._own = dict(zip(names.tolist(), np.split(order, starts[1:]), strict=True))
        self._holders = sum(self._carries[own].any(0) for own in self._own.values())
        # what the other strokes say, per row: in all, and as votes
        self._mass = np.tile(self._said.sum(0), (len(rows), 1))
        self._votes = np.empty_like(self._mass)
        for own in self._own.values():
            self._mass[own] -= self._said[own].sum(0)
        for start in range(0, len(rows), PART):
            check()
            part = slice(start, start + PART)
            others = kernels(rows.tokens[part], rows.tokens, temper.tau)
            others *= rows.stroke[part, None] != rows.stroke
            self._votes[part] = others @ self._said

    def strokes(self) -> list[tuple[int, NDArray[np.int64]]]:
        """Each stroke with the places of its rows."""
        return list(self._own.items())

    def worth(self, own: NDArray[np.int64]) -> float:
        """Score of the other strokes' rows with this one, less that without it."""
        if (self._carries[own].any(0) & (self._holders < 2)).any():
            return math.nan
        others = np.ones(len(self._rows), bool)
        others[own] = False
        tokens = self._rows.tokens
        delta = kernels(tokens, tokens[own], self._temper.tau)
        votes = self._votes - delta @ self._said[own]
        mass = self._mass - self._said[own].sum(0)
        with_it = self._score(self._votes, self._mass, others)
        return with_it - self._score(votes, mass, others)

    def _score(
        self,
        votes: NDArray[np.float64],
        mass: NDArray[np.float64],
        asked: NDArray[np.bool_],
    ) -> float:
        """As `left_out_score`."""
        at = np.arange(len(votes))
        asked = asked & (mass[at, self._truth] > 0)
        if not asked.any():
            return math.nan
        truth = self._truth[asked]
        return likelihood(votes[asked], mass[asked], truth, self._temper)


def choose_zoom(
    make_store: Callable[[float], TokenStore],
    strokes: Sequence[tuple[int, PaintedPixels]],
    zooms: Sequence[float] = ZOOMS,
    cancelled: IsCancelled | None = None,
) -> tuple[float, dict[float, float]]:
    """The scale at which left-out strokes are told apart best.

    Tokens are read under strokes alone. A scale finer than the first is not read where
    a coarser one is better already: averaging helps there.

    Parameters
    ----------
    make_store
        Gives a token store for a zoom.
    strokes
        What is painted, for each painted plane.
    zooms
        Candidates; the first is kept unless another wins clearly.
    cancelled
        Asked before each tile; a cancelled call raises.

    Returns
    -------
    tuple
        The zoom, and the left-out score of each candidate (NaN: cannot be judged).
    """
    n_classes = max((int(p.classes.max(initial=0)) for _, p in strokes), default=0)
    scores: dict[float, float] = {}
    best = zooms[0]
    for zoom in zooms:
        if zoom > zooms[0] and any(scores[z] > scores[zooms[0]] for z in scores):
            continue
        store = make_store(zoom)
        parts = [_rows_of(store, *plane, cancelled) for plane in strokes]
        parts = [rows for rows in parts if len(rows)]
        scores[zoom] = tune(Rows.join(parts), n_classes)[1] if parts else math.nan
        floor = scores[best] + BETTER if not math.isnan(scores[best]) else -math.inf
        if zoom != best and scores[zoom] > floor:
            best = zoom
    return best, scores


def _rows_of(
    store: TokenStore,
    plane: int,
    painted: PaintedPixels,
    cancelled: IsCancelled | None,
) -> Rows:
    tokens = store.under(plane, painted.pixels, cancelled=cancelled)
    if tokens is None:
        raise Cancelled("Choosing the zoom was stopped.")
    found = rows_by_stroke(painted, store.scan.plane_shape, tokens, plane)
    parts = [found[name] for name in sorted(found)]
    return Rows.join(parts) if parts else Rows.empty(store.encoder.dim, store.patch)
