"""Why a pixel got its class, what a stroke is worth, at which scale to read a scan."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.retrieve._bank import UNLABELLED, RetrieveError, Rows, touched_rows
from napari_sesami.retrieve._pixels import nothing
from napari_sesami.retrieve._votes import left_out_score, tune

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_sesami.retrieve._pixels import Check
    from napari_sesami.retrieve._retriever import Retriever
    from napari_sesami.retrieve._store import TokenStore

ZOOMS = (1.0, 0.5, 2.0)
BETTER = 0.02  # another zoom must win by so much: native pixels are the safe choice


@dataclass(frozen=True)
class Reason:
    """One labelled patch that spoke for a pixel.

    `bbox` is (y0, x0, y1, x1) in pixels of `plane`; `share` is its part of all votes
    that the pixel got, so the reasons of a pixel tell how much they explain.
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
    ]
    similarity = rows.tokens @ cell
    temper = retriever.temper
    weight = np.exp((similarity - 1) / temper.tau) * rows.coverage**temper.alpha
    weight /= max(float(weight.sum()), 1e-300)
    best = np.argsort(-weight, kind="stable")[:n]
    return [_reason(rows, int(i), similarity, weight, patch) for i in best]


def _reason(
    rows: Rows,
    i: int,
    similarity: NDArray[np.float32],
    weight: NDArray[np.float64],
    patch: int,
) -> Reason:
    labelled = rows.patches[i][rows.patches[i] != UNLABELLED]
    plane, row, column = (int(v) for v in rows.where[i])
    y, x = row * patch, column * patch
    return Reason(
        stroke=int(rows.stroke[i]),
        class_id=int(np.bincount(labelled).argmax()),
        plane=plane,
        bbox=(y, x, y + patch, x + patch),
        similarity=float(similarity[i]),
        share=float(weight[i]),
    )


def worth(retriever: Retriever, check: Check = nothing) -> dict[int, float]:
    """What each stroke adds to the others: the fall of their left-out score without it.

    Negative: the other strokes are told apart better without it, so look at it again.
    A stroke that is the only one of its class cannot be judged and gets NaN. `check` is
    called before each stroke; what it raises ends the work.
    """
    rows = retriever.bank.rows()
    n, temper = retriever.bank.n_classes, retriever.temper
    out: dict[int, float] = {}
    strokes = np.unique(rows.stroke)
    for stroke in strokes:
        check()
        others = rows.take(rows.stroke != stroke)
        own = set(np.unique(rows.take(rows.stroke == stroke).patches)) - {UNLABELLED}
        if not own <= set(np.unique(others.patches)):
            out[int(stroke)] = math.nan
            continue
        judged = rows.stroke != stroke
        with_it = left_out_score(rows, n, temper, judged=judged)
        out[int(stroke)] = with_it - left_out_score(others, n, temper)
    return out


def choose_zoom(
    make_store: Callable[[float], TokenStore],
    strokes: Sequence[tuple[int, NDArray[np.uint8], NDArray[np.int64]]],
    zooms: Sequence[float] = ZOOMS,
) -> tuple[float, dict[float, float]]:
    """The scale at which left-out strokes are told apart best.

    Parameters
    ----------
    make_store
        Gives a token store for a zoom.
    strokes
        (plane, classes (H, W), owners (H, W)) for each painted plane.
    zooms
        Candidates; the first is kept unless another wins clearly.

    Returns
    -------
    tuple
        The zoom, and the left-out score of each candidate (NaN: cannot be judged).
    """
    n_classes = max((int(s.max(initial=0)) for _, s, _ in strokes), default=0)
    scores: dict[float, float] = {}
    for zoom in zooms:
        store = make_store(zoom)
        parts = [rows for plane in strokes if len(rows := _rows_of(store, *plane))]
        scores[zoom] = tune(Rows.join(parts), n_classes)[1] if parts else math.nan
    best = zooms[0]
    for zoom in zooms[1:]:
        floor = scores[best] + BETTER if not math.isnan(scores[best]) else -math.inf
        if scores[zoom] > floor:
            best = zoom
    return best, scores


def _rows_of(
    store: TokenStore,
    plane: int,
    strokes: NDArray[np.uint8],
    owners: NDArray[np.int64],
) -> Rows:
    tokens = store.plane(plane)
    if tokens is None:
        raise RetrieveError("The tokens of this plane are not computed yet.")
    parts = [
        touched_rows(np.where(owners == s, strokes, 0), tokens, plane, int(s))
        for s in np.unique(owners[strokes > 0])
    ]
    return Rows.join(parts) if parts else Rows.empty(store.encoder.dim, store.patch)
