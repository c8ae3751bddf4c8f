"""What the worker of the selected run wrote last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtGui import QFontDatabase, QTextCursor
from qtpy.QtWidgets import QPlainTextEdit

if TYPE_CHECKING:
    from qtpy.QtGui import QShowEvent

    from napari_sesami.viewer.runs.controller import RunsController

LINES = 300


class LogBox(QPlainTextEdit):
    """The end of the log; read only while it is seen."""

    def __init__(self, controller: RunsController) -> None:
        super().__init__()
        self._controller = controller
        self.setReadOnly(True)
        self.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        fixed = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
        fixed.setPointSize(8)
        self.setFont(fixed)
        self.setPlaceholderText("Nothing was logged yet.")
        self.setAccessibleName("Log of the run")
        self.setToolTip("What the training process wrote; the whole is in the folder")
        controller.changed.connect(self.reflect)
        controller.ticked.connect(self.reflect)

    def disconnect_from_board(self) -> None:
        """Let go of the board."""
        self._controller.changed.disconnect(self.reflect)
        self._controller.ticked.disconnect(self.reflect)

    def showEvent(self, event: QShowEvent) -> None:
        """Read the log when the tab is opened."""
        super().showEvent(event)
        self.reflect()

    def reflect(self) -> None:
        """Show the last lines, and stay at the end if the end was seen."""
        if not self.isVisible():
            return
        run = self._controller.selected
        text = "" if run is None else "\n".join(run.log_tail(LINES))
        if text == self.toPlainText():
            return
        bar = self.verticalScrollBar()
        at_end = bar.value() >= bar.maximum() - 1
        self.setPlainText(text)
        if at_end:
            self.moveCursor(QTextCursor.MoveOperation.End)
