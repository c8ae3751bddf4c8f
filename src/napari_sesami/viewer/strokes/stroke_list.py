"""The strokes: an eye each, and what each is worth to the others."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_sesami.viewer.app.errors import ViewerError
from napari_sesami.viewer.widgets.factory import (
    button,
    column,
    named,
    note,
    row,
    swatch,
)
from napari_sesami.viewer.widgets.part import PanelPart

if TYPE_CHECKING:
    from napari_sesami.session import StrokeFacts
    from napari_sesami.viewer.strokes.controller import StrokesController

COLUMNS = ("stroke", "slice", "patches", "worth")
MOST = 300  # rows; more could not be read anyway
_NAME = Qt.ItemDataRole.UserRole


class StrokeList(PanelPart, QWidget):
    """Every stroke with its eye; a double click goes there."""

    def __init__(
        self, controller: StrokesController, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._controller, self.workspace = controller, controller.workspace
        self._drawn: object = None
        self.table = QTableWidget(0, len(COLUMNS))
        self.table.setHorizontalHeaderLabels(COLUMNS)
        self.table.verticalHeader().hide()
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        tip = "The tick lets a stroke speak; double click: go there"
        named(self.table, tip, "Strokes")
        self.judge_button = button("Judge", "Find out what each stroke is worth")
        self.forget_button = button("Un-teach", "Forget the chosen stroke; undoable")
        self.note = note(
            "Worth: what the other strokes lose without it; below 0, look again.",
            "What worth means",
        )
        buttons = row(self.judge_button, self.forget_button)
        column(self, self.table, self.note, buttons, margin=4).setStretch(0, 1)
        self.table.itemChanged.connect(self._on_tick)
        self.table.itemDoubleClicked.connect(self._on_go)
        self.on(self.judge_button.clicked, controller.judge)
        self.on(self.forget_button.clicked, self._forget)
        self.watch(controller.changed, self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the strokes there are."""
        controller = self._controller
        session = controller.workspace.session
        strokes = controller.strokes[:MOST]
        entries = [] if session is None else list(session.classes)
        looks = {e.id: (e.name, str(e.color)) for e in entries}
        now = (
            strokes,
            frozenset(controller.off),
            controller.against,
            tuple(controller.worth.items()),
            tuple(entries),
        )
        if now == self._drawn:
            return
        self._drawn = now
        with signals_blocked(self.table):
            self.table.setRowCount(len(strokes))
            for i, facts in enumerate(strokes):
                self._fill(i, facts, *looks.get(facts.class_id, ("?", "#808080")))

    def _fill(self, line: int, facts: StrokeFacts, name: str, color: str) -> None:
        on = facts.stroke not in self._controller.off
        odd = facts.stroke in self._controller.against
        first = QTableWidgetItem(swatch(color), f"{name} ⚠" if odd else name)
        if odd:
            first.setToolTip(
                "Another stroke says something else of what looks the same"
            )
        first.setFlags(first.flags() | Qt.ItemFlag.ItemIsUserCheckable)
        first.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
        first.setData(_NAME, facts.stroke)
        worth = self._controller.worth.get(facts.stroke, math.nan)
        texts = (
            str(facts.plane) if facts.plane >= 0 else "bank",
            str(facts.patches),
            "" if math.isnan(worth) else f"{worth:+.3f}",
        )
        self.table.setItem(line, 0, first)
        for place, text in enumerate(texts, 1):
            self.table.setItem(line, place, QTableWidgetItem(text))

    def _chosen(self) -> int | None:
        line = self.table.currentRow()
        item = self.table.item(line, 0) if line >= 0 else None
        return None if item is None else int(item.data(_NAME))

    def _on_tick(self, item: QTableWidgetItem) -> None:
        if item.column() == 0:
            on = item.checkState() == Qt.CheckState.Checked
            self._controller.switch(int(item.data(_NAME)), on)

    def _on_go(self, item: QTableWidgetItem) -> None:
        stroke = self._chosen()
        session = self.workspace.session
        found = (
            session.retrieval.learner.stroke_pixels(stroke)
            if session and stroke is not None
            else None
        )
        if found is not None:
            plane, (y0, x0, y1, x1), _ = found
            self._controller.jump(plane, (y0 + y1) / 2, (x0 + x1) / 2)

    def _forget(self) -> None:
        stroke = self._chosen()
        if stroke is None:
            raise ViewerError("Choose a stroke in the list first.")
        self._controller.forget_stroke(stroke)
