"""Switches for the heat maps, with one line that says what they mean."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QGridLayout, QGroupBox, QWidget
from superqt.utils import signals_blocked

from napari_sesami.viewer.layers.result_planes import MAPS
from napari_sesami.viewer.layers.shown_maps import ShownMaps
from napari_sesami.viewer.widgets.factory import WrappedNote, combo, fill_classes, tick
from napari_sesami.viewer.widgets.part import PanelPart
from napari_sesami.viewer.widgets.several_maps import several_tick

if TYPE_CHECKING:
    from napari_sesami.viewer.strokes.controller import StrokesController


class MapsBox(PanelPart, QGroupBox):
    """Votes of a class, doubt, and what was never seen."""

    def __init__(self, live: StrokesController, parent: QWidget | None = None) -> None:
        super().__init__("Maps", parent)
        self._live, self.workspace = live, live.workspace
        self.ticks = {
            kind.key: tick(kind.title, kind.legend, kind.key in live.maps)
            for kind in MAPS
        }
        self.classes = combo("Class whose votes are shown")
        self.legend = WrappedNote("What the maps mean")
        self.several = several_tick(self.workspace)
        layout = QGridLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(self.ticks["vote"], 0, 0)
        layout.addWidget(self.classes, 0, 1)
        layout.addWidget(self.ticks["margin"], 1, 0)
        layout.addWidget(self.ticks["novelty"], 1, 1)
        layout.addWidget(self.several, 2, 0, 1, 2)
        layout.addWidget(self.legend, 3, 0, 1, 2)
        for key, box in self.ticks.items():
            box.toggled.connect(partial(live.show_map, key))
        self.classes.activated.connect(self._on_class)
        self.watch(live.changed, self.refresh)
        self.watch(self.workspace.get(ShownMaps).changed, self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show which maps are on, and what they mean."""
        session = self.workspace.session
        entries = () if session is None else session.classes
        fill_classes(self.classes, entries, self._live.vote_class)
        with signals_blocked(self.several):
            self.several.setChecked(self.workspace.get(ShownMaps).several)
        for key, box in self.ticks.items():
            with signals_blocked(box):
                box.setChecked(key in self._live.maps)
        said = [kind.legend for kind in MAPS if kind.key in self._live.maps]
        self.legend.setText("\n".join(said))
        self.legend.setVisible(bool(said))

    def _on_class(self, index: int) -> None:
        self._live.set_vote_class(int(self.classes.itemData(index)))
