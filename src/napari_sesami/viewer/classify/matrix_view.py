"""The confusion matrix: a cell opens its defects in the gallery."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPen
from qtpy.QtWidgets import QSizePolicy, QToolTip

from napari_sesami.viewer.app.errors import ViewerError
from napari_sesami.viewer.classify.drawing import LotDrawing
from napari_sesami.viewer.widgets.plain import plain_tip

if TYPE_CHECKING:
    from qtpy.QtCore import QEvent
    from qtpy.QtGui import QKeyEvent, QMouseEvent

    from napari_sesami.viewer.classify.controller import ClassifyController

LEFT, TOP, LEAST = 74, 66, 20
RIGHT, WRONG = QColor("#0072B2"), QColor("#D55E00")


class MatrixView(LotDrawing):
    """Rows: what people said; columns: what heads say that never saw the label's lot.

    Parameters
    ----------
    controller
        Of the lot.

    Attributes
    ----------
    cell
        Row and column that the keyboard is at, or None.
    """

    def __init__(self, controller: ClassifyController) -> None:
        super().__init__(
            controller,
            "Confusion matrix",
            "Rows as labelled, columns as answered without the lot of the label; click "
            "a cell, or go there with the arrow keys and press Enter, to see its "
            "defects",
        )
        self.cell: tuple[int, int] | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setToolTip("")  # each cell has its own

    def look_again(self) -> None:
        """Make room for a row for each class."""
        matrix = self.controller.matrix
        if matrix is None or (self.cell and self.cell[0] >= len(matrix.names)):
            self.cell = None
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

    def draw(self, painter: QPainter) -> None:
        """Draw counts on their share of the row."""
        palette = self.palette()
        matrix = self.controller.matrix
        if matrix is None:
            self.say(
                painter,
                "Label defects of two classes to see which are taken for which.",
            )
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        n, counts = len(matrix.names), matrix.counts
        wide = self._wide(n)
        for column, name in enumerate([*matrix.names, "?"]):
            painter.save()  # names of columns stand upright
            painter.translate(LEFT + column * wide, TOP - 4)
            painter.rotate(-90)
            place = QRectF(0, 0, TOP - 6, wide)
            self.write(painter, place, name, Qt.AlignmentFlag.AlignLeft)
            painter.restore()
        for row, name in enumerate(matrix.names):
            y = TOP + row * LEAST
            place = QRectF(0, y, LEFT - 4, LEAST)
            painter.setPen(palette.text().color())
            self.write(painter, place, name, Qt.AlignmentFlag.AlignRight)
            total = max(1, int(counts[row].sum()))
            for column in range(n + 1):
                cell = QRectF(int(LEFT + column * wide), y, int(wide), LEAST)
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
                    self.write(painter, cell, text, Qt.AlignmentFlag.AlignHCenter)
        if self.cell is not None and self.hasFocus():
            row, column = self.cell
            painter.setPen(QPen(palette.highlight().color(), 2))
            painter.drawRect(
                QRectF(
                    LEFT + column * wide + 1, TOP + row * LEAST + 1, wide - 2, LEAST - 2
                )
            )

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Go from cell to cell; what Enter does stands in the table of actions."""
        matrix = self.controller.matrix
        steps = {
            Qt.Key.Key_Up: (-1, 0), Qt.Key.Key_Down: (1, 0),
            Qt.Key.Key_Left: (0, -1), Qt.Key.Key_Right: (0, 1),
        }  # fmt: skip
        step = steps.get(event.key())
        if matrix is not None and step is not None:
            n = len(matrix.names)
            row, column = self.cell or (0, 0)
            if self.cell is not None:
                row, column = row + step[0], column + step[1]
            self.cell = min(max(row, 0), n - 1), min(max(column, 0), n)
            self.update()
        elif not self.workspace.press_inside("matrix", event):
            super().keyPressEvent(event)
            return
        event.accept()

    def open_cell(self) -> None:
        """Show the defects of the cell that the keyboard is at."""
        if self.cell is None:
            raise ViewerError("Go to a cell of the matrix with the arrow keys first.")
        self.controller.show_cell(*self.cell)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Show the defects of a cell."""
        found = self.cell_at(event.position().x(), event.position().y())
        if found is not None:
            self.cell = found
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
