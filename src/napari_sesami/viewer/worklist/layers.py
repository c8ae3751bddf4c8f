"""The layers of the work list: proposals (outline: fate, fill: class), superpixels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_sesami.viewer.app.plane_arrays import SMALL, LayerArray
from napari_sesami.viewer.layers.camera import bring_into_view
from napari_sesami.viewer.layers.mouse import MOVED, far, hear, position
from napari_sesami.viewer.layers.overlay import MaskOverlay
from napari_sesami.viewer.layers.result_planes import Planes
from napari_sesami.viewer.layers.session_layers import redraw, remove
from napari_sesami.viewer.layers.spatial import (
    label_shape,
    plane_index,
    spatial_kwargs,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from napari.layers import Labels
    from numpy.typing import NDArray

    from napari_sesami.prompt import Mask
    from napari_sesami.viewer.app.binding import LayerBinding
    from napari_sesami.viewer.app.jobs import Caller
    from napari_sesami.viewer.app.workspace import Workspace
    from napari_sesami.viewer.layers.overlay import Drawn
    from napari_sesami.worklist import Review

OUTLINES = {
    "waiting": (1, "#ff9f1c"),
    "accepted": (2, "#2ec46b"),
    "corrected": (3, "#3fa7ff"),
    "rejected": (4, "#8a8a8a"),
    "in hand": (5, "#ffffff"),
}
"""What became of a proposal: its value in the layer, and its colour."""
FILL, HAND, MOST = 10, 130, 119  # plus the class's place in the table, up to MOST
NAME = "proposals"
LINE = (1.0, 0.9, 0.2, 0.55)  # of superpixels
FEW = 8  # changes that are drawn one by one, each in its own box


class TakesClicks(Protocol):
    """Whoever is told about a click on the layer."""

    def clicked(self, y: float, x: float) -> None:
        """Take a click at a row and column."""


class ProposalLayer:
    """Draws proposals over a scan, and hears clicks on them."""

    def __init__(
        self, workspace: Workspace, binding: LayerBinding, reviewer: TakesClicks
    ) -> None:
        self.binding = binding
        self._workspace = workspace
        shape = label_shape(binding.session.scan)
        self._colors: dict[int, str] = {}
        self._review: Review | None = None
        self._shown: dict[int, tuple[str, bool]] = {}
        data: Any = np.zeros(shape, np.uint8)  # costs memory where it is written only
        if math.prod(shape) > SMALL:
            data = LayerArray(shape, np.dtype(np.uint8), self._nothing)
        self.layer: Labels = workspace.viewer.add_labels(
            data,
            name=f"{binding.image.name} {NAME}",
            opacity=1.0,
            multiscale=False,
            metadata={"sesami_layer": NAME},
            **spatial_kwargs(binding.image),
        )
        self.layer.editable = False
        self._recolor()
        self._undo = [
            hear(self.layer, reviewer, follow_press),
            workspace.bind_keys(self.layer).close,
        ]

    def activate(self) -> None:
        """Make the layer the active one, so that its keys and clicks are heard."""
        if self.layer in self._workspace.viewer.layers:
            self._workspace.viewer.layers.selection.active = self.layer
            self.layer.mode = "pan_zoom"

    def draw(self, review: Review, index: int | None) -> None:
        """Draw what changed since the last time; the one in hand stands out."""
        self._recolor()
        if self.layer not in self._workspace.viewer.layers:
            return
        if review is not self._review:
            self._wipe()
            self._review = review
        now = {i: (s, i == index) for i, s in enumerate(review.statuses())}
        changed = [i for i, look in now.items() if self._shown.get(i) != look]
        few = len(changed) <= FEW
        for i in changed:
            self._put(review.proposed[i], *now[i], few=few)
        self._shown = now
        if changed and not few:
            redraw(self.layer)

    def set_visible(self, visible: bool) -> None:
        """Show the proposals, or hide them while something else is drawn."""
        if self.layer in self._workspace.viewer.layers:
            self.layer.visible = visible

    def bring_into_view(self, proposed: Mask) -> None:
        """Move the view if the proposal in hand is not on screen."""
        y0, x0, y1, x1 = proposed.bbox
        at = ((y0 + y1) / 2, (x0 + x1) / 2)
        bring_into_view(self._workspace.viewer, self.layer, proposed.plane, *at)

    def close(self) -> None:
        """Take the layer out of the viewer."""
        for undo in self._undo:
            undo()
        self._undo = []
        remove(self._workspace.viewer, self.layer)

    def _put(self, p: Mask, status: str, hand: bool, *, few: bool) -> None:
        """Write a proposal's own pixels; few of them redraw only their box."""
        shape = self.binding.session.scan.plane_shape
        values = look_of(p, status, hand, self._place(p.class_id), shape)
        y0, x0, y1, x1 = p.bbox
        lead = plane_index(self.layer.data.shape[:-2], p.plane)
        if few and p.plane == self.binding.plane:
            rows, columns = np.nonzero(p.mask)
            where = (np.full(rows.size, i) for i in lead)
            self.layer.data_setitem(
                (*where, rows + y0, columns + x0), values[rows, columns]
            )
            # what napari remembers of this layer is of no use, and could grow large
            self.layer.editable = True
            self.layer.editable = False
            return
        box = (*lead, slice(y0, y1), slice(x0, x1))
        crop = np.array(self.layer.data[box])
        crop[p.mask] = values[p.mask]
        self.layer.data[box] = crop

    def _place(self, class_id: int) -> int:
        """Place of a class in the table; with 256 values napari colours at once."""
        ids = list(self.binding.session.classes.ids)
        return min(ids.index(class_id), MOST) if class_id in ids else MOST

    def _wipe(self) -> None:
        """Show nothing; other proposals come."""
        for plane in {p.plane for p in self._review.proposed} if self._review else ():
            if isinstance(self.layer.data, LayerArray):
                self.layer.data.forget(plane)
            else:
                flat = self.layer.data.reshape(-1, *self.layer.data.shape[-2:])
                flat[plane] = 0
        self._shown = {}
        redraw(self.layer)

    def _nothing(self, plane: int) -> NDArray[np.uint8]:
        return np.zeros(self.binding.session.scan.plane_shape, np.uint8)

    def _recolor(self) -> None:
        """Follow the class table."""
        from napari.utils.colormaps import DirectLabelColormap
        from napari.utils.colormaps.standardize_color import transform_color

        colors = {entry.id: str(entry.color) for entry in self.binding.session.classes}
        if colors == self._colors:
            return
        self._colors, self._shown = colors, {}  # places of classes may have moved
        nothing = np.zeros(4)
        table: dict[int | None, Any] = {None: nothing, 0: nothing}
        for value, color in OUTLINES.values():
            table[value] = transform_color(color)[0]
        for class_id, color in colors.items():
            rgba = transform_color(color)[0]
            for base, alpha in ((FILL, 0.28), (HAND, 0.55)):
                at = base + self._place(class_id)
                table[at] = np.array([*rgba[:3], alpha])
        self.layer.colormap = DirectLabelColormap(color_dict=table)


