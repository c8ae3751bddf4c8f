"""Where the labelling lives on disk: save, save as, open, and what a crash left."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QFileDialog,
    QInputDialog,
    QWidget,
)
from superqt import QElidingLabel

from napari_sesami.viewer.widgets.action_button import ActionButton
from napari_sesami.viewer.widgets.factory import button, column, note, row
from napari_sesami.viewer.widgets.part import PanelPart
from napari_sesami.viewer.widgets.plain import plain_label, plain_tip

if TYPE_CHECKING:
    from napari_sesami.project import Project, ScanMoved
    from napari_sesami.viewer.app.workspace import Workspace

SUFFIX = ".sesami"


class ProjectRow(PanelPart, QWidget):
    """Name and state of the project, with its buttons."""

    def __init__(self, workspace: Workspace, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.workspace, self._keeper = workspace, workspace.saver
        self.label = plain_label(QElidingLabel())
        self.label.setElideMode(Qt.TextElideMode.ElideMiddle)
        self.label.setAccessibleName("Project")
        self.state = note("", "State of saving")
        self.open_button = button("Open…", "Open a project folder (*.sesami)")
        self.save_button = ActionButton(workspace, "save")
        self.save_as_button = button(
            "Save as…", "Keep classes, strokes and labels in a project folder"
        )
        self.recovered = QWidget()
        self.discard_button = button(
            "Undo it all", "Go back to what was saved before the crash"
        )
        self.keep_button = button("Keep", "Keep the recovered work and save it")
        self.recovered.setLayout(row((self.keep_button, 1), (self.discard_button, 1)))
        made = (self.open_button, self.save_button, self.save_as_button)
        buttons = row(*((each, 1) for each in made))
        column(self, self.label, self.state, self.recovered, buttons)
        self.open_button.clicked.connect(self._ask_open)
        self.save_as_button.clicked.connect(self._ask_save)
        self.on(self.keep_button.clicked, workspace.act, "save")
        self.on(self.discard_button.clicked, self._keeper.discard_recovered)
        self.watch(self._keeper.changed, self.refresh)
        self.watch(self._keeper.scan_moved, self._ask_where)
        self.refresh()

    def refresh(self) -> None:
        """Show the state of the session shown."""
        saver = self._keeper
        folder = saver.folder
        self.label.setText(folder.name if folder else "No project yet")
        self.label.setToolTip(plain_tip(str(folder or "Save as… makes a folder")))
        self.state.setText(saver.state)
        self.state.setVisible(bool(saver.state))
        self.recovered.setVisible(saver.recovered > 0)
        self.save_as_button.setEnabled(saver.session is not None)
        self.save_button.setEnabled(folder is not None)

    def _ask_save(self) -> None:
        session = self._keeper.session
        named = Path(session.scan.name).stem if session is not None else "scans"
        name, _ = QFileDialog.getSaveFileName(
            self, "Save the project as", f"{named}{SUFFIX}", f"Projects (*{SUFFIX})"
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

        project = self.run(Project.open, folder)
        if project is None:
            return
        names = [f"{n}. {scan.name}" for n, scan in enumerate(project.scans, 1)]
        if not names:
            self.workspace.say(
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
