"""The panel to open a scan, name classes and paint: composes its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QInputDialog, QWidget

from napari_sesami.viewer.label.controller import LabelController
from napari_sesami.viewer.widgets.action_button import ActionButton
from napari_sesami.viewer.widgets.class_table import ClassTableView
from napari_sesami.viewer.widgets.factory import box, row
from napari_sesami.viewer.widgets.key_help import HelpCard
from napari_sesami.viewer.widgets.open_scans import OpenScans
from napari_sesami.viewer.widgets.panel import Panel
from napari_sesami.viewer.widgets.project_row import ProjectRow
from napari_sesami.viewer.widgets.scan_facts import ScanFacts
from napari_sesami.viewer.widgets.scan_picker import ScanPicker

if TYPE_CHECKING:
    from napari.viewer import Viewer


class LabelPanel(Panel):
    """Open a scan, correct its pixel size, name classes, paint them, keep them.

    Parameters
    ----------
    napari_viewer
        Injected by napari, which looks for exactly this parameter name.
    """

    def __init__(self, napari_viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(napari_viewer, parent)
        self.controller = self.workspace.get(LabelController)
        self.picker = ScanPicker(self.workspace)
        self.open_scans = OpenScans(self.workspace)
        self.facts = ScanFacts()
        self.classes = ClassTableView()
        self.paint_button = ActionButton(self.workspace, "paint")
        self.paint_button.setCheckable(True)
        self.undo_button = ActionButton(self.workspace, "undo")
        self.redo_button = ActionButton(self.workspace, "redo")
        self.project = ProjectRow(self.workspace)
        self.keys = HelpCard("Keys", "scan")
        self._buttons = (self.paint_button, self.undo_button, self.redo_button)
        history = row(*((each, 1) for each in self._buttons))
        classes = box("Classes", self.classes, history)
        self.lay_out(
            box("Scan", self.picker, self.facts, self.open_scans),
            classes,
            box("Project", self.project),
            self.keys,
            stretch=classes,
        )
        self._connect()
        self._on_session()

    def _connect(self) -> None:
        workspace = self.workspace
        self.watch(workspace.session_changed, self._on_session)
        self.watch(self.controller.name_wanted, self.classes.ask_for_name)
        self.at_close(lambda: self.classes.set_classes(None))
        self.facts.size_edited.connect(self._on_size)
        self.facts.refused.connect(self._on_size_refused)
        self.classes.refused.connect(workspace.say)
        self.classes.picked.connect(self._on_picked)
        self.classes.hidden_changed.connect(self._on_hidden)
        self.on(self.paint_button.clicked, self.refresh)

    def _on_session(self) -> None:
        """Show what is shown now."""
        binding, session = self.workspace.binding, self.workspace.session
        self.unwatch("binding")
        if binding is not None:
            self.watch(binding.changed, self.refresh, "binding")
        self.facts.show_scan(session.scan if session is not None else None)
        self.classes.set_classes(session.classes if session is not None else None)
        for each in self._buttons:
            each.setEnabled(session is not None)
        self.refresh()

    def refresh(self) -> None:
        """Reflect brush, class and pixel size, whoever changed them."""
        binding = self.workspace.binding
        if binding is None:
            return
        self.paint_button.setChecked(binding.painting)
        self.classes.select(binding.current_class)
        self.undo_button.setEnabled(binding.session.history.can_undo)
        self.redo_button.setEnabled(binding.session.history.can_redo)
        self.facts.show_scan(binding.session.scan)

    def _on_size(self, sizes: object, units: object) -> None:
        session = self.workspace.session
        if session is not None:
            self.run(session.document.set_pixel_size, sizes, units)
            self.facts.show_scan(session.scan)

    def _on_size_refused(self, text: str) -> None:
        self.workspace.say(text)
        if self.workspace.session is not None:
            self.facts.show_scan(self.workspace.session.scan)

    def _on_picked(self, class_id: int) -> None:
        if self.workspace.binding is not None:
            self.workspace.binding.pick(class_id)

    def _on_hidden(self, hidden: frozenset[int]) -> None:
        if self.workspace.binding is not None:
            self.workspace.binding.hide_classes(hidden)

    def ask_class(self) -> None:
        """Ask by name for the class to paint."""
        session = self.controller.binding.session
        names = list(session.classes.names)
        if not names:
            self.controller.pick(1)  # says what is missing
        name, agreed = QInputDialog.getItem(
            self, "Pick a class", "Class to paint", names, 0, False
        )
        if agreed:
            self.controller.pick(names.index(name) + 1)
