"""Regions: pixels are scored, regions are asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import ndimage

from napari_sesami.suggest.scores import SuggestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from napari_sesami.common.box import BBox
    from napari_sesami.suggest.scores import Scores

Kind = Literal["superpixel", "patch", "slice", "mask"]

# What a person needs for an answer, by what is asked: one click for a superpixel's or a
# mask's class, a few prompts for a patch, a polygon or prompt per object for a slice.
CLICKS = {"superpixel": 1.0, "mask": 1.0, "patch": 6.0, "slice": 60.0}
SECONDS = {"superpixel": 2.0, "mask": 2.5, "patch": 15.0, "slice": 120.0}
OBJECT_CLICKS, OBJECT_SECONDS = 2.0, 5.0  # an object outlined with prompts


@dataclass(frozen=True)
class Cost:
    """What an answer is expected to cost a person."""

    clicks: float
    seconds: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.clicks + other.clicks, self.seconds + other.seconds)


def cost(kind: Kind, parts: int | None = None) -> Cost:
    """Clicks and seconds for one region.

    Parameters
    ----------
    kind
        What is asked.
    parts
        Areas of one class that the region holds, where known: one click for the
        largest, then two clicks for each other; None takes the average.
    """
    if parts is None or kind in ("superpixel", "mask"):
        return Cost(CLICKS[kind], SECONDS[kind])
    others = max(parts - 1, 0)
    return Cost(1 + OBJECT_CLICKS * others, 2 + OBJECT_SECONDS * others)


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
        """How long answering it is expected to take."""
        return SECONDS[self.kind]

    @property
    def clicks(self) -> float:
        """How many clicks answering it is expected to take."""
        return CLICKS[self.kind]

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The region's pixels inside its box."""
        if self.segment is not None:
            return self.segment
        y0, x0, y1, x1 = self.bbox
        return np.ones((y1 - y0, x1 - x0), bool)


def superpixels(
    image: NDArray[np.float32],
    size: int = 24,
    ignore: NDArray[np.bool_] | None = None,
    step: int | None = None,
) -> NDArray[np.int32]:
    """SLIC superpixels of about size² pixels; 0 where the image is to be ignored.

    Parameters
    ----------
    image
        (H, W) in [0, 1].
    size
        Side of an average superpixel, in pixels.
    ignore
        (H, W); True is left out.
    step
        Borders are found on the image reduced by so much, which costs far less; by
        default an eighth of `size`, so that a border is right to a pixel or two.
    """
    from skimage.segmentation import slic

    step = max(1, min(size // 8, *image.shape)) if step is None else step
    small = shrink(image, step)
    n = max(1, round(image.size / size**2))
    labels = slic(
        small,
        n_segments=n,
        compactness=0.1,
        sigma=1 / step,
        start_label=1,
        channel_axis=None,
        max_num_iter=5,
        mask=None if ignore is None else shrink(ignore, step) < 0.5,
    ).astype(np.int32)
    large = grow(labels, step, image.shape)
    if ignore is not None:
        large[ignore] = 0
    return large


def shrink(image: NDArray[Any], step: int) -> NDArray[np.float32]:
    """Means of step × step pixels; the rows and columns left over are in no mean."""
    if step == 1:
        return np.asarray(image, np.float32)
    h, w = (n // step for n in image.shape)
    blocks = image[: h * step, : w * step].reshape(h, step, w, step)
    return np.asarray(blocks.mean((1, 3)), np.float32)


def grow(
    labels: NDArray[np.int32], step: int, shape: tuple[int, ...]
) -> NDArray[np.int32]:
    """Repeat labels to a shape; the last ones go on to the edge."""
    rows = np.minimum(np.arange(shape[0]) // step, labels.shape[0] - 1)
    columns = np.minimum(np.arange(shape[1]) // step, labels.shape[1] - 1)
    return labels[rows][:, columns]


def patches(shape: tuple[int, int], size: int = 128) -> NDArray[np.int32]:
    """Square patches as a label image, numbered from 1; the last ones may be larger."""
    if size < 1:
        raise SuggestError(f"A patch needs a side of at least one pixel, not {size}.")
    rows = np.minimum(np.arange(shape[0]) // size, max(shape[0] // size - 1, 0))
    columns = np.minimum(np.arange(shape[1]) // size, max(shape[1] // size - 1, 0))
    n = int(columns.max()) + 1
    return (rows[:, None] * n + columns[None, :] + 1).astype(np.int32)


def slices(shape: tuple[int, int]) -> NDArray[np.int32]:
    """The whole slice as its only region."""
    return np.ones(shape, np.int32)


def from_masks(
    masks: Iterable[tuple[BBox, NDArray[np.bool_] | None]],
    shape: tuple[int, int],
    ignore: NDArray[np.bool_] | None = None,
) -> NDArray[np.int32]:
    """Regions out of boxes or masks that come from elsewhere, such as a prompt model.

    Parameters
    ----------
    masks
        Boxes (y0, x0, y1, x1), each with its mask inside the box or None for all of it,
        best first: a pixel belongs to the first that has it, so none overlap.
    shape
        Of the plane.
    ignore
        (H, W); True is left out.
    """
    out = np.zeros(shape, np.int32)
    for number, ((y0, x0, y1, x1), mask) in enumerate(masks, start=1):
        if not (0 <= y0 < y1 <= shape[0] and 0 <= x0 < x1 <= shape[1]):
            raise SuggestError(
                f"The box {(y0, x0, y1, x1)} does not lie in a plane of {shape} pixels."
            )
        if mask is not None and mask.shape != (y1 - y0, x1 - x0):
            raise SuggestError(
                f"A mask of {mask.shape} does not fit its box {(y0, x0, y1, x1)}."
            )
        inside = out[y0:y1, x0:x1]
        inside[(inside == 0) & (True if mask is None else mask)] = number
    if ignore is not None:
        out[ignore] = 0
    return out


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
    flat = regions.ravel()
    size = np.maximum(np.bincount(flat, minlength=n + 1)[1:], 1)

    def mean(a: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.bincount(flat, a.ravel(), n + 1)[1:] / size

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
    """Which slices look like an earlier kept one (cosine of mean tokens ≥ `least`).

    Cosines are rounded to 1e-5: their last bits depend on the processor.
    """
    unit = signatures / np.maximum(
        np.linalg.norm(signatures, axis=1, keepdims=True), 1e-12
    )
    duplicate = np.zeros(len(unit), bool)
    kept: list[int] = []
    for i in range(len(unit)):
        if kept and round(float((unit[kept] @ unit[i]).max()), 5) >= least:
            duplicate[i] = True
        else:
            kept.append(i)
    return duplicate
