"""Binds a Session to napari layers: paint flows in, changes of the session flow out.

Together with `mirror` this is the only module that listens to events of layers.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_sesami.common.errors import SesamiError
from napari_sesami.viewer.app.actions import action
from napari_sesami.viewer.app.errors import ViewerError, sentence
from napari_sesami.viewer.app.jobs import Debounced
from napari_sesami.viewer.app.mirror import LayerMirror
from napari_sesami.viewer.app.plane_arrays import layer_array
from napari_sesami.viewer.app.shortcuts import BoundKeys
from napari_sesami.viewer.layers.camera import fit, show_plane
from napari_sesami.viewer.layers.session_layers import (
    LABELS,
    STROKES,
    add_image,
    add_labels,
    brush_for,
    check_shape,
    colormap_of,
)
from napari_sesami.viewer.layers.spatial import (
    KEPT_CLASSES,
    KEPT_SCAN,
    copy_spatial,
    scan_kwargs,
    share_unit,
)

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer
    from numpy.typing import NDArray

    from napari_sesami.scan import Scan
    from napari_sesami.session import Session
    from napari_sesami.viewer.app.mirror import Box
    from napari_sesami.viewer.app.shortcuts import Press

_DIMS = ("current_step", "order", "ndisplay")
DEBOUNCE = 30  # ms; events of napari come in bursts


class LayerBinding:
    """A session and its three layers in one viewer.

    Attributes
    ----------
    session
        The session.
    image, strokes, labels
        The layers; `image` may have been there before.
    """

    changed = Signal()
    """brush, class, history, or what is known about the scan"""
    refused = Signal(str)
    """why something painted was not taken"""
    image_replaced = Signal(str)
    """the image layer got other pixels than the scan has, in one sentence"""

    def __init__(
        self,
        viewer: ViewerModel,
        session: Session,
        image: Image | None = None,
        press: Press | None = None,
    ) -> None:
        self.session = session
        self._viewer = weakref.ref(viewer)
        self._hidden: frozenset[int] = frozenset()
        self._shown: dict[str, bool] | None = None  # what was, before it went behind
        self._later = Debounced(self.flush, DEBOUNCE)
        if image is not None:
            check_shape(image, session.scan)
        self.image = add_image(viewer, session.scan) if image is None else image
        share_unit(viewer.layers)  # before others copy where the image lies
        self._pixels = self.image.data
        read = session.document.labels.plane
        self.labels = add_labels(
            viewer, self.image, layer_array(session.labels, read), LABELS, 0.4
        )
        self._label_mirror = LayerMirror(self.labels, read, self._labels_edited)
        read = session.strokes.plane
        self.strokes = add_labels(
            viewer, self.image, layer_array(session.strokes.array, read), STROKES, 0.8
        )
        self._stroke_mirror = LayerMirror(self.strokes, read, self._strokes_edited)
        self._mirrors = {LABELS: self._label_mirror, STROKES: self._stroke_mirror}
        self.strokes.brush_size = brush_for(session.scan.plane_shape)
        press = press or _own_press(self)
        self._keys = [BoundKeys(m.layer, press, layer=True) for m in self._both]
        self._on_classes()
        self._connect()
        self._on_dims()

    @property
    def layers(self) -> tuple[Layer, Layer, Layer]:
        """Image, labels and strokes."""
        return self.image, self.labels, self.strokes

    @property
    def plane(self) -> int:
        """Number of the plane on screen, along the flattened leading axes."""
        return self._stroke_mirror.plane

    @property
    def current_class(self) -> int:
        """Id of the class that the brush paints; 0 erases."""
        return int(self.strokes.selected_label)

    @property
    def painting(self) -> bool:
        """Whether the brush is on."""
        viewer = self._viewer()
        active = viewer is not None and viewer.layers.selection.active is self.strokes
        return active and str(self.strokes.mode) in (
            "paint",
            "erase",
            "fill",
            "polygon",
        )

    @property
    def stale(self) -> bool:
        """Whether the image layer shows other pixels than the scan has."""
        return self.image.data is not self._pixels

    def check_image(self) -> None:
        """Refuse to point at pixels that no model would see."""
        if self.stale:
            raise ViewerError(self._replaced())

    @property
    def behind(self) -> bool:
        """Whether another scan is at work; nothing of this one is shown or edited."""
        return self._shown is not None

    def put_behind(self) -> None:
        """Hide and lock the layers: another scan is at work."""
        if self._shown is not None:
            return
        self.flush()
        self._shown = {layer.name: layer.visible for layer in self.layers}
        for layer in self.layers:
            layer.visible = False
        self.strokes.mode = "pan_zoom"
        self._on_dims()

    def bring_back(self) -> None:
        """Show the layers as they were before they went behind, ready to be edited."""
        shown, self._shown = self._shown, None
        if shown is not None:
            for layer in self.layers:
                layer.visible = shown.get(layer.name, True)
            self.image.visible = True
            self._on_dims()

    def look(self) -> None:
        """Fit the scan into the canvas; show a slice that has something to see.

        That is the first one with work on it, or the middle of a volume: the first and
        the last slices of a tomogram hold little but noise.
        """
        viewer, scan = self._viewer(), self.session.scan
        if viewer is None:
            return
        if scan.leading_shape:
            layers = self.session.document.work.layers
            worked = sorted(
                plane for kind in (STROKES, LABELS) for plane in layers[kind].planes
            )
            middle = [n // 2 if a == "z" else 0 for a, n in self._leading()]
            start = int(np.ravel_multi_index(tuple(middle), scan.leading_shape))
            show_plane(viewer, self.image, worked[0] if worked else start)
        if viewer.dims.ndisplay == 2:
            fit(viewer, self.image)
        if scan.units[len(scan.leading_shape)] is not None:
            viewer.canvas.overlays.scale_bar.visible = True

    def _leading(self) -> list[tuple[str, int]]:
        scan = self.session.scan
        return list(zip(scan.axes, scan.leading_shape, strict=False))

    def select(self) -> None:
        """Make the strokes layer the active one."""
        viewer = self._viewer()
        if viewer is not None and self.strokes in viewer.layers:
            viewer.layers.selection.active = self.strokes

    def pick(self, class_id: int) -> None:
        """Choose the class to paint, and turn the brush on."""
        self.strokes.selected_label = class_id
        self._brush(True)

    def toggle_brush(self) -> None:
        """Turn the brush on, or off to move the view."""
        if self.painting:
            self._brush(False)
            return
        if not len(self.session.classes):
            raise ViewerError("Name a class first: type it in the panel (key N).")
        if self.current_class not in self.session.classes:
            self.strokes.selected_label = next(iter(self.session.classes)).id
        self._brush(True)

    def toggle_visible(self) -> None:
        """Hide strokes and labels, or show them."""
        shown = self.strokes.visible or self.labels.visible
        self.strokes.visible = self.labels.visible = not shown

    def hide_classes(self, hidden: frozenset[int]) -> None:
        """Make some classes transparent; their pixels stay."""
        self._hidden = hidden
        self._on_classes()

    def undo(self) -> str | None:
        """Take back the last step of the session; its name, or None."""
        self.flush()
        return self.session.undo()

    def redo(self) -> str | None:
        """Do the step taken back last again; its name, or None."""
        self.flush()
        return self.session.history.redo()

    def flush(self) -> None:
        """Hand over to the session what was painted since the last time."""
        for mirror in self._both:
            mirror.flush()

    def close(self) -> None:
        """Let go of layers, viewer and session; the layers stay where they are."""
        self.flush()
        self._later.stop()
        for keys in self._keys:
            keys.close()
        events = self.session.document.events
        events.changed.disconnect(self._on_changed)
        events.classes.disconnect(self._on_classes)
        events.history.disconnect(self._on_history)
        events.scan.disconnect(self._on_scan)
        for layer, event in self._watched():
            getattr(layer.events, event).disconnect(self._on_painted)
        self.image.events.data.disconnect(self._on_image)
        self.strokes.events.mode.disconnect(self._on_brush)
        self.strokes.events.selected_label.disconnect(self._on_brush)
        viewer = self._viewer()
        if viewer is not None:
            for event in _DIMS:
                getattr(viewer.dims.events, event).disconnect(self._on_dims)

    @property
    def _both(self) -> tuple[LayerMirror, LayerMirror]:
        return self._label_mirror, self._stroke_mirror

    def _watched(self) -> list[tuple[Layer, str]]:
        return [(m.layer, e) for m in self._both for e in ("paint", "set_data")]

    def _connect(self) -> None:
        events = self.session.document.events
        events.changed.connect(self._on_changed)
        events.classes.connect(self._on_classes)
        events.history.connect(self._on_history)
        events.scan.connect(self._on_scan)
        for layer, event in self._watched():
            getattr(layer.events, event).connect(self._on_painted)
        self.image.events.data.connect(self._on_image)
        self.strokes.events.mode.connect(self._on_brush)
        self.strokes.events.selected_label.connect(self._on_brush)
        viewer = self._viewer()
        if viewer is not None:
            for event in _DIMS:
                getattr(viewer.dims.events, event).connect(self._on_dims)

    def _brush(self, on: bool) -> None:
        self.select()
        self.strokes.mode = "paint" if on else "pan_zoom"
        self.changed.emit()

    # --- from napari

    def _on_painted(self, event: Any = None) -> None:
        self._later.soon()

    def _on_brush(self, event: Any = None) -> None:
        self.changed.emit()

    def _on_image(self, event: Any = None) -> None:
        if self.stale:
            self.image_replaced.emit(self._replaced())

    def _replaced(self) -> str:
        return (
            f"The pixels of {self.image.name} are not those that were taken: press "
            "Label it in the Sesami panel to take the image again."
        )

    def _on_dims(self, event: Any = None) -> None:
        """Follow the viewer to another plane; other views are only to look at."""
        viewer = self._viewer()
        if viewer is None:
            return
        ndim = self.strokes.ndim
        flat = viewer.dims.ndisplay == 2 and (
            tuple(viewer.dims.order[-2:])
            == (viewer.dims.ndim - 2, viewer.dims.ndim - 1)
        )
        for mirror in self._both:
            mirror.layer.editable = flat and not self.behind
        leading = self.session.scan.leading_shape
        if not flat or not leading or self.behind:
            return
        here = self.strokes.world_to_data(viewer.dims.point[-ndim:])[: len(leading)]
        index = np.clip(np.round(here).astype(int), 0, np.array(leading) - 1)
        for mirror in self._both:
            mirror.show(int(np.ravel_multi_index(tuple(index), leading)))

    def _strokes_edited(self, plane: int, box: Box, pixels: NDArray[Any]) -> None:
        corner = (box[0].start, box[1].start)
        erased = (pixels == 0) & (self.session.strokes.plane(plane)[box] > 0)
        try:
            with self.session.history.group("paint"):
                if erased.any():
                    self.session.strokes.erase(erased, plane, at=corner)
                if pixels.any():
                    self.session.paint(pixels, plane, at=corner)
        except (SesamiError, OSError) as error:
            self.refused.emit(sentence(error))

    def _labels_edited(self, plane: int, box: Box, pixels: NDArray[Any]) -> None:
        try:
            self.session.document.labels.write(
                pixels, plane, at=(box[0].start, box[1].start)
            )
        except (SesamiError, OSError) as error:
            self.refused.emit(sentence(error))

    # --- from the session

    def _on_changed(self, plane: int, bbox: tuple[int, ...], layer: str) -> None:
        mirror = self._mirrors.get(layer)
        if mirror is not None:
            y0, x0, y1, x1 = bbox
            mirror.pull(plane, (slice(y0, y1), slice(x0, x1)))

    def _on_classes(self) -> None:
        colors = {entry.id: entry.color for entry in self.session.classes}
        for mirror in self._both:
            mirror.layer.colormap = colormap_of(colors, self._hidden)
            mirror.layer.metadata[KEPT_CLASSES] = tuple(self.session.classes)
        self.changed.emit()

    def _on_history(self) -> None:
        self.changed.emit()

    def _on_scan(self, scan: Scan) -> None:
        """Give all layers the pixel size that the user entered."""
        for name, value in scan_kwargs(scan).items():
            setattr(self.image, name, value)
        viewer = self._viewer()
        if viewer is not None:
            share_unit(viewer.layers)
        self.image.metadata[KEPT_SCAN] = scan
        for mirror in self._both:
            copy_spatial(self.image, mirror.layer)
        self.changed.emit()


def _own_press(binding: LayerBinding) -> Press:
    """Undo, redo and pick a class without a workspace, e.g. in a `ViewerModel`."""
    reference = weakref.ref(binding)

    def press(key: str, number: int | None) -> None:
        found = reference()
        if found is None:
            return
        if key == action("undo").key:
            found.undo()
        elif key == action("redo").key:
            found.redo()
        elif key == action("erase").key:
            found.pick(0)
        elif number is not None and number <= len(found.session.classes):
            found.pick(found.session.classes.ids[number - 1])

    return press
