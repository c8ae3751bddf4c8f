"""Switches for the heat maps, with one line that says what they mean."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QComboBox, QGridLayout, QGroupBox, QWidget
from superqt.utils import signals_blocked

from napari_sesami.viewer.layers.result_planes import MAPS
from napari_sesami.viewer.widgets.factory import note, swatch, tick

if TYPE_CHECKING:
    from napari_sesami.viewer.strokes.controller import StrokesController


class MapsBox(QGroupBox):
    """Votes of a class, margin, and what was never seen."""

    def __init__(self, live: StrokesController, parent: QWidget | None = None) -> None:
        super().__init__("Maps", parent)
        self._live = live
        self.ticks = {
            kind.key: tick(kind.title, kind.legend, kind.key in live.maps)
            for kind in MAPS
        }
        self.classes = QComboBox()
        self.classes.setToolTip("Class whose votes are shown")
        self.classes.setAccessibleName("Class whose votes are shown")
        self.legend = note("", "What the maps mean")
        layout = QGridLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(self.ticks["vote"], 0, 0)
        layout.addWidget(self.classes, 0, 1)
        layout.addWidget(self.ticks["margin"], 1, 0)
        layout.addWidget(self.ticks["novelty"], 1, 1)
        layout.addWidget(self.legend, 2, 0, 1, 2)
        for key, box in self.ticks.items():
            box.toggled.connect(partial(live.show_map, key))
        self.classes.activated.connect(self._on_class)
        live.changed.connect(self._reflect)
        self._reflect()

    def disconnect_from_live(self) -> None:
        """Let go of the engine."""
        self._live.changed.disconnect(self._reflect)

    def _reflect(self) -> None:
        session = self._live.workspace.session
        entries = [] if session is None else list(session.classes)
        with signals_blocked(self.classes):
            self.classes.clear()
            for entry in entries:
                self.classes.addItem(swatch(str(entry.color)), entry.name, entry.id)
            self.classes.setCurrentIndex(self.classes.findData(self._live.vote_class))
        for key, box in self.ticks.items():
            with signals_blocked(box):
                box.setChecked(key in self._live.maps)
        said = [kind.legend for kind in MAPS if kind.key in self._live.maps]
        self.legend.setText("\n".join(said))
        self.legend.setVisible(bool(said))

    def _on_class(self, index: int) -> None:
        self._live.set_vote_class(int(self.classes.itemData(index)))
