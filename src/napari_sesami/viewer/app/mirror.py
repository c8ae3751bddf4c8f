"""Keeps one Labels layer and one layer of the session equal, plane by plane.

napari does not say which pixels an undo or a script changed, so the plane on screen
is compared with what the session knows of it. At 2048² that costs a millisecond.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.viewer.app.plane_arrays import LayerArray, changed_box

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Labels
    from numpy.typing import NDArray

    Box = tuple[slice, slice]


class LayerMirror:
    """One Labels layer and the planes of the session that it shows.

    Parameters
    ----------
    layer
        The layer; its data take ``data[(*leading, rows, columns)]``, read and write.
    read
        Gives a plane (y, x) as the session knows it.
    edited
        Called with plane, box and the pixels in the box after somebody painted.
    """

    def __init__(
        self,
        layer: Labels,
        read: Callable[[int], NDArray[Any]],
        edited: Callable[[int, Box, NDArray[Any]], None],
    ) -> None:
        self.layer = layer
        self._read = read
        self._edited = edited
        self._handing = False
        self.plane = 0

    def show(self, plane: int) -> None:
        """Follow the viewer to another plane; the old one's paint is handed over."""
        if plane == self.plane:
            return
        self.flush()
        if isinstance(self.layer.data, LayerArray):
            self.layer.data.forget(self.plane)
        self.plane = plane

    def flush(self) -> bool:
        """Hand over what was painted since the last time; False if nothing was."""
        pixels = self._pixels(self.plane)
        box = changed_box(self._read(self.plane), pixels)
        if box is None:
            return False
        painted = pixels[box].copy()
        self._handing = True
        try:
            self._edited(self.plane, box, painted)
        finally:
            self._handing = False
        self.pull(self.plane, box)  # what the session did not take goes off again
        return True

    def pull(self, plane: int, box: Box) -> None:
        """Write what the session changed into the layer, inside the box only."""
        if self._handing and plane == self.plane:
            return  # our own paint coming back, perhaps in two halves
        truth = self._read(plane)[box]
        if plane != self.plane:
            if isinstance(self.layer.data, LayerArray):
                self.layer.data.forget(plane)
            else:
                self.layer.data[(*self._lead(plane), *box)] = truth
            return
        wrong = self._pixels(plane)[box] != truth
        rows, columns = np.nonzero(wrong)
        if rows.size:
            lead = tuple(np.full(rows.size, i) for i in self._lead(plane))
            where = (*lead, rows + box[0].start, columns + box[1].start)
            # one call, one refresh; napari updates the texture of this box only
            self.layer.data_setitem(where, truth[wrong])

    def _pixels(self, plane: int) -> NDArray[Any]:
        return np.asarray(self.layer.data[(*self._lead(plane), ...)])

    def _lead(self, plane: int) -> tuple[int, ...]:
        leading = self.layer.data.shape[:-2]
        return (
            tuple(int(i) for i in np.unravel_index(plane, leading)) if leading else ()
        )
