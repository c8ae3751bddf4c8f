"""The "Sesami" dock: composes its parts and wires them, nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import (
    QGroupBox,
    QHBoxLayout,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_sesami.viewer.app.dock import DeskDock
from napari_sesami.viewer.app.errors import sentence
from napari_sesami.viewer.app.keys import Action
from napari_sesami.viewer.widgets.class_table import ClassTableView
from napari_sesami.viewer.widgets.factory import button
from napari_sesami.viewer.widgets.key_help import HelpCard
from napari_sesami.viewer.widgets.project_row import ProjectRow
from napari_sesami.viewer.widgets.scan_facts import ScanFacts
from napari_sesami.viewer.widgets.scan_picker import ScanPicker
from napari_sesami.viewer.widgets.status_line import StatusLine

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_sesami.viewer.app.binding import LayerBinding

WIDTH = 300  # px; with the dock's frame this stays below 320


class SesamiDock(DeskDock):
    """Open a scan, correct its pixel size, name classes, paint them, keep them.

    Parameters
    ----------
    napari_viewer
        Injected by napari, which looks for exactly this parameter name.
    """

    def __init__(self, napari_viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(napari_viewer, parent)
        self._binding: LayerBinding | None = None
        self.picker = ScanPicker(self.workspace)
        self.facts = ScanFacts()
        self.classes = ClassTableView()
        self.paint_button = button("Paint", "Brush on; again: move the view (key W)")
        self.paint_button.setCheckable(True)
        self.undo_button = button("Undo", "Take back the last step (Ctrl+Z)")
        self.redo_button = button("Redo", "Do it again (Ctrl+Shift+Z)")
        self.project = ProjectRow(self.workspace)
        self.keys = HelpCard()
        self.status = StatusLine(self.workspace)
        self._compose()
        self._connect()
        self._on_session()

    def _let_go(self) -> None:
        """Let go of everything that would keep the panel alive; the workspace stays."""
        for part in (self.picker, self.project, self.status):
            part.disconnect_from_desk()
        self.workspace.session_changed.disconnect(self._on_session)
        self.workspace.name_wanted.disconnect(self.classes.ask_for_name)
        self.workspace.keys_wanted.disconnect(self.keys.toggle)
        self._follow(None)

    def _compose(self) -> None:
        history = QHBoxLayout()
        for each in (self.paint_button, self.undo_button, self.redo_button):
            history.addWidget(each, 1)
        layout = QVBoxLayout(self)
        layout.addWidget(_box("Scan", self.picker, self.facts))
        layout.addWidget(_box("Classes", self.classes, history), 1)
        layout.addWidget(_box("Project", self.project))
        layout.addWidget(self.keys)
        layout.addWidget(self.status)
        self.setMinimumWidth(WIDTH)
        # else napari puts a spring below, which takes the room from the class table
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)

    def _connect(self) -> None:
        workspace = self.workspace
        workspace.session_changed.connect(self._on_session)
        workspace.name_wanted.connect(self.classes.ask_for_name)
        workspace.keys_wanted.connect(self.keys.toggle)
        self.facts.size_edited.connect(self._on_size)
        self.facts.refused.connect(self._on_size_refused)
        self.classes.refused.connect(self._refuse)
        self.classes.picked.connect(self._on_picked)
        self.classes.hidden_changed.connect(self._on_hidden)
        self.paint_button.clicked.connect(self._on_paint)
        self.undo_button.clicked.connect(self._on_undo)
        self.redo_button.clicked.connect(self._on_redo)

    def _on_session(self) -> None:
        """Show what is shown now."""
        self._follow(self.workspace.binding)
        session = self.workspace.session
        self.facts.show_scan(session.scan if session is not None else None)
        self.classes.set_classes(session.classes if session is not None else None)
        for each in (self.paint_button, self.undo_button, self.redo_button):
            each.setEnabled(session is not None)
        self._on_link()

    def _follow(self, binding: LayerBinding | None) -> None:
        if self._binding is not None:
            self._binding.changed.disconnect(self._on_link)
        self._binding = binding
        if binding is not None:
            binding.changed.connect(self._on_link)

    def _on_link(self) -> None:
        """Reflect brush, class and pixel size, whoever changed them."""
        binding = self._binding
        if binding is None:
            return
        self.paint_button.setChecked(binding.painting)
        self.classes.select(binding.current_class)
        self.undo_button.setEnabled(binding.session.can_undo)
        self.redo_button.setEnabled(binding.session.can_redo)
        self.facts.show_scan(binding.session.scan)

    def _on_size(self, sizes: object, units: object) -> None:
        if self._binding is None:
            return
        try:
            self._binding.session.set_pixel_size(sizes, units)
        except ValueError as error:
            self.workspace.say(sentence(error))
        self.facts.show_scan(self._binding.session.scan)

    def _on_size_refused(self, text: str) -> None:
        self.workspace.say(text)
        if self._binding is not None:
            self.facts.show_scan(self._binding.session.scan)

    def _on_picked(self, class_id: int) -> None:
        if self._binding is not None:
            self._binding.pick(class_id)

    def _on_hidden(self, hidden: frozenset[int]) -> None:
        if self._binding is not None:
            self._binding.hide_classes(hidden)

    def _on_paint(self) -> None:
        self.workspace.act(Action.PAINT)
        self._on_link()

    def _on_undo(self) -> None:
        self.workspace.act(Action.UNDO)

    def _on_redo(self) -> None:
        self.workspace.act(Action.REDO)

    def _refuse(self, text: str) -> None:
        self.workspace.say(text)


def _box(title: str, *parts: QWidget | QHBoxLayout) -> QGroupBox:
    box = QGroupBox(title)
    layout = QVBoxLayout(box)
    layout.setContentsMargins(4, 4, 4, 4)
    for part in parts:
        if isinstance(part, QWidget):
            layout.addWidget(part)
        else:
            layout.addLayout(part)
    return box
