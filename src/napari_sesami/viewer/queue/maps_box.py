"""Switches for the heat maps, each with its colours and what they mean."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtWidgets import QGridLayout, QGroupBox, QLabel, QVBoxLayout, QWidget
from superqt.utils import signals_blocked

from napari_sesami.viewer.layers.shown_maps import ShownMaps
from napari_sesami.viewer.queue.heat import KINDS
from napari_sesami.viewer.widgets.factory import WrappedNote, column, pixmap, row, tick
from napari_sesami.viewer.widgets.part import PanelPart
from napari_sesami.viewer.widgets.several_maps import several_tick

if TYPE_CHECKING:
    from qtpy.QtGui import QPixmap

    from napari_sesami.viewer.layers.result_planes import MapKind
    from napari_sesami.viewer.queue.controller import QueueController

BAR = (64, 10)  # px


class HeatBox(PanelPart, QGroupBox):
    """A tick per score; a colour bar and a sentence for those that are shown."""

    def __init__(
        self, controller: QueueController, parent: QWidget | None = None
    ) -> None:
        super().__init__("Heat maps of this slice", parent)
        self._controller, self.workspace = controller, controller.workspace
        self.setToolTip("Bright asks for a label; each map is a layer of its own")
        self.ticks = {kind.key: tick(kind.title, kind.legend) for kind in KINDS}
        self.legends = {kind.key: Legend(kind) for kind in KINDS}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.setSpacing(2)
        grid = QGridLayout()
        grid.setVerticalSpacing(2)
        for i, box in enumerate(self.ticks.values()):
            grid.addWidget(box, i // 2, i % 2)  # three would cut their names
        self.several = several_tick(self.workspace)
        grid.addWidget(self.several, *divmod(len(self.ticks), 2))
        layout.addLayout(grid)
        for legend in self.legends.values():
            layout.addWidget(legend)
        for key, box in self.ticks.items():
            box.toggled.connect(partial(controller.heat.show, key))
        self.watch(controller.changed, self.refresh)
        self.watch(self.workspace.get(ShownMaps).changed, self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show which maps are on."""
        wanted = self._controller.heat.wanted
        self.setEnabled(self.workspace.binding is not None)
        with signals_blocked(self.several):
            self.several.setChecked(self.workspace.get(ShownMaps).several)
        for key, box in self.ticks.items():
            with signals_blocked(box):
                box.setChecked(key in wanted)
            self.legends[key].setVisible(key in wanted)


class Legend(QWidget):
    """A colour bar with its numbers, and one sentence."""

    def __init__(self, kind: MapKind, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.words = WrappedNote(f"What {kind.title} means")
        self.words.setText(kind.legend)
        low, high = (QLabel(f"{limit:g}") for limit in kind.limits)
        bar = QLabel()
        bar.setPixmap(colour_bar(kind.colormap))
        bar.setAccessibleName(f"Colours of {kind.title}, from low to high")
        for label in (low, bar, high):
            label.setToolTip(kind.legend)
        colours = row(low, bar, high)
        colours.setSpacing(4)
        colours.addStretch(1)
        column(self, colours, self.words).setSpacing(0)


def colour_bar(name: str) -> QPixmap:
    """The colours of a colormap from left to right."""
    from napari.utils.colormaps import ensure_colormap

    width, height = BAR
    colors = ensure_colormap(name).map(np.linspace(0, 1, width))
    line = (255 * np.asarray(colors)[:, :3]).astype(np.uint8)
    return pixmap(np.ascontiguousarray(np.repeat(line[None], height, axis=0)))
