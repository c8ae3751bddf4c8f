"""The classes: add, rename, recolour, hide, remove, and pick the one to paint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QAbstractItemView,
    QColorDialog,
    QHeaderView,
    QLineEdit,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_sesami.viewer.app.errors import sentence
from napari_sesami.viewer.widgets.factory import button, column, named, row, swatch

if TYPE_CHECKING:
    from napari_sesami.project import ClassEntry, ClassTable

KEY, COLOR, NAME = range(3)
_ID = Qt.ItemDataRole.UserRole


class ClassTableView(QWidget):
    """Shows a `ClassTable` and edits it; knows nothing of layers.

    The number in the first column is the key that picks the class, its tick shows or
    hides the class on the canvas.
    """

    picked = Signal(int)
    """id of the class to paint with"""
    hidden_changed = Signal(object)
    """frozenset of the ids that are not to be shown"""
    refused = Signal(str)
    """why an edit was not made"""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._classes: ClassTable | None = None
        self._hidden: set[int] = set()
        self.table = _make_table()
        self.name_edit = QLineEdit()
        self.name_edit.setPlaceholderText("New class, e.g. oxide")
        tip = "Type a name and press Enter (key N comes here)"
        named(self.name_edit, tip, "Name of a new class")
        self.add_button = button("Add", "Add a class with this name")
        self.remove_button = button(
            "Remove",
            "Remove the chosen class; its pixels become nothing (undo brings it back)",
        )
        edit = row((self.name_edit, 1), self.add_button, self.remove_button)
        column(self, self.table, edit)
        self.name_edit.returnPressed.connect(self._add)
        self.add_button.clicked.connect(self._add)
        self.remove_button.clicked.connect(self._remove)
        self.table.itemChanged.connect(self._on_item)
        self.table.cellDoubleClicked.connect(self._on_double_click)
        self.table.itemSelectionChanged.connect(self._on_selection)
        self.set_classes(None)

    @property
    def current(self) -> int:
        """Id of the chosen class, 0 if none is."""
        items = self.table.selectedItems()
        return int(items[0].data(_ID)) if items else 0

    def set_classes(self, classes: ClassTable | None) -> None:
        """Show another table, or none."""
        if self._classes is not None:
            self._classes.changed.disconnect(self._fill)
        self._classes = classes
        self._hidden.clear()
        if classes is not None:
            classes.changed.connect(self._fill)
        self.setEnabled(classes is not None)
        self._fill()

    def select(self, class_id: int) -> None:
        """Mark a class as the one in use, without reporting it as picked."""
        with signals_blocked(self.table):
            self.table.clearSelection()
            for row in range(self.table.rowCount()):
                if self.table.item(row, NAME).data(_ID) == class_id:
                    self.table.selectRow(row)
        self.remove_button.setEnabled(self.current > 0)

    def ask_for_name(self) -> None:
        """Put the cursor where a new class is named."""
        self.name_edit.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.name_edit.selectAll()

    def _fill(self, change: object = None) -> None:
        chosen = self.current
        entries = list(self._classes) if self._classes is not None else []
        with signals_blocked(self.table):
            self.table.setRowCount(len(entries))
            for line, entry in enumerate(entries):
                self._fill_row(line, entry)
        self.select(chosen)

    def _fill_row(self, row: int, entry: ClassEntry) -> None:
        # items are changed, never replaced: Qt may be in the middle of an edit of one
        number, color, name = (self._item(row, column) for column in range(3))
        number.setText(str(row + 1) if row < 9 else "")
        shown = entry.id not in self._hidden
        number.setCheckState(
            Qt.CheckState.Checked if shown else Qt.CheckState.Unchecked
        )
        color.setIcon(swatch(entry.color))
        color.setToolTip(f"{entry.color}: double-click for another colour")
        name.setText(entry.name)
        for item in (number, color, name):
            item.setData(_ID, entry.id)

    def _item(self, row: int, column: int) -> QTableWidgetItem:
        item = self.table.item(row, column)
        if item is None:
            item = QTableWidgetItem()
            if column != NAME:
                item.setFlags(_FIXED | (_TICK if column == KEY else _NO_FLAG))
            item.setToolTip(_TIPS[column])
            self.table.setItem(row, column, item)
        return item

    def _add(self) -> None:
        if self._classes is None:
            return
        try:
            entry = self._classes.add(self.name_edit.text())
        except ValueError as error:
            self.refused.emit(sentence(error))
            return
        self.name_edit.clear()
        self.select(entry.id)
        self.picked.emit(entry.id)

    def _remove(self) -> None:
        if self._classes is not None and self.current:
            self._classes.remove(self.current)

    def _on_item(self, item: QTableWidgetItem) -> None:
        class_id = int(item.data(_ID))
        if item.column() == KEY:
            checked = item.checkState() == Qt.CheckState.Checked
            self._hidden.discard(class_id) if checked else self._hidden.add(class_id)
            self.hidden_changed.emit(frozenset(self._hidden))
        elif item.column() == NAME and self._classes is not None:
            try:
                self._classes.rename(class_id, item.text())
            except ValueError as error:
                self.refused.emit(sentence(error))
                self._fill()

    def _on_double_click(self, row: int, column: int) -> None:
        if column != COLOR or self._classes is None:
            return
        entry = self._classes[int(self.table.item(row, COLOR).data(_ID))]
        color = QColorDialog.getColor(
            QColor(entry.color), self, f"Colour: {entry.name}"
        )
        if color.isValid():
            self._classes.recolor(entry.id, color.name())

    def _on_selection(self) -> None:
        self.remove_button.setEnabled(self.current > 0)
        if self.current:
            self.picked.emit(self.current)


_FIXED = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
_TICK, _NO_FLAG = Qt.ItemFlag.ItemIsUserCheckable, Qt.ItemFlag.NoItemFlags
_TIPS = (
    "Key that picks this class; the tick shows or hides it",
    "Double-click for another colour",
    "Double-click to rename",
)


def _make_table() -> QTableWidget:
    table = QTableWidget(0, 3)
    table.setHorizontalHeaderLabels(["Key", "", "Class"])
    table.setAccessibleName("Classes")
    table.setToolTip("Click a class to paint with it")
    table.verticalHeader().hide()
    header = table.horizontalHeader()
    header.setSectionResizeMode(KEY, QHeaderView.ResizeMode.ResizeToContents)
    header.setSectionResizeMode(COLOR, QHeaderView.ResizeMode.ResizeToContents)
    header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    table.setEditTriggers(
        QAbstractItemView.EditTrigger.DoubleClicked
        | QAbstractItemView.EditTrigger.EditKeyPressed
    )
    table.setShowGrid(False)
    table.setMinimumHeight(118)
    # a page that scrolls gives its parts what they wish for; this one takes the rest
    table.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Ignored)
    return table
