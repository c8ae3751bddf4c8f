"""Regions: pixels are scored, regions are asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import ndimage

from napari_sesami.suggest._scores import SuggestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from napari_sesami.suggest._scores import Scores

Kind = Literal["superpixel", "patch", "slice"]

# Seconds a person needs, by what is asked: one click for a superpixel's class, a few
# strokes for a patch, a polygon per object for a whole slice.
SECONDS = {"superpixel": 2.0, "patch": 15.0, "slice": 120.0}
CLICKS = {"superpixel": 1.0, "patch": 6.0, "slice": 60.0}


@dataclass(frozen=True)
class Query:
    """A place that the tool asks the user to label, and why.

    `bbox` is (y0, x0, y1, x1); `segment` picks the region's pixels inside it (None: all
    of it). Uncertainty, rareness and novelty are the region's means, `class_id` is what
    it looks like now.
    """

    plane: int
    bbox: tuple[int, int, int, int]
    score: float
    uncertainty: float
    rareness: float
    novelty: float
    class_id: int
    kind: Kind
    segment: NDArray[np.bool_] | None = None

    @property
    def seconds(self) -> float:
        """What answering it is expected to cost."""
        return SECONDS[self.kind]


def superpixels(
    image: NDArray[np.float32], size: int = 24, ignore: NDArray[np.bool_] | None = None
) -> NDArray[np.int32]:
    """SLIC superpixels of about size² pixels; 0 where the image is to be ignored."""
    from skimage.segmentation import slic

    n = max(1, round(image.size / size**2))
    labels: NDArray[np.int32] = slic(
        image,
        n_segments=n,
        compactness=0.1,
        sigma=1.0,
        start_label=1,
        channel_axis=None,
        mask=None if ignore is None else ~ignore,
    ).astype(np.int32)
    return labels


def patches(shape: tuple[int, int], size: int = 128) -> NDArray[np.int32]:
    """Square patches as a label image, numbered from 1; the last ones may be larger."""
    rows = np.minimum(np.arange(shape[0]) // size, max(shape[0] // size - 1, 0))
    columns = np.minimum(np.arange(shape[1]) // size, max(shape[1] // size - 1, 0))
    n = int(columns.max()) + 1
    return (rows[:, None] * n + columns[None, :] + 1).astype(np.int32)


def score_regions(
    scores: Scores,
    p: NDArray[np.float32],
    regions: NDArray[np.int32],
    plane: int,
    kind: Kind,
    labelled: NDArray[np.bool_] | None = None,
) -> list[Query]:
    """One query per region, scored by the mean over its pixels, best first.

    Regions that carry a label already (more than half of their pixels) are left out.
    """
    if regions.shape != scores.total.shape:
        raise SuggestError(
            f"Regions of {regions.shape} do not fit scores of {scores.total.shape}."
        )
    n = int(regions.max(initial=0))
    index = np.arange(1, n + 1)
    size = np.maximum(ndimage.sum_labels(np.ones(regions.shape), regions, index), 1)

    def mean(a: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray(ndimage.sum_labels(a, regions, index)) / size

    shares = np.stack([mean(p[..., c]) for c in range(p.shape[-1])], axis=-1)
    total, uncertain = mean(scores.total), mean(scores.uncertainty)
    rare, novel = mean(scores.rareness), mean(scores.novelty)
    done = np.zeros(n) if labelled is None else mean(labelled.astype(np.float32))
    boxes = ndimage.find_objects(regions, max_label=n)
    queries = []
    for i in np.argsort(-total, kind="stable"):
        box = boxes[i]
        if box is None or done[i] > 0.5:
            continue
        ys, xs = box
        segment = regions[box] == i + 1
        queries.append(
            Query(
                plane,
                (ys.start, xs.start, ys.stop, xs.stop),
                score=float(total[i]),
                uncertainty=float(uncertain[i]),
                rareness=float(rare[i]),
                novelty=float(novel[i]),
                class_id=int(shares[i].argmax()) + 1,
                kind=kind,
                segment=None if segment.all() else segment,
            )
        )
    return queries


def spread(queries: Sequence[Query], n: int, gap: int = 0) -> list[Query]:
    """The n best queries whose boxes do not overlap (by `gap` pixels) on a plane."""
    taken: list[Query] = []
    for query in sorted(queries, key=lambda q: -q.score):
        if len(taken) == n:
            break
        if not any(_touch(query, other, gap) for other in taken):
            taken.append(query)
    return taken


def _touch(a: Query, b: Query, gap: int) -> bool:
    if a.plane != b.plane:
        return False
    return (
        a.bbox[0] < b.bbox[2] + gap
        and b.bbox[0] < a.bbox[2] + gap
        and a.bbox[1] < b.bbox[3] + gap
        and b.bbox[1] < a.bbox[3] + gap
    )


def stratified(
    queries: Sequence[Query],
    n: int,
    round_: int = 0,
    rounds: int = 10,
    share: float = 0.66,
    seed: int = 0,
) -> list[Query]:
    """Class-stratified choice with annealed noise (ClaSP PE).

    `share` of the n queries is split evenly over the classes that occur, the rest goes
    to the best overall; scores get Gumbel noise whose power falls from round to round.
    """
    beta = 100.0 ** (min(round_, rounds - 1) / max(rounds - 1, 1))
    rng = np.random.default_rng([seed, round_])
    raw = np.array([q.score for q in queries], np.float64)
    noisy = np.log(np.maximum(raw, 1e-9)) + rng.gumbel(0, 1 / beta, len(queries))
    order = [queries[int(i)] for i in np.argsort(-noisy, kind="stable")]
    classes = sorted({q.class_id for q in order})
    each = int(n * share / max(len(classes), 1))
    taken: list[Query] = []
    for c in classes:
        own = (q for q in order if q.class_id == c)
        _fill(taken, own, len(taken) + each)
    _fill(taken, iter(order), n)
    return taken


def _fill(taken: list[Query], more: Iterable[Query], until: int) -> None:
    for query in more:
        if len(taken) >= until:
            return
        if not any(q is query or _touch(query, q, 0) for q in taken):
            taken.append(query)


def near_duplicates(
    signatures: NDArray[np.float32], least: float = 0.995
) -> NDArray[np.bool_]:
    """Which slices look like an earlier kept one (cosine of mean tokens ≥ `least`)."""
    unit = signatures / np.maximum(
        np.linalg.norm(signatures, axis=1, keepdims=True), 1e-12
    )
    duplicate = np.zeros(len(unit), bool)
    kept: list[int] = []
    for i in range(len(unit)):
        if kept and float((unit[kept] @ unit[i]).max()) >= least:
            duplicate[i] = True
        else:
            kept.append(i)
    return duplicate
