"""The "Models" dock: what is installed, what could be, and which one answers clicks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QGridLayout,
    QLabel,
    QMessageBox,
    QPlainTextEdit,
    QTreeWidget,
    QTreeWidgetItem,
    QWidget,
)

from napari_sesami.models import catalog
from napari_sesami.retrieve import empty_tokens, token_folder, tokens_kept
from napari_sesami.viewer.app.settings import read_settings, remember_model
from napari_sesami.viewer.widgets.factory import button, named, row, tree
from napari_sesami.viewer.widgets.panel import Panel
from napari_sesami.viewer.widgets.plain import plain_label, plain_tip

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_sesami.viewer.app.jobs import Job

TOPIC = "models"
FILES = "Weights (*.safetensors *.pth *.pt);;All files (*)"


class ModelsPanel(Panel):
    """The catalog of weights as a list with its card below.

    Parameters
    ----------
    napari_viewer
        Injected by napari, which looks for exactly this parameter name.
    """

    def __init__(self, napari_viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(napari_viewer, parent)
        self.list = QTreeWidget()
        tip = "Models on this computer, and those that can be fetched"
        tree(self.list, ["Model", "Size", "State"], "Models", tip)
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.list.setMinimumHeight(180)
        self.card = QPlainTextEdit()
        self.card.setReadOnly(True)
        tip = "Origin, licence, checksum, device and training data"
        named(self.card, tip, "Card of the selected model")
        self.use_button = button("Use for clicks", "Answer clicks with this model")
        self.import_button = button("Import…", "Install weights from a file")
        self.fetch_button = button("Download…", "Fetch these weights over the network")
        self.remove_button = button("Remove", "Delete this model from this computer")
        self.kept = plain_label(QLabel())
        self.empty_button = button(
            "Empty",
            "Delete the tokens of all scans; they are computed again if needed",
        )
        self._compose()
        self._connect()
        self.refresh()

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
        kept = tokens_kept(token_folder())
        self.kept.setText(f"Tokens kept on disk: {kept / 1e6:,.0f} MB")
        self.empty_button.setEnabled(kept > 0)

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
        kept = row((self.kept, 1), self.empty_button)
        self.lay_out(self.list, self.card, buttons, kept, stretch=self.card)

    def _connect(self) -> None:
        self.list.currentItemChanged.connect(self._on_selected)
        self.on(self.use_button.clicked, self._use)
        self.import_button.clicked.connect(self._ask_import)
        self.fetch_button.clicked.connect(self._ask_download)
        self.remove_button.clicked.connect(self._ask_remove)
        self.on(self.empty_button.clicked, self._empty)

    def _add(self, name: str, size: str, state: str, wanted: str | None) -> None:
        item = QTreeWidgetItem([name, size, state])
        item.setTextAlignment(1, int(Qt.AlignmentFlag.AlignRight.value))
        item.setToolTip(0, plain_tip(name))
        self.list.addTopLevelItem(item)
        if name == wanted:
            self.list.setCurrentItem(item)

    def _on_selected(self, *_: object) -> None:
        name = self.selected
        entry = next((e for e in catalog.entries() if e.name == name), None)
        said = catalog.info(name) if name else ""
        self.card.setPlainText(_card(said, entry is not None and entry.removable))
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
            session.prompts.model = name
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
        self.run(self._remove, name)

    def _remove(self, name: str) -> None:
        catalog.remove(name)
        if read_settings().model == name:
            remember_model("")
        self.refresh()

    def _empty(self) -> None:
        gone = empty_tokens(token_folder()) / 1e6
        self.workspace.say(f"{gone:,.0f} MB of tokens were deleted.")
        self.refresh()

    def _agreed(self, title: str, text: str) -> bool:
        answer = QMessageBox.question(self, title, plain_tip(text))
        return bool(answer == QMessageBox.StandardButton.Yes)

    def _on_installed(self, name: str) -> None:
        self.workspace.say(f"{name} is installed.")
        self.refresh(name)


def _card(said: str, own_file: bool) -> str:
    """Lines of a card, what it is first; where the file lies only if it is the user's.

    The font has no columns, so that names and facts stand in lines of their own.
    """
    told = dict(line.split(":", 1) for line in said.splitlines() if ":" in line)
    facts = {name.strip(): fact.strip() for name, fact in told.items()}
    head = [facts.pop(name) for name in ("Title", "Card") if name in facts]
    facts.pop("Name", None)
    if not own_file:
        facts.pop("File", None)
    lines = [f"{name}: {fact}" for name, fact in facts.items()]
    return "\n".join(["\n\n".join(head), "", *lines]).strip()
