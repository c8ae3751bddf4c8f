"""The layer that shows what a segmenter says of slices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.viewer.app.controller import Controller
from napari_sesami.viewer.layers.result_planes import Planes
from napari_sesami.viewer.layers.session_layers import (
    add_result,
    colormap_of,
    in_viewer,
    redraw,
)
from napari_sesami.viewer.layers.spatial import KEPT_CLASSES, label_shape

if TYPE_CHECKING:
    from napari.layers import Labels
    from numpy.typing import NDArray

    from napari_sesami.viewer.app.binding import LayerBinding


class SegmentedLayers(Controller):
    """Makes the layer when it is first needed, and again if somebody removed it."""

    _link: LayerBinding | None = None
    _planes: Planes | None = None
    _layer: Labels | None = None

    @property
    def layer(self) -> Labels | None:
        """The layer, if it is in the viewer."""
        return in_viewer(self.workspace.viewer, self._layer)

    def show(self, link: LayerBinding, plane: int, labels: NDArray[np.uint8]) -> None:
        """Draw the labels of a plane; those of others stay as they are known."""
        if self._link is not link or self._planes is None:
            self._link = link
            self._planes = Planes(label_shape(link.session.scan), np.uint8)
            self._layer = None
        self._planes.put(plane, labels)
        if self.layer is None:
            name = f"{link.image.name} segmented"
            self._layer = add_result(
                self.workspace.viewer, link, self._planes, name, "segmented", 0.45
            )
            colors: dict[int, Any] = {e.id: e.color for e in link.session.classes}
            self._layer.colormap = colormap_of(colors)
            self._layer.metadata[KEPT_CLASSES] = tuple(link.session.classes)
        else:
            redraw(self.layer)

    def close(self) -> None:
        """Let go of the layer's planes."""
        self._link = self._planes = self._layer = None
