"""The list of scans: picture, name, state and time; a double click opens one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QColor, QIcon, QPainter, QPixmap
from qtpy.QtWidgets import QListWidget, QListWidgetItem, QWidget
from superqt.utils import signals_blocked

from napari_sesami.viewer.widgets.factory import column, named, picture
from napari_sesami.viewer.widgets.part import PanelPart
from napari_sesami.viewer.widgets.plain import plain_tip
from napari_sesami.viewer.worklist.thumbnails import SIDE

if TYPE_CHECKING:
    from napari_sesami.viewer.worklist.controller import WorklistController
    from napari_sesami.worklist import WorkItem

MARKS = {
    "new": ("#8a8a8a", "new"),
    "proposed": ("#ff9f1c", "proposed"),
    "corrected": ("#3fa7ff", "in work"),
    "accepted": ("#2ec46b", "accepted"),
}
"""State: colour of its badge, and how it reads."""
BROKEN = "#d64545"
ICON = 34  # px


class WorklistTable(PanelPart, QWidget):
    """Every scan of the work list."""

    def __init__(
        self, controller: WorklistController, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._controller, self.workspace = controller, controller.workspace
        self._drawn: object = None
        self.list = QListWidget()
        self.list.setIconSize(QSize(ICON, ICON))
        self.list.setUniformItemSizes(True)
        tip = "Double click: open the scan; the one at work is bold"
        named(self.list, tip, "Scans of the work list")
        self.list.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # keys stay with the canvas
        self.list.setMinimumHeight(3 * (ICON + 8))
        column(self, self.list)
        self.list.itemDoubleClicked.connect(self._on_open)
        self.list.itemActivated.connect(self._on_open)
        self.watch(controller.changed, self.refresh)
        self.watch(controller.thumbnails.ready, self._on_thumb)
        self.refresh()

    def refresh(self) -> None:
        """Show the list as it is."""
        worklist = self._controller.worklist
        items = [] if worklist is None else list(worklist)
        current = worklist.current if self._controller.at_work else None
        now = (
            current,
            [(i.name, i.state, round(i.seconds), i.trouble) for i in items],
        )
        if now == self._drawn:
            return
        self._drawn = now
        if [
            self.list.item(k).text().split("\n")[0] for k in range(self.list.count())
        ] != [i.name for i in items]:
            self._fill(items)
        for row, item in enumerate(items):
            self._show(self.list.item(row), item, item.name == current)

    def _fill(self, items: list[WorkItem]) -> None:
        with signals_blocked(self.list):
            self.list.clear()
            for _ in items:
                self.list.addItem(QListWidgetItem())

    def _show(self, row: QListWidgetItem, item: WorkItem, current: bool) -> None:
        color, state = MARKS[item.state]
        if item.trouble:
            color, state = BROKEN, "cannot be opened"
        spent = f" · {clock(item.seconds)}" if item.seconds >= 1 else ""
        helped = " · by hand" if item.state == "accepted" and not item.helped else ""
        row.setText(f"{item.name}\n{state}{spent}{helped}")
        words = item.trouble or f"{item.name}: {state}. Double click opens it."
        row.setToolTip(plain_tip(words))
        row.setIcon(self._icon(item.name, color))
        font = row.font()
        font.setBold(current)
        row.setFont(font)
        if current:
            with signals_blocked(self.list):
                self.list.setCurrentItem(row)
            self.list.scrollToItem(row)

    def _icon(self, name: str, color: str) -> QIcon:
        """The picture of a scan with a badge of its state."""
        grey = self._controller.thumbnails.known.get(name)
        blank = np.full((SIDE, SIDE), 60, np.uint8)
        made = QPixmap(picture(blank if grey is None else grey, ICON))
        painter = QPainter(made)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(QColor(color))
        painter.setPen(QColor("#202020"))
        painter.drawEllipse(ICON - 13, ICON - 13, 11, 11)
        painter.end()
        return QIcon(made)

    def _on_thumb(self, name: str) -> None:
        worklist = self._controller.worklist
        if worklist is None:
            return
        for row, item in enumerate(worklist):
            if item.name == name and row < self.list.count():
                color = BROKEN if item.trouble else MARKS[item.state][0]
                self.list.item(row).setIcon(self._icon(name, color))

    def _on_open(self, row: QListWidgetItem) -> None:
        self.run(self._controller.go, row.text().split("\n")[0])


def clock(seconds: float) -> str:
    """Seconds as people read them: 0:31, 12:05, 1:02:03."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"
