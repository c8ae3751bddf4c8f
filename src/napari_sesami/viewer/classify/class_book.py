"""The class book with what is done to it: define, name, split, undo."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize
from qtpy.QtWidgets import QInputDialog, QLineEdit, QWidget
from superqt.utils import signals_blocked

from napari_sesami.viewer.classify.class_list import ClassList
from napari_sesami.viewer.widgets.action_button import ActionButton
from napari_sesami.viewer.widgets.factory import button, column, named, row
from napari_sesami.viewer.widgets.part import PanelPart

if TYPE_CHECKING:
    from napari_sesami.viewer.classify.controller import ClassifyController

MOST = 2000  # letters of a definition


class ClassBook(PanelPart, QWidget):
    """The list of classes above the definition of the chosen one, and its buttons.

    Parameters
    ----------
    controller
        Of the lot.
    """

    def __init__(self, controller: ClassifyController) -> None:
        super().__init__()
        self.controller, self.workspace = controller, controller.workspace
        self.list = ClassList(controller)
        self.definition = named(
            QLineEdit(),
            "How to tell the chosen class from the others, in a sentence; goes into "
            "models and reports",
            "Definition of the class",
        )
        self.definition.setMaxLength(MOST)
        self.new_button = button("New…", "Name a class; its key is its place", 0)
        self.split_button = button(
            "Split…", "Make the picked defects of a class a class of their own", 0
        )
        self.undo_button = ActionButton(self.workspace, "defect_undo", least=0)
        self.redo_button = ActionButton(self.workspace, "defect_redo", least=0)
        buttons = (
            self.new_button, self.split_button, self.undo_button, self.redo_button,
        )  # fmt: skip
        layout = column(self, self.list, self.definition, row(*buttons))
        layout.setStretchFactor(self.list, 1)
        self.new_button.clicked.connect(self._ask_new)
        self.split_button.clicked.connect(self._ask_split)
        self.definition.editingFinished.connect(self._defined)
        self.list.currentItemChanged.connect(self._show)
        self.watch(controller.changed, self._refresh)
        self._refresh()

    def sizeHint(self) -> QSize:
        """Ask for no more width than the page has, whatever four buttons would like."""
        return QSize(250, super().sizeHint().height())

    def _refresh(self) -> None:
        there = self.controller.classifier is not None
        self.new_button.setEnabled(there)
        self.split_button.setEnabled(there)
        book = self.controller.sorting.book if there else None
        undo, redo = (book.can_undo, book.can_redo) if book else (None, None)
        self.undo_button.setEnabled(undo is not None)
        self.redo_button.setEnabled(redo is not None)
        self._show()

    def _show(self, *_: object) -> None:
        known = self.list.chosen
        self.definition.setEnabled(known is not None)
        hint = f"What is {known.name}?" if known else "Choose a class to define it"
        self.definition.setPlaceholderText(hint)
        if not self.definition.hasFocus() or known is None:
            with signals_blocked(self.definition):
                self.definition.setText(known.definition if known else "")

    def _defined(self) -> None:
        known, text = self.list.chosen, " ".join(self.definition.text().split())
        if known is not None and text != known.definition:
            self.run(self.controller.define, known.name, known.number, text)

    def _ask_new(self) -> None:
        name, given = QInputDialog.getText(self, "A new class", "Name of the class:")
        if given and name.strip():
            self.run(self.controller.new_class, name)

    def _ask_split(self) -> None:
        name, given = QInputDialog.getText(
            self, "Split a class", "Name of the new class, for the picked defects:"
        )
        if given and name.strip():
            self.run(self.controller.split, name)
