"""Small makers that the panels share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtGui import QColor, QIcon, QImage, QPixmap
from qtpy.QtWidgets import QCheckBox, QLabel, QPushButton

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def button(text: str, tip: str) -> QPushButton:
    """A button that says what it does, also to a screen reader."""
    made = QPushButton(text)
    made.setToolTip(tip)
    made.setAccessibleName(f"{text.strip('◀▶ ')}: {tip}")
    return made


def tick(text: str, tip: str, on: bool = False) -> QCheckBox:
    """A tick box."""
    made = QCheckBox(text)
    made.setToolTip(tip)
    made.setAccessibleName(f"{text}: {tip}")
    made.setChecked(on)
    return made


def note(text: str, name: str) -> QLabel:
    """A line of words that may wrap."""
    made = QLabel(text)
    made.setWordWrap(True)
    made.setAccessibleName(name)
    return made


def swatch(color: str) -> QIcon:
    """A square of a class's colour."""
    pixmap = QPixmap(12, 12)
    pixmap.fill(QColor(color))
    return QIcon(pixmap)


def picture(grey: NDArray[np.uint8], side: int) -> QPixmap:
    """A grey thumbnail (n, n), scaled to a side on screen."""
    height, width = grey.shape
    made = QImage(grey.tobytes(), width, height, width, QImage.Format.Format_Grayscale8)
    return QPixmap.fromImage(made).scaled(side, side)