class SuperpixelLayers:
    """Outlines of superpixels, and above them the layer that takes the mouse.

    Parameters
    ----------
    workspace, binding
        Where, and for which scan.
    hear
        Follows the mouse on the upper layer; gives what takes that off again.
    """

    def __init__(
        self,
        workspace: Workspace,
        binding: LayerBinding,
        hear: Callable[[Labels], Callable[[], None]],
    ) -> None:
        from napari.utils.colormaps import DirectLabelColormap

        self._viewer = workspace.viewer
        shape = label_shape(binding.session.scan)
        self._planes = Planes(shape, np.uint8)
        nothing = np.zeros(4)
        kinds = ("superpixels", "superpixel tool")
        self._lines: Labels = self._viewer.add_labels(
            self._planes,
            name=f"{binding.image.name} {kinds[0]}",
            multiscale=False,
            opacity=1.0,
            colormap=DirectLabelColormap(
                color_dict={None: nothing, 0: nothing, 1: LINE}
            ),
            metadata={"sesami_layer": kinds[0]},
            **spatial_kwargs(binding.image),
        )
        self._lines.editable = False
        self._tool = MaskOverlay(self._viewer, binding.image, shape)
        self.layer = self._tool.layer
        self.layer.name = f"{binding.image.name} {kinds[1]}"
        self.layer.metadata["sesami_layer"] = kinds[1]
        self._undo = [hear(self.layer), workspace.bind_keys(self.layer).close]
        self._viewer.layers.selection.active = self.layer
        self.layer.mode = "pan_zoom"
        self.layer.mouse_pan = False

    def show_borders(self, plane: int, borders: NDArray[np.uint8]) -> None:
        """Draw the borders of the superpixels of a plane."""
        self._planes.put(plane, borders)
        redraw(self._lines)

    def show(self, plane: int, drawn: Sequence[Drawn]) -> None:
        """Mark superpixels; nothing if the layer is gone."""
        if self.layer in self._viewer.layers:
            self._tool.show(plane, drawn)

    def close(self, caller: Caller) -> None:
        """Take both layers out; napari may be busy with selecting or removing some."""
        for undo in self._undo:
            undo()
        self._undo = []
        caller.post(remove, self._viewer, self._lines, self.layer)


def follow_press(reviewer: TakesClicks, layer: Labels, event: Any) -> Iterator[None]:
    """Take a click on a proposal; a drag moves the view."""
    if event.button != 1:
        return
    at, start = position(layer, event), event.pos
    yield
    while event.type == "mouse_move":
        yield
    if far(event, start) <= MOVED:
        reviewer.clicked(*at)


def look_of(
    p: Mask, status: str, hand: bool, class_: int, shape: tuple[int, int]
) -> NDArray[np.uint8]:
    """Values of a proposal in its box: the fill says its class, the rim its fate."""
    values = np.zeros(p.mask.shape, np.uint8)
    if status == "rejected" and not hand:
        return values
    if status == "waiting" or hand:
        values[p.mask] = (HAND if hand else FILL) + class_
    wide = max(1, round(max(shape) / 700)) * (1 + hand)
    values[outline(p.mask, wide)] = OUTLINES["in hand" if hand else status][0]
    return values


def outline(mask: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """The rim of a mask, inside it."""
    from scipy.ndimage import minimum_filter

    inner = minimum_filter(
        mask.view(np.uint8), size=2 * width + 1, mode="constant", cval=0
    )
    return mask & (inner == 0)
