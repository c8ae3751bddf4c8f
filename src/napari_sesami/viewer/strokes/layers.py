"""The layers that strokes give: class labels, heat maps, cells and their repeats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.viewer.layers.result_planes import MAPS, Planes
from napari_sesami.viewer.layers.session_layers import (
    add_map,
    add_result,
    colormap_of,
    in_viewer,
    keeping_selection,
    redraw,
    remove,
)
from napari_sesami.viewer.layers.spatial import (
    KEPT_CLASSES,
    label_shape,
    plane_index,
    spatial_kwargs,
)

if TYPE_CHECKING:
    from napari.layers import Image, Labels, Shapes
    from napari.viewer import Viewer
    from numpy.typing import NDArray

    from napari_sesami.viewer.app.binding import LayerBinding
    from napari_sesami.viewer.app.workspace import Workspace
    from napari_sesami.viewer.layers.result_planes import MapKind


class CellLayers:
    """The rectangle around a cell that the user draws, and outlines of its repeats."""

    def __init__(self, viewer: Viewer, binding: LayerBinding) -> None:
        self.binding = binding
        self._viewer = viewer
        self._cell: Shapes | None = None
        self._repeats: Shapes | None = None

    def draw_cell(self) -> None:
        """Let the user draw a rectangle."""
        if in_viewer(self._viewer, self._cell) is None:
            self._cell = self._add("cell", "#ffd500")
        assert self._cell is not None
        self._cell.data = []
        self._viewer.layers.selection.active = self._cell
        self._cell.mode = "add_rectangle"

    @property
    def cell(self) -> tuple[int, int, int, int] | None:
        """The box (y0, x0, y1, x1) that was drawn last, inside the scan."""
        shapes = in_viewer(self._viewer, self._cell)
        if shapes is None or not len(shapes.data):
            return None
        corners = np.asarray(shapes.data[-1])[:, -2:]
        (y0, x0), (y1, x1) = corners.min(0), corners.max(0)
        height, width = self.binding.session.scan.plane_shape
        low = (max(0, round(y0)), max(0, round(x0)))
        return (*low, min(height, round(y1) + 1), min(width, round(x1) + 1))

    def outline(self, plane: int, boxes: NDArray[Any]) -> None:
        """Outline the repeats (n, 4) of a plane; the selection stays."""
        lead = plane_index(self.binding.session.scan.leading_shape, plane)
        data = []
        for y0, x0, y1, x1 in (boxes - 0.5).tolist():  # edges of pixels, not centres
            ring = ((y0, x0), (y0, x1), (y1, x1), (y1, x0))
            data.append([[*lead, *corner] for corner in ring])
        remove(self._viewer, self._repeats)
        with keeping_selection(self._viewer):
            self._repeats = self._add("repeats", "#00e5ff", data, shape_type="polygon")

    def _add(self, kind: str, color: str, *data: Any, **options: Any) -> Shapes:
        image = self.binding.image
        return self._viewer.add_shapes(
            *data,
            ndim=self.binding.strokes.ndim,
            name=f"{image.name} {kind}",
            edge_color=color,
            face_color="transparent",
            edge_width=max(1.0, min(self.binding.session.scan.plane_shape) / 300),
            **options,
            **spatial_kwargs(image),
        )


class ResultLayers:
    """Makes the layers of one scan when they are first needed, and again if removed."""

    def __init__(self, workspace: Workspace, link: LayerBinding) -> None:
        self._workspace, self._binding = workspace, link
        self.shape = label_shape(link.session.scan)
        self.labels = Planes(self.shape, np.uint8)
        self._layer: Labels | None = None
        self._classes: dict[int, tuple[Planes, Labels]] = {}
        self._maps: dict[str, tuple[Planes, Image]] = {}
        self.put_away = False  # the labels show the same

    @property
    def _viewer(self) -> Viewer:
        return self._workspace.viewer

    @property
    def layer(self) -> Labels | None:
        """The result layer, if it is in the viewer."""
        return in_viewer(self._viewer, self._layer)

    def show(self, plane: int, labels: NDArray[np.uint8]) -> None:
        """Draw the labels of a plane."""
        changed = self.labels.put(plane, labels)
        if self.layer is None:
            name = f"{self._binding.image.name} from strokes"
            self._layer = self._add_labels(self.labels, name)
        elif changed:
            self.redraw()

    def hide(self) -> None:
        """Hide the result until strokes change it: the labels show the same now."""
        if self.layer is not None and self.layer.visible:
            self.put_away = True
            self.layer.visible = False

    def bring_back(self) -> None:
        """Show the result again, after it was put away."""
        if self.layer is not None:
            self.layer.visible = True
        self.put_away = False

    def redraw(self) -> None:
        """Draw again what is known of the plane on screen."""
        if self.layer is not None:
            redraw(self.layer)

    def show_overlap(self, plane: int, masks: NDArray[np.bool_] | None) -> None:
        """Draw every class by itself, (H, W, C); None takes those layers away."""
        if masks is None:
            self.hide_overlap()
            return
        for entry in self._binding.session.classes:
            if entry.id > masks.shape[-1]:
                continue
            known = self._classes.get(entry.id)
            if known is None or known[1] not in self._viewer.layers:
                planes = Planes(self.shape, np.uint8)
                layer = self._add_labels(
                    planes, f"{self._binding.image.name} {entry.name}"
                )
                known = self._classes[entry.id] = (planes, layer)
            found = np.where(masks[..., entry.id - 1], entry.id, 0)
            if known[0].put(plane, found.astype(np.uint8)):
                redraw(known[1])
        if self.layer is not None:
            self.layer.visible = False

    def hide_overlap(self) -> None:
        """Take the layers of single classes out of the viewer."""
        if not self._classes:
            return
        remove(self._viewer, *(layer for _, layer in self._classes.values()))
        self._classes.clear()
        if self.layer is not None:
            self.layer.visible = True

    def class_layer(self, class_id: int) -> Labels | None:
        """The layer of one class, if classes may overlap."""
        known = self._classes.get(class_id)
        return None if known is None else in_viewer(self._viewer, known[1])

    def blank(self) -> None:
        """Show nothing, after the last stroke is gone."""
        self.labels.clear()
        for planes, layer in self._classes.values():
            planes.clear()
            redraw(layer)
        for planes, image in self._maps.values():
            planes.clear()
            redraw(image)
        self.redraw()

    def recolor(self) -> None:
        """Follow the class table."""
        several = [layer for _, layer in self._classes.values()]
        for layer in several if self._layer is None else [self._layer, *several]:
            self._color(layer)

    def show_map(self, kind: MapKind, plane: int, pixels: NDArray[np.float32]) -> None:
        """Draw a map of a plane."""
        known = self._maps.get(kind.key)
        if known is None or known[1] not in self._viewer.layers:
            planes = Planes(self.shape, np.float32)
            planes.put(plane, pixels)
            layer = add_map(self._viewer, self._binding, kind, planes, 0.7)
            self._maps[kind.key] = (planes, layer)
        else:
            known[0].put(plane, pixels)
            known[1].visible = True
            redraw(known[1])

    def hide_map(self, kind: MapKind) -> None:
        """Take a map out of the viewer."""
        known = self._maps.pop(kind.key, None)
        if known is not None:
            remove(self._viewer, known[1])

    def map_layer(self, key: str) -> Image | None:
        """The layer of a map, if it is shown."""
        known = self._maps.get(key)
        return None if known is None else in_viewer(self._viewer, known[1])

    def close(self) -> None:
        """Take the layers out, and what they hold on disk only for a while."""
        for kind in MAPS:
            self.hide_map(kind)
        self.hide_overlap()
        remove(self._viewer, self._layer)
        self._layer = None
        self.labels.drop_disk()

    def _color(self, layer: Labels) -> None:
        colors = {entry.id: entry.color for entry in self._binding.session.classes}
        layer.colormap = colormap_of(colors)
        layer.metadata[KEPT_CLASSES] = tuple(self._binding.session.classes)

    def _add_labels(self, planes: Planes, name: str) -> Labels:
        layer = add_result(self._viewer, self._binding, planes, name, "retrieved", 0.45)
        self._color(layer)
        return layer
