"""Which model answers: the bundled one, an installed one, or a file of weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFileDialog, QWidget
from superqt.utils import signals_blocked

from napari_sesami.viewer.app.settings import read_settings
from napari_sesami.viewer.widgets.factory import add_entry, button, choose, combo, row

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
        tip = "Model that turns prompts into masks"
        self.names = combo(tip, letters=12, name="Model for prompts")
        self.load = button("Import file…", "Install weights from a file, no network")
        self.setLayout(row((self.names, 1), self.load))
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
                tip = f"{entry.title}. {entry.licence}"
                add_entry(self.names, f"{entry.name}{mark}", entry.name, tip)
        self.refresh()

    def refresh(self) -> None:
        """Show the session's model."""
        session = self._controller.workspace.session
        model = None if session is None else session.prompts.model
        model = read_settings().model if model is None else model
        name = model if isinstance(model, str) else str(getattr(model, "name", model))
        if self.names.findData(name) < 0:
            with signals_blocked(self.names):
                self.names.addItem(name, name)
        choose(self.names, name)
        self.names.setEnabled(session is not None)

    def choose(self, name: str) -> None:
        """Answer with another model from now on; the object at work is asked anew."""
        session = self._controller.workspace.session
        if session is None:
            return
        current = session.prompts.model
        if name in (current, getattr(current, "name", None)):
            return
        self._controller.clear()
        session.prompts.model = name
        self._controller.workspace.say(f"{name} answers from now on.")
        self.refresh()

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
