"""The dock "What to label next": composes its parts and wires them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sesami.viewer.queue.controller import QueueController
from napari_sesami.viewer.queue.maps_box import HeatBox
from napari_sesami.viewer.queue.options_box import QueueOptions
from napari_sesami.viewer.queue.query_list import QueueList
from napari_sesami.viewer.queue.question_box import AskBox
from napari_sesami.viewer.widgets.factory import note
from napari_sesami.viewer.widgets.panel import Panel

if TYPE_CHECKING:
    from napari.viewer import Viewer
    from qtpy.QtWidgets import QWidget


class QueuePanel(Panel):
    """Asks where a label teaches most, one query after the other.

    Parameters
    ----------
    napari_viewer
        Injected by napari, which looks for exactly this parameter name.
    """

    def __init__(self, napari_viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(napari_viewer, parent)
        self.controller = self.workspace.get(QueueController)
        self.options = QueueOptions(self.controller)
        self.list = QueueList(self.controller)
        self.ask = AskBox(self.controller)
        self.maps = HeatBox(self.controller)
        self.verdict = note(
            "",
            "Clicks saved against random",
            "Slices drawn at random judge: the same answers, learned in random order, "
            "tell what choosing saved",
        )
        parts = (self.options, self.list, self.ask, self.verdict, self.maps)
        self.lay_out(*parts, stretch=self.list)
        self.watch(self.controller.changed, self.refresh)
        self.refresh()

    def _let_go(self) -> None:
        """Give the keys their usual meaning and disconnect; the queue stays."""
        self.controller.pause(True)
        super()._let_go()

    def refresh(self) -> None:
        """Show what choosing saved, and whether to stop."""
        ranker = self.controller.ranker
        said = "\n".join(text for text in (ranker.verdict, ranker.advice) if text)
        self.verdict.setText(said)
        self.verdict.setVisible(bool(said))
