"""The strip of confidences: one bar per slice, a click jumps there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QRectF, Signal
from qtpy.QtGui import QColor, QPainter, QPalette
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_sesami.prompt import certainty

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtCore import QEvent
    from qtpy.QtGui import QKeyEvent, QMouseEvent, QPaintEvent

HEIGHT = 48
PROMPTED = QColor("#22b8e6")
COLOURS = {
    "sure": QColor("#4aa564"),
    "check": QColor("#d9a13b"),
    "poor": QColor("#e0533d"),
}


class Strip(QWidget):
    """Bars of (slice, confidence 0 to 1, prompted); arrow keys step through them."""

    picked = Signal(int)
    """the slice to show"""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bars: list[tuple[int, float, bool]] = []
        self._current = 0
        self.setMinimumHeight(HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        from qtpy.QtCore import Qt

        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self._tell()

    @property
    def bars(self) -> list[tuple[int, float, bool]]:
        """What is shown."""
        return self._bars

    def set_bars(self, bars: Sequence[tuple[int, float, bool]], current: int) -> None:
        """Show other bars, and which slice is on screen."""
        self._bars, self._current = list(bars), current
        self._tell()
        self.update()

    def slice_at(self, x: float) -> int | None:
        """The slice whose bar is at a place of the widget."""
        if not self._bars:
            return None
        i = int(x * len(self._bars) / max(self.width(), 1))
        return self._bars[min(max(i, 0), len(self._bars) - 1)][0]

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the bars; the slice on screen has a frame."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), self.palette().color(QPalette.ColorRole.Base))
        step = self.width() / max(len(self._bars), 1)
        for i, (plane, value, prompted) in enumerate(self._bars):
            height = max(2.0, min(value, 1.0) * (self.height() - 2))
            gap = 1 if step > 3 else 0
            bar = QRectF(i * step, self.height() - height, step - gap, height)
            color = PROMPTED if prompted else COLOURS[certainty(value)]
            painter.fillRect(bar, color)
            if plane == self._current:
                painter.setPen(self.palette().color(QPalette.ColorRole.Text))
                painter.drawRect(QRectF(i * step, 0, step - 1, self.height() - 1))
        painter.end()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Jump to the slice."""
        plane = self.slice_at(event.position().x())
        if plane is not None:
            self.picked.emit(plane)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Say which slice it is."""
        plane = self.slice_at(event.position().x())
        found = {p: v for p, v, _ in self._bars}
        text = ""
        if plane is not None:
            text = f"Slice {plane}: {certainty(found[plane])} ({found[plane]:.2f})"
        self.setToolTip(text)

    def leaveEvent(self, event: QEvent) -> None:
        """Say again what the strip is for."""
        self._tell()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Step with the arrow keys."""
        from qtpy.QtCore import Qt

        steps = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}
        planes = [plane for plane, _, _ in self._bars]
        if event.key() not in steps or not planes:
            super().keyPressEvent(event)
            return
        here = planes.index(self._current) if self._current in planes else 0
        self.picked.emit(planes[(here + steps[event.key()]) % len(planes)])

    def _tell(self) -> None:
        self.setToolTip("Confidence per slice: click to go there; blue was prompted")
        low = min(self._bars, key=lambda bar: bar[1], default=None)
        text = f", worst slice {low[0]} with {low[1]:.2f}" if low else ""
        self.setAccessibleName(f"Confidence of {len(self._bars)} slices{text}")
