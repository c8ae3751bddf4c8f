"""The box of the superpixel tool: on, scale, class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QWidget
from superqt import QLabeledSlider

from napari_sesami.viewer.widgets.action_button import ActionButton
from napari_sesami.viewer.widgets.factory import (
    column,
    combo,
    fill_classes,
    named,
    note,
    row,
)
from napari_sesami.viewer.widgets.part import PanelPart

if TYPE_CHECKING:
    from napari_sesami.viewer.worklist.controller import WorklistController

SMALLEST, LARGEST = 6, 64  # pixels


class PiecesBox(PanelPart, QWidget):
    """Cut the scan into superpixels, and give them to a class with the mouse."""

    def __init__(
        self, controller: WorklistController, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._pieces = controller.superpixels
        self.workspace = controller.workspace
        self.button = ActionButton(self.workspace, "work_pieces")
        self.button.setCheckable(True)
        self.scale = QLabeledSlider(Qt.Orientation.Horizontal)
        self.scale.setRange(SMALLEST, LARGEST)
        self.scale.setValue(self._pieces.scale)
        tip = "Side of a superpixel, in pixels of the scan"
        named(self.scale, tip, "Scale of the superpixels in pixels")
        self.class_combo = combo(
            "Class that superpixels become (keys 1 to 9)",
            name="Class that superpixels become",
        )
        self.note = note(
            "Superpixels are pieces of even texture that keep to edges. Click one, or "
            "drag over several; Shift clears. Each click or drag is one undo step.",
            "What superpixels are",
        )
        scale = row(QLabel("Scale"), (self.scale, 1))
        classes = row(QLabel("Class"), (self.class_combo, 1))
        column(self, self.button, scale, classes, self.note, None, margin=4)
        self.on(self.button.clicked, self.refresh)
        self.scale.valueChanged.connect(self._pieces.set_scale)
        self.class_combo.activated.connect(self._on_class)
        self.watch(controller.changed, self.refresh)
        self.watch(self._pieces.changed, self.refresh)
        self.at_close(self._pieces.stop)
        self.refresh()

    def refresh(self) -> None:
        """Show what is, whoever changed it."""
        binding = self.workspace.binding
        self.button.setEnabled(binding is not None)
        self.button.setChecked(self._pieces.on)
        entries = () if binding is None else binding.session.classes
        chosen = 0 if binding is None else binding.current_class
        fill_classes(self.class_combo, entries, chosen)
        self.class_combo.setEnabled(self.class_combo.count() > 0)

    def _on_class(self, line: int) -> None:
        self.run(self._pieces.pick, line + 1)
