"""The gallery: pairs of pictures, ten thousand as quick as ten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import (
    QAbstractListModel,
    QItemSelectionModel,
    QModelIndex,
    QRect,
    QSize,
    Qt,
)
from qtpy.QtGui import QColor, QPen
from qtpy.QtWidgets import QAbstractItemView, QListView, QStyle, QStyledItemDelegate

from napari_sesami.viewer.app.shortcuts import pressed_key
from napari_sesami.viewer.widgets.factory import named
from napari_sesami.viewer.widgets.part import PanelPart
from napari_sesami.viewer.widgets.plain import plain_tip

if TYPE_CHECKING:
    from qtpy.QtGui import QKeyEvent, QPainter, QResizeEvent

    from napari_sesami.viewer.classify.controller import ClassifyController

LARGE, SMALL, LINE, MARGIN = 72, 48, 16, 3
"""Sides of a picture on screen at most and at least, pixels."""
NOTHING = QModelIndex()
ANSWERS = (*"0123456789", "Enter")
"""Keys after which the next defect is picked."""
VIEWS = ("low", "high")


class GalleryModel(QAbstractListModel):
    """One row for each defect that the controller shows."""

    def __init__(self, controller: ClassifyController) -> None:
        super().__init__()
        self.controller = controller

    def rowCount(self, parent: QModelIndex = NOTHING) -> int:
        """Count the rows."""
        return 0 if parent.isValid() else len(self.controller.shown)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Give what a screen reader says, and the tool tip; the delegate draws."""
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tip(self.describe(index.row()))
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return self.describe(index.row()).replace("\n", ", ")
        return None

    def describe(self, row: int) -> str:
        """Say what is known of a defect."""
        controller = self.controller
        position = controller.shown[row]
        defect = controller.lot.defects[position]
        lines = [defect.id]
        if defect.lot:
            lines.append(f"lot {defect.lot}, wafer {defect.wafer}")
        given = controller.sorting.book.given.get(defect.id)
        if given is not None:
            lines.append(f"{given[0]}, by {given[1]}")
        d = controller.decisions
        if d is not None:
            said = d.suggested[position]
            if said is not None:
                lines.append(f"machine: {said} ({100 * d.confidence[position]:.0f} %)")
            if d.classes[position] is None:
                from napari_sesami.classify import REASONS

                lines.append(f"unknown: {REASONS[d.reasons[position]]}")
            if position in d.broken:
                lines.append(d.broken[position])
        return "\n".join(lines)


