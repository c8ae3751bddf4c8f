"""Where the labelling lives on disk: save, save as, open, and what a crash left."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QElidingLabel

if TYPE_CHECKING:
    from napari_sesami.viewer._desk import Desk

SUFFIX = ".sesami"


class ProjectRow(QWidget):
    """Name and state of the project, with its buttons."""

    def __init__(self, desk: Desk, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._desk = desk
        self.label = QElidingLabel()
        self.label.setElideMode(Qt.TextElideMode.ElideMiddle)
        self.label.setAccessibleName("Project")
        self.state = QLabel()
        self.state.setWordWrap(True)
        self.state.setAccessibleName("State of saving")
        self.open_button = _button("Open…", "Open a project folder (*.sesami)")
        self.save_button = _button("Save", "Save the project (key K)")
        self.save_as_button = _button(
            "Save as…", "Keep classes, strokes and labels in a project folder"
        )
        self.recovered = QWidget()
        self.discard_button = _button(
            "Undo it all", "Go back to what was saved before the crash"
        )
        self.keep_button = _button("Keep", "Keep the recovered work and save it")
        recovered = QHBoxLayout(self.recovered)
        recovered.setContentsMargins(0, 0, 0, 0)
        recovered.addWidget(self.keep_button, 1)
        recovered.addWidget(self.discard_button, 1)
        buttons = QHBoxLayout()
        for button in (self.open_button, self.save_button, self.save_as_button):
            buttons.addWidget(button, 1)
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
        desk.session_changed.connect(self.reflect)
        desk.project_changed.connect(self.reflect)
        self.reflect()

    def disconnect_from_desk(self) -> None:
        """Let go of the desk."""
        self._desk.session_changed.disconnect(self.reflect)
        self._desk.project_changed.disconnect(self.reflect)

    def reflect(self) -> None:
        """Show the state of the session on the desk."""
        folder, saving = self._desk.project_folder, self._desk.saving
        self.label.setText(folder.name if folder else "Not kept on disk yet")
        self.label.setToolTip(str(folder) if folder else "Save as… makes a folder")
        self.state.setText(saving.text)
        self.state.setVisible(bool(saving.text))
        self.recovered.setVisible(saving.recovered > 0)
        has_session = self._desk.session is not None
        self.save_as_button.setEnabled(has_session)
        self.save_button.setEnabled(folder is not None and has_session)

    def _save(self) -> None:
        self._desk.save()

    def _discard(self) -> None:
        self._desk.discard_recovered()

    def _ask_save(self) -> None:
        name, _ = QFileDialog.getSaveFileName(
            self, "Save the project as", f"scans{SUFFIX}", f"Projects (*{SUFFIX})"
        )
        if name:
            path = Path(name)
            self._desk.save_as(path if path.suffix == SUFFIX else Path(f"{name}{SUFFIX}"))

    def _ask_open(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Open a project (*.sesami)")
        if name:
            self._desk.open_project(Path(name))


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    button.setAccessibleName(tip)
    return button
