"""The table of values: thousands of rows, chosen and hovered, copied with a header."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt, Signal
from qtpy.QtGui import QColor, QGuiApplication, QKeySequence
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from napari_sesami.measure import STATUSES, stated
from napari_sesami.viewer.measure.controller import of
from napari_sesami.viewer.widgets.factory import named
from napari_sesami.viewer.widgets.plain import plain_tip

if TYPE_CHECKING:
    from qtpy.QtGui import QKeyEvent

    from napari_sesami.viewer.measure.controller import MeasureController

HEAD = ("What", "of", "value ± U", "")
MARKS = {"pass": "✓", "fail": "✗", "undecided": "?", "": ""}
INKS = {"pass": "#3fb27f", "fail": "#ff6d3a", "undecided": "#d9a514"}


class ValueRows(QAbstractTableModel):
    """The rows that the filters let through."""

    def __init__(self, controller: MeasureController) -> None:
        super().__init__()
        self._controller = controller
        self.shown: list[int] = []

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """How many rows there are."""
        return 0 if parent is not None and parent.isValid() else len(self.shown)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """How many columns there are."""
        return len(HEAD)

    def headerData(self, section: int, orientation: Any, role: int = 0) -> Any:
        """Name a column."""
        if role == Qt.ItemDataRole.DisplayRole:
            across = orientation == Qt.Orientation.Horizontal
            return HEAD[section] if across else section + 1
        return None

    def data(self, index: QModelIndex, role: int = 0) -> Any:
        """Give a cell's words, colour, side or tip."""
        if not index.isValid() or index.row() >= len(self.shown):
            return None
        r = self._controller.rows[self.shown[index.row()]]
        column = index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            if column == 0:
                depth = "" if r.at is None else f"{100 * r.at:g} %"
                return " ".join(w for w in (r.measurement, r.zone, depth) if w)
            if column == 1:
                return str(r.number) if r.number else of(r)
            if column == 2:
                text = stated(r.value, r.U, r.unit) if r.has_value else r.status
                return text.split(" (k")[0].replace("_", " ")
            return MARKS[r.verdict]
        if role == Qt.ItemDataRole.ForegroundRole and (column == 3 or not r.has_value):
            return QColor(INKS.get(r.verdict, "#999999"))
        if role == Qt.ItemDataRole.TextAlignmentRole and column in (1, 2):
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        if role == Qt.ItemDataRole.ToolTipRole:
            why = "" if r.status == "ok" else f"\n{r.status}: {STATUSES[r.status]}"
            return plain_tip(f"{r} – {of(r)}{why}")
        return None


class ValueTable(QTableView):
    """Rows linked with the canvas: choosing one jumps there, and back."""

    hovered = Signal(int)
    """the row under the mouse, by its number among all; −1 when it leaves"""

    def __init__(self, controller: MeasureController) -> None:
        super().__init__()
        self._controller = controller
        self._model = ValueRows(controller)
        self.setModel(self._model)
        named(self, "A click shows the place; Ctrl+C copies what is shown", "Values")
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setMouseTracking(True)
        self.setWordWrap(False)
        font = self.font()
        font.setPointSizeF(0.9 * font.pointSizeF())
        self.setFont(font)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(20)
        self.setShowGrid(False)
        header = self.horizontalHeader()
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column, width in ((1, 34), (2, 122), (3, 18)):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Interactive)
            self.setColumnWidth(column, width)
        header.setMinimumSectionSize(16)
        self.clicked.connect(self._on_clicked)
        self.entered.connect(self._on_entered)

    def refresh(self) -> None:
        """Show the rows as they are; the chosen one is selected and in sight."""
        model, controller = self._model, self._controller
        shown = controller.shown
        if shown and len(shown) == len(model.shown):
            model.shown = shown
            model.dataChanged.emit(
                model.index(0, 0), model.index(max(0, len(shown) - 1), len(HEAD) - 1)
            )
        else:
            model.beginResetModel()
            model.shown = shown
            model.endResetModel()
        if controller.chosen in shown:
            place = model.index(shown.index(controller.chosen), 0)
            if self.currentIndex().row() != place.row():
                self.setCurrentIndex(place)
                self.scrollTo(place)
            self.selectRow(place.row())
        else:
            self.clearSelection()

    def copy(self) -> None:
        """Put what is shown on the clipboard, with a header."""
        QGuiApplication.clipboard().setText(self._controller.table())
        self._controller.workspace.say(
            f"{len(self._model.shown)} rows are on the clipboard."
        )

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Copy, and choose with the arrows."""
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy()
            return
        super().keyPressEvent(event)
        if event.key() in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            self._on_clicked(self.currentIndex())

    def leaveEvent(self, event: Any) -> None:
        """Nothing is hovered any more."""
        super().leaveEvent(event)
        self.hovered.emit(-1)

    def _on_clicked(self, index: QModelIndex) -> None:
        if index.isValid():
            self._controller.jump(self._model.shown[index.row()])

    def _on_entered(self, index: QModelIndex) -> None:
        self.hovered.emit(self._model.shown[index.row()] if index.isValid() else -1)
