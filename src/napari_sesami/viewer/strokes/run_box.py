"""The row that labels the whole scan in the background."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QProgressBar, QWidget

from napari_sesami.viewer.widgets.action_button import ActionButton
from napari_sesami.viewer.widgets.factory import button, named, row
from napari_sesami.viewer.widgets.part import PanelPart

if TYPE_CHECKING:
    from napari_sesami.viewer.strokes.controller import StrokesController


class WholeRow(PanelPart, QWidget):
    """A button that starts and stops, and how far it has come."""

    def __init__(
        self, controller: StrokesController, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._controller, self.workspace = controller, controller.workspace
        self.overwrite = False  # what happens to labels that are there
        self.button = ActionButton(self.workspace, "whole_scan")
        self.accept_button = button(
            "Accept all", "Write every slice's result to the labels; one step for undo"
        )
        tip = "Slices done; strokes are answered meanwhile"
        self.bar = named(QProgressBar(), tip, "Slices done")
        self.bar.setFormat("%v of %m")
        self.bar.hide()
        self.setLayout(row((self.button, 1), (self.accept_button, 1), (self.bar, 1)))
        self.on(self.accept_button.clicked, self._accept_all)
        self.watch(controller.progressed, self._on_progress)

    def toggle(self) -> None:
        """Label every slice in the background, or stop that."""
        whole = self._controller.whole
        if not whole.running:
            whole.start()
            return
        whole.stop()
        self.workspace.say("Stopped; the slices that are done stay.")

    def _accept_all(self) -> None:
        accept_all = self._controller.accept_all
        if not accept_all.running:
            accept_all.start(self.overwrite)
            return
        accept_all.stop()
        self.workspace.say("Stopped; undo (Ctrl+Z) takes back what was written.")

    def _on_progress(self, done: int, total: int) -> None:
        self.bar.setRange(0, max(total, 1))
        self.bar.setValue(done)
        self.bar.setVisible(total > 0)
        self.button.setText("Stop" if self._controller.whole.running else "Whole scan")
        busy = self._controller.accept_all.running
        self.accept_button.setText("Stop" if busy else "Accept all")
