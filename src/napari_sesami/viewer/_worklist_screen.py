"""The layer of proposals: outlines say what became of them, fills what they are."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.viewer._keys import KEYS, bind
from napari_sesami.viewer._prompt_mouse import MOVED, position
from napari_sesami.viewer._retrieve_layers import Planes
from napari_sesami.viewer._spatial import spatial_kwargs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari.layers import Labels
    from numpy.typing import NDArray

    from napari_sesami.session import Review
    from napari_sesami.session._propose import Proposed
    from napari_sesami.viewer._desk import Desk
    from napari_sesami.viewer._link import Link
    from napari_sesami.viewer._worklist_judge import Judge

OUTLINES = {
    "waiting": (1, "#ff9f1c"),
    "accepted": (2, "#2ec46b"),
    "corrected": (3, "#3fa7ff"),
    "rejected": (4, "#8a8a8a"),
    "in hand": (5, "#ffffff"),
}
"""What became of a proposal: its value in the layer, and its colour."""
FILL, HAND = 100, 400  # plus the class: fills of waiting proposals, and of the one
NAME = "proposals"


class ReviewScreen:
    """Draws proposals over a scan, and hears clicks on them."""

    def __init__(self, desk: Desk, link: Link, judge: Judge) -> None:
        self.link = link
        self._desk = desk
        scan = link.session.scan
        shape = scan.shape[:-1] if scan.is_rgb else scan.shape
        self._planes = Planes(shape, np.uint16)
        self._colors: dict[int, str] = {}
        self.layer: Labels = desk.viewer.add_labels(
            self._planes,
            name=f"{link.image.name} {NAME}",
            opacity=1.0,
            multiscale=False,
            metadata={"sesami_layer": NAME},
            **spatial_kwargs(link.image),
        )
        self.layer.editable = False
        self._recolor()
        keys = [key for key in KEYS if key.ours_only]
        self._undo = [listen(self.layer, judge), bind(self.layer, desk.dispatch, keys)]

    def activate(self) -> None:
        """Make the layer the active one, so that its keys and clicks are heard."""
        if self.layer in self._desk.viewer.layers:
            self._desk.viewer.layers.selection.active = self.layer
            self.layer.mode = "pan_zoom"

    def draw(self, review: Review, index: int | None) -> None:
        """Draw all proposals of all planes, the one in hand on top."""
        self._recolor()
        statuses = review.statuses()
        planes = {p.plane for p in review.proposed}
        shape = self.link.session.scan.plane_shape
        wide = max(1, round(max(shape) / 700))
        for plane in planes:
            pixels = np.zeros(shape, np.uint16)
            for i, p in enumerate(review.proposed):
                if p.plane == plane and i != index:
                    _paint(pixels, p, statuses[i], wide, hand=False)
            if index is not None and review.proposed[index].plane == plane:
                _paint(pixels, review.proposed[index], statuses[index], wide, hand=True)
            self._planes.put(plane, pixels)
        if self.layer in self._desk.viewer.layers:
            self.layer.refresh(thumbnail=False, extent=False, highlight=False)

    def set_visible(self, visible: bool) -> None:
        """Show the proposals, or hide them while something else is drawn."""
        if self.layer in self._desk.viewer.layers:
            self.layer.visible = visible

    def bring_into_view(self, proposed: Proposed) -> None:
        """Move the view if the proposal in hand is not on screen."""
        viewer = self._desk.viewer
        y0, x0, y1, x1 = proposed.bbox
        leading = self.link.session.scan.leading_shape
        lead = np.unravel_index(proposed.plane, leading) if leading else ()
        for axis, at in enumerate(lead):
            viewer.dims.set_current_step(viewer.dims.ndim - self.layer.ndim + axis, at)
        middle = self.layer.data_to_world((*lead, (y0 + y1) / 2, (x0 + x1) / 2))[-2:]
        camera = viewer.scene.camera
        half = np.array(viewer.canvas.size) / 2 / camera.zoom
        if (np.abs(np.array(middle) - camera.center[-2:]) > half).any():
            camera.center = tuple(float(v) for v in middle)

    def close(self) -> None:
        """Take the layer out of the viewer."""
        for undo in self._undo:
            undo()
        self._undo = []
        if self.layer in self._desk.viewer.layers:
            self._desk.viewer.layers.remove(self.layer)

    def _recolor(self) -> None:
        """Follow the class table."""
        from napari.utils.colormaps import DirectLabelColormap
        from napari.utils.colormaps.standardize_color import transform_color

        colors = {entry.id: str(entry.color) for entry in self.link.session.classes}
        if colors == self._colors:
            return
        self._colors = colors
        nothing = np.zeros(4)
        table: dict[int | None, Any] = {None: nothing, 0: nothing}
        for value, color in OUTLINES.values():
            table[value] = transform_color(color)[0]
        for class_id, color in colors.items():
            rgba = transform_color(color)[0]
            for base, alpha in ((FILL, 0.28), (HAND, 0.55)):
                table[base + class_id] = np.array([*rgba[:3], alpha])
        self.layer.colormap = DirectLabelColormap(color_dict=table)


def listen(layer: Labels, judge: Judge) -> Callable[[], None]:
    """Send clicks on a layer to the judge, who is held weakly; returns its own undo."""
    target = weakref.ref(judge)

    def pressed(layer: Labels, event: Any) -> Iterator[None]:
        found, start = target(), np.array(event.pos, float)
        if found is None or event.button != 1:
            return
        at = position(layer, event)
        yield
        while event.type == "mouse_move":
            yield
        if np.abs(np.array(event.pos, float) - start).max() <= MOVED:
            found.clicked(*at)

    layer.mouse_drag_callbacks.append(pressed)

    def stop() -> None:
        layer.mouse_drag_callbacks.remove(pressed)

    return stop


def outline(mask: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """The rim of a mask, inside it."""
    from scipy.ndimage import binary_erosion

    return mask & ~binary_erosion(np.pad(mask, 1), iterations=width)[1:-1, 1:-1]


def _paint(
    pixels: NDArray[np.uint16], p: Proposed, status: str, wide: int, *, hand: bool
) -> None:
    if status == "rejected" and not hand:
        return
    y0, x0, y1, x1 = p.bbox
    box = pixels[y0:y1, x0:x1]
    if status == "waiting" or hand:
        box[p.mask] = (HAND if hand else FILL) + p.class_id
    rim = outline(p.mask, wide * (2 if hand else 1))
    value = OUTLINES["in hand"][0] if hand else OUTLINES[status][0]
    box[rim] = value
