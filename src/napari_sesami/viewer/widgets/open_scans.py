"""Scans that are open behind the one at work, and work that was left unsaved."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget
from superqt import QElidingLabel

from napari_sesami.viewer.app.recovery import lost_work
from napari_sesami.viewer.widgets.factory import button, named, row
from napari_sesami.viewer.widgets.panel import PanelPart

if TYPE_CHECKING:
    from napari_sesami.viewer.app.binding import LayerBinding
    from napari_sesami.viewer.app.recovery import LostWork
    from napari_sesami.viewer.app.workspace import Workspace

MOST = 4  # rows of what was left unsaved


class OpenScans(PanelPart, QWidget):
    """One row for each scan behind, and for each that was closed unsaved."""

    def __init__(self, workspace: Workspace, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.workspace = workspace
        self.rows = QVBoxLayout(self)
        self.rows.setContentsMargins(0, 0, 0, 0)
        self.watch(workspace.session_changed, self.read_lost)
        self.watch(workspace.saver.lost_changed, self.read_lost)
        self.watch(workspace.saver.changed, self.refresh)
        self._shown: list[object] = []
        self.read_lost()

    def read_lost(self) -> None:
        """Look at the disk for unsaved work; not after every edit."""
        self._lost = lost_work()[:MOST]
        self.refresh()

    def refresh(self) -> None:
        """Show what is open behind now, and what can be brought back."""
        behind, lost = self.workspace.behind, self._lost
        key = [
            (b, b.session.document.project, b.session.document.dirty) for b in behind
        ]
        if self._shown == [key, lost]:
            return
        self._shown = [key, lost]
        while (item := self.rows.takeAt(0)) is not None:
            if item.widget() is not None:
                item.widget().deleteLater()
        for binding in reversed(behind):
            self._add_open(binding)
        for work in lost:
            self._add_lost(work)
        self.setVisible(bool(behind or lost))

    def _add_open(self, binding: LayerBinding) -> None:
        session = binding.session
        project = session.document.project
        kept = "in no project yet" if project is None else f"in {project.path.name}"
        show = button("Show", f"Work on {session.scan.name} again")
        close = button(
            "Close",
            "Take it out of the viewer; "
            + ("it can be brought back here" if project is None else "it is saved"),
        )
        self.on(show.clicked, self.workspace.adopt, binding.image)
        self.on(close.clicked, self.workspace.dismiss, binding)
        self._add(session.scan.name, f"open behind, {kept}", show, close)

    def _add_lost(self, work: LostWork) -> None:
        when = time.strftime("%d %b, %H:%M", time.localtime(work.when))
        bring = button("Bring back", f"Open {work.scan} with what was done on it")
        drop = button("Delete", f"Delete this unsaved work on {work.scan} for good")
        saver = self.workspace.saver
        self.on(bring.clicked, partial(saver.open_lost, work.project))
        self.on(drop.clicked, partial(saver.discard_lost, work.project))
        self._add(work.scan, f"closed unsaved, {when}", bring, drop)

    def _add(self, name: str, state: str, *buttons: QWidget) -> None:
        made = QWidget()
        layout = QVBoxLayout(made)
        layout.setContentsMargins(0, 0, 0, 2)
        layout.setSpacing(1)
        title = named(QElidingLabel(f"{name}: {state}"), f"{name}: {state}", name)
        layout.addWidget(title)
        layout.addLayout(row((QLabel(""), 1), *buttons))
        self.rows.addWidget(made)
