"""How the mask is committed: class, overlap, instance or material, edge snap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFormLayout, QWidget
from superqt.utils import signals_blocked

from napari_sesami.viewer.widgets.action_button import ActionButton
from napari_sesami.viewer.widgets.factory import (
    choose,
    combo,
    fill_classes,
    row,
    spin,
    tick,
)
from napari_sesami.viewer.widgets.part import PanelPart

if TYPE_CHECKING:
    from napari_sesami.viewer.prompt.controller import PromptController

_OVERLAPS = (
    ("Overwrite", "overwrite", "Take every pixel of the mask"),
    ("Keep objects", "keep", "Leave other committed objects their pixels"),
    ("Free pixels only", "free", "Take only pixels without any label"),
)


class CommitBox(PanelPart, QWidget):
    """Chooses class and policy, and commits."""

    def __init__(
        self, controller: PromptController, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._controller = controller
        self.workspace = controller.workspace
        self.classes = combo(
            "Class of the next mask (keys 1 to 9)", name="Class of the mask"
        )
        self.overlap = combo(
            "What happens to pixels that are labelled already",
            _OVERLAPS,
            name="Overlap with what is committed",
        )
        self.instance = tick(
            "One thing of its own",
            "On: an instance that is counted, e.g. a void. Off: some of a material",
        )
        self.snap = spin(
            "Move the border to the steepest edge within so many pixels",
            0,
            50,
            suffix=" px",
            zero="off",
        )
        self.next = tick("Next object at once", "Off: the committed object stays")
        self.commit = ActionButton(self.workspace, "prompt_commit")
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setVerticalSpacing(2)
        form.addRow("Class", self.classes)
        form.addRow("Overlap", self.overlap)
        form.addRow("Snap to edges", self.snap)
        form.addRow(self.instance)
        form.addRow(row(self.next, (self.commit, 1)))
        self.classes.activated.connect(self._on_class)
        self.overlap.activated.connect(self._on_overlap)
        self.instance.clicked.connect(self._on_instance)
        self.snap.valueChanged.connect(controller.resnap)
        self.next.clicked.connect(self._on_next)

    def refresh(self) -> None:
        """Show options and classes, whoever changed them."""
        controller, options = self._controller, self._controller.options
        session = self.workspace.session
        self.setEnabled(session is not None)
        entries = () if session is None else session.classes
        fill_classes(self.classes, entries, options.class_id)
        if self.classes.count() == 0:
            self.classes.addItem("Name a class first (key N)", 0)
        choose(self.overlap, options.overlap)
        with signals_blocked(self.snap):
            self.snap.setValue(options.snap)
        self.instance.setChecked(options.instance)
        self.next.setChecked(options.next_at_once)
        self.commit.setEnabled(bool(controller.draft.planes) and not controller.busy)

    def _on_class(self) -> None:
        self._controller.options.class_id = int(self.classes.currentData() or 0)

    def _on_overlap(self) -> None:
        self._controller.options.overlap = self.overlap.currentData()

    def _on_instance(self, on: bool) -> None:
        self._controller.options.instance = on

    def _on_next(self, on: bool) -> None:
        self._controller.options.next_at_once = on
