"""The page of the committed objects: a table, and verbs for the chosen rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QTreeWidget,
    QTreeWidgetItem,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_sesami.prompt import certainty
from napari_sesami.viewer.objects.controller import ObjectsController
from napari_sesami.viewer.widgets.factory import (
    button,
    combo,
    fill_classes,
    note,
    row,
    swatch,
    tree,
)
from napari_sesami.viewer.widgets.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.viewer import Viewer

    from napari_sesami.session import ObjectRow

_ID = Qt.ItemDataRole.UserRole
_SORT = _ID + 1
CLASS, NUMBER, SIZE, SCORE = range(4)


class _Item(QTreeWidgetItem):
    """A row that sorts by its numbers, not by how they are written."""

    def __lt__(self, other: QTreeWidgetItem) -> bool:
        column = self.treeWidget().sortColumn()
        mine, others = self.data(column, _SORT), other.data(column, _SORT)
        return bool(mine < others)


class ObjectsPanel(Panel):
    """What was committed, with area or volume and score.

    Parameters
    ----------
    napari_viewer
        Injected by napari, which looks for exactly this parameter name.
    """

    def __init__(self, napari_viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(napari_viewer, parent)
        self.controller = self.workspace.get(ObjectsController)
        self.count = note("", "How many objects there are")
        self.table = QTreeWidget()
        tip = "A double click shows the object; Ctrl or Shift chooses several"
        tree(self.table, ["Class", "No.", "Size", "Score"], "Objects", tip)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.table.setSortingEnabled(True)
        self.table.sortByColumn(NUMBER, Qt.SortOrder.AscendingOrder)
        self.table.setUniformRowHeights(True)
        self.table.setMinimumHeight(200)
        self.class_combo = combo("Class for the chosen objects", name="Class")
        self.class_button = button("Give class", "Give the chosen objects this class")
        self.merge_button = button("Merge", "Make the chosen objects one")
        tip = "Make the pieces of each chosen object objects of their own"
        self.split_button = button("Split", tip)
        self.delete_button = button("Delete", "Delete the chosen objects (undoable)")
        self.save_button = button("Save table…", "Write the table as a CSV file")
        self._needy = (self.class_button, self.split_button, self.delete_button)
        verbs = (self.merge_button, self.split_button, self.delete_button)
        self.lay_out(
            self.count,
            self.table,
            row((self.class_combo, 1), self.class_button),
            row(*((each, 1) for each in verbs)),
            self.save_button,
            stretch=self.table,
        )
        self.table.itemDoubleClicked.connect(self._on_double_click)
        self.table.itemSelectionChanged.connect(self._on_chosen)
        self.on(self.class_button.clicked, self._give_class)
        self.on(self.merge_button.clicked, self._do, self.controller.merge)
        self.on(self.split_button.clicked, self._do, self.controller.split)
        self.on(self.delete_button.clicked, self._do, self.controller.remove)
        self.on(self.save_button.clicked, self._ask_path)
        self.watch(self.controller.changed, self.refresh)
        self.refresh()

    @property
    def chosen(self) -> list[int]:
        """Ids of the chosen objects, in the order of the table."""
        return [int(item.data(0, _ID)) for item in self.table.selectedItems()]

    def refresh(self) -> None:
        """Show the objects as they are; what was chosen stays chosen."""
        kept, rows = set(self.chosen), self.controller.rows
        session = self.workspace.session
        colors = (
            {} if session is None else {e.name: str(e.color) for e in session.classes}
        )
        with signals_blocked(self.table):
            self.table.setSortingEnabled(False)
            self.table.clear()
            items = [self._item(each, colors) for each in rows]
            self.table.addTopLevelItems(items)
            self.table.setSortingEnabled(True)
            for item in items:
                item.setSelected(int(item.data(0, _ID)) in kept)
        things = sum(each.instance for each in rows)
        if not rows:
            text = "Nothing is committed yet: click an object, then press U."
        elif things == len(rows):
            text = "1 object" if len(rows) == 1 else f"{len(rows)} objects"
        else:
            text = f"{things} objects, {len(rows) - things} regions of material"
        self.count.setText(text)
        if session is not None:
            fill_classes(
                self.class_combo, session.classes, self.class_combo.currentData()
            )
        self._on_chosen()

    def _item(self, each: ObjectRow, colors: dict[str, str]) -> _Item:
        size = (
            f"{each.pixels} px" if each.size is None else f"{each.size:.4g} {each.unit}"
        )
        score = ""
        if each.score is not None:
            score = f"{certainty(each.score)} {each.score:.2f}"
        item = _Item([each.class_name, str(each.id), size, score])
        item.setIcon(CLASS, swatch(colors.get(each.class_name, "#808080")))
        item.setData(CLASS, _ID, each.id)
        keys = (each.class_name, each.id, each.pixels, each.score or -1.0)
        for column, key in enumerate(keys):
            item.setData(column, _SORT, key)
        slices = f"{each.planes} slices from {each.plane} on, " * (each.planes > 1)
        item.setToolTip(SIZE, f"{slices}{each.pixels} pixels")
        item.setTextAlignment(SIZE, Qt.AlignmentFlag.AlignRight)
        return item

    def _on_chosen(self) -> None:
        count = len(self.table.selectedItems())
        for each in self._needy:
            each.setEnabled(count > 0)
        self.merge_button.setEnabled(count > 1)
        self.save_button.setEnabled(bool(self.controller.rows))

    def _on_double_click(self, item: QTreeWidgetItem, column: int) -> None:
        self.run(self.controller.jump, int(item.data(0, _ID)))

    def _do(self, verb: Callable[[list[int]], None]) -> None:
        verb(self.chosen)

    def _give_class(self) -> None:
        self.controller.give_class(self.chosen, self.class_combo.currentData())

    def _ask_path(self) -> None:
        session = self.workspace.session
        name = "objects.csv" if session is None else f"{session.scan.name} objects.csv"
        path, _ = QFileDialog.getSaveFileName(
            self, "Save the table", name, "Tables (*.csv)"
        )
        if path:
            self.controller.save_csv(Path(path).with_suffix(".csv"))
