"""How strokes are used and what is shown of it: the options of live retrieval."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psygnal import Signal

from napari_sesami.viewer.layers.result_planes import MAPS
from napari_sesami.viewer.strokes.jobs import ReadOptions

if TYPE_CHECKING:
    from napari_sesami.retrieve import Way
    from napari_sesami.viewer.app.workspace import Workspace
    from napari_sesami.viewer.strokes.layers import ResultLayers


class StrokesOptions:
    """What a user can choose; each choice asks for labels anew.

    Attributes
    ----------
    on
        Whether a stroke is answered by itself.
    auto
        Whether the scale at which the scan is read is chosen from the strokes.
    zoom
        That scale.
    way
        Ours, or one of the published ways.
    overlap
        Whether classes may overlap.
    vote_class
        Class whose votes are shown as a map.
    off
        Strokes that are silent.
    """

    changed = Signal()
    """labels, strokes, options: whatever a dock reflects"""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.on = self.auto = self.refine = True
        self.zoom = 1.0
        self.way: Way = "ours"
        self.overlap = False
        self.vote_class = 1
        self.maps: set[str] = set()
        self.off: set[int] = set()
        self.layers: ResultLayers | None = None
        self._scaled: frozenset[int] = frozenset()

    @property
    def how(self) -> ReadOptions:
        """How the strokes are read now."""
        shown = tuple(kind.key for kind in MAPS if kind.key in self.maps)
        options = (frozenset(self.off), self.refine, shown, self.way, self.overlap)
        return ReadOptions(self.zoom, *options)

    def turn(self, on: bool) -> None:
        """Answer strokes by itself, or not."""
        self.on = on
        if on:
            self.request()
        else:
            self._stop()
        self.changed.emit()

    def show_map(self, key: str, on: bool) -> None:
        """Show a map, or take it away."""
        if on:
            self.maps.add(key)
            self.request()
        else:
            self.maps.discard(key)
            if self.layers is not None:
                self.layers.hide_map(next(kind for kind in MAPS if kind.key == key))
        self.changed.emit()

    def set_vote_class(self, class_id: int) -> None:
        """Choose the class whose votes are shown."""
        self.vote_class = class_id
        if "vote" in self.maps:
            self.request()

    def set_zoom(self, zoom: float | None) -> None:
        """Read the scan at this scale; None chooses it from the strokes."""
        self.auto, self._scaled = zoom is None, frozenset()
        self.zoom = self.zoom if zoom is None else zoom
        self.request()

    def set_refine(self, on: bool) -> None:
        """Sharpen borders in a second pass, or not."""
        self.refine = on
        self.request()

    def set_way(self, way: Way) -> None:
        """Use the strokes in this way."""
        self.way = way
        self.request()
        self.changed.emit()

    def set_overlap(self, on: bool) -> None:
        """Let classes overlap: painting over a stroke then keeps what is below."""
        self.overlap = on
        if self.workspace.session is not None:
            self.workspace.session.overlap = on
        if self.layers is not None and not on:
            self.layers.hide_overlap()
        self.request()
        self.changed.emit()

    def switch(self, stroke: int, on: bool) -> None:
        """Let a stroke speak or be silent; its pixels stay."""
        if on:
            self.off.discard(stroke)
        else:
            self.off.add(stroke)
        self.request()

    def request(self) -> None:
        """Ask for labels of the plane on screen."""
        raise NotImplementedError

    def _stop(self) -> None:
        """End what is being computed."""
        raise NotImplementedError
