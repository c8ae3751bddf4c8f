"""Labels by superpixels: a click gives a whole piece of even texture to a class."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np

from napari_sesami.session.document import SessionCore
from napari_sesami.session.errors import SessionError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from napari_sesami.common.box import BBox
    from napari_sesami.session.checks import Plane

SCALES = (4, 128)  # pixels; the side of a superpixel
KEPT = 6  # planes and scales that stay in memory


class SessionSuperpixels(SessionCore):
    """Superpixels of a plane at a scale, kept, and their pixels given to classes."""

    _pieces: OrderedDict[tuple[int, int], NDArray[np.int32]] | None = None
    _cutting = threading.Lock()

    def superpixels(self, plane: Plane = None, *, scale: int = 24) -> NDArray[np.int32]:
        """Cut a plane into superpixels (SLIC), numbered from 1; 0 is not the specimen.

        Parameters
        ----------
        plane
            Number of the plane.
        scale
            Side of a superpixel in pixels, about; 4 to 128.
        """
        from napari_sesami.session.checks import plane_number
        from napari_sesami.suggest import superpixels

        low, high = SCALES
        if not low <= int(scale) <= high:
            raise SessionError(
                f"Superpixels are {low} to {high} pixels wide; {scale} was asked for."
            )
        at = (plane_number(self.scan, plane), int(scale))
        with self._cutting:
            known = self._pieces = (
                self._pieces if self._pieces is not None else OrderedDict()
            )
            if at not in known:
                image = self.scan.grey(at[0])
                known[at] = superpixels(image, at[1], self.scan.ignore)
                while len(known) > KEPT:
                    known.popitem(last=False)
            known.move_to_end(at)
            return known[at]

    def superpixels_ready(self, plane: Plane = None, *, scale: int = 24) -> bool:
        """Whether `superpixels` would answer at once."""
        from napari_sesami.session.checks import plane_number

        at = (plane_number(self.scan, plane), int(scale))
        return self._pieces is not None and at in self._pieces

    def assign_superpixel(
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
            As in `superpixels`.

        Returns
        -------
        tuple or None
            The box that changed.
        """
        from napari_sesami.session import checks, edits

        number = checks.plane_number(self.scan, plane)
        class_id = 0 if _is_nothing(class_) else self.classes[class_].id
        pieces = self.superpixels(number, scale=scale)
        chosen = touched(pieces, points)
        if not len(chosen):
            return None
        mask = np.isin(pieces, chosen)
        rows, columns = (np.flatnonzero(mask.any(1 - axis)) for axis in (0, 1))
        y0, x0 = int(rows[0]), int(columns[0])
        box = np.s_[y0 : int(rows[-1]) + 1, x0 : int(columns[-1]) + 1]
        labels = self._work.layers["labels"].read(number)[box]
        after = np.where(mask[box], np.uint8(class_id), labels)
        name = f"superpixels {self.classes[class_id].name}" if class_id else "erase"
        return self._do(name, edits.write_labels(self._work, number, (y0, x0), after))


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


def _is_nothing(class_: Any) -> bool:
    return not isinstance(class_, str) and class_ == 0
