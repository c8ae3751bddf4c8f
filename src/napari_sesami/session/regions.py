"""What is asked about: regions of a plane, made once and remembered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.common.cancel import not_cancelled
from napari_sesami.common.recent import Recent
from napari_sesami.session.errors import SessionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sesami.common.cancel import IsCancelled
    from napari_sesami.scan import Scan
    from napari_sesami.session.prompts import Prompts
    from napari_sesami.suggest import Kind

CLICKS = 400  # of "everything", on a plane
SURE, STEADY = 0.4, 0.3  # least; a poor mask costs one key
LARGEST = 0.1  # part of the plane that a mask may be
FULL, SMALL = 0.95, 1024  # part of its box; pixels
REMEMBERED = 1 << 25  # pixels of regions


@dataclass
class RegionPool:
    """What is remembered from one ranking to the next.

    Attributes
    ----------
    predicted
        Pixels per class of each plane as they were last seen.
    """

    predicted: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    _regions: Recent[tuple[int, str], NDArray[np.int32]] = field(
        default_factory=lambda: Recent(REMEMBERED, lambda regions: regions.size)
    )

    def shares(self, classes: int) -> NDArray[np.float64]:
        """Pixels per class over all planes seen."""
        total = np.zeros(classes)
        for counts in self.predicted.values():
            n = min(classes, len(counts))
            total[:n] += counts[:n]
        return total

    def known(self, plane: int, kind: str) -> NDArray[np.int32] | None:
        """Regions of a plane, if they are remembered."""
        return self._regions.get((plane, kind))

    def put(self, plane: int, kind: str, regions: NDArray[np.int32]) -> None:
        """Remember regions; the oldest ones go."""
        self._regions[plane, kind] = regions


def make_regions(
    scan: Scan,
    prompts: Prompts,
    plane: int,
    kind: Kind,
    cancelled: IsCancelled = not_cancelled,
) -> NDArray[np.int32]:
    """Cut a plane into regions to ask about, numbered from 1; 0 is not asked."""
    from napari_sesami import suggest as room

    shape = scan.plane_shape
    if kind == "patch":
        return room.patches(shape, min(128, max(8, min(shape) // 2)))
    if kind == "slice":
        return room.slices(shape)
    if kind == "superpixel":
        size = int(np.clip(min(shape) // 20, 8, 24))
        return room.superpixels(scan.grey(plane), size, scan.ignore)
    from napari_sesami.prompt import Filters, find_everything

    spacing = max(16, round(float(np.sqrt(np.prod(shape) / CLICKS))))
    found = find_everything(
        prompts.predictor, scan, plane, spacing=spacing, cancel=cancelled
    ).select(Filters(score=SURE, stability=STEADY, largest=LARGEST))
    # a mask that fills its large box is the model's view, not an object
    found = [m for m in found if m.area < FULL * m.mask.size or m.area < SMALL]
    if not found:
        raise SessionError(
            f"The model found no objects in plane {plane}: ask about superpixels."
        )
    return room.from_masks([(m.bbox, m.mask) for m in found], shape, scan.ignore)