class GalleryDelegate(QStyledItemDelegate):
    """Draws low and high side by side, the class below, its colour around."""

    def __init__(self, controller: ClassifyController) -> None:
        super().__init__()
        self.controller = controller
        self.side = LARGE

    def fit(self, wide: int) -> QSize:
        """Choose the size at which at least two pairs are side by side."""
        self.side = min(LARGE, max(SMALL, (wide // 2 - 3 * MARGIN) // 2))
        return self.sizeHint()

    def sizeHint(self, *_: Any) -> QSize:
        """All are of one size."""
        return QSize(2 * self.side + 3 * MARGIN, self.side + LINE + 3 * MARGIN)

    def paint(self, painter: QPainter, option: Any, index: QModelIndex) -> None:
        """Draw one defect; pictures that are not read yet come later."""
        controller = self.controller
        position = controller.shown[index.row()]
        defect = controller.lot.defects[position]
        area: QRect = option.rect
        picked = bool(option.state & QStyle.StateFlag.State_Selected)
        side = self.side
        painter.setRenderHint(painter.RenderHint.SmoothPixmapTransform)
        if picked:
            painter.setPen(QPen(QColor("#ffffff"), 2))
            painter.setBrush(QColor("#5a6fd6"))
            painter.drawRect(area.adjusted(1, 1, -1, -1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
        for k, view in enumerate(VIEWS):
            left = area.left() + MARGIN + k * (side + MARGIN)
            place = QRect(left, area.top() + MARGIN, side, side)
            pixmap = controller.thumbnails.get(position, view)
            if pixmap is not None:
                size = pixmap.size()
                size.scale(side, side, Qt.AspectRatioMode.KeepAspectRatio)
                fitted = QRect(0, 0, size.width(), size.height())
                fitted.moveCenter(place.center())
                painter.drawPixmap(fitted, pixmap)
                continue
            painter.fillRect(place, option.palette.alternateBase())
            if defect.picture(view) is None:
                words = f"no {view}"
            else:
                known = controller.thumbnails.is_known(position, view)
                words = "broken" if known else "…"
            painter.setPen(option.palette.mid().color())
            painter.drawText(place, Qt.AlignmentFlag.AlignCenter, words)
        self._caption(painter, option, position, defect.id, picked)

    def _caption(
        self, painter: QPainter, option: Any, position: int, name: str, picked: bool
    ) -> None:
        controller, area = self.controller, option.rect
        given = controller.sorting.book.given.get(name)
        d = controller.decisions
        shown: str | None = None
        if given is not None:
            text = shown = given[0]
        elif d is not None and d.classes[position] is not None:
            shown = d.classes[position]
            text = f"{shown} {100 * d.confidence[position]:.0f} %"
        elif d is not None and d.suggested[position] is not None:
            text = f"? {d.suggested[position]} {100 * d.confidence[position]:.0f} %"
        else:
            text = "?"
        bar = QRect(
            area.left() + MARGIN,
            area.bottom() - LINE - MARGIN,
            2 * self.side + MARGIN,
            LINE,
        )
        color = QColor(controller.color_of(shown))
        if given is not None:  # full: a person said so; frame: the machine
            painter.fillRect(bar, color)
            painter.setPen(_readable(color))
        else:
            painter.setPen(QPen(color, 1))
            painter.drawRect(bar.adjusted(0, 0, -1, -1))
            words = QColor("white") if picked else option.palette.text().color()
            painter.setPen(words)
        room = bar.adjusted(3, 0, -3, 0)
        metrics = painter.fontMetrics()
        short = metrics.elidedText(text, Qt.TextElideMode.ElideRight, room.width())
        painter.drawText(room, Qt.AlignmentFlag.AlignVCenter, short)


def _readable(color: QColor) -> QColor:
    light = 0.299 * color.red() + 0.587 * color.green() + 0.114 * color.blue()
    return QColor("black" if light > 140 else "white")


class GalleryView(PanelPart, QListView):
    """Shows the defects; keys 1 to 9 call the picked ones by a class.

    Parameters
    ----------
    controller
        Of the lot.
    """

    def __init__(self, controller: ClassifyController) -> None:
        super().__init__()
        self.controller, self.workspace = controller, controller.workspace
        self._model = GalleryModel(controller)
        self._delegate = GalleryDelegate(controller)
        self.setModel(self._model)
        self.setItemDelegate(self._delegate)
        self.setViewMode(QListView.ViewMode.IconMode)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setMovement(QListView.Movement.Static)
        self.setUniformItemSizes(True)
        self.setLayoutMode(QListView.LayoutMode.Batched)
        self.setBatchSize(2000)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.setMinimumHeight(2 * self._delegate.sizeHint().height())
        named(
            self,
            "Low and high magnification of each defect. 1 to 9: call the picked ones "
            "by that class. 0: take labels away. Enter: accept the machine's class. "
            "Q over the picture shows all keys",
            "Gallery of defects",
        )
        self.watch(controller.listed, self._listed)
        self.watch(controller.changed, self._repaint)
        self.watch(controller.thumbnails.ready, self._repaint)
        self.selectionModel().selectionChanged.connect(self._selected)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep two pairs side by side in a narrow dock."""
        self.setGridSize(self._delegate.fit(self.viewport().width()))
        super().resizeEvent(event)

    def _listed(self) -> None:
        self._model.beginResetModel()
        self._model.endResetModel()
        self.scrollToTop()

    def _repaint(self) -> None:
        self.viewport().update()

    def _selected(self, *_: Any) -> None:
        rows = sorted(index.row() for index in self.selectedIndexes())
        shown = self.controller.shown
        self.controller.pick([shown[row] for row in rows if row < len(shown)])

    def go_on(self) -> None:
        """After a single one was answered, pick the next."""
        rows = [index.row() for index in self.selectedIndexes()]
        if len(rows) == 1 and rows[0] + 1 < self._model.rowCount():
            index = self._model.index(rows[0] + 1)
            flag = QItemSelectionModel.SelectionFlag.ClearAndSelect
            self.selectionModel().setCurrentIndex(index, flag)
            self.scrollTo(index)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Do what the table of actions says of keys in the gallery; others are Qt's."""
        done = self.workspace.press_inside("gallery", event)
        if done is None:
            super().keyPressEvent(event)
            return
        if done and pressed_key(event) in ANSWERS:
            self.go_on()
        event.accept()
