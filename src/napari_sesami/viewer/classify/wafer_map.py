"""Where the defects of a lot lie on the wafer, and how many each class has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPen, QPolygonF
from qtpy.QtWidgets import QWidget

from napari_sesami.viewer.widgets.factory import named
from napari_sesami.viewer.widgets.part import PanelPart

if TYPE_CHECKING:
    from qtpy.QtGui import QPaintEvent

    from napari_sesami.viewer.classify.controller import ClassifyController

HEIGHT, ROW = 190, 16
WAFERS = (100_000.0, 150_000.0)
"""Radii of usual wafers, µm."""


class WaferMap(PanelPart, QWidget):
    """Defects on the wafer in the colours of their classes, above a Pareto of the lot.

    Parameters
    ----------
    controller
        Of the lot.
    """

    def __init__(self, controller: ClassifyController) -> None:
        super().__init__()
        self.controller, self.workspace = controller, controller.workspace
        named(
            self, "Defects on the wafer, and classes by count", "Wafer map and Pareto"
        )
        self.watch(controller.changed, self._changed)
        self._changed()

    def _changed(self) -> None:
        d = self.controller.decisions
        rows = 1 if d is None else len(d.counts())
        self.setMinimumHeight(HEIGHT + rows * ROW + 8)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the map, then a bar for each class, most first."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(self.palette().text().color())
        controller = self.controller
        if controller.classifier is None:
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, "No lot yet")
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
            text = "The lot does not say where its defects lie."
            painter.drawText(area, Qt.AlignmentFlag.AlignCenter, text)
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
            short = painter.fontMetrics().elidedText(
                name or "unknown", Qt.TextElideMode.ElideRight, 98
            )
            middle = Qt.AlignmentFlag.AlignVCenter
            painter.drawText(
                QRectF(0, y, 100, ROW), Qt.AlignmentFlag.AlignRight | middle, short
            )
            painter.drawText(QRectF(108 + wide, y, 60, ROW), middle, str(count))
