"""How far the selected run is, and the buttons that hold, end or go on with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import (
    QMenu,
    QMessageBox,
    QProgressBar,
    QToolButton,
    QWidget,
)

from napari_sesami.viewer.runs.words import (
    ACTIVE,
    RESUMABLE,
    said_begin,
    said_state,
    said_time,
)
from napari_sesami.viewer.widgets.factory import button, column, named, note, row
from napari_sesami.viewer.widgets.part import PanelPart
from napari_sesami.viewer.widgets.plain import plain_tip

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sesami.train import Run, Status
    from napari_sesami.viewer.runs.controller import RunsController

HOLD = {
    "pause": ("Pause", "Hold the run; it keeps its place"),
    "go_on": ("Go on", "Let the paused run go on"),
    "resume": ("Resume", "Go on from the last checkpoint, as if nothing had been"),
}


def doing(status: Status) -> str:
    """What a run does that has nothing to say by itself."""
    if status.state == "starting":
        return "Starting: the process loads the model and the pictures."
    if status.state == "running" and status.step == 0:
        return "Measuring the model as it is, on objects held out."
    if status.state == "running" and status.step >= status.steps:
        return "Measuring what was learned, on objects held out."
    return {
        "queued": "Waiting until the run before it is over.",
        "running": "Learning; you can go on working.",
        "paused": "Paused; Go on continues where it stands.",
    }.get(status.state, f"{said_state(status.state).capitalize()}.")


class ProgressBox(PanelPart, QWidget):
    """Bar with the time left, one sentence, and the buttons."""

    def __init__(
        self, controller: RunsController, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._controller, self.workspace = controller, controller.workspace
        tip = "Steps done, and the time that the rest will take"
        self.bar = named(QProgressBar(), tip, "Progress of the run")
        tip = "What the run is doing, or why it ended"
        self.sentence = note("", "State of the run", tip)
        self.hold_button = button(*HOLD["pause"])
        self.stop_button = button("Stop", "End the run; a checkpoint stays to resume")
        tip = "Checkpoint, folder, forget"
        self.more_button = named(QToolButton(), tip, "More about this run")
        self.more_button.setText("More ▾")
        self.more_button.setStyleSheet("QToolButton::menu-indicator { image: none; }")
        self.more_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._make_menu()
        buttons = row((self.hold_button, 1), (self.stop_button, 1), self.more_button)
        column(self, self.bar, self.sentence, buttons)
        self.on(self.hold_button.clicked, self._hold)
        self.on(self.stop_button.clicked, self._ask, controller.stop)
        self.watch(controller.changed, self.refresh)
        self.watch(controller.ticked, self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the selected run."""
        run = self._controller.selected
        state = "" if run is None else run.status.state
        self.setEnabled(run is not None)
        self._show_hold(state)
        self.stop_button.setEnabled(state in ACTIVE)
        self.checkpoint_action.setEnabled(state in ("running", "paused"))
        self.forget_action.setEnabled(run is not None and state not in ACTIVE)
        if run is None:
            self.bar.setRange(0, 1)
            self.bar.setValue(0)
            self.bar.setFormat("")
            self.sentence.setText("No run yet.")
            return
        status = run.status
        self.bar.setUpdatesEnabled(False)  # setValue would paint the window at once
        # never 0 to 0: a busy bar would paint the window all the time
        self.bar.setRange(0, max(1, status.steps))
        self.bar.setValue(min(status.step, max(1, status.steps)))
        self.bar.setFormat(self._format(run))
        self.bar.setUpdatesEnabled(True)
        self.sentence.setText(status.sentence or doing(status))

    def _format(self, run: Run) -> str:
        status = run.status
        text = f"{status.step} of {status.steps} steps"
        if status.state == "running" and status.eta_seconds is not None:
            text += f", {said_time(status.eta_seconds)} left"
        return text

    def _show_hold(self, state: str) -> None:
        kind = "go_on" if state == "paused" else "pause"
        kind = "resume" if state in RESUMABLE else kind
        text, tip = HOLD[kind]
        if self.hold_button.text() != text:
            self.hold_button.setText(text)
            self.hold_button.setToolTip(tip)
            self.hold_button.setAccessibleName(f"{text}: {tip}")
        self.hold_button.setEnabled(state in RESUMABLE | {"running", "paused"})

    def _make_menu(self) -> None:
        menu = QMenu(self.more_button)
        menu.setToolTipsVisible(True)
        self.checkpoint_action = menu.addAction("Checkpoint now")
        self.checkpoint_action.setToolTip("Write the state of the run to disk at once")
        self.folder_action = menu.addAction("Open folder")
        self.folder_action.setToolTip("Show the files of this run")
        self.forget_action = menu.addAction("Delete…")
        self.forget_action.setToolTip("Delete this run and its folder")
        write = self.checkpoint_action.triggered
        self.on(write, self._ask, self._controller.tell, "checkpoint_now")
        self.folder_action.triggered.connect(self._on_folder)
        self.forget_action.triggered.connect(self._on_forget)
        self.more_button.setMenu(menu)

    def _ask(self, verb: Callable[..., None], *args: Any) -> None:
        """Ask something of the selected run."""
        if self._controller.selected is not None:
            verb(self._controller.selected, *args)

    def _hold(self) -> None:
        run = self._controller.selected
        state = "" if run is None else run.status.state
        if state in RESUMABLE:
            self._ask(self._controller.resume, self._trusted)
        else:
            self._ask(self._controller.tell, "go_on" if state == "paused" else "pause")

    def _on_folder(self) -> None:
        run = self._controller.selected
        if run is not None and not self.open_folder(str(run.folder)):
            self.workspace.say(f"No file manager answered; it is {run.folder}.")

    def open_folder(self, folder: str) -> bool:
        """Show a folder in the system's file manager."""
        return bool(QDesktopServices.openUrl(QUrl.fromLocalFile(folder)))

    def _on_forget(self) -> None:
        run = self._controller.selected
        if run is not None and self._agreed(
            "Delete this run",
            f"Delete the run of {said_begin(run.folder)} with its checkpoints, "
            "pictures and adapter?",
        ):
            self.run(self._controller.forget, run)

    def _trusted(self, text: str) -> bool:
        """Ask whether code of somebody else may run; Escape and Enter say no."""
        box = QMessageBox(self)
        box.setIcon(QMessageBox.Icon.Warning)
        box.setWindowTitle("Code of somebody else")
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setText(text)
        go = box.addButton("Run it anyway", QMessageBox.ButtonRole.AcceptRole)
        box.setDefaultButton(box.addButton(QMessageBox.StandardButton.Cancel))
        box.exec()
        return bool(box.clickedButton() is go)

    def _agreed(self, title: str, text: str) -> bool:
        answer = QMessageBox.question(self, title, plain_tip(text))
        return bool(answer == QMessageBox.StandardButton.Yes)
