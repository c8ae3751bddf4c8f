"""Carry an object through the slices of a volume, each slice prompted by the last."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import ndimage

from napari_sesami.prompt.prompts import thin_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from napari_sesami.prompt.mask import Mask
    from napari_sesami.prompt.predictor import Predictor
    from napari_sesami.scan import Scan

DEEPEST = 3  # clicks handed on to the next slice


@dataclass(frozen=True)
class Stops:
    """When an object is taken to have ended.

    Attributes
    ----------
    score
        Least overlap to expect of a mask: below it is called poor.
    overlap
        Least IoU with the slice before.
    jump
        Largest factor by which the area may grow or shrink from slice to slice.
    looks
        Stop where the object looks more like what surrounded it in the slice before.
    """

    score: float = 0.5
    overlap: float = 0.3
    jump: float = 2.5
    looks: bool = True


@dataclass(frozen=True)
class FollowStep:
    """One slice of a propagation.

    `confidence` is the lowest of predicted IoU, overlap with the slice before and
    steadiness; `ended` says why the object stops here (then its mask is not taken).
    """

    plane: int
    mask: Mask
    confidence: float
    ended: Literal["", "empty", "unsure", "moved", "area", "looks"] = ""


def propagate(
    predictor: Predictor,
    scan: Scan,
    mask: Mask,
    to: int,
    stops: Stops | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Iterator[FollowStep]:
    """Follow a mask from its own plane to plane `to`, forward or backward.

    Yields a step per slice; the last one has `ended` set if the object stopped early.
    What was yielded stays valid when the caller stops iterating.
    """
    stops = stops or Stops()
    last = mask
    direction = 1 if to >= mask.plane else -1
    for plane in range(mask.plane + direction, to + direction, direction):
        step = _next(predictor, scan, last, plane, stops, cancel)
        yield step
        if step.ended:
            return
        last = step.mask


def _next(
    predictor: Predictor,
    scan: Scan,
    last: Mask,
    plane: int,
    stops: Stops,
    cancel: Callable[[], bool] | None,
) -> FollowStep:
    found = predictor.predict(
        scan,
        plane,
        points=deepest(last),
        box=_grown(last),
        mask=replace(last, logits=None, view=None),
        cancel=cancel,
    )
    overlap = found.iou(last)
    confidence = float(min(found.score, overlap, found.stability))
    ratio = max(found.area, 1) / max(last.area, 1)
    ended: Any = ""
    if found.empty:
        ended = "empty"
    elif overlap < stops.overlap:
        ended = "moved"
    elif not 1 / stops.jump <= ratio <= stops.jump:
        ended = "area"
    elif found.score < stops.score:
        ended = "unsure"
    elif stops.looks and not _looks_alike(scan, last, found):
        ended = "looks"
    return FollowStep(plane, found, confidence, ended)


def _looks_alike(scan: Scan, last: Mask, found: Mask) -> bool:
    """Whether the mask is nearer in grey to the object than to its surroundings."""
    y0, x0, y1, x1 = last.bbox
    by = max(2, (max(y1 - y0, x1 - x0)) // 4)
    h, w = last.shape
    box = (max(0, y0 - by), max(0, x0 - by), min(h, y1 + by), min(w, x1 + by))
    before, own = scan.grey(last.plane, box), last.window(box)
    if own.all():
        return True
    inside, around = float(before[own].mean()), float(before[~own].mean())
    now = float(scan.grey(found.plane, found.bbox)[found.mask].mean())
    return abs(now - inside) <= abs(now - around)


def deepest(mask: Mask, most: int = DEEPEST) -> NDArray[np.float64]:
    """The middles of the thickest places of a mask, far from each other, (n, 2)."""
    depth: Any = ndimage.distance_transform_edt(np.pad(mask.mask, 1))
    depth = depth[1:-1, 1:-1]
    at = np.argwhere(depth >= 0.8 * depth.max())
    # thin_out keeps the last point for certain: that is the deepest one
    at = at[np.argsort(depth[at[:, 0], at[:, 1]], kind="stable")]
    chosen, _ = thin_out(at.astype(float), np.ones(len(at), int), most)
    return chosen + np.array(mask.bbox[:2])


def _grown(mask: Mask) -> tuple[float, float, float, float]:
    """The box of a mask, a little larger: the next slice differs a little."""
    y0, x0, y1, x1 = mask.bbox
    by = max(1.0, 0.05 * max(y1 - y0, x1 - x0))
    h, w = mask.shape
    return max(0.0, y0 - by), max(0.0, x0 - by), min(h, y1 + by), min(w, x1 + by)
