"""The line at the foot of a dock: one plain sentence, progress, and Cancel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QProgressBar, QSizePolicy, QWidget

from napari_sesami.viewer.widgets.factory import button, column, named, note, row
from napari_sesami.viewer.widgets.part import PanelPart

if TYPE_CHECKING:
    from napari_sesami.viewer.app.workspace import Workspace


class StatusLine(PanelPart, QWidget):
    """Shows what a workspace says and what its background work is doing."""

    def __init__(self, workspace: Workspace, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.workspace = workspace
        tip = "What happened last, or what is needed next"
        self.label = note(workspace.message, "Status", tip)
        self.label.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self.label.setMinimumHeight(2 * self.label.fontMetrics().lineSpacing())
        self.label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.label.setSizePolicy(
            QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum
        )
        self.bar = named(QProgressBar(), "", "Progress of the background work")
        self.cancel_button = button("Cancel", "Stop the work; what is done stays")
        self._work_row = QWidget()
        self._work_row.setLayout(row((self.bar, 1), self.cancel_button))
        column(self, self._work_row, self.label)
        self._work_row.hide()
        self.watch(workspace.said, self._show)
        self.watch(workspace.jobs.progressed, self._on_progress)
        self.watch(workspace.jobs.busy_changed, self._on_busy)
        self.on(self.cancel_button.clicked, self._cancel)

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
        self.workspace.jobs.cancel()
        self.workspace.say("Cancelled; what was done stays.")
