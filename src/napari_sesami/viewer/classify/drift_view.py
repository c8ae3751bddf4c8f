"""How many defects of each lot are unlike all labelled ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QRectF, Qt
from qtpy.QtGui import QColor, QPen

from napari_sesami.viewer.classify.drawing import LotDrawing

if TYPE_CHECKING:
    from qtpy.QtGui import QPainter

    from napari_sesami.viewer.classify.controller import ClassifyController

ROW, NAMES, NUMBERS = 16, 100, 64
MOST = 24
"""Lots that are drawn; those with most news."""
USUAL, NEW = QColor("#808080"), QColor("#D55E00")


class DriftView(LotDrawing):
    """A bar for each lot, with its interval; orange where news are more than usual.

    Parameters
    ----------
    controller
        Of the lot.
    """

    def __init__(self, controller: ClassifyController) -> None:
        super().__init__(
            controller,
            "Novelty of each lot",
            "Share of each lot's defects that are unlike all labelled ones, with its "
            "95 % interval; orange: more than the labels' own 2 %",
        )
        self.look_again()

    def look_again(self) -> None:
        """Make room for a bar for each lot."""
        rows = min(MOST, len(self.controller.drift))
        self.setMinimumHeight(2 * ROW + max(1, rows) * ROW)
        self.update()

    def draw(self, painter: QPainter) -> None:
        """Draw the lots with most news first."""
        drift = self.controller.drift
        left = Qt.AlignmentFlag.AlignLeft
        if not drift:
            self.say(painter, "Novelty of each lot is told from ten labels on.")
            return
        head = QRectF(0, 0, self.width(), ROW)
        self.write(painter, head, "Unlike all labelled ones, by lot", left)
        room = self.width() - NAMES - NUMBERS - 8
        shown = sorted(drift, key=lambda each: (-each.low, each.lot))[:MOST]
        for row, each in enumerate(shown, start=1):
            y = row * ROW
            color = NEW if each.is_new else USUAL
            share = each.novel / each.of
            painter.fillRect(QRectF(NAMES + 4, y + 3, room * share, ROW - 6), color)
            pen = QPen(self.palette().text().color(), 1)
            painter.setPen(pen)
            middle = y + ROW / 2
            painter.drawLine(
                QRectF(NAMES + 4 + room * each.low, middle, 0, 0).topLeft(),
                QRectF(NAMES + 4 + room * each.high, middle, 0, 0).topLeft(),
            )
            name = QRectF(0, y, NAMES, ROW)
            self.write(
                painter, name, each.lot or "(no name)", Qt.AlignmentFlag.AlignRight
            )
            told = QRectF(self.width() - NUMBERS, y, NUMBERS, ROW)
            self.write(painter, told, f"{each.novel} of {each.of}", left)
