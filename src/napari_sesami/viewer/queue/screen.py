"""What the canvas shows of a query: the place, its outline, and what it looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.viewer.app.errors import ViewerError
from napari_sesami.viewer.app.jobs import Debounced
from napari_sesami.viewer.layers.result_planes import Planes
from napari_sesami.viewer.layers.session_layers import colormap_of
from napari_sesami.viewer.layers.spatial import spatial_kwargs

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
SMALL, LARGE = 1 / 20, 0.8  # of the canvas: regions beyond are zoomed to
SHOWN = 1 / 8  # of the canvas that a small region then takes


class QueueScreen:
    """Moves the view to queries, and draws their outline in a layer of its own."""

    def __init__(self, workspace: Workspace, binding: LayerBinding) -> None:
        self._workspace, self._binding = workspace, binding
        self._outline: Vectors | None = None
        self._looks: Labels | None = None
        shape = binding.session.scan.shape
        self._shape = shape[:-1] if binding.session.scan.is_rgb else shape
        self._planes = Planes(self._shape, np.uint8)
        self._later = Debounced(self._scale_lines, 40)
        workspace.viewer.scene.camera.events.zoom.connect(self._on_zoom)

    @property
    def _viewer(self) -> Viewer:
        return self._workspace.viewer

    @property
    def outline_layer(self) -> Vectors | None:
        """The layer of the outline, if it is in the viewer."""
        layer = self._outline
        return layer if layer is not None and layer in self._viewer.layers else None

    @property
    def looks_layer(self) -> Labels | None:
        """The layer of what a region looks like, if it is in the viewer."""
        layer = self._looks
        return layer if layer is not None and layer in self._viewer.layers else None

    def go(self, query: Query) -> None:
        """Show a region in the middle of the canvas, large enough to be judged."""
        viewer, strokes = self._viewer, self._binding.strokes
        index = self._index(query.plane)
        for axis, step in enumerate(index):
            viewer.dims.set_current_step(viewer.dims.ndim - strokes.ndim + axis, step)
        y0, x0, y1, x1 = query.bbox
        corners = [
            np.array(strokes.data_to_world((*index, *yx)))[-2:]
            for yx in ((y0 - 0.5, x0 - 0.5), (y1 - 0.5, x1 - 0.5))
        ]
        camera = viewer.scene.camera
        camera.center = tuple(float(w) for w in (corners[0] + corners[1]) / 2)
        canvas = float(min(viewer.canvas.size))
        size = float(np.abs(corners[1] - corners[0]).max())
        share = size * float(camera.zoom) / canvas
        if not SMALL <= share <= LARGE:
            whole = LARGE if share > LARGE else SHOWN
            camera.zoom = whole * canvas / max(size, 1e-12)

    def outline(self, query: Query) -> None:
        """Draw the border of a region; lines are far cheaper than napari's shapes."""
        index = self._index(query.plane)
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
        layer.refresh(thumbnail=False, extent=False, highlight=False)

    def clear(self) -> None:
        """Show no query."""
        for layer in (self.outline_layer, self.looks_layer):
            if layer is not None:
                layer.visible = False

    def close(self) -> None:
        """Take the layers out, let go of the camera."""
        self._later.stop()
        try:
            viewer = self._viewer
        except ViewerError:  # the window went first, and its events with it
            return
        viewer.scene.camera.events.zoom.disconnect(self._on_zoom)
        for layer in (self.outline_layer, self.looks_layer):
            if layer is not None:
                viewer.layers.remove(layer)
        self._outline = self._looks = None

    # --- inside

    def _index(self, plane: int) -> list[int]:
        leading = self._binding.session.scan.leading_shape
        return [int(i) for i in np.unravel_index(plane, leading)] if leading else []

    def _width(self) -> float:
        """Of the line, in data pixels, so that it looks alike at every zoom."""
        scale = float(np.abs(self._binding.strokes.scale[-1]))
        zoom = float(self._viewer.scene.camera.zoom)
        return WIDTH / max(zoom * scale, 1e-12)

    def _on_zoom(self, event: Any = None) -> None:
        if self.outline_layer is not None:
            self._later.soon()

    def _scale_lines(self) -> None:
        layer, width = self.outline_layer, self._width()
        if layer is not None and not 0.9 < layer.edge_width / width < 1.1:
            layer.edge_width = width

    def _add_outline(self) -> Vectors:
        image = self._binding.image
        active = self._viewer.layers.selection.active
        self._outline = self._viewer.add_vectors(
            ndim=len(self._shape),
            name=f"{image.name} {OUTLINE}",
            edge_color=COLOR,
            vector_style="line",
            opacity=1.0,
            metadata={"sesami_layer": OUTLINE},
            **spatial_kwargs(image),
        )
        self._viewer.layers.selection.active = active
        return self._outline

    def _add_looks(self) -> Labels:
        image = self._binding.image
        active = self._viewer.layers.selection.active
        layer = self._viewer.add_labels(
            self._planes,
            name=f"{image.name} {LOOKS}",
            opacity=0.4,
            multiscale=False,
            metadata={"sesami_layer": LOOKS},
            **spatial_kwargs(image),
        )
        layer.editable = False
        self._looks = layer
        layers = self._viewer.layers
        if self._binding.strokes in layers:
            layers.move(layers.index(layer), layers.index(self._binding.strokes))
        self._viewer.layers.selection.active = active
        return layer


def segments(query: Query) -> NDArray[np.float64]:
    """Pieces of the border of a region: start and step, (n, 2, 2), in data pixels."""
    from skimage.measure import approximate_polygon, find_contours

    shift = np.array(query.bbox[:2]) - 1
    found = find_contours(np.pad(query.mask.astype(np.float32), 1), 0.5)
    paths = [approximate_polygon(path, 0.3) for path in found]
    pieces = [np.stack([p[:-1] + shift, np.diff(p, axis=0)], 1) for p in paths]
    return np.concatenate(pieces)
