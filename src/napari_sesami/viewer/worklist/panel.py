"""The "Work list" dock: composes its parts and wires them, nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QWidget
from superqt import QElidingLabel

from napari_sesami.viewer.widgets.action_button import ActionButton
from napari_sesami.viewer.widgets.factory import button, row, tabs
from napari_sesami.viewer.widgets.panel import Panel
from napari_sesami.viewer.widgets.plain import plain_tip
from napari_sesami.viewer.worklist.chart import TimeBox
from napari_sesami.viewer.worklist.controller import WorklistController
from napari_sesami.viewer.worklist.review_box import ReviewBox
from napari_sesami.viewer.worklist.scan_list import WorklistTable
from napari_sesami.viewer.worklist.superpixels_box import PiecesBox

if TYPE_CHECKING:
    from napari.viewer import Viewer


class WorklistPanel(Panel):
    """A folder of scans, one after the other: the model proposes, you judge.

    Parameters
    ----------
    napari_viewer
        Injected by napari, which looks for exactly this parameter name.
    """

    def __init__(self, napari_viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(napari_viewer, parent)
        self.controller = self.workspace.get(WorklistController)
        self.folder = QElidingLabel("No folder yet")
        self.folder.setElideMode(Qt.TextElideMode.ElideMiddle)
        self.folder.setAccessibleName("Folder of scans")
        self.folder_button = button(
            "Folder…", "Choose a folder of scans, or a project (*.sesami) with a list"
        )
        self.refresh_button = button("Refresh", "Look at the folder again")
        self.scans = WorklistTable(self.controller)
        self.before_button, self.done_button, self.next_button = (
            ActionButton(self.workspace, name)
            for name in ("work_before", "work_done", "work_next")
        )
        self.review = ReviewBox(self.controller)
        self.superpixels = PiecesBox(self.controller)
        self.times = TimeBox(self.controller)
        self.tabs = tabs(
            "Proposals, superpixels, progress",
            (
                ("Proposals", "Judge what the model proposes", self.review),
                (
                    "Superpixels",
                    "Label pieces of even texture at once",
                    self.superpixels,
                ),
                ("Progress", "Time per scan, training, table", self.times),
            ),
        )
        self.lay_out(
            row((self.folder, 1), self.folder_button, self.refresh_button),
            self.scans,
            row(self.before_button, (self.done_button, 1), self.next_button),
            self.tabs,
            stretch=self.scans,
        )
        self.watch(self.controller.changed, self.refresh)
        self.folder_button.clicked.connect(self._ask_folder)
        self.on(self.refresh_button.clicked, self.controller.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show how far the list is."""
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
        kept = f"{worklist.folder}\nkept in {worklist.project.path.name}"
        self.folder.setToolTip(plain_tip(kept))

    def open_folder(self, folder: Path) -> None:
        """Make a folder the work list; what is wrong with it is said."""
        self.run(self.controller.open_folder, folder)

    def _ask_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "A folder of scans")
        if name:
            self.open_folder(Path(name))
