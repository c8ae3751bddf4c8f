"""Simulate an annotator: each click lands at the deepest point of the larger error.

The model answers through the same `Predictor` that the viewer uses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi

from napari_sesami.common.box import box_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sesami.prompt import Predictor
    from napari_sesami.scan import Scan

THIN = 6.0  # pixels: objects nowhere wider are reported apart


@dataclass(frozen=True)
class Score:
    """How one object went: IoU by number of clicks and with a box."""

    group: str
    thin: bool
    clicks: dict[int, float]
    box: float


def deepest(region: NDArray[Any]) -> tuple[tuple[int, int], float]:
    """The point of a region that is farthest from its edge, and how far."""
    depth: Any = ndi.distance_transform_edt(np.pad(region, 1))
    depth = depth[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return (int(y), int(x)), float(depth.max())


def overlap(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Intersection over union."""
    return int(np.count_nonzero(a & b)) / max(int(np.count_nonzero(a | b)), 1)


def click_through(
    predictor: Predictor,
    scan: Scan,
    truth: NDArray[Any],
    group: str = "",
    most: int = 5,
    enough: float = 2.0,
) -> Score:
    """Simulate an annotator on one object: `most` clicks, and a box on its own.

    Who has an overlap of `enough` stops clicking; it then counts for the clicks left.
    """
    points: list[tuple[int, int]] = []
    labels: list[int] = []
    by_click: dict[int, float] = {}
    found, last = np.zeros(truth.shape, bool), None
    for i in range(1, most + 1):
        if by_click.get(i - 1, 0.0) >= enough:
            by_click[i] = by_click[i - 1]
            continue
        (here, missed), (there, extra) = (
            deepest(truth & ~found),
            deepest(found & ~truth),
        )
        points.append(here if missed >= extra else there)
        labels.append(int(missed >= extra))
        last = predictor.predict(scan, points=points, labels=labels, mask=last)
        found = last.full
        by_click[i] = overlap(found, truth)
    boxed = predictor.predict(scan, box=box_of(truth)).full
    thin = 2 * deepest(truth)[1] < THIN
    return Score(group, thin, by_click, overlap(boxed, truth))
