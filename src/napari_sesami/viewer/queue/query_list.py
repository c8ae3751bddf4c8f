"""The ranked list: a thumbnail and a reason each; it holds still under the mouse."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QSize, Qt
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import (
    QAbstractItemView,
    QListWidget,
    QListWidgetItem,
    QSizePolicy,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_sesami.viewer.queue.jobs import SIDE
from napari_sesami.viewer.widgets.factory import named, pixmap
from napari_sesami.viewer.widgets.part import PanelPart
from napari_sesami.viewer.widgets.plain import plain_tip

if TYPE_CHECKING:
    from napari_sesami.session import QueuedQuery
    from napari_sesami.viewer.queue.controller import QueueController

_ID = Qt.ItemDataRole.UserRole


class QueueList(PanelPart, QListWidget):
    """Open queries, best first; a click goes there.

    While the mouse is over it rows keep their places: answered ones are crossed out,
    and the new order comes when the mouse has gone.
    """

    def __init__(
        self, controller: QueueController, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._controller, self.workspace = controller, controller.workspace
        self._drawn: object = None
        self.setIconSize(QSize(SIDE, SIDE))
        self.setWordWrap(True)
        self.setUniformItemSizes(True)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        tip = "Click a query to go there; it is outlined in pink"
        named(self, tip, "Queries, the best first")
        self.setMinimumHeight(2 * (SIDE + 8))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Ignored)
        self.itemClicked.connect(self._on_click)
        self.watch(controller.changed, self.refresh)
        self.refresh()

    def ids(self) -> list[int]:
        """Numbers of the queries in the rows, from above."""
        return [int(self.item(i).data(_ID)) for i in range(self.count())]

    def leaveEvent(self, event: QEvent) -> None:
        """Draw what waited for the mouse to go."""
        super().leaveEvent(event)
        self._arrange()

    def refresh(self) -> None:
        """Show the queue as it is, as far as the mouse allows."""
        if self.underMouse() and self.count():
            self._update_rows()
        else:
            self._arrange()
        self._mark()

    def _arrange(self) -> None:
        """Make the rows anew if they differ."""
        controller = self._controller
        entries, queue = controller.entries, controller.queue
        if queue is None:
            self.clear()
            self._drawn = None
            return
        now = [
            (e.id, _words(controller, e), e.id in controller.pictures) for e in entries
        ]
        if now == self._drawn:
            return
        self._drawn = now
        where = self.verticalScrollBar().value()
        with signals_blocked(self):
            self.clear()
            for entry in entries:
                self.addItem(self._item(entry))
        self._mark()
        self.verticalScrollBar().setValue(where)

    def _update_rows(self) -> None:
        """Cross out what is answered, bring words and pictures up to date."""
        open_ = {e.id: e for e in self._controller.entries}
        self._drawn = None
        with signals_blocked(self):
            for i in range(self.count()):
                item = self.item(i)
                entry = open_.get(int(item.data(_ID)))
                font = item.font()
                font.setStrikeOut(entry is None)
                item.setFont(font)
                if entry is not None:
                    self._dress(item, entry)

    def _item(self, entry: QueuedQuery) -> QListWidgetItem:
        item = QListWidgetItem()
        item.setData(_ID, entry.id)
        item.setSizeHint(QSize(100, SIDE + 8))
        self._dress(item, entry)
        return item

    def _dress(self, item: QListWidgetItem, entry: QueuedQuery) -> None:
        item.setText(_words(self._controller, entry))
        words = _words(self._controller, entry)
        item.setToolTip(plain_tip(f"{words}\nClick to go there"))
        picture = self._controller.pictures.get(entry.id)
        if picture is not None:
            icon, pixels = QIcon(), pixmap(picture)
            for mode in (QIcon.Mode.Normal, QIcon.Mode.Selected):  # not tinted
                icon.addPixmap(pixels, mode)
            item.setIcon(icon)

    def _mark(self) -> None:
        """Select the row of the query that is asked."""
        ids = self.ids()
        current = self._controller.current
        with signals_blocked(self):
            if current in ids:
                self.setCurrentRow(ids.index(current))
                if not self.underMouse():
                    self.scrollToItem(self.currentItem())
            else:
                self.setCurrentRow(-1)

    def _on_click(self, item: QListWidgetItem) -> None:
        self.run(self._controller.ask, int(item.data(_ID)))


def _words(controller: QueueController, entry: QueuedQuery) -> str:
    queue = controller.queue
    reason = "" if queue is None else queue.reason(entry)
    stack = (
        controller.workspace.session is not None
        and controller.workspace.session.scan.n_planes > 1
    )
    return f"slice {entry.query.plane} · {reason}" if stack else reason
