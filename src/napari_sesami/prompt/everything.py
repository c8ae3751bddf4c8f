"""Everything at once: a grid of clicks, and filters that can be tuned afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_sesami.prompt.mask import Mask
    from napari_sesami.prompt.predictor import Predictor
    from napari_sesami.scan import Scan

    Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Filters:
    """Which of the candidates are kept.

    Attributes
    ----------
    score, stability
        Least predicted IoU and least steadiness.
    smallest, largest
        Area in pixels; the largest as a share of the searched area.
    overlap
        Two masks that overlap more (IoU) are one object: the better one stays.
    """

    score: float = 0.7
    stability: float = 0.7
    smallest: int = 30
    largest: float = 0.5
    overlap: float = 0.6


@dataclass(frozen=True)
class FoundMasks:
    """Every mask that a search found; `select` filters again without asking again."""

    masks: list[Mask] = field(default_factory=list)
    searched: int = 0

    def select(self, filters: Filters | None = None) -> list[Mask]:
        """The masks that pass, best first, duplicates removed."""
        f = filters or Filters()
        good = [
            m
            for m in self.masks
            if m.score >= f.score
            and m.stability >= f.stability
            and f.smallest <= m.area <= f.largest * max(self.searched, 1)
        ]
        return without_duplicates(good, f.overlap)


def find_everything(
    predictor: Predictor,
    scan: Scan,
    plane: int = 0,
    *,
    spacing: int = 24,
    box: Box | None = None,
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> FoundMasks:
    """Click on every place of a grid and keep every answer.

    Parameters
    ----------
    predictor, scan, plane
        What is asked, and where.
    spacing
        Pixels between the clicks: about the size of the smallest object.
    box
        Part of the plane to search.
    progress, cancel
        As in `Predictor.predict_many`.
    """
    y0, x0, y1, x1 = box or (0, 0, *scan.plane_shape)
    points = grid((y0, x0, y1, x1), spacing)
    if scan.ignore is not None:
        kept = ~scan.ignore[points[:, 0].astype(int), points[:, 1].astype(int)]
        points = points[kept]
    if not len(points):
        return FoundMasks()
    masks = predictor.predict_many(
        scan, plane, points=points, progress=progress, cancel=cancel
    )
    return FoundMasks([m for m in masks if not m.empty], (y1 - y0) * (x1 - x0))


def grid(box: Box, spacing: int) -> NDArray[np.float64]:
    """Centres of cells of about `spacing` pixels that fill a box, (n, 2)."""
    lines = []
    for low, high in ((box[0], box[2]), (box[1], box[3])):
        n = max(1, round((high - low) / spacing))
        lines.append(low + (np.arange(n) + 0.5) * (high - low) / n)
    y, x = np.meshgrid(*lines, indexing="ij")
    return np.stack([y.ravel(), x.ravel()], 1)


def without_duplicates(masks: Sequence[Mask], overlap: float) -> list[Mask]:
    """Best first, each only if no better one overlaps it more than `overlap` (IoU).

    A mask that lies almost wholly (90 %) in a better one of nearly its size is a
    duplicate too; a small object inside a large one is not.
    """
    kept: list[Mask] = []
    boxes = np.zeros((0, 4), np.int64)
    for mask in sorted(masks, key=lambda m: -(m.score + 0.25 * m.stability)):
        b = np.array(mask.bbox)
        near = (
            (boxes[:, 0] < b[2])
            & (boxes[:, 2] > b[0])
            & (boxes[:, 1] < b[3])
            & (boxes[:, 3] > b[1])
        )
        if not any(_alike(mask, kept[i], overlap) for i in np.flatnonzero(near)):
            kept.append(mask)
            boxes = np.concatenate([boxes, b[None]])
    return kept


def _alike(a: Mask, b: Mask, overlap: float) -> bool:
    iou = a.iou(b)
    if iou > overlap:
        return True
    shared = iou * (a.area + b.area) / (1 + iou)
    sizes = min(a.area, b.area) / max(a.area, b.area, 1)
    return sizes > 0.5 and shared > 0.9 * min(a.area, b.area)
