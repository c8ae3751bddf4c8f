"""The panel to open a scan, name classes and paint: composes its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from napari_sesami.viewer.app.keys import Action
from napari_sesami.viewer.widgets.class_table import ClassTableView
from napari_sesami.viewer.widgets.factory import WIDTH, box, button, row
from napari_sesami.viewer.widgets.key_help import HelpCard
from napari_sesami.viewer.widgets.panel import Panel
from napari_sesami.viewer.widgets.project_row import ProjectRow
from napari_sesami.viewer.widgets.scan_facts import ScanFacts
from napari_sesami.viewer.widgets.scan_picker import ScanPicker
from napari_sesami.viewer.widgets.status_line import StatusLine

if TYPE_CHECKING:
    from napari.viewer import Viewer


class SesamiDock(Panel):
    """Open a scan, correct its pixel size, name classes, paint them, keep them.

    Parameters
    ----------
    napari_viewer
        Injected by napari, which looks for exactly this parameter name.
    """

    def __init__(self, napari_viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(napari_viewer, parent)
        self.picker = ScanPicker(self.desk)
        self.facts = ScanFacts()
        self.classes = ClassTableView()
        self.paint_button = button("Paint", "Brush on; again: move the view (key W)")
        self.paint_button.setCheckable(True)
        self.undo_button = button("Undo", "Take back the last step (Ctrl+Z)")
        self.redo_button = button("Redo", "Do it again (Ctrl+Shift+Z)")
        self.project = ProjectRow(self.desk)
        self.keys = HelpCard()
        self.status = StatusLine(self.desk)
        self._buttons = (self.paint_button, self.undo_button, self.redo_button)
        layout = QVBoxLayout(self)
        layout.addWidget(box("Scan", self.picker, self.facts))
        history = row(*((each, 1) for each in self._buttons))
        layout.addWidget(box("Classes", self.classes, history), 1)
        layout.addWidget(box("Project", self.project))
        layout.addWidget(self.keys)
        layout.addWidget(self.status)
        self.setMinimumWidth(WIDTH)
        # else napari puts a spring below, which takes the room from the class table
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self._connect()
        self._on_session()

    def _connect(self) -> None:
        desk = self.desk
        self.watch(desk.session_changed, self._on_session)
        self.watch(desk.name_wanted, self.classes.ask_for_name)
        self.watch(desk.keys_wanted, self.keys.toggle)
        self.at_close(lambda: self.classes.set_classes(None))
        self.facts.size_edited.connect(self._on_size)
        self.facts.refused.connect(self._on_size_refused)
        self.classes.refused.connect(desk.say)
        self.classes.picked.connect(self._on_picked)
        self.classes.hidden_changed.connect(self._on_hidden)
        self.paint_button.clicked.connect(self._on_paint)
        self.on(self.undo_button.clicked, desk.act, Action.UNDO)
        self.on(self.redo_button.clicked, desk.act, Action.REDO)

    def _on_session(self) -> None:
        """Show what lies on the desk now."""
        link, session = self.desk.link, self.desk.session
        self.unwatch("link")
        if link is not None:
            self.watch(link.changed, self.refresh, "link")
        self.facts.show_scan(session.scan if session is not None else None)
        self.classes.set_classes(session.classes if session is not None else None)
        for each in self._buttons:
            each.setEnabled(session is not None)
        self.refresh()

    def refresh(self) -> None:
        """Reflect brush, class and pixel size, whoever changed them."""
        link = self.desk.link
        if link is None:
            return
        self.paint_button.setChecked(link.painting)
        self.classes.select(link.current_class)
        self.undo_button.setEnabled(link.session.can_undo)
        self.redo_button.setEnabled(link.session.can_redo)
        self.facts.show_scan(link.session.scan)

    def _on_size(self, sizes: object, units: object) -> None:
        session = self.desk.session
        if session is not None:
            self.run(session.set_pixel_size, sizes, units)
            self.facts.show_scan(session.scan)

    def _on_size_refused(self, text: str) -> None:
        self.desk.say(text)
        if self.desk.session is not None:
            self.facts.show_scan(self.desk.session.scan)

    def _on_picked(self, class_id: int) -> None:
        if self.desk.link is not None:
            self.desk.link.pick(class_id)

    def _on_hidden(self, hidden: frozenset[int]) -> None:
        if self.desk.link is not None:
            self.desk.link.hide_classes(hidden)

    def _on_paint(self) -> None:
        self.desk.act(Action.PAINT)
        self.refresh()
