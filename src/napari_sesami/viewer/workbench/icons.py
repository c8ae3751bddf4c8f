"""The drawings of the workbench in the colours of napari's theme.

The SVG files beside this module were drawn for this project and share its licence.
"""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QByteArray, QRectF, Qt
from qtpy.QtGui import QIcon, QPainter, QPixmap
from qtpy.QtSvg import QSvgRenderer

FOLDER = Path(__file__).parent / "icons"
RATIOS = (1, 2, 3)  # of pixels to points: what screens have


def icon(name: str, side: int, color: str) -> QIcon:
    """Draw an icon, `side` points wide and high, sharp on every screen."""
    drawing = (FOLDER / f"{name}.svg").read_text("utf-8")
    colored = QByteArray(drawing.replace("currentColor", color).encode())
    renderer, made = QSvgRenderer(colored), QIcon()
    for ratio in RATIOS:
        pixmap = QPixmap(side * ratio, side * ratio)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        renderer.render(painter, QRectF(pixmap.rect()))
        painter.end()
        pixmap.setDevicePixelRatio(ratio)
        made.addPixmap(pixmap)
    return made
