"""Where the defects of a lot lie on the wafer, and how many each class has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPen, QPolygonF

from napari_sesami.viewer.classify.drawing import LotDrawing

if TYPE_CHECKING:
    from napari_sesami.viewer.classify.controller import ClassifyController

HEIGHT, ROW = 190, 16
WAFERS = (100_000.0, 150_000.0)
"""Radii of usual wafers, µm."""


class WaferMap(LotDrawing):
    """Defects on the wafer in the colours of their classes, above a Pareto of the lot.

    Parameters
    ----------
    controller
        Of the lot.
    """

    def __init__(self, controller: ClassifyController) -> None:
        super().__init__(
            controller,
            "Wafer map and Pareto",
            "Defects on the wafer, and classes by count",
        )
        self.look_again()

    def look_again(self) -> None:
        """Make room for a bar for each class."""
        d = self.controller.decisions
        rows = 1 if d is None else len(d.counts())
        self.setMinimumHeight(HEIGHT + rows * ROW + 8)
        self.update()

    def draw(self, painter: QPainter) -> None:
        """Draw the map, then a bar for each class, most first."""
        controller = self.controller
        if controller.classifier is None:
            self.say(painter, "No lot yet")
            return
        self._map(painter)
        if controller.decisions is not None:
            self._pareto(painter)

    def _map(self, painter: QPainter) -> None:
        controller = self.controller
        placed = [
            (k, d.xy) for k, d in enumerate(controller.lot.defects) if d.xy is not None
        ]
        middle = QPointF(self.width() / 2, HEIGHT / 2)
        if not placed:
            area = QRectF(0, 0, self.width(), HEIGHT)
            self.say(painter, "The lot does not say where its defects lie.", area)
            return
        places = np.array([xy for _, xy in placed])
        far = float(np.hypot(*places.T).max())
        radius = next((r for r in WAFERS if far <= 1.01 * r), max(far, 1.0))
        scale = (HEIGHT / 2 - 6) / radius
        painter.setPen(QPen(self.palette().mid().color(), 1))
        painter.drawEllipse(middle, radius * scale, radius * scale)
        d = controller.decisions
        by_color: dict[str, list[QPointF]] = {}
        for (k, _), (x, y) in zip(placed, places, strict=True):
            name = None if d is None else d.classes[k]
            point = QPointF(middle.x() + scale * x, middle.y() - scale * y)
            by_color.setdefault(controller.color_of(name), []).append(point)
        for color, points in by_color.items():
            pen = QPen(QColor(color), 4)
            pen.setCapStyle(Qt.PenCapStyle.RoundCap)
            painter.setPen(pen)
            painter.drawPoints(QPolygonF(points))

    def _pareto(self, painter: QPainter) -> None:
        d = self.controller.decisions
        assert d is not None
        counts = d.counts()
        most = max(counts.values())
        for row, (name, count) in enumerate(counts.items()):
            y = HEIGHT + row * ROW
            wide = (self.width() - 150) * count / most
            color = QColor(self.controller.color_of(name))
            painter.fillRect(QRectF(104, y + 2, wide, ROW - 4), color)
            painter.setPen(self.palette().text().color())
            area = QRectF(0, y, 100, ROW)
            self.write(painter, area, name or "unknown", Qt.AlignmentFlag.AlignRight)
            area = QRectF(108 + wide, y, 60, ROW)
            self.write(painter, area, str(count), Qt.AlignmentFlag.AlignLeft)
