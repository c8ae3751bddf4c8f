"""A balloon: a small frame in the window that points at what it talks about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QPoint, QRect, Qt, Signal
from qtpy.QtGui import QColor, QPainter, QPen, QPolygon
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QWidget

from napari_sesami.viewer.widgets.factory import button, column, note
from napari_sesami.viewer.widgets.plain import plain_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtGui import QPaintEvent

WIDTH, EDGE, ARROW = 270, 14, 12  # px; the arrow lies in the edge
FRAME, PAPER, INK = "#ffd54a", "#22262e", "#f4f4f4"  # readable over any scan and theme
AROUND = 6  # px between what is pointed at and the line around it
SIDES = ("left", "right", "below", "above")


class Mark(QWidget):
    """A line around what a balloon points at; the mouse goes through it."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.round = False

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw a ring around a place, or a frame around a widget."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(FRAME), 3))
        inner = self.rect().adjusted(2, 2, -2, -2)
        if self.round:
            painter.drawEllipse(inner)
        else:
            painter.drawRoundedRect(inner, 5, 5)


class Balloon(QFrame):
    """Words with an arrow; Skip goes on to the next balloon, Close ends the tour.

    It is a part of the window, not a window of its own: it moves with it and needs
    nothing of a window manager. It never takes the keyboard.
    """

    skipped = Signal()
    closed = Signal()

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self.setAccessibleName("Tour")
        self.title = plain_label(QLabel())
        self.words = note("", "What to do now")
        self.count = plain_label(QLabel())
        self.skip_button = button("Skip", "Go on to the next balloon")
        self.close_button = button("Close", "End the tour; Help begins it anew")
        foot = QHBoxLayout()
        foot.addWidget(self.count, 1)
        for made in (self.skip_button, self.close_button):
            made.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            foot.addWidget(made)
        column(self, self.title, self.words, foot, margin=EDGE + 10).setSpacing(8)
        self.setFixedWidth(WIDTH + 2 * EDGE)
        self.setStyleSheet(
            f"Balloon {{ background: transparent; }} QLabel {{ color: {INK}; }}"
        )
        self.words.setStyleSheet("font-size: 10.5pt;")
        self.title.setStyleSheet(f"font-weight: bold; color: {FRAME};")
        self.skip_button.clicked.connect(self.skipped)
        self.close_button.clicked.connect(self.closed)
        self._tip = QPoint()
        self.side = ""

    @property
    def buttons(self) -> Sequence[QPushButton]:
        """Both buttons."""
        return self.skip_button, self.close_button

    def say(self, title: str, words: str, number: int, count: int) -> None:
        """Show other words."""
        if (self.title.text(), self.words.text()) == (title, words):
            return
        self.title.setText(title)
        self.words.setText(words)
        self.count.setText(f"{number} of {count}")
        layout = self.layout()
        assert layout is not None
        layout.invalidate()
        self.setFixedHeight(layout.heightForWidth(self.width()))

    def point_at(self, target: QRect) -> None:
        """Lie beside a place of the window, on the first side that has the room."""
        parent = self.parentWidget()
        assert parent is not None
        rect, self.side = beside(target, self.size(), parent.rect())
        self.move(rect.topLeft())
        near = {
            "left": QPoint(target.left(), target.center().y()),
            "right": QPoint(target.right(), target.center().y()),
            "above": QPoint(target.center().x(), target.top()),
            "below": QPoint(target.center().x(), target.bottom()),
        }[self.side]
        self._tip = near - rect.topLeft()
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the frame and its arrow."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        inner = self.rect().adjusted(EDGE, EDGE, -EDGE, -EDGE)
        painter.setPen(QPen(QColor(FRAME), 2))
        painter.setBrush(QColor(PAPER))
        painter.drawRoundedRect(inner, 8, 8)
        painter.setBrush(QColor(FRAME))
        painter.drawPolygon(self._arrow(inner))

    def _arrow(self, inner: QRect) -> QPolygon:
        """Three corners: one towards what is pointed at, two on the frame."""
        flat = self.side in ("left", "right")
        low, high = (
            (inner.top(), inner.bottom()) if flat else (inner.left(), inner.right())
        )
        at = self._tip.y() if flat else self._tip.x()
        at = min(max(at, low + 2 * ARROW), high - 2 * ARROW)
        edge, tip = {
            "left": (inner.right(), inner.right() + ARROW),
            "right": (inner.left(), inner.left() - ARROW),
            "above": (inner.bottom(), inner.bottom() + ARROW),
            "below": (inner.top(), inner.top() - ARROW),
        }[self.side]
        corners = [(edge, at - ARROW), (tip, at), (edge, at + ARROW)]
        return QPolygon([QPoint(*(c if flat else c[::-1])) for c in corners])


def beside(target: QRect, size: object, bounds: QRect) -> tuple[QRect, str]:
    """Find a place for a balloon beside a target: inside the window, never over it.

    Returns
    -------
    tuple
        Where it lies, and on which side of the target. Where no side has the room,
        the side with the most is taken.
    """
    width, height = size.width(), size.height()  # type: ignore[attr-defined]
    middle = target.center()
    free = {
        "left": target.left() - bounds.left() - width,
        "right": bounds.right() - target.right() - width,
        "below": bounds.bottom() - target.bottom() - height,
        "above": target.top() - bounds.top() - height,
    }
    side = next((s for s in SIDES if free[s] >= 0), max(free, key=lambda s: free[s]))
    x, y = {
        "left": (target.left() - width, middle.y() - height // 2),
        "right": (target.right() + 1, middle.y() - height // 2),
        "below": (middle.x() - width // 2, target.bottom() + 1),
        "above": (middle.x() - width // 2, target.top() - height),
    }[side]
    x = min(max(x, bounds.left()), bounds.right() - width + 1)
    y = min(max(y, bounds.top()), bounds.bottom() - height + 1)
    return QRect(x, y, width, height), side
