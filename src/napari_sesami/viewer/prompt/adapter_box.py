"""Which adapter answers together with the model: none, or what a run has learned."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QLabel, QWidget
from superqt.utils import signals_blocked

from napari_sesami.viewer.runs.controller import RunsController
from napari_sesami.viewer.runs.words import said_adapter
from napari_sesami.viewer.widgets.factory import add_entry, combo, row
from napari_sesami.viewer.widgets.part import PanelPart

if TYPE_CHECKING:
    from napari_sesami.session import Adapter
    from napari_sesami.viewer.prompt.controller import PromptController

BASE = "none: the base model"


class AdapterRow(PanelPart, QWidget):
    """Switches adapters; the base stays loaded, so that it takes no time."""

    def __init__(
        self, controller: PromptController, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.workspace = controller.workspace
        self._verdicts = self.workspace.get(RunsController).verdicts
        self.names = combo(
            "What a run has learned, on top of the model",
            letters=12,
            name="Adapter of the model",
        )
        self.setLayout(row(QLabel("Adapter"), (self.names, 1)))
        self.names.activated.connect(self._on_chosen)
        self.watch(self._verdicts.changed, self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the adapters there are, and the one in use."""
        self._verdicts.look()
        session, known = self.workspace.session, self._verdicts.adapters
        used = "" if session is None else str(session.adapters.active or "")
        with signals_blocked(self.names):
            self.names.clear()
            self.names.addItem(BASE, "")
            for adapter in known:
                name = said_adapter(adapter.name)
                add_entry(self.names, name, str(adapter.path), tip(adapter))
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
