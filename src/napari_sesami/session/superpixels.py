"""Labels by superpixels: a click gives a whole piece of even texture to a class."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, SupportsIndex

import numpy as np

from napari_sesami.common.box import box_of
from napari_sesami.common.recent import Recent
from napari_sesami.session.errors import SessionError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from napari_sesami.common.box import BBox
    from napari_sesami.session.checks import Plane
    from napari_sesami.session.document import Document
    from napari_sesami.session.labels import Labels

SCALES = (4, 128)  # pixels; the side of a superpixel
KEPT = 6  # planes and scales that stay in memory


class Superpixels:
    """Superpixels of a plane at a scale, kept, and their pixels given to classes.

    Parameters
    ----------
    document
        The scan that is cut.
    labels
        What an assignment writes to.
    """

    def __init__(self, document: Document, labels: Labels) -> None:
        self._document, self._labels = document, labels
        self._known: Recent[tuple[int, int], NDArray[np.int32]] = Recent(KEPT)
        self._cutting = threading.Lock()

    def cut(self, plane: Plane = None, *, scale: int = 24) -> NDArray[np.int32]:
        """Cut a plane into superpixels (SLIC), numbered from 1; 0 is not the specimen.

        Parameters
        ----------
        plane
            Number of the plane.
        scale
            Side of a superpixel in pixels, about; 4 to 128.
        """
        from napari_sesami.suggest import superpixels

        low, high = SCALES
        if not low <= int(scale) <= high:
            raise SessionError(
                f"Superpixels are {low} to {high} pixels wide; {scale} was asked for."
            )
        at = (self._document.plane_number(plane), int(scale))
        with self._cutting:
            found = self._known.get(at)
            if found is None:
                scan = self._document.scan
                found = superpixels(scan.grey(at[0]), at[1], scan.ignore)
                self._known[at] = found
            return found

    def assign(
        self,
        points: ArrayLike,
        class_: str | SupportsIndex,
        plane: Plane = None,
        *,
        scale: int = 24,
    ) -> BBox | None:
        """Give the superpixels under points to a class, as one step.

        Parameters
        ----------
        points
            (y, x) in data pixels, or (n, 2) of them, as of a drag; those beside the
            plane count for nothing.
        class_
            Id, name or entry; 0 takes labels away.
        plane
            Number of the plane.
        scale
            As in `cut`.

        Returns
        -------
        tuple or None
            The box that changed.
        """
        document = self._document
        number = document.plane_number(plane)
        nothing = not isinstance(class_, str) and class_ == 0
        class_id = 0 if nothing else document.classes[class_].id
        pieces = self.cut(number, scale=scale)
        mask = np.isin(pieces, touched(pieces, points))
        box = box_of(mask)
        if box is None:
            return None
        y0, x0, y1, x1 = box
        labels = self._labels.plane(number)[y0:y1, x0:x1]
        after = np.where(mask[y0:y1, x0:x1], np.uint8(class_id), labels)
        name = f"superpixels {document.classes[class_id].name}" if class_id else "erase"
        return self._labels.write(after, number, at=(y0, x0), name=name)


def touched(pieces: NDArray[np.int32], points: ArrayLike) -> NDArray[np.int32]:
    """Numbers of the superpixels under points (y, x) or (n, 2), each once."""
    try:
        at = np.rint(np.asarray(points, float).reshape(-1, 2)).astype(int)
    except (TypeError, ValueError):
        raise SessionError(
            "Give one point (y, x), or several as an array of two columns."
        ) from None
    h, w = pieces.shape
    inside = (at >= 0).all(1) & (at[:, 0] < h) & (at[:, 1] < w)
    found = np.unique(pieces[at[inside, 0], at[inside, 1]])
    return found[found > 0]
