"""Binds a Session to napari layers: paint flows in, changes of the session flow out.

Together with `_mirror` this is the only module that listens to events of layers.
"""

from __future__ import annotations

import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal
from qtpy.QtCore import QCoreApplication, QTimer

from napari_sesami.viewer._arrays import mirror_array
from napari_sesami.viewer._errors import ViewerError, sentence
from napari_sesami.viewer._keys import KEYS, Action, bind
from napari_sesami.viewer._layers import (
    LABELS,
    STROKES,
    add_image,
    add_labels,
    colormap_of,
)
from napari_sesami.viewer._mirror import Mirror
from napari_sesami.viewer._spatial import KEPT_SCAN, copy_spatial, scan_kwargs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari.components import ViewerModel
    from napari.layers import Image, Labels, Layer
    from numpy.typing import NDArray

    from napari_sesami.session import Session
    from napari_sesami.viewer._keys import Dispatch
    from napari_sesami.viewer._mirror import Box

DEBOUNCE = 30  # ms; events of napari come in bursts


def attach(viewer: ViewerModel, session: Session) -> Link:
    """Show a session in napari: image, strokes and labels, kept equal both ways.

    Parameters
    ----------
    viewer
        A napari viewer, or a `ViewerModel` without a window.
    session
        What a script or the command line would drive.

    Returns
    -------
    Link
        `Link.close` takes everything apart again and leaves the layers.
    """
    return Link(getattr(viewer, "__wrapped__", viewer), session)


class Link:
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

    def __init__(
        self,
        viewer: ViewerModel,
        session: Session,
        image: Image | None = None,
        dispatch: Dispatch | None = None,
    ) -> None:
        self.session = session
        self._viewer = weakref.ref(viewer)
        self._hidden: frozenset[int] = frozenset()
        self._busy = False
        self._flush_planned = False
        self.image = add_image(viewer, session.scan) if image is None else image
        _check_shape(self.image, session)
        self.labels, self._label_mirror = self._add(viewer, LABELS, 0.4)
        self.strokes, self._stroke_mirror = self._add(viewer, STROKES, 0.8)
        self._mirrors = (self._label_mirror, self._stroke_mirror)
        self.strokes.brush_size = _brush_for(session.scan.plane_shape)
        self._undo_keys = [
            bind(layer, dispatch or _own_dispatch(self), KEYS)
            for layer in (self.labels, self.strokes)
        ]
        self._recolor()
        self._connect(viewer)
        self._follow_dims()

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
        return str(self.strokes.mode) == "paint" and self._is_active(self.strokes)

    def select(self) -> None:
        """Make the strokes layer the active one."""
        viewer = self._viewer()
        if viewer is not None:
            viewer.layers.selection.active = self.strokes

    def pick(self, class_id: int) -> None:
        """Choose the class to paint, and turn the brush on."""
        self.strokes.selected_label = class_id
        self._brush(True)

    def toggle_brush(self) -> None:
        """Turn the brush on, or off to move the view."""
        if not self.painting and not len(self.session.classes):
            raise ViewerError("Name a class first: type it in the panel (key N).")
        if not self.painting and self.current_class not in self.session.classes:
            self.strokes.selected_label = next(iter(self.session.classes)).id
        self._brush(not self.painting)

    def toggle_visible(self) -> None:
        """Hide strokes and labels, or show them."""
        shown = self.strokes.visible or self.labels.visible
        self.strokes.visible = self.labels.visible = not shown

    def hide_classes(self, hidden: frozenset[int]) -> None:
        """Make some classes transparent; their pixels stay."""
        self._hidden = hidden
        self._recolor()

    def close(self) -> None:
        """Let go of layers, viewer and session; the layers stay where they are."""
        self.flush()
        viewer = self._viewer()
        self._disconnect(viewer)
        for unbind in self._undo_keys:
            unbind()

    def _brush(self, on: bool) -> None:
        self.select()
        self.strokes.mode = "paint" if on else "pan_zoom"
        self.changed.emit()

    def _is_active(self, layer: Layer) -> bool:
        viewer = self._viewer()
        return viewer is not None and viewer.layers.selection.active is layer

    def _recolor(self, _: object = None) -> None:
        colors = {entry.id: entry.color for entry in self.session.classes}
        for layer in (self.labels, self.strokes):
            layer.colormap = colormap_of(colors, self._hidden)
