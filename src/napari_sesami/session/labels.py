"""Labels: the class of every pixel, written by hand or taken from results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.session import edits

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from napari_sesami.common.box import BBox
    from napari_sesami.session.checks import Plane
    from napari_sesami.session.document import Document


class Labels:
    """Class ids of a scan, plane by plane.

    Parameters
    ----------
    document
        Where they are kept.
    """

    def __init__(self, document: Document) -> None:
        self._document = document

    @property
    def array(self) -> Any:
        """Class ids as they are now, with the scan's shape; a lazy view if large."""
        return self._document.work.layers["labels"].array

    @property
    def planes(self) -> list[int]:
        """The planes in which there may be labels."""
        return self._document.work.layers["labels"].planes

    def plane(self, plane: Plane = None) -> NDArray[np.uint8]:
        """Labels of one plane (y, x); a read-only view, good until the next edit."""
        return self._document.read("labels", plane)

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
