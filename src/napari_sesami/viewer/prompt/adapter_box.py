"""Which adapter answers together with the model: none, or what a run has learned."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QWidget
from superqt.utils import signals_blocked

from napari_sesami.viewer.runs.controller import board_of
from napari_sesami.viewer.runs.words import said_adapter

if TYPE_CHECKING:
    from napari_sesami.session import Adapter
    from napari_sesami.viewer.prompt.controller import PromptController

BASE = "none: the base model"


class AdapterRow(QWidget):
    """Switches adapters; the base stays loaded, so that it takes no time."""

    def __init__(
        self, controller: PromptController, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._controller = controller
        self._verdicts = board_of(controller.workspace).verdicts
        self.names = QComboBox()
        self.names.setToolTip("What a run has learned, on top of the model")
        self.names.setAccessibleName("Adapter of the model")
        self.names.setMinimumContentsLength(12)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(QLabel("Adapter"))
        row.addWidget(self.names, 1)
        self.names.activated.connect(self._on_chosen)
        self._verdicts.changed.connect(self.reflect)
        self.reflect()

    def disconnect_from_board(self) -> None:
        """Let go of the board."""
        self._verdicts.changed.disconnect(self.reflect)

    def reflect(self) -> None:
        """Show the adapters there are, and the one in use."""
        self._verdicts.look()
        session, known = self._controller.workspace.session, self._verdicts.adapters
        used = "" if session is None else str(session.adapter or "")
        with signals_blocked(self.names):
            self.names.clear()
            self.names.addItem(BASE, "")
            for adapter in known:
                self.names.addItem(said_adapter(adapter.name), str(adapter.path))
                role = Qt.ItemDataRole.ToolTipRole
                self.names.setItemData(self.names.count() - 1, tip(adapter), role)
            self.names.setCurrentIndex(max(0, self.names.findData(used)))
        self.setVisible(bool(known))

    def _on_chosen(self) -> None:
        path = str(self.names.currentData())
        self._verdicts.use(Path(path) if path else None)


def tip(adapter: Adapter) -> str:
    """What an adapter has learned, in a sentence."""
    card = adapter.card
    classes = ", ".join(card.classes) or "objects"
    when = f" on {card.created[:10]}" if card.created else ""
    score = card.metrics.get("mIoU")
    found = f"; held-out mIoU {score:.3f}" if isinstance(score, float) else ""
    return f"Learned {classes}{when}{found}."
