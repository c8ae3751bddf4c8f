"""The "Work list" dock: composes its parts and wires them, nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QTabWidget, QVBoxLayout, QWidget
from superqt import QElidingLabel

from napari_sesami.viewer.app.dock import DeskDock
from napari_sesami.viewer.app.errors import sentence
from napari_sesami.viewer.app.keys import Action, key_of
from napari_sesami.viewer.widgets.factory import button
from napari_sesami.viewer.widgets.status_line import StatusLine
from napari_sesami.viewer.worklist.chart import TimeBox
from napari_sesami.viewer.worklist.controller import foreman_of
from napari_sesami.viewer.worklist.review_box import ReviewBox
from napari_sesami.viewer.worklist.scan_list import ScanList
from napari_sesami.viewer.worklist.superpixels_box import PiecesBox

if TYPE_CHECKING:
    from napari.viewer import Viewer
    from qtpy.QtWidgets import QPushButton

WIDTH = 300  # px; with the dock's frame this stays below 320


class WorkListDock(DeskDock):
    """A folder of scans, one after the other: the model proposes, you judge.

    Parameters
    ----------
    napari_viewer
        Injected by napari, which looks for exactly this parameter name.
    """

    def __init__(self, napari_viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(napari_viewer, parent)
        self.controller = foreman_of(self.workspace)
        self.folder = QElidingLabel("No folder yet")
        self.folder.setElideMode(Qt.TextElideMode.ElideMiddle)
        self.folder.setAccessibleName("Folder of scans")
        self.folder_button = button(
            "Folder…", "Choose a folder of scans, or a project (*.sesami) with a list"
        )
        self.refresh_button = button("Refresh", "Look at the folder again")
        self.scans = ScanList(self.controller)
        self.before_button = _keyed("◀", "Previous scan", Action.WORK_BEFORE)
        self.done_button = _keyed(
            "Done, next",
            "Accept this scan as it is now, and open the next one",
            Action.WORK_DONE,
        )
        self.next_button = _keyed("▶", "Next scan", Action.WORK_NEXT)
        self.review = ReviewBox(self.controller)
        self.superpixels = PiecesBox(self.controller)
        self.times = TimeBox(self.controller)
        self.status = StatusLine(self.workspace)
        self._compose()
        self._connect()
        self._reflect()

    def _let_go(self) -> None:
        """Let go of everything that would keep the panel alive; the workspace stays."""
        for part in (self.scans, self.review, self.superpixels, self.times):
            part.disconnect_from_foreman()
        self.status.disconnect_from_desk()
        self.controller.changed.disconnect(self._reflect)

    def _compose(self) -> None:
        top, steps = QHBoxLayout(), QHBoxLayout()
        top.addWidget(self.folder, 1)
        top.addWidget(self.folder_button)
        top.addWidget(self.refresh_button)
        steps.addWidget(self.before_button)
        steps.addWidget(self.done_button, 1)
        steps.addWidget(self.next_button)
        self.tabs = QTabWidget()
        self.tabs.setAccessibleName("Proposals, superpixels, progress")
        self.tabs.setDocumentMode(True)
        for title, tip, part in (
            ("Proposals", "Judge what the model proposes", self.review),
            ("Superpixels", "Label pieces of even texture at once", self.superpixels),
            ("Progress", "Time per scan, training, table", self.times),
        ):
            self.tabs.setTabToolTip(self.tabs.addTab(part, title), tip)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addLayout(top)
        layout.addWidget(self.scans, 1)
        layout.addLayout(steps)
        layout.addWidget(self.tabs)
        layout.addWidget(self.status)
        self.setMinimumWidth(WIDTH)

    def _connect(self) -> None:
        self.controller.changed.connect(self._reflect)
        self.folder_button.clicked.connect(self._ask_folder)
        self.refresh_button.clicked.connect(self._on_refresh)
        self.before_button.clicked.connect(self._on_before)
        self.done_button.clicked.connect(self._on_done)
        self.next_button.clicked.connect(self._on_next)

    def _reflect(self) -> None:
        worklist = self.controller.worklist
        for made in (self.refresh_button, self.before_button, self.next_button):
            made.setEnabled(worklist is not None)
        self.done_button.setEnabled(self.controller.at_work)
        if worklist is None:
            self.folder.setText("No folder yet")
            self.folder.setToolTip("Choose a folder of scans")
            return
        done, all_ = worklist.count("accepted"), len(worklist)
        self.folder.setText(f"{worklist.folder.name}: {done} of {all_} done")
        self.folder.setToolTip(
            f"{worklist.folder}\nkept in {worklist.project.path.name}"
        )

    def open_folder(self, folder: Path) -> None:
        """Make a folder the work list; what is wrong with it is said."""
        try:
            self.controller.open_folder(folder)
        except (ValueError, OSError) as error:
            self.workspace.say(sentence(error))

    def _ask_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "A folder of scans")
        if name:
            self.open_folder(Path(name))

    def _on_refresh(self) -> None:
        try:
            self.controller.refresh()
        except (ValueError, OSError) as error:
            self.workspace.say(sentence(error))

    def _on_before(self) -> None:
        self.workspace.act(Action.WORK_BEFORE)

    def _on_done(self) -> None:
        self.workspace.act(Action.WORK_DONE)

    def _on_next(self) -> None:
        self.workspace.act(Action.WORK_NEXT)


def _keyed(text: str, tip: str, action: Action) -> QPushButton:
    made = button(text, f"{tip} (key {key_of(action)})")
    made.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return made
