"""Heat maps of every score, each a layer of its own, for the slice on screen."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.viewer.app.errors import ViewerError
from napari_sesami.viewer.app.jobs import Debounced
from napari_sesami.viewer.layers.result_planes import KEPT_PLANES, MapKind, Planes
from napari_sesami.viewer.layers.session_layers import (
    add_map,
    in_viewer,
    redraw,
    remove,
)
from napari_sesami.viewer.layers.shown_maps import ShownMaps
from napari_sesami.viewer.layers.spatial import label_shape
from napari_sesami.viewer.queue import jobs
from napari_sesami.viewer.strokes.controller import StrokesController

if TYPE_CHECKING:
    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_sesami.viewer.app.binding import LayerBinding
    from napari_sesami.viewer.queue.controller import QueueController

HEAT = "heat maps"
REST = 250  # ms

KINDS = (
    MapKind(
        "combined",
        "Combined",
        "inferno",
        (0.0, 0.5),
        "Combined: doubt × rareness, or novelty; 0.5 and more is worth the next label.",
    ),
    MapKind(
        "entropy",
        "Entropy",
        "magma",
        (0.0, 1.0),
        "Entropy: 1 = all classes are equally likely, 0 = one is certain.",
    ),
    MapKind(
        "margin",
        "Doubt",
        "magma",
        (0.0, 1.0),
        "Doubt: 1 − margin (best − second); 1 = two classes are even.",
    ),
    MapKind(
        "bvsb",
        "Second ÷ best",
        "magma",
        (0.0, 1.0),
        "Second ÷ best probability: 1 = level. Lights up more than doubt does.",
    ),
    MapKind(
        "rareness",
        "Rareness",
        "viridis",
        (0.0, 1.0),
        "Rareness: weight of the classes seen here; 0 = the commonest, 1 = the rarest "
        "(8 times as much).",
    ),
    MapKind(
        "novelty",
        "Novelty",
        "cividis",
        (0.0, 0.3),
        "Novelty: 1 − likeness to the nearest stroke; 0.3 and more was never seen.",
    ),
    MapKind(
        "impurity",
        "Impurity",
        "magma",
        (0.0, 1.0),
        "Impurity: mixture of classes in 3 × 3 pixels; 1 = borders of many.",
    ),
)


class HeatMaps:
    """Layers of the maps that are wanted; others cost nothing.

    Attributes
    ----------
    wanted
        Keys of the maps that are shown.
    """

    def __init__(self, controller: QueueController) -> None:
        self._controller = controller
        self.wanted: set[str] = set()
        self._binding: LayerBinding | None = None
        self._layers: dict[str, tuple[Planes, Image]] = {}
        self._fresh: dict[str, list[int]] = {}  # planes that are up to date
        self._later = Debounced(self._request, REST)
        self._at_once = Debounced(self._request, 0)
        controller.workspace.viewer.dims.events.current_step.connect(self._on_dims)

    def show(self, key: str, on: bool) -> None:
        """Show a map, or take it away; one at a time unless several are allowed."""
        shown = self._controller.workspace.get(ShownMaps)
        if on:
            self.wanted.add(key)
            shown.put_on(f"queue {key}", partial(self.show, key, False))
            self._request()
        else:
            self.wanted.discard(key)
            shown.taken_off(f"queue {key}")
            self._hide(key)
        self._controller.changed.emit()

    def layer(self, key: str) -> Image | None:
        """The layer of a map, if it is shown."""
        known = self._layers.get(key)
        return (
            None
            if known is None
            else in_viewer(self._controller.workspace.viewer, known[1])
        )

    def soon(self) -> None:
        """Draw anew, after the strokes have changed."""
        self._fresh.clear()
        if self.wanted:
            self._later.soon()

    def follow(self, binding: LayerBinding | None) -> None:
        """Go on with another session, without maps at first."""
        gone = [image for _, image in self._layers.values()]
        if gone:  # napari may be in the middle of removing layers
            self._controller.workspace.jobs.post(self._remove, gone)
        self._layers.clear()
        self._fresh.clear()
        for key in tuple(self.wanted):
            self._controller.workspace.get(ShownMaps).taken_off(f"queue {key}")
        self.wanted.clear()
        self._binding = binding

    def close(self) -> None:
        """Let go of the viewer."""
        self._later.stop()
        self._at_once.stop()
        try:
            dims = self._controller.workspace.viewer.dims
        except ViewerError:  # the window went first, and its events with it
            return
        dims.events.current_step.disconnect(self._on_dims)

    def _request(self) -> None:
        binding = self._binding
        if binding is None or not self.wanted:
            return
        plane = binding.plane
        names = [
            kind.key
            for kind in KINDS
            if kind.key in self.wanted and plane not in self._fresh.get(kind.key, ())
        ]
        if not names:
            return
        live, ranker = (
            self._controller.workspace.find(StrokesController),
            self._controller.ranker,
        )
        zoom = live.zoom if live is not None else ranker.zoom or 1.0
        task = partial(jobs.heat, binding.session, plane, names, zoom)
        self._controller.workspace.jobs.submit(HEAT, task, self._on_heat)

    def _on_heat(self, found: tuple[int, dict[str, NDArray[np.float32]]]) -> None:
        plane, maps = found
        for kind in KINDS:
            if kind.key in maps and kind.key in self.wanted:
                self._put(kind, plane, maps[kind.key])
                known = [p for p in self._fresh.get(kind.key, ()) if p != plane]
                self._fresh[kind.key] = [*known, plane][-KEPT_PLANES:]

    def _put(self, kind: MapKind, plane: int, pixels: NDArray[np.float32]) -> None:
        layer = self.layer(kind.key)
        if layer is not None:
            planes = self._layers[kind.key][0]
            planes.put(plane, pixels)
            redraw(layer)
            return
        binding, viewer = self._controller.binding, self._controller.workspace.viewer
        planes = Planes(label_shape(binding.session.scan), np.float32)
        planes.put(plane, pixels)
        layer = add_map(viewer, binding, kind, planes, 0.65)
        layer.contrast_limits_range = (0.0, 1.0)
        layer.contrast_limits = kind.limits
        viewer.layers.move(
            viewer.layers.index(layer), viewer.layers.index(binding.image) + 1
        )
        self._layers[kind.key] = (planes, layer)

    def _hide(self, key: str) -> None:
        remove(self._controller.workspace.viewer, self.layer(key))
        self._layers.pop(key, None)
        self._fresh.pop(key, None)

    def _remove(self, gone: list[Image]) -> None:
        remove(self._controller.workspace.viewer, *gone)

    def _on_dims(self, event: Any = None) -> None:
        if self.wanted:
            self._at_once.soon()
