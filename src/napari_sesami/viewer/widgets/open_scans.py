"""Scans that are open behind the one at work, and work that was left unsaved."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget
from superqt import QElidingLabel

from napari_sesami.viewer.app.recovery import lost_work
from napari_sesami.viewer.widgets.factory import button, combo, named, row
from napari_sesami.viewer.widgets.panel import PanelPart

if TYPE_CHECKING:
    from napari_sesami.viewer.app.binding import LayerBinding
    from napari_sesami.viewer.app.recovery import LostWork
    from napari_sesami.viewer.app.workspace import Workspace


class OpenScans(PanelPart, QWidget):
    """A row for each scan behind, and one to choose from what was closed unsaved."""

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
        self._lost = lost_work()
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
        if lost:
            self._add_lost(lost)
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
        text = f"{session.scan.name}: open behind, {kept}"
        title = named(QElidingLabel(text), text, session.scan.name)
        self._add(title, show, close)

    def _add_lost(self, lost: list[LostWork]) -> None:
        """Offer what was closed unsaved, the latest first, in one row."""
        choice = combo("Work that was closed unsaved: bring it back, or delete it")
        for work in lost:
            when = time.strftime("%d %b, %H:%M", time.localtime(work.when))
            choice.addItem(f"{work.scan}: unsaved, {when}", work.project)
        bring = button("Bring back", "Open this scan with what was done on it")
        drop = button("Delete", "Delete this unsaved work for good")
        saver = self.workspace.saver
        self.on(bring.clicked, lambda: saver.open_lost(choice.currentData()))
        self.on(drop.clicked, lambda: saver.discard_lost(choice.currentData()))
        self._add(choice, bring, drop)

    def _add(self, title: QWidget, *buttons: QWidget) -> None:
        made = QWidget()
        layout = QVBoxLayout(made)
        layout.setContentsMargins(0, 0, 0, 2)
        layout.setSpacing(1)
        layout.addWidget(title)
        layout.addLayout(row((QLabel(""), 1), *buttons))
        self.rows.addWidget(made)
