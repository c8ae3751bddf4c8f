"""What the canvas shows of a query: the place, its outline, and what it looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.viewer.layers.camera import data_pixels, frame
from napari_sesami.viewer.layers.result_planes import Planes
from napari_sesami.viewer.layers.session_layers import (
    add_result,
    colormap_of,
    in_viewer,
    keeping_selection,
    redraw,
    remove,
)
from napari_sesami.viewer.layers.spatial import (
    label_shape,
    plane_index,
    spatial_kwargs,
)
from napari_sesami.viewer.layers.zoom import ZoomFollower

if TYPE_CHECKING:
    from napari.layers import Labels, Vectors
    from napari.viewer import Viewer
    from numpy.typing import NDArray

    from napari_sesami.suggest import Query
    from napari_sesami.viewer.app.binding import LayerBinding
    from napari_sesami.viewer.app.workspace import Workspace

OUTLINE, LOOKS = "query", "query looks like"
WIDTH = 2.5  # px on screen
COLOR = "#ff2bd6"  # neither a grey nor in the colours of classes and maps


class QueueLayers:
    """Moves the view to queries, and draws their outline in a layer of its own."""

    def __init__(self, workspace: Workspace, binding: LayerBinding) -> None:
        self._workspace, self._binding = workspace, binding
        self._outline: Vectors | None = None
        self._looks: Labels | None = None
        self._shape = label_shape(binding.session.scan)
        self._planes = Planes(self._shape, np.uint8)
        self._zoom = ZoomFollower(workspace, self._scale_lines, 40)

    @property
    def _viewer(self) -> Viewer:
        return self._workspace.viewer

    @property
    def outline_layer(self) -> Vectors | None:
        """The layer of the outline, if it is in the viewer."""
        return in_viewer(self._viewer, self._outline)

    @property
    def looks_layer(self) -> Labels | None:
        """The layer of what a region looks like, if it is in the viewer."""
        return in_viewer(self._viewer, self._looks)

    def go(self, query: Query) -> None:
        """Show a region in the middle of the canvas, large enough to be judged."""
        frame(self._viewer, self._binding.strokes, query.plane, query.bbox)

    def outline(self, query: Query) -> None:
        """Draw the border of a region; lines are far cheaper than napari's shapes."""
        index = plane_index(self._shape[:-2], query.plane)
        lines = segments(query)
        ahead = np.zeros((len(lines), 2, len(index)))
        ahead[:, 0] = index
        layer = self.outline_layer or self._add_outline()
        layer.data = np.concatenate([ahead, lines], axis=2)
        self._scale_lines()
        if not layer.visible:
            layer.visible = True

    def fill(self, query: Query, labels: NDArray[np.uint8] | None) -> None:
        """Show class ids (h, w) in a region; None shows nothing."""
        layer = self.looks_layer
        if labels is None:
            if layer is not None:
                layer.visible = False
            return
        y0, x0, y1, x1 = query.bbox
        pixels = np.zeros(self._shape[-2:], np.uint8)
        pixels[y0:y1, x0:x1] = labels
        self._planes.clear()
        self._planes.put(query.plane, pixels)
        layer = layer or self._add_looks()
        colors = {e.id: e.color for e in self._binding.session.classes}
        layer.colormap = colormap_of(colors)
        layer.visible = True
        redraw(layer)

    def clear(self) -> None:
        """Show no query."""
        for layer in (self.outline_layer, self.looks_layer):
            if layer is not None:
                layer.visible = False

    def close(self) -> None:
        """Take the layers out, let go of the camera."""
        viewer = self._zoom.let_go()
        if viewer is not None:
            remove(viewer, self._outline, self._looks)
            self._outline = self._looks = None

    # --- inside

    def _scale_lines(self) -> None:
        layer = self.outline_layer
        if layer is None:
            return
        width = data_pixels(self._viewer, self._binding.strokes, WIDTH)
        if not 0.9 < layer.edge_width / width < 1.1:
            layer.edge_width = width

    def _add_outline(self) -> Vectors:
        image = self._binding.image
        with keeping_selection(self._viewer):
            self._outline = self._viewer.add_vectors(
                ndim=len(self._shape),
                name=f"{image.name} {OUTLINE}",
                edge_color=COLOR,
                vector_style="line",
                opacity=1.0,
                metadata={"sesami_layer": OUTLINE},
                **spatial_kwargs(image),
            )
        return self._outline

    def _add_looks(self) -> Labels:
        name = f"{self._binding.image.name} {LOOKS}"
        found = add_result(self._viewer, self._binding, self._planes, name, LOOKS, 0.4)
        self._looks = found
        return found


def segments(query: Query) -> NDArray[np.float64]:
    """Pieces of the border of a region: start and step, (n, 2, 2), in data pixels."""
    from skimage.measure import approximate_polygon, find_contours

    shift = np.array(query.bbox[:2]) - 1
    found = find_contours(np.pad(query.mask.astype(np.float32), 1), 0.5)
    paths = [approximate_polygon(path, 0.3) for path in found]
    pieces = [np.stack([p[:-1] + shift, np.diff(p, axis=0)], 1) for p in paths]
    return np.concatenate(pieces)
