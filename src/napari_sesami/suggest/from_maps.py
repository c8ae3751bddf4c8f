"""Gathering candidates: every region of every plane becomes a row of numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from scipy.sparse import csr_array

from napari_sesami.suggest.candidates import (
    BLOCK,
    MOST,
    ROWS,
    Candidates,
    PlaneMaps,
)
from napari_sesami.suggest.regions import shrink
from napari_sesami.suggest.scores import (
    SuggestError,
    best_versus_second,
    check_maps,
    class_weights,
    entropy,
    margin,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from napari_sesami.suggest.regions import Kind


def gather(
    planes: Iterable[PlaneMaps],
    kind: Kind,
    *,
    step: int = 2,
    most: int = MOST,
    seed: int = 0,
    done: float = 0.5,
) -> Candidates:
    """Score every region of every plane; planes are taken one at a time.

    Parameters
    ----------
    planes
        May be a generator, so that maps are made when they are needed.
    kind
        What the regions are.
    step
        Every so many pixels are looked at; maps are smooth on that scale.
    most
        Rows kept. Of more, half are a fair draw, half the most promising ones.
    seed
        Of the fair draw.
    done
        Regions of which a larger share is labelled are left out.
    """
    rng = np.random.default_rng([seed, 77])
    table: Candidates | None = None
    keys = np.zeros(0)
    for maps in planes:
        found = _score_plane(maps, kind, step, done)
        if table is not None and found.n_classes != table.n_classes:
            raise SuggestError(
                f"Plane {maps.plane} has {found.n_classes} classes, those before had "
                f"{table.n_classes}: segment all planes anew."
            )
        keys = np.concatenate([keys, rng.random(len(found))])
        table = found if table is None else _join(table, found)
        if len(table) > 2 * most:
            table, keys = _thin(table, keys, most)
    if table is None:
        raise SuggestError("There are no planes to choose from: name one at least.")
    return _thin(table, keys, most)[0] if len(table) > most else table


def _join(a: Candidates, b: Candidates) -> Candidates:
    rows: dict[str, Any] = {
        name: np.concatenate([getattr(a, name), getattr(b, name)]) for name in ROWS
    }
    return replace(replace(a, **rows), predicted=a.predicted + b.predicted)


def _thin(
    table: Candidates, keys: NDArray[np.float64], most: int
) -> tuple[Candidates, NDArray[np.float64]]:
    """Keep a fair draw (the smallest keys) and the most promising of the rest."""
    drawn = np.zeros(len(table), bool)
    fair = np.flatnonzero(table.drawn)
    drawn[fair[np.argsort(keys[fair], kind="stable")[: most // 2]]] = True
    promise = table.novel.astype(np.float64)
    if table.n_classes:
        weights = class_weights(table.predicted)
        promise = promise + (table.peak * weights).max(1)
    rest = np.flatnonzero(~drawn)
    best = rest[np.argsort(-promise[rest], kind="stable")[: most - most // 2]]
    kept = np.sort(np.concatenate([np.flatnonzero(drawn), best]))
    return replace(table.take(kept), drawn=drawn[kept]), keys[kept]


def _score_plane(maps: PlaneMaps, kind: Kind, step: int, done: float) -> Candidates:
    shape = maps.regions.shape
    for name in ("novelty", "labelled", "disagreement"):
        value = getattr(maps, name)
        if value is not None and value.shape != shape:
            raise SuggestError(
                f"The {name} map of plane {maps.plane} has shape {value.shape}, its "
                f"regions have {shape}: both must be of the same plane."
            )
    if maps.p is not None and maps.p.shape[:-1] != shape:
        raise SuggestError(
            f"The probabilities of plane {maps.plane} have shape {maps.p.shape[:-1]}, "
            f"its regions have {shape}: segment this plane again."
        )
    step = max(1, min(step, *shape))
    cells = np.s_[step // 2 :: step, step // 2 :: step]
    regions = maps.regions[cells]
    n = int(maps.regions.max(initial=0))
    average = _Average(regions, n)
    p = np.zeros((*regions.shape, 0), np.float32)
    if maps.p is not None:
        p = check_maps(np.ascontiguousarray(maps.p[cells], np.float32))
    novelty = np.zeros(regions.shape, np.float32)
    if maps.novelty is not None:
        novelty = np.clip(np.nan_to_num(maps.novelty[cells]), 0, 1)
    return _rows(maps, kind, regions, average, p, novelty, step, done)


def _rows(
    maps: PlaneMaps,
    kind: Kind,
    regions: NDArray[np.int32],
    average: _Average,
    p: NDArray[np.float32],
    novelty: NDArray[np.float32],
    step: int,
    done: float,
) -> Candidates:
    n, classes = average.n, p.shape[-1]
    u = [
        f(p) if classes else novelty * 0 for f in (entropy, margin, best_versus_second)
    ]
    hot = u[0][..., None] * p
    layers = np.concatenate([p, hot, np.stack([*u, novelty], -1)], -1)
    means = average(layers)
    bald = np.full(n, np.nan, np.float32)
    if maps.disagreement is not None:
        cells = np.s_[step // 2 :: step, step // 2 :: step]
        bald = average(np.asarray(maps.disagreement[cells], np.float32)[..., None])[
            :, 0
        ]
    highest = _highest(np.concatenate([hot, novelty[..., None]], -1), regions, n, step)
    means_hot = means[:, [*range(classes, 2 * classes), 2 * classes + 3]]
    peaks = np.maximum(highest, means_hot)  # a region smaller than a block
    inside = p[regions > 0]
    boxes, there = _boxes(maps.regions, n)
    here = there & (average.size > 0)
    if maps.labelled is not None:
        cells = np.s_[step // 2 :: step, step // 2 :: step]
        known = average(maps.labelled[cells][..., None].astype(np.float32))[:, 0]
        here &= known <= done
    index = np.flatnonzero(here)
    tokens, oddest = _tokens(maps, n)
    predicted = (
        np.bincount(inside.argmax(-1), minlength=classes) * float(step * step)
        if classes
        else np.zeros(0)
    )
    return Candidates(
        kind,
        plane=np.full(len(index), maps.plane, np.int32),
        number=(index + 1).astype(np.int32),
        bbox=boxes[index],
        size=average.size[index] * step * step,
        shares=means[index, :classes],
        entropy=means[index, 2 * classes],
        margin=means[index, 2 * classes + 1],
        bvsb=means[index, 2 * classes + 2],
        bald=bald[index],
        heat=means[index, classes : 2 * classes],
        peak=peaks[index, :classes],
        novelty=means[index, 2 * classes + 3],
        novel=peaks[index, classes],
        tokens=tokens[index],
        oddest=oddest[index],
        drawn=np.ones(len(index), bool),
        predicted=predicted.astype(np.float64),
    )


class _Average:
    """Means over regions of any number of layers in one product."""

    def __init__(self, regions: NDArray[np.int32], n: int) -> None:
        flat = regions.ravel()
        self.n = n
        self.size = np.bincount(flat, minlength=n + 1)[1:].astype(np.float32)
        ones = np.ones(flat.size, np.float32)
        ends = np.arange(flat.size + 1)
        self._belongs = csr_array((ones, flat, ends), shape=(flat.size, n + 1))

    def __call__(self, layers: NDArray[np.float32]) -> NDArray[np.float32]:
        """(h, w, K) to (n, K)."""
        flat = layers.reshape(-1, layers.shape[-1])
        sums = (self._belongs.T @ flat)[1:]
        return np.asarray(sums / np.maximum(self.size, 1)[:, None], np.float32)


def _highest(
    layers: NDArray[np.float32], regions: NDArray[np.int32], n: int, step: int
) -> NDArray[np.float32]:
    """Highest mean of a block per region, (n, K); 0 for a region without a block."""
    side = max(1, BLOCK // step)
    out = np.zeros((n + 1, layers.shape[-1]), np.float32)
    h, w = (k // side for k in regions.shape)
    if h == 0 or w == 0 or n == 0:
        return out[1:]
    where = regions[side // 2 : h * side : side, side // 2 : w * side : side].ravel()
    order = np.argsort(where, kind="stable")
    starts = np.flatnonzero(np.diff(where[order], prepend=-1))
    for k in range(layers.shape[-1]):
        block = shrink(layers[..., k], side).ravel()[order]
        out[where[order][starts], k] = np.maximum.reduceat(block, starts)
    return out[1:]


def _boxes(
    regions: NDArray[np.int32], n: int
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    boxes = np.zeros((n, 4), np.int32)
    there = np.zeros(n, bool)
    for i, box in enumerate(ndimage.find_objects(regions, max_label=n)):
        if box is not None:
            (ys, xs), there[i] = box, True
            boxes[i] = ys.start, xs.start, ys.stop, xs.stop
    return boxes, there


def _tokens(maps: PlaneMaps, n: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean token of each region, of length one, and its most novel token."""
    if maps.tokens is None:
        return np.zeros((n, 0), np.float32), np.zeros((n, 0), np.float32)
    h, w, dim = maps.tokens.shape
    shape = maps.regions.shape
    rows = np.minimum(((np.arange(h) + 0.5) * shape[0] / h).astype(int), shape[0] - 1)
    columns = np.minimum(
        ((np.arange(w) + 0.5) * shape[1] / w).astype(int), shape[1] - 1
    )
    regions = maps.regions[rows][:, columns]
    means = _Average(regions, n)(maps.tokens)
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    means = (means / np.maximum(lengths, 1e-12)).astype(np.float32).reshape(n, dim)
    if maps.novelty is None:
        return means, means
    novelty = np.nan_to_num(maps.novelty[rows][:, columns]).ravel()
    order = np.lexsort((novelty, regions.ravel()))
    where = regions.ravel()[order]
    last = np.flatnonzero(np.diff(where, append=n + 1))
    last = last[where[last] > 0]
    oddest = means.copy()
    oddest[where[last] - 1] = maps.tokens.reshape(-1, dim)[order[last]]
    return means, oddest
