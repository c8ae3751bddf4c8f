"""The confusion matrix: a cell opens its defects in the gallery."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QRect, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPen
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

from napari_sesami.viewer.widgets.factory import named
from napari_sesami.viewer.widgets.part import PanelPart
from napari_sesami.viewer.widgets.plain import plain_tip

if TYPE_CHECKING:
    from qtpy.QtCore import QEvent
    from qtpy.QtGui import QMouseEvent, QPaintEvent

    from napari_sesami.viewer.classify.controller import ClassifyController

LEFT, TOP, LEAST = 74, 66, 20
RIGHT, WRONG = QColor("#0072B2"), QColor("#D55E00")


class MatrixView(PanelPart, QWidget):
    """Rows: what people said; columns: what heads say that never saw the label's lot.

    Parameters
    ----------
    controller
        Of the lot.
    """

    def __init__(self, controller: ClassifyController) -> None:
        super().__init__()
        self.controller, self.workspace = controller, controller.workspace
        named(
            self,
            "Confusion matrix: rows as labelled, columns as answered without the lot "
            "of the label; click a cell to see its defects",
            "Confusion matrix",
        )
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMouseTracking(True)
        self.setToolTip("")  # each cell has its own
        self.watch(controller.changed, self._changed)

    def _changed(self) -> None:
        self.updateGeometry()
        self.setMinimumHeight(self.sizeHint().height())
        self.update()

    def sizeHint(self) -> QSize:
        """Ask for a row for each class."""
        matrix = self.controller.matrix
        rows = 3 if matrix is None else len(matrix.names)
        return QSize(300, TOP + rows * LEAST + 4)

    def cell_at(self, x: float, y: float) -> tuple[int, int] | None:
        """Find the cell below a place: (row, column)."""
        matrix = self.controller.matrix
        if matrix is None:
            return None
        n = len(matrix.names)
        column = int((x - LEFT) // self._wide(n))
        row = int((y - TOP) // LEAST)
        if x < LEFT or y < TOP or row >= n or column > n:
            return None
        return row, column

    def _wide(self, n: int) -> float:
        return max(14.0, (self.width() - LEFT - 2) / (n + 1))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw counts on their share of the row."""
        painter = QPainter(self)
        palette = self.palette()
        painter.setPen(palette.text().color())
        matrix = self.controller.matrix
        if matrix is None:
            text = "Label defects of two classes to see which are taken for which."
            flags = int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap)
            painter.drawText(self.rect(), flags, text)
            return
        n, counts = len(matrix.names), matrix.counts
        wide = self._wide(n)
        metrics = painter.fontMetrics()
        for column, name in enumerate([*matrix.names, "?"]):
            painter.save()  # names of columns stand upright
            painter.translate(LEFT + column * wide, TOP - 4)
            painter.rotate(-90)
            place = QRect(0, 0, TOP - 6, int(wide))
            self._name(painter, place, name, Qt.AlignmentFlag.AlignLeft)
            painter.restore()
        for row, name in enumerate(matrix.names):
            y = TOP + row * LEAST
            place = QRect(0, y, LEFT - 4, LEAST)
            self._name(painter, place, name, Qt.AlignmentFlag.AlignRight)
            total = max(1, int(counts[row].sum()))
            for column in range(n + 1):
                cell = QRect(int(LEFT + column * wide), y, int(wide), LEAST)
                color = QColor(RIGHT if column == row else WRONG)
                if column == n:
                    color = QColor("#808080")
                color.setAlphaF(0.85 * float(counts[row, column]) / total)
                painter.fillRect(cell, color)
                painter.setPen(QPen(palette.mid().color(), 1))
                painter.drawRect(cell)
                if counts[row, column]:
                    painter.setPen(palette.text().color())
                    text = str(int(counts[row, column]))
                    short = metrics.elidedText(
                        text, Qt.TextElideMode.ElideRight, cell.width()
                    )
                    painter.drawText(cell, Qt.AlignmentFlag.AlignCenter, short)

    def _name(
        self, painter: QPainter, place: QRect, name: str, side: Qt.AlignmentFlag
    ) -> None:
        painter.setPen(self.palette().text().color())
        metrics = painter.fontMetrics()
        short = metrics.elidedText(name, Qt.TextElideMode.ElideRight, place.width())
        painter.drawText(place, side | Qt.AlignmentFlag.AlignVCenter, short)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Show the defects of a cell."""
        found = self.cell_at(event.position().x(), event.position().y())
        if found is not None:
            self.run(self.controller.show_cell, *found)

    def event(self, event: QEvent) -> bool:
        """Say what a cell counts."""
        if event.type() == event.Type.ToolTip:
            place = event.pos()
            where = event.globalPos()
            QToolTip.showText(where, plain_tip(self.describe(place.x(), place.y())))
            return True
        return bool(super().event(event))

    def describe(self, x: float, y: float) -> str:
        """Say what is counted at a place, with intervals."""
        from napari_sesami.classify import share_text

        matrix, found = self.controller.matrix, self.cell_at(x, y)
        if matrix is None or found is None:
            return "Rows as labelled, columns as answered; click a cell to see it"
        row, column = found
        names = [*matrix.names, "unknown"]
        lines = [
            f"{matrix.counts[row, column]} × {names[row]} called {names[column]}",
            f"accuracy of {names[row]}: {share_text(*matrix.accuracy(row))}",
        ]
        if column < len(matrix.names):
            told = share_text(*matrix.purity(column))
            lines.append(f"purity of {names[column]}: {told}")
        return "\n".join(lines)
