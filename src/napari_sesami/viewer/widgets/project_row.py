"""Where the labelling lives on disk: save, save as, open, and what a crash left."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QInputDialog,
    QLabel,
    QVBoxLayout,
    QWidget,
)
from superqt import QElidingLabel

from napari_sesami.viewer.app.errors import sentence
from napari_sesami.viewer.app.keys import Action
from napari_sesami.viewer.widgets.factory import button

if TYPE_CHECKING:
    from napari_sesami.project import Project, ScanMoved
    from napari_sesami.viewer.app.workspace import Workspace

SUFFIX = ".sesami"


class ProjectRow(QWidget):
    """Name and state of the project, with its buttons."""

    def __init__(self, workspace: Workspace, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._workspace, self._keeper = workspace, workspace.saver
        self.label = QElidingLabel()
        self.label.setElideMode(Qt.TextElideMode.ElideMiddle)
        self.label.setAccessibleName("Project")
        self.state = QLabel()
        self.state.setWordWrap(True)
        self.state.setAccessibleName("State of saving")
        self.open_button = button("Open…", "Open a project folder (*.sesami)")
        self.save_button = button("Save", "Save the project (key K)")
        self.save_as_button = button(
            "Save as…", "Keep classes, strokes and labels in a project folder"
        )
        self.recovered = QWidget()
        self.discard_button = button(
            "Undo it all", "Go back to what was saved before the crash"
        )
        self.keep_button = button("Keep", "Keep the recovered work and save it")
        recovered = QHBoxLayout(self.recovered)
        recovered.setContentsMargins(0, 0, 0, 0)
        recovered.addWidget(self.keep_button, 1)
        recovered.addWidget(self.discard_button, 1)
        buttons = QHBoxLayout()
        for each in (self.open_button, self.save_button, self.save_as_button):
            buttons.addWidget(each, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.label)
        layout.addWidget(self.state)
        layout.addWidget(self.recovered)
        layout.addLayout(buttons)
        self.open_button.clicked.connect(self._ask_open)
        self.save_button.clicked.connect(self._save)
        self.save_as_button.clicked.connect(self._ask_save)
        self.keep_button.clicked.connect(self._save)
        self.discard_button.clicked.connect(self._discard)
        workspace.saver.changed.connect(self.reflect)
        workspace.saver.scan_moved.connect(self._ask_where)
        self.reflect()

    def disconnect_from_desk(self) -> None:
        """Let go of the workspace."""
        self._keeper.changed.disconnect(self.reflect)
        self._keeper.scan_moved.disconnect(self._ask_where)

    def reflect(self) -> None:
        """Show the state of the session shown."""
        saver = self._keeper
        folder = saver.folder
        self.label.setText(folder.name if folder else "No project yet")
        self.label.setToolTip(str(folder) if folder else "Save as… makes a folder")
        self.state.setText(saver.state)
        self.state.setVisible(bool(saver.state))
        self.recovered.setVisible(saver.recovered > 0)
        self.save_as_button.setEnabled(saver.session is not None)
        self.save_button.setEnabled(folder is not None)

    def _save(self) -> None:
        self._workspace.act(Action.SAVE)

    def _discard(self) -> None:
        self._keeper.discard_recovered()

    def _ask_save(self) -> None:
        name, _ = QFileDialog.getSaveFileName(
            self, "Save the project as", f"scans{SUFFIX}", f"Projects (*{SUFFIX})"
        )
        if name:
            path = Path(name)
            self._keeper.save_as(path if path.suffix else path.with_suffix(SUFFIX))

    def _ask_open(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Open a project (*.sesami)")
        if name:
            self.open_project(Path(name))

    def open_project(self, folder: Path) -> None:
        """Open a project folder; asks which scan if it holds several."""
        from napari_sesami.project import Project

        try:
            project = Project.open(folder)
        except ValueError as error:
            self._workspace.say(sentence(error))
            return
        names = [f"{n}. {scan.name}" for n, scan in enumerate(project.scans, 1)]
        if not names:
            self._workspace.say(
                f"{folder.name} holds no scan yet; open one and save it there."
            )
            return
        chosen = names[0]
        if len(names) > 1:
            chosen, agreed = QInputDialog.getItem(
                self, "Which scan?", f"Scans in {folder.name}", names, 0, False
            )
            if not agreed:
                return
        self._keeper.open(project, project.scans[names.index(chosen)].key)

    def _ask_where(self, project: Project, moved: ScanMoved) -> None:
        """Let the user show where a moved file is now."""
        was = moved.path.name if moved.path else "the scan"
        name, _ = QFileDialog.getOpenFileName(self, f"Where is {was} now?")
        if name:
            self._keeper.open(project, moved.key, Path(name))
