"""The dock "What to label next": composes its parts and wires them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_sesami.viewer.app.dock import DeskDock
from napari_sesami.viewer.queue.controller import asker_of
from napari_sesami.viewer.queue.maps_box import HeatBox
from napari_sesami.viewer.queue.options_box import OptionsBox
from napari_sesami.viewer.queue.query_list import QueueList
from napari_sesami.viewer.queue.question_box import AskBox
from napari_sesami.viewer.widgets.factory import note
from napari_sesami.viewer.widgets.status_line import StatusLine

if TYPE_CHECKING:
    from napari.viewer import Viewer

WIDTH = 300  # px; with the dock's frame this stays below 320


class QueueDock(DeskDock):
    """Asks where a label teaches most, one place after the other.

    Parameters
    ----------
    napari_viewer
        Injected by napari, which looks for exactly this parameter name.
    """

    def __init__(self, napari_viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(napari_viewer, parent)
        self.controller = asker_of(self.workspace)
        self.options = OptionsBox(self.controller)
        self.list = QueueList(self.controller)
        self.ask = AskBox(self.controller)
        self.maps = HeatBox(self.controller)
        self.verdict = note("", "Clicks saved against random")
        self.verdict.setToolTip(
            "Slices drawn by lot judge: the same answers, learned in random order, "
            "tell what choosing saved"
        )
        self.status = StatusLine(self.workspace)
        layout = QVBoxLayout(self)
        layout.setSpacing(6)
        layout.addWidget(self.options)
        layout.addWidget(self.list, 1)
        layout.addWidget(self.ask)
        layout.addWidget(self.verdict)
        layout.addWidget(self.maps)
        layout.addWidget(self.status)
        self.setMinimumWidth(WIDTH)
        self.controller.changed.connect(self._reflect)
        self._reflect()

    def _let_go(self) -> None:
        """Give the keys their usual meaning and disconnect; the queue stays."""
        self.controller.pause(True)
        for part in (self.options, self.list, self.ask, self.maps):
            part.disconnect_from_asker()
        self.controller.changed.disconnect(self._reflect)
        self.status.disconnect_from_desk()

    def _reflect(self) -> None:
        ranker = self.controller.ranker
        said = "\n".join(text for text in (ranker.verdict, ranker.advice) if text)
        self.verdict.setText(said)
        self.verdict.setVisible(bool(said))
