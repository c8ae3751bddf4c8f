"""The line at the foot of a dock: one plain sentence, progress, and Cancel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

if TYPE_CHECKING:
    from napari_sesami.viewer.app.workspace import Workspace


class StatusLine(QWidget):
    """Shows what a workspace says and what its background work is doing."""

    def __init__(self, workspace: Workspace, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self.label = QLabel(workspace.message)
        self.label.setWordWrap(True)
        self.label.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self.label.setMinimumHeight(2 * self.label.fontMetrics().lineSpacing())
        self.label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.label.setSizePolicy(
            QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum
        )
        self.label.setAccessibleName("Status")
        self.label.setToolTip("What happened last, or what is needed next")
        self.bar = QProgressBar()
        self.bar.setAccessibleName("Progress of the background work")
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip("Stop the background work; nothing is lost")
        self.cancel_button.setAccessibleName("Cancel the background work")
        self._work_row = QWidget()
        row = QHBoxLayout(self._work_row)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.bar, 1)
        row.addWidget(self.cancel_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._work_row)
        layout.addWidget(self.label)
        self._work_row.hide()

        workspace.said.connect(self._show)
        workspace.jobs.progressed.connect(self._on_progress)
        workspace.jobs.busy_changed.connect(self._on_busy)
        self.cancel_button.clicked.connect(self._cancel)

    def disconnect_from_desk(self) -> None:
        """Let go of the workspace."""
        self._workspace.said.disconnect(self._show)
        self._workspace.jobs.progressed.disconnect(self._on_progress)
        self._workspace.jobs.busy_changed.disconnect(self._on_busy)

    def _show(self, text: str) -> None:
        self.label.setText(text)

    def _on_progress(self, topic: str, fraction: float, text: str) -> None:
        self.bar.setFormat("%p %")
        self.bar.setValue(round(100 * fraction))
        if text:
            self.label.setText(text)

    def _on_busy(self, topic: str) -> None:
        self._work_row.setVisible(bool(topic))
        # How long is not known until the job reports; a bar for that moves, and each
        # of its moves paints the whole window again.
        self.bar.setFormat("working …")
        self.bar.setValue(0)

    def _cancel(self) -> None:
        self._workspace.jobs.cancel()
        self._workspace.say("Cancelled; what was done stays.")
