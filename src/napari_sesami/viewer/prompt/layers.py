"""The preview layer in its viewer: selected or not, zoomed, moved to another plane."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_sesami.common.errors import SesamiError
from napari_sesami.viewer.app.errors import sentence
from napari_sesami.viewer.layers.camera import data_pixels, middle
from napari_sesami.viewer.layers.mouse import (
    DRAWN,
    MOVED,
    Tool,
    far,
    modifiers,
    position,
    reverses,
)
from napari_sesami.viewer.layers.overlay import (
    ADD,
    CUT,
    LINE,
    MaskOverlay,
    corners,
    disc,
    path,
)
from napari_sesami.viewer.layers.session_layers import remove

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from napari.components import ViewerModel
    from napari.layers import Labels

    from napari_sesami.session import PromptStep
    from napari_sesami.viewer.layers.overlay import Drawn
    from napari_sesami.viewer.prompt.at_work import ObjectAtWork

_DIMS = ("current_step", "order", "ndisplay")


class PromptLayers:
    """Activates the preview layer, draws marks at the size of the screen, listens.

    Parameters
    ----------
    viewer, preview
        Where, and what.
    undo
        Takes off what was bound on the layer.
    """

    left = Signal()
    """another layer was selected, or ours is gone"""
    moved = Signal()
    """another plane is on screen"""

    def __init__(
        self, viewer: ViewerModel, preview: MaskOverlay, undo: list[Callable[[], None]]
    ) -> None:
        self._viewer = weakref.ref(viewer)
        self.preview = preview
        self._undo = undo
        self._switching = False
        viewer.layers.selection.events.active.connect(self._on_active)
        viewer.layers.events.removed.connect(self._on_removed)
        for event in _DIMS:
            getattr(viewer.dims.events, event).connect(self._on_dims)

    @property
    def gone(self) -> bool:
        """Whether somebody removed the layer."""
        viewer = self._viewer()
        return viewer is None or self.preview.layer not in viewer.layers

    def activate(self, pan: bool) -> None:
        """Make the layer the active one; with `pan`, drags still move the view."""
        viewer = self._viewer()
        if viewer is None:
            return
        self._switching = True
        viewer.layers.selection.active = self.preview.layer
        self._switching = False
        self.preview.layer.mode = "pan_zoom"
        self.preview.layer.mouse_pan = pan

    def release(self) -> None:
        """Give the mouse back to napari."""
        self.preview.layer.mouse_pan = True

    def pixels(self, on_screen: float) -> float:
        """How many data pixels a length on screen is."""
        viewer = self._viewer()
        if viewer is None:
            return on_screen
        return data_pixels(viewer, self.preview.layer, on_screen)

    def middle(self) -> tuple[float, float] | None:
        """The middle of what is on screen, in data pixels."""
        viewer = self._viewer()
        return None if viewer is None else middle(viewer, self.preview.layer)

    def show(self, plane: int, drawn: Iterable[Drawn]) -> None:
        """Draw; nothing if the layer is gone."""
        if not self.gone:
            self.preview.show(plane, drawn)

    def marks(self, asks: Iterable[PromptStep], shape: tuple[int, int]) -> list[Drawn]:
        """Where the user pointed."""
        out: list[Drawn] = []
        width = self.pixels(2)
        for ask in asks:
            value = ADD if ask.label else CUT
            if ask.kind == "point":
                out.append(disc(ask.where, self.pixels(4), value, shape))
            elif ask.kind == "box":
                out.append(path(corners(ask.where), width, LINE, shape, True))
            elif ask.kind in ("stroke", "lasso"):
                out.append(path(ask.where, width, value, shape, ask.kind == "lasso"))
        return out

    def close(self) -> None:
        """Take everything off, and the layer out of the viewer."""
        for undo in self._undo:
            undo()
        self._undo = []
        viewer = self._viewer()
        if viewer is None:
            return
        viewer.layers.selection.events.active.disconnect(self._on_active)
        viewer.layers.events.removed.disconnect(self._on_removed)
        for event in _DIMS:
            getattr(viewer.dims.events, event).disconnect(self._on_dims)
        remove(viewer, self.preview.layer)

    def _on_active(self, event: Any) -> None:
        if not self._switching and event.value is not self.preview.layer:
            self.left.emit()

    def _on_removed(self, event: Any) -> None:
        if event.value is self.preview.layer:
            self.left.emit()

    def _on_dims(self, event: Any) -> None:
        self.moved.emit()


def follow_press(at_work: ObjectAtWork, layer: Labels, event: Any) -> Iterator[None]:
    """Follow one press until the release, then hand over what was meant."""
    tool, start = at_work.tool, event.pos
    if tool is Tool.NONE or event.button not in (1, 2):
        return
    off = reverses(event)
    if "Control" in modifiers(event):
        tool = Tool.CORRECT
    line, farthest = [position(layer, event)], 0.0
    drawing = tool in DRAWN and event.button == 1
    yield
    while event.type == "mouse_move":
        farthest = max(farthest, far(event, start))
        if drawing:
            line.append(position(layer, event))
            at_work.sketch(tool, line)
        yield
    farthest = max(farthest, far(event, start))
    if farthest > MOVED and not drawing:
        return  # napari moved the view
    try:
        if farthest > MOVED:
            at_work.drawn(tool, [*line, position(layer, event)], off)
        else:
            at_work.clicked(tool, line[0], off)
    except (SesamiError, OSError) as error:
        at_work.workspace.say(sentence(error))


def follow_move(at_work: ObjectAtWork, at: tuple[float, float]) -> None:
    """Let the cursor of a tool in use be followed."""
    if at_work.tool is not Tool.NONE:
        at_work.hover(at)
