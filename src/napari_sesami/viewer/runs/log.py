"""What the worker of the selected run wrote last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtGui import QFontDatabase, QTextCursor
from qtpy.QtWidgets import QPlainTextEdit

from napari_sesami.viewer.widgets.factory import named
from napari_sesami.viewer.widgets.part import PanelPart

if TYPE_CHECKING:
    from qtpy.QtGui import QShowEvent

    from napari_sesami.viewer.runs.controller import RunsController

LINES = 300


class LogBox(PanelPart, QPlainTextEdit):
    """The end of the log; read only while it is seen."""

    def __init__(self, controller: RunsController) -> None:
        super().__init__()
        self._controller, self.workspace = controller, controller.workspace
        self.setReadOnly(True)
        self.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        fixed = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
        fixed.setPointSize(8)
        self.setFont(fixed)
        self.setPlaceholderText("Nothing was logged yet.")
        tip = "What the training process wrote; the whole is in the folder"
        named(self, tip, "Log of the run")
        self.watch(controller.changed, self.refresh)
        self.watch(controller.ticked, self.refresh)

    def showEvent(self, event: QShowEvent) -> None:
        """Read the log when the tab is opened."""
        super().showEvent(event)
        self.refresh()

    def refresh(self) -> None:
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
