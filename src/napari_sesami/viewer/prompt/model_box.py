"""Which model answers: the bundled one, an installed one, or a file of weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QPushButton, QWidget
from superqt.utils import signals_blocked

from napari_sesami.viewer.app.settings import read_settings

if TYPE_CHECKING:
    from napari_sesami.viewer.app.jobs import Job
    from napari_sesami.viewer.prompt.controller import PromptController


class ModelRow(QWidget):
    """Picks a model of the catalog; nothing is loaded before the first prompt."""

    def __init__(
        self, controller: PromptController, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._controller = controller
        self.names = QComboBox()
        self.names.setToolTip("Model that turns prompts into masks")
        self.names.setAccessibleName("Model for prompts")
        self.names.setMinimumContentsLength(12)
        self.load = QPushButton("Import file…")
        self.load.setToolTip("Install weights from a file, with no network")
        self.load.setAccessibleName("Import model weights from a file")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.names, 1)
        row.addWidget(self.load)
        self.names.activated.connect(self._on_chosen)
        self.load.clicked.connect(self._on_load)
        self.fill()

    def fill(self) -> None:
        """List what the catalog has; reads no weights."""
        from napari_sesami.models import catalog

        with signals_blocked(self.names):
            self.names.clear()
            for entry in catalog.entries():
                if entry.kind != "prompt":
                    continue
                mark = " (non-commercial)" if entry.non_commercial else ""
                self.names.addItem(f"{entry.name}{mark}", entry.name)
                last = self.names.count() - 1
                self.names.setItemData(last, f"{entry.title}. {entry.licence}", 3)
        self.reflect()

    def reflect(self) -> None:
        """Show the session's model."""
        session = self._controller.workspace.session
        model = None if session is None else session.model
        model = read_settings().model if model is None else model
        name = model if isinstance(model, str) else str(getattr(model, "name", model))
        with signals_blocked(self.names):
            if self.names.findData(name) < 0:
                self.names.addItem(name, name)
            self.names.setCurrentIndex(self.names.findData(name))
        self.names.setEnabled(session is not None)

    def choose(self, name: str) -> None:
        """Answer with another model from now on; the object at work is asked anew."""
        session = self._controller.workspace.session
        if session is None:
            return
        current = session.model
        if name in (current, getattr(current, "name", None)):
            return
        self._controller.clear()
        session.model = name
        self._controller.workspace.say(f"{name} answers from now on.")
        self.reflect()

    def install(self, path: Path) -> None:
        """Read weights in the background, and answer with them."""
        self._controller.workspace.say(f"Reading {path.name} …")
        self._controller.workspace.jobs.submit(
            "model", _Import(path), self._on_installed
        )

    def _on_chosen(self) -> None:
        self.choose(str(self.names.currentData()))

    def _on_load(self) -> None:
        kinds = "Weights (*.safetensors *.pth *.pt)"
        name, _ = QFileDialog.getOpenFileName(self, "Import weights", "", kinds)
        if name:
            self.install(Path(name))

    def _on_installed(self, name: str) -> None:
        self.fill()
        self.choose(name)


class _Import:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, job: Job) -> str:
        from napari_sesami.models import catalog

        return catalog.import_file(self.path).name
