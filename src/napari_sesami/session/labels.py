"""Labels: the class of every pixel, written by hand or taken from results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.session import edits
from napari_sesami.session.drawn_layer import DrawnLayer

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from napari_sesami.common.box import BBox
    from napari_sesami.session.checks import Plane


class Labels(DrawnLayer):
    """Class ids of a scan, plane by plane."""

    _layer = "labels"

    def write(
        self,
        labels: ArrayLike,
        plane: Plane = None,
        *,
        at: Any = None,
        name: str = "labels",
    ) -> BBox | None:
        """Set the labels of a plane, or of a piece of it; 0 clears."""
        document = self._document
        number, corner, ids = document.ids(labels, plane, at, "labels")
        changes = edits.write_labels(document.work, number, corner, ids)
        return document.do(name, changes)

    def accept(
        self, result: ArrayLike, plane: Plane = None, *, overwrite: bool = False
    ) -> bool:
        """Take a result over into a plane; False if nothing changed.

        Without `overwrite` only pixels that have no label yet are taken.
        """
        found = np.asarray(result)
        known = np.isin(found, list(self._document.classes.ids))
        now = self.plane(plane)
        allowed = known if overwrite else known & (now == 0)
        return self.write(np.where(allowed, found, now), plane) is not None
