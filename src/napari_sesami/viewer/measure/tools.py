"""The hand on the canvas: pick classes, draw calipers, drag handles of dimensions."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.viewer.app.errors import ViewerError
from napari_sesami.viewer.layers.mouse import far, hear, position

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from napari_sesami.measure import Result
    from napari_sesami.viewer.measure.controller import MeasureController

    Place = tuple[float, float]

NEAR = 8  # px on screen within which a press means a line
CLICK = 4  # px on screen; a press that moved farther is no click
LEAST = 4.0  # pixels of a caliper
DEPTHS = ("cd", "pitch", "space", "aspect ratio")
"""Quantities whose line can be dragged to another depth."""
FULL = 0.02  # of the height: depths stay this far from the ends
HINTS = {
    "pick": "Click a class on the canvas: every instance of it is measured.",
    "caliper": "Drag a line over what is to be measured; its ends snap to the edges.",
    "move": "Click a line to choose its row; drag it to another depth.",
}


class MeasureTools:
    """What a press on the canvas does while one of the tools is in the hand.

    Attributes
    ----------
    tool
        "pick", "caliper", "move", or "" while the mouse is napari's.
    draft
        The caliper that is being drawn, two ends (y, x).
    """

    def __init__(self, controller: MeasureController) -> None:
        self._controller = controller
        self.tool = ""
        self.draft: NDArray[np.float64] | None = None
        self._stop: Callable[[], None] | None = None
        self._before: Any = None
        self._keys: Any = None

    def use(self, tool: str) -> None:
        """Take a tool into the hand, or put it down if it is there."""
        tool = "" if tool == self.tool else tool
        controller = self._controller
        self.put_down()
        if tool:
            workspace, layer = controller.workspace, controller.canvas.line_layer()
            viewer = workspace.viewer
            self._before = viewer.layers.selection.active
            viewer.layers.selection.active = layer
            viewer.layers.selection.events.active.connect(self._on_active)
            self._stop = hear(layer, self, MeasureTools._pressed)
            self._keys = workspace.bind_keys(layer)
            self.tool = tool
            workspace.say(HINTS[tool])
        controller.changed.emit()

    def put_down(self) -> None:
        """Give the mouse back to napari, and to the layer that had it."""
        if self._stop is not None:
            stop, self._stop = self._stop, None
            stop()
        if self._keys is not None:
            self._keys.close()
            self._keys = None
        self.draft = None
        if not self.tool:
            return
        self.tool = ""
        viewer = self._controller.workspace.viewer
        viewer.layers.selection.events.active.disconnect(self._on_active)
        if self._before is not None and self._before in viewer.layers:
            viewer.layers.selection.active = self._before
        self._before = None

    def add_caliper(self, ends: Any) -> str:
        """Measure along a line with ends (y, x); anchored, on all like the nearest."""
        controller = self._controller
        ends = np.asarray(ends, float)
        fields: dict[str, Any] = {}
        live = controller.live
        if controller.anchor and live is not None:
            found = live.work.features(controller.anchor)
            if found:
                middle = live.work.site.from_data(ends.mean(0))
                at = live.work.frame.coordinates(middle)
                near = min(found, key=lambda f: float(np.hypot(*(at - f.centre))))
                ends = live.work.relative(ends, near)
                fields["feature"] = controller.anchor
        kind, controller.kind, controller.picked = controller.kind, "caliper", []
        try:
            return controller.add(ends=np.round(ends, 3).tolist(), **fields)
        finally:
            controller.kind = kind

    # --- inside

    def _pressed(self, layer: Any, event: Any) -> Iterator[None]:
        """One press on the canvas, until its release."""
        if event.button != 1:
            return
        start, began = tuple(event.pos), position(layer, event)
        try:
            if self.tool == "pick":
                yield
                while event.type == "mouse_move":
                    yield
                if far(event, start) < CLICK:
                    self._pick(*began)
                return
            layer.mouse_pan = False
            try:
                yield from self._dragged(layer, event, began)
            finally:
                layer.mouse_pan = True
        except ValueError as error:  # a press has nobody else to tell
            self._controller.workspace.show_error(error)

    def _dragged(self, layer: Any, event: Any, began: Place) -> Iterator[None]:
        controller, canvas = self._controller, self._controller.canvas
        tool, key, what = self.tool, time.time_ns(), None
        if tool == "move":
            row = canvas.nearest(*began, canvas.reach(NEAR))
            controller.choose(row)
            what = controller.rows[row] if row >= 0 else None
        yield
        while event.type == "mouse_move":
            here = position(layer, event)
            if tool == "caliper":
                self.draft = np.array([began, here])
                controller.draw()
            elif what is not None:
                self.drag(what, began, here, key)
                what, began = self._now(what, here), here
            yield
        if tool == "caliper":
            ends, self.draft = np.array([began, position(layer, event)]), None
            if np.hypot(*(ends[1] - ends[0])) >= LEAST:
                self.add_caliper(ends)
            else:
                controller.draw()

    def drag(self, r: Result, began: Place, here: Place, key: int) -> None:
        """Move the handle of a row: its depth, or an end of its caliper."""
        controller, live = self._controller, self._controller.live
        m = next(
            (m for m in controller.recipe.measure if m.name == r.measurement), None
        )
        if live is None or m is None:
            return
        work, f = live.work, controller.feature_of(r)
        if m.kind == "caliper" and m.ends is not None:
            ends, places = np.asarray(m.ends, float), np.array([began, here])
            if f is not None:  # in the frame of the feature
                places = work.relative(places, f)
            away = np.hypot(*(ends - places[0]).T)
            held = int(away.argmin())
            if away[held] < 0.25 * np.hypot(*(ends[1] - ends[0])):
                ends[held] += places[1] - places[0]
            else:
                ends += places[1] - places[0]
            controller.change(m.name, key, ends=np.round(ends, 3).tolist())
        elif m.kind in DEPTHS and f is not None:
            low, high = f.ends
            depth = work.frame.coordinates(work.site.from_data(np.asarray(here)))[0]
            q = float(np.clip((depth - low) / max(high - low, 1e-9), FULL, 1 - FULL))
            shares = list(m.at or ((0.1, 0.5, 0.9) if m.kind == "cd" else ()))
            if r.at in shares:
                shares[shares.index(r.at)] = round(q, 3)
            else:
                shares = [round(q, 3)]
            controller.change(m.name, key, at=shares)

    def _now(self, r: Result, here: Place) -> Result:
        """The row that a dragged one has become."""
        rows = self._controller.rows
        same = [
            k for k, o in enumerate(rows)
            if (o.measurement, o.number, o.zone, o.statistic)
            == (r.measurement, r.number, r.zone, r.statistic)
        ]  # fmt: skip
        near = self._controller.canvas.nearest(*here, np.inf)
        row = near if near in same else same[0] if same else -1
        return rows[row] if row >= 0 else r

    def _pick(self, y: float, x: float) -> None:
        controller = self._controller
        binding = controller.binding
        labels = binding.session.document.labels.plane(binding.plane)
        row, column = round(y), round(x)
        if not (0 <= row < labels.shape[0] and 0 <= column < labels.shape[1]):
            return
        id_ = int(labels[row, column])
        if not id_:
            raise ViewerError("Nothing is labelled there; click on a labelled class.")
        controller.pick(binding.session.classes[id_].name)

    def _on_active(self, event: Any) -> None:
        """Put the tool down when another layer gets the mouse."""
        layers = self._controller.layers
        if layers is None or event.value is not layers.lines:
            self._before = None
            self.put_down()
            self._controller.changed.emit()
