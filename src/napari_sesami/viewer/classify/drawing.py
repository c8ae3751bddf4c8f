"""What the drawn parts of the page have in common: a head, and words when empty."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QPainter
from qtpy.QtWidgets import QWidget

from napari_sesami.viewer.widgets.factory import named
from napari_sesami.viewer.widgets.part import PanelPart

if TYPE_CHECKING:
    from qtpy.QtCore import QRectF
    from qtpy.QtGui import QPaintEvent

    from napari_sesami.viewer.classify.controller import ClassifyController


class LotDrawing(PanelPart, QWidget):
    """A part that is painted anew whenever the controller tells something new.

    Parameters
    ----------
    controller
        Of the lot.
    name, tip
        For screen readers, and for the pointer.
    signal
        What tells of news; None takes `controller.changed`.
    """

    def __init__(
        self, controller: ClassifyController, name: str, tip: str, signal: Any = None
    ) -> None:
        super().__init__()
        self.controller, self.workspace = controller, controller.workspace
        named(self, tip, name)
        self.watch(controller.changed if signal is None else signal, self.look_again)

    def look_again(self) -> None:
        """Take over what changed, and ask to be painted."""
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint in the theme's colour of text."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.setPen(self.palette().text().color())
        self.draw(painter)

    def draw(self, painter: QPainter) -> None:
        """Draw what there is; a subclass says how."""
        raise NotImplementedError

    def say(self, painter: QPainter, text: str, area: QRectF | None = None) -> None:
        """Write why there is nothing to see."""
        flags = int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap)
        painter.drawText(self.rect().toRectF() if area is None else area, flags, text)

    def write(
        self, painter: QPainter, area: QRectF, text: str, side: Qt.AlignmentFlag
    ) -> None:
        """Write one line, cut short where there is no room."""
        wide = int(area.width())
        short = painter.fontMetrics().elidedText(
            text, Qt.TextElideMode.ElideRight, wide
        )
        painter.drawText(area, int(side | Qt.AlignmentFlag.AlignVCenter), short)
