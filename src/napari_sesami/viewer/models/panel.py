"""The "Models" dock: what is installed, what could be, and which one answers clicks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QGridLayout,
    QHeaderView,
    QMessageBox,
    QPlainTextEdit,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_sesami.models import catalog
from napari_sesami.viewer.app.dock import DeskDock
from napari_sesami.viewer.app.errors import sentence
from napari_sesami.viewer.app.settings import read_settings, remember_model
from napari_sesami.viewer.widgets.factory import button
from napari_sesami.viewer.widgets.status_line import StatusLine

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_sesami.viewer.app.jobs import Job

TOPIC = "models"
WIDTH = 300
FILES = "Weights (*.safetensors *.pth *.pt);;All files (*)"


class ModelsDock(DeskDock):
    """The catalog of weights as a list with its card below.

    Parameters
    ----------
    napari_viewer
        Injected by napari, which looks for exactly this parameter name.
    """

    def __init__(self, napari_viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(napari_viewer, parent)
        self.list = QTreeWidget()
        self.list.setHeaderLabels(["Model", "Size", "State"])
        self.list.setRootIsDecorated(False)
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.list.setAccessibleName("Models")
        self.list.setToolTip("Models on this computer, and those that can be fetched")
        self.list.setMinimumHeight(180)
        header = self.list.header()
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setStretchLastSection(False)
        for column in (1, 2):
            mode = QHeaderView.ResizeMode.ResizeToContents
            header.setSectionResizeMode(column, mode)
        self.card = QPlainTextEdit()
        self.card.setReadOnly(True)
        self.card.setAccessibleName("Card of the selected model")
        self.card.setToolTip("Origin, licence, checksum, device and training data")
        self.use_button = button("Use for clicks", "Answer clicks with this model")
        self.import_button = button("Import…", "Install weights from a file")
        self.fetch_button = button("Download…", "Fetch these weights over the network")
        self.remove_button = button("Remove", "Delete this model from this computer")
        self.status = StatusLine(self.workspace)
        self._compose()
        self._connect()
        self.refresh()

    def _let_go(self) -> None:
        """Let go of the workspace."""
        self.status.disconnect_from_desk()

    def refresh(self, select: str | None = None) -> None:
        """Read the catalog again and keep, or set, the selection."""
        wanted = select or self.selected or read_settings().model
        self.list.clear()
        used = read_settings().model
        for entry in catalog.entries():
            state = "in use" if entry.name == used else entry.source
            self._add(entry.name, f"{entry.size / 1e6:.0f} MB", state, wanted)
        for known in catalog.available():
            size = f"{known.size / 1e6:.0f} MB" if known.size else ""
            self._add(known.name, size, "not here", wanted)
        if self.list.currentItem() is None and self.list.topLevelItemCount():
            self.list.setCurrentItem(self.list.topLevelItem(0))
        self._on_selected()

    @property
    def selected(self) -> str | None:
        """Name of the selected model."""
        item = self.list.currentItem()
        return None if item is None else str(item.text(0))

    def import_file(self, path: Path) -> None:
        """Install weights from a file, in the background."""

        def run(job: Job) -> str:
            job.report(0.0, f"Checking {path.name}…")
            return catalog.import_file(path).name

        self.workspace.jobs.submit(TOPIC, run, self._on_installed, self.workspace.say)

    def download(self, name: str) -> None:
        """Fetch known weights, in the background; Cancel keeps the part for later."""

        def run(job: Job) -> str:
            def progress(done: int, total: int) -> None:
                text = f"{name}: {done / 1e6:.0f} MB"
                job.report(done / total if total else 0.0, text)

            return catalog.download(name, progress, lambda: job.cancelled).name

        self.workspace.jobs.submit(TOPIC, run, self._on_installed, self.workspace.say)

    # --- inside

    def _compose(self) -> None:
        buttons = QGridLayout()
        buttons.addWidget(self.use_button, 0, 0)
        buttons.addWidget(self.import_button, 0, 1)
        buttons.addWidget(self.fetch_button, 1, 0)
        buttons.addWidget(self.remove_button, 1, 1)
        layout = QVBoxLayout(self)
        layout.addWidget(self.list, 2)
        layout.addWidget(self.card, 3)
        layout.addLayout(buttons)
        layout.addWidget(self.status)
        self.setMinimumWidth(WIDTH)

    def _connect(self) -> None:
        self.list.currentItemChanged.connect(self._on_selected)
        self.use_button.clicked.connect(self._use)
        self.import_button.clicked.connect(self._ask_import)
        self.fetch_button.clicked.connect(self._ask_download)
        self.remove_button.clicked.connect(self._ask_remove)

    def _add(self, name: str, size: str, state: str, wanted: str | None) -> None:
        item = QTreeWidgetItem([name, size, state])
        item.setTextAlignment(1, int(Qt.AlignmentFlag.AlignRight.value))
        item.setToolTip(0, name)
        self.list.addTopLevelItem(item)
        if name == wanted:
            self.list.setCurrentItem(item)

    def _on_selected(self, *_: object) -> None:
        name = self.selected
        entry = next((e for e in catalog.entries() if e.name == name), None)
        self.card.setPlainText(catalog.info(name) if name else "")
        prompts = entry is not None and entry.kind == "prompt"
        self.use_button.setEnabled(prompts)
        self.fetch_button.setEnabled(name is not None and entry is None)
        self.remove_button.setEnabled(entry is not None and entry.removable)

    def _use(self) -> None:
        name = self.selected
        if name is None:
            return
        remember_model(name)
        session = self.workspace.session
        if session is not None:
            session.model = name
        self.workspace.say(f"Clicks are answered by {name} from now on.")
        self.refresh()

    def _ask_import(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Import weights", "", FILES)
        if path:
            self.import_file(Path(path))

    def _ask_download(self) -> None:
        name = self.selected
        if name is not None and self._agreed(
            "Download", f"{catalog.info(name)}\n\nFetch these weights over the network?"
        ):
            self.download(name)

    def _ask_remove(self) -> None:
        name = self.selected
        if name is None or not self._agreed("Remove", f"Delete {name} from this disk?"):
            return
        try:
            catalog.remove(name)
        except (ValueError, OSError) as error:
            self.workspace.say(sentence(error))
            return
        if read_settings().model == name:
            remember_model("")
        self.refresh()

    def _agreed(self, title: str, text: str) -> bool:
        answer = QMessageBox.question(self, title, text)
        return bool(answer == QMessageBox.StandardButton.Yes)

    def _on_installed(self, name: str) -> None:
        self.workspace.say(f"{name} is installed.")
        self.refresh(name)
