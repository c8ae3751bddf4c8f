"""Strokes: painted reference pixels of the classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.session import checks, edits
from napari_sesami.session.drawn_layer import DrawnLayer

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from napari_sesami.common.box import BBox
    from napari_sesami.session.checks import Plane
    from napari_sesami.session.document import Document


class Strokes(DrawnLayer, np.lib.mixins.NDArrayOperatorsMixin):
    """Strokes of a scan: read like an array of class ids, edited by its methods.

    Parameters
    ----------
    document
        Where they are kept.
    """

    _layer = "strokes"

    def __init__(self, document: Document) -> None:
        super().__init__(document)
        self._overlap: bool | None = None

    # --- looking

    def at_pixel(self, y: float, x: float, plane: Plane = None) -> int:
        """Give the class that is painted at a point in data pixels; 0 for none."""
        pixels = self.plane(plane)
        row, column = round(float(y)), round(float(x))
        inside = 0 <= row < pixels.shape[0] and 0 <= column < pixels.shape[1]
        return int(pixels[row, column]) if inside else 0

    @property
    def overlap(self) -> bool:
        """Whether classes may overlap: painting over a stroke keeps what is below."""
        if self._overlap is None:
            below = self._document.work.layers["below"]
            return any(below.read(plane).any() for plane in below.planes)
        return self._overlap

    @overlap.setter
    def overlap(self, on: bool) -> None:
        self._overlap = bool(on)

    # --- editing

    def paint(
        self, strokes: ArrayLike, plane: Plane = None, *, at: Any = None
    ) -> BBox | None:
        """Add strokes to a plane.

        Parameters
        ----------
        strokes
            Array (y, x): 0 leaves a pixel as it is, k makes it a stroke of class k.
        plane
            Number of the plane; may be left out if there is but one.
        at
            Upper left pixel, if `strokes` is only a piece of the plane.

        Returns
        -------
        tuple or None
            The box that changed.
        """
        document = self._document
        number, corner, piece = document.piece(strokes, plane, at, "strokes")
        corner, piece = checks.shrunk(corner, piece)
        ids = checks.class_ids(piece, document.classes, "strokes")
        changes = edits.paint_strokes(
            document.work, number, corner, ids, overlap=self.overlap
        )
        return document.do("paint", changes)

    def erase(
        self, where: ArrayLike, plane: Plane = None, *, at: Any = None
    ) -> BBox | None:
        """Take strokes away where the array (y, x) is not zero."""
        document = self._document
        number, corner, piece = document.piece(where, plane, at, "pixels to erase")
        corner, piece = checks.shrunk(corner, piece)
        changes = edits.erase_strokes(document.work, number, corner, piece != 0)
        return document.do("erase", changes)

    def write(
        self, strokes: ArrayLike, plane: Plane = None, *, at: Any = None
    ) -> BBox | None:
        """Set the strokes of a plane, or of a piece of it; 0 clears."""
        document = self._document
        number, corner, ids = document.ids(strokes, plane, at, "strokes")
        changes = edits.write_strokes(document.work, number, corner, ids)
        return document.do("paint" if ids.any() else "erase", changes)

    # --- as an array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        found = np.asarray(self.array, dtype)
        return found.copy() if copy else found

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **how: Any) -> Any:
        arrays = [np.asarray(i) if isinstance(i, Strokes) else i for i in inputs]
        return getattr(ufunc, method)(*arrays, **how)

    def __getitem__(self, key: Any) -> Any:
        return self.array[key]

    def __len__(self) -> int:
        return len(self.array)

    def __getattr__(self, name: str) -> Any:
        """Answer what else an array can do, such as ``shape``, ``any`` and ``copy``."""
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.array, name)
