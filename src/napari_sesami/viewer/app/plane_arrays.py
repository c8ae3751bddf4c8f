"""Arrays behind our label layers, and how two planes are compared."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.project import PlaneArray

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_sesami.viewer.app.mirror import Box

SMALL = 64 * 2**20
"""Up to this many pixels a layer is a plain array, beyond it comes plane by plane."""


class LayerArray(PlaneArray):
    """What a Labels layer of a large scan paints into.

    Planes are copied from the session when they are first touched, so that the labels
    of a 40 GB volume cost only the planes that were looked at and painted.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        read: Callable[[int], NDArray[Any]],
    ) -> None:
        self._source = read
        self._own: dict[int, NDArray[Any]] = {}
        super().__init__(shape, dtype, self._look, self._touch)

    def forget(self, plane: int) -> None:
        """Drop our copy of a plane; the session knows it, and knows better."""
        self._own.pop(plane, None)

    def _look(self, plane: int) -> NDArray[Any]:
        own = self._own.get(plane)
        return self._source(plane) if own is None else own

    def _touch(self, plane: int) -> NDArray[Any]:
        if plane not in self._own:
            self._own[plane] = np.array(self._source(plane))
        return self._own[plane]


def layer_array(
    whole: Any, read: Callable[[int], NDArray[Any]]
) -> NDArray[Any] | LayerArray:
    """Copy the labels of a session for a layer: at once if small, else as needed."""
    shape = tuple(int(n) for n in whole.shape)
    if math.prod(shape) <= SMALL:
        return np.array(whole[...])
    return LayerArray(shape, np.dtype(whole.dtype), read)


def changed_box(before: NDArray[Any], after: NDArray[Any]) -> Box | None:
    """Bounding box of the pixels in which two planes (y, x) differ; None if equal."""
    differs = before != after
    rows = np.flatnonzero(differs.any(axis=1))
    if rows.size == 0:
        return None
    columns = np.flatnonzero(differs[rows[0] : rows[-1] + 1].any(axis=0))
    return (
        slice(int(rows[0]), int(rows[-1]) + 1),
        slice(int(columns[0]), int(columns[-1]) + 1),
    )
