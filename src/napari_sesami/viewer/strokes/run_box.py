"""The row that labels the whole scan in the background."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QWidget

from napari_sesami.viewer.app.errors import sentence
from napari_sesami.viewer.widgets.factory import button

if TYPE_CHECKING:
    from napari_sesami.viewer.strokes.controller import StrokesController


class WholeRow(QWidget):
    """A button that starts and stops, and how far it has come."""

    def __init__(
        self, controller: StrokesController, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._controller = controller
        self.overwrite = False  # what happens to labels that are there
        self.button = button(
            "Whole scan", "Label every slice in the background, from this one outward"
        )
        self.accept_button = button(
            "Accept all", "Write every slice's result to the labels; one step for undo"
        )
        self.bar = QProgressBar()
        self.bar.setAccessibleName("Slices done")
        self.bar.setToolTip("Slices done; strokes are answered meanwhile")
        self.bar.setFormat("%v of %m")
        self.bar.hide()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.button, 1)
        row.addWidget(self.accept_button, 1)
        row.addWidget(self.bar, 1)
        self.accept_button.clicked.connect(self._on_accept)
        self.button.clicked.connect(self._on_click)
        controller.progressed.connect(self._on_progress)

    def disconnect_from_live(self) -> None:
        """Let go of the engine."""
        self._controller.progressed.disconnect(self._on_progress)

    def _on_click(self) -> None:
        controller = self._controller
        if controller.whole.running:
            controller.whole.stop()
            controller.workspace.say("Stopped; the slices that are done stay.")
            return
        try:
            controller.whole.start()
        except (ValueError, OSError) as error:
            controller.workspace.say(sentence(error))

    def _on_accept(self) -> None:
        controller = self._controller
        if controller.accept_all.running:
            controller.accept_all.stop()
            controller.workspace.say(
                "Stopped; undo (Ctrl+Z) takes back what was written."
            )
            return
        try:
            controller.accept_all.start(self.overwrite)
        except (ValueError, OSError) as error:
            controller.workspace.say(sentence(error))

    def _on_progress(self, done: int, total: int) -> None:
        self.bar.setRange(0, max(total, 1))
        self.bar.setValue(done)
        self.bar.setVisible(total > 0)
        self.button.setText("Stop" if self._controller.whole.running else "Whole scan")
        busy = self._controller.accept_all.running
        self.accept_button.setText("Stop" if busy else "Accept all")
