"""Why?: how likely each class is, and the strokes behind it, to be taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QRect, Qt
from qtpy.QtGui import QColor, QPainter
from qtpy.QtWidgets import QGridLayout, QLabel, QWidget

from napari_sesami.viewer.app.errors import ViewerError
from napari_sesami.viewer.app.jobs import Debounced
from napari_sesami.viewer.layers.camera import cursor
from napari_sesami.viewer.layers.mouse import hear_moves
from napari_sesami.viewer.widgets.factory import button, column, note, picture, tick
from napari_sesami.viewer.widgets.part import PanelPart

if TYPE_CHECKING:
    from qtpy.QtGui import QPaintEvent

    from napari_sesami.retrieve import LookShare
    from napari_sesami.session import Why
    from napari_sesami.viewer.strokes.controller import StrokesController

SIDE = 64  # px on screen
SHOWN = 3
LOOKS, BAR = 4, 12  # lines, and blocks of a full bar
CLASSES, LEAST = 4, 0.01  # bars of classes, and the least share of one
LINE, BAR_WIDTH = 20, 110  # px
REST = 60  # ms that the cursor rests before it is asked about
HINT = "Point at a pixel and press Shift+W: shares of classes, and the strokes behind."


class WhyBox(PanelPart, QWidget):
    """Shows reasons; `ask` asks about the pixel under the cursor."""

    def __init__(
        self, controller: StrokesController, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._controller, self.workspace = controller, controller.workspace
        self._later = Debounced(self._hovered, REST)
        self.hover_tick = tick(
            "Explain what is under the cursor", "Follow the mouse over the picture"
        )
        self.hint = note(HINT, "Why a pixel got its class")
        self.rows = [_ReasonBox(controller) for _ in range(SHOWN)]
        self.shares = ShareBars()
        self.shares.hide()
        self.looks = note("", "Which looks speak for the class, by their share")
        self.looks.hide()
        parts = (self.hover_tick, self.hint, self.shares, *self.rows, self.looks)
        column(self, *parts, None, margin=4)
        self.hover_tick.toggled.connect(self._on_hover)
        self.watch(controller.explained, self.show_reasons)
        self.watch(controller.weighed, self.show_shares)
        self.watch(controller.looked, self.show_looks)
        self.at_close(self._later.stop)

    def ask(self) -> None:
        """Ask about the pixel under the cursor; say what is missing, if anything."""
        at = cursor(self.workspace.viewer, self._controller.binding.strokes)
        if not self._controller.covers(at):
            raise ViewerError("Point at a pixel of the scan, then ask why.")
        self._controller.explain(at)

    def show_reasons(self, reasons: list[Why]) -> None:
        """Show up to three strokes."""
        for i, row in enumerate(self.rows):
            row.show_reason(reasons[i] if i < len(reasons) else None)
        self.hint.setVisible(not reasons)

    def show_shares(self, shares: dict[int, float]) -> None:
        """Show how likely each class is, as bars."""
        session = self.workspace.session
        if session is None:
            return
        classes = {entry.id: entry for entry in session.classes}
        told = [
            (classes[id_].name, str(classes[id_].color), share)
            for id_, share in shares.items()
            if id_ in classes and (share >= LEAST or id_ == next(iter(shares)))
        ]
        self.shares.show_shares(told[:CLASSES])
        self.shares.setVisible(bool(told))

    def show_looks(self, looks: list[LookShare]) -> None:
        """Show the strongest looks that speak for the class as bars."""
        lines = [
            f"{'▇' * max(1, round(BAR * look.share))} {look.name} {look.share:.0%}"
            for look in looks[:LOOKS]
            if look.share > 0
        ]
        self.looks.setText("\n".join(lines))
        self.looks.setVisible(bool(lines))

    def _hovered(self) -> None:
        binding = self.workspace.binding
        at = None if binding is None else cursor(self.workspace.viewer, binding.strokes)
        if at is not None and self._controller.covers(at):
            self._controller.explain(at)

    def _on_hover(self, on: bool) -> None:
        self.unwatch("mouse")
        if on:
            self.at_close(hear_moves(self.workspace.viewer, self._later), "mouse")


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= LEAST else "under 1%"


class ShareBars(QWidget):
    """A bar for each class: its colour, its name, and how likely it is."""

    def __init__(self) -> None:
        super().__init__()
        self._told: list[tuple[str, str, float]] = []
        self.setToolTip("How likely each class is at this pixel")

    def show_shares(self, told: list[tuple[str, str, float]]) -> None:
        """Show (name, colour, share) of some classes."""
        self._told = told
        words = ", ".join(f"{name} {share:.0%}" for name, _, share in told)
        self.setAccessibleName(f"Shares of classes: {words}")
        self.setFixedHeight(LINE * len(told))
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw a line for each class."""
        painter = QPainter(self)
        text = self.palette().color(self.foregroundRole())
        for n, (name, color, share) in enumerate(self._told):
            top, bar = n * LINE, round(BAR_WIDTH * share)
            painter.fillRect(0, top + 3, BAR_WIDTH, LINE - 6, QColor(128, 128, 128, 60))
            painter.fillRect(0, top + 3, max(2, bar), LINE - 6, QColor(color))
            painter.setPen(text)
            where = QRect(BAR_WIDTH + 8, top, self.width() - BAR_WIDTH - 8, LINE)
            flags = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
            painter.drawText(where, flags, f"{share:.0%} {name}")


class _ReasonBox(PanelPart, QWidget):
    """One reason: picture, words, and two buttons."""

    def __init__(self, controller: StrokesController) -> None:
        super().__init__()
        self._controller, self.workspace = controller, controller.workspace
        self._why: Why | None = None
        self.image = QLabel()
        self.image.setFixedSize(SIDE, SIDE)
        self.image.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.image.setAccessibleName("The patch and what is around it")
        self.words = note("", "Class, slice, and the stroke's share of the votes")
        self.go = button("Show", "Go to the patch of the stroke that speaks loudest")
        self.forget = button("Un-teach", "Forget the stroke it is from; undoable")
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 2, 0, 2)
        layout.addWidget(self.image, 0, 0, 2, 1)
        layout.addWidget(self.words, 0, 1, 1, 2)
        layout.addWidget(self.go, 1, 1)
        layout.addWidget(self.forget, 1, 2)
        self.go.clicked.connect(self._on_go)
        self.on(self.forget.clicked, self._forget)
        self.hide()

    def show_reason(self, why: Why | None) -> None:
        """Show a reason, or nothing."""
        self._why = why
        self.setVisible(why is not None)
        session = self.workspace.session
        if why is None or session is None:
            return
        reason = why.reason
        names = {entry.id: entry.name for entry in session.classes}
        place = f"slice {reason.plane}" if reason.plane >= 0 else "of a bank"
        self.words.setText(
            f"{names.get(reason.class_id, '?')}, {place}\n"
            f"{_percent(reason.share)} of the votes"
        )
        self.go.setEnabled(reason.plane >= 0)
        if why.picture is None:
            self.image.setText("no\npicture")
        else:
            self.image.setPixmap(picture(why.picture, SIDE))

    def _on_go(self) -> None:
        if self._why is not None:
            y0, x0, y1, x1 = self._why.reason.bbox
            self._controller.jump(self._why.reason.plane, (y0 + y1) / 2, (x0 + x1) / 2)

    def _forget(self) -> None:
        if self._why is not None:
            self._controller.forget_stroke(self._why.reason.stroke)
            self.show_reason(None)
