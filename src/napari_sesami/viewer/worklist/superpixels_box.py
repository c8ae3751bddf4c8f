"""The box of the superpixel tool: on, scale, class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget
from superqt import QLabeledSlider
from superqt.utils import signals_blocked

from napari_sesami.viewer.app.errors import sentence
from napari_sesami.viewer.app.keys import Action, key_of
from napari_sesami.viewer.widgets.factory import button, note, swatch

if TYPE_CHECKING:
    from napari_sesami.viewer.worklist.controller import WorklistController

SMALLEST, LARGEST = 6, 64  # pixels


class PiecesBox(QWidget):
    """Cut the scan into superpixels, and give them to a class with the mouse."""

    def __init__(
        self, controller: WorklistController, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._controller, self._pieces = controller, controller.superpixels
        self.button = button(
            "Label superpixels",
            "Click or drag over superpixels to give them to the class; Shift or the "
            f"right button clears (key {key_of(Action.WORK_PIECES)})",
        )
        self.button.setCheckable(True)
        self.button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.scale = QLabeledSlider(Qt.Orientation.Horizontal)
        self.scale.setRange(SMALLEST, LARGEST)
        self.scale.setValue(self._pieces.scale)
        self.scale.setToolTip("Side of a superpixel, in pixels of the scan")
        self.scale.setAccessibleName("Scale of the superpixels in pixels")
        self.class_combo = QComboBox()
        self.class_combo.setToolTip("Class that superpixels become (keys 1 to 9)")
        self.class_combo.setAccessibleName("Class that superpixels become")
        self.note = note(
            "Superpixels are pieces of even texture that keep to edges. Click one, or "
            "drag over several; Shift clears. Each click or drag is one undo step.",
            "What superpixels are",
        )
        row, second = QHBoxLayout(), QHBoxLayout()
        row.addWidget(QLabel("Scale"))
        row.addWidget(self.scale, 1)
        second.addWidget(QLabel("Class"))
        second.addWidget(self.class_combo, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(self.button)
        layout.addLayout(row)
        layout.addLayout(second)
        layout.addWidget(self.note)
        layout.addStretch(1)
        self.button.clicked.connect(self._on_button)
        self.scale.valueChanged.connect(self._pieces.set_scale)
        self.class_combo.activated.connect(self._on_class)
        controller.changed.connect(self.reflect)
        self._pieces.changed.connect(self.reflect)
        self.reflect()

    def disconnect_from_foreman(self) -> None:
        """Let go of the foreman; the tool is put down."""
        self._controller.changed.disconnect(self.reflect)
        self._pieces.changed.disconnect(self.reflect)
        self._pieces.stop()

    def reflect(self) -> None:
        """Show what is, whoever changed it."""
        binding = self._controller.workspace.binding
        self.button.setEnabled(binding is not None)
        self.button.setChecked(self._pieces.on)
        with signals_blocked(self.class_combo):
            self.class_combo.clear()
            for entry in () if binding is None else binding.session.classes:
                self.class_combo.addItem(swatch(str(entry.color)), entry.name, entry.id)
            if binding is not None:
                at = self.class_combo.findData(binding.current_class)
                self.class_combo.setCurrentIndex(max(at, 0))
        self.class_combo.setEnabled(self.class_combo.count() > 0)

    def _on_button(self) -> None:
        self._controller.workspace.act(Action.WORK_PIECES)
        self.reflect()

    def _on_class(self, row: int) -> None:
        try:
            self._pieces.pick(row + 1)
        except ValueError as error:
            self._controller.workspace.say(sentence(error))
