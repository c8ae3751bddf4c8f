"""The question: what the region looks like, and a button for each answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import (
    QComboBox,
    QGridLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_sesami.viewer.app.errors import sentence
from napari_sesami.viewer.widgets.factory import button, note, swatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sesami.session import QueuedQuery
    from napari_sesami.viewer.queue.controller import QueueController

HINT = "Press N, or click a place in the list."


class AskBox(QGroupBox):
    """Accept, change, paint, skip, next; each has a key."""

    def __init__(
        self, controller: QueueController, parent: QWidget | None = None
    ) -> None:
        super().__init__("Which class is this?", parent)
        self._controller = controller
        self.swatch = QLabel()
        self.swatch.setToolTip("Colour of the class that it looks like")
        self.words = note(HINT, "What is asked")
        self.words.setToolTip("What the region looks like now, and why it is asked")
        self.accept = button("Accept (A)", "It is what it looks like")
        self.paint = button("Paint (W)", "Paint in the outline; then N")
        self.skip = button("Skip (S)", "Leave it out; it is not asked again")
        self.next = button("Next (N)", "Go on; this one stays in the list")
        self.pause = button(
            "Pause", "Give the keys their usual meaning, and go on later"
        )
        self.pause.setCheckable(True)
        self.change = QComboBox()
        self.change.setToolTip("It is another class: keys 1 to 9, or choose here")
        self.change.setAccessibleName("Another class")
        self.change.setMinimumContentsLength(6)
        self.change.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self._entries: object = None
        self._compose()
        self._connect()

    def disconnect_from_asker(self) -> None:
        """Let go of the engine."""
        self._controller.changed.disconnect(self.reflect)

    def reflect(self) -> None:
        """Show the query that is asked."""
        controller = self._controller
        entry = controller.asked
        self._reflect_classes()
        here = entry is not None
        asking = controller.asking
        for widget in (self.accept, self.paint, self.skip, self.change):
            widget.setEnabled(asking)
        self.paint.setEnabled(asking and entry is not None and not entry.control)
        self.pause.setEnabled(here)
        with signals_blocked(self.pause):
            self.pause.setChecked(here and controller.paused)
        self.pause.setText("Go on" if here and controller.paused else "Pause")
        self.words.setText(self._sentence(entry))
        self._reflect_swatch(entry)

    def _sentence(self, entry: QueuedQuery | None) -> str:
        controller = self._controller
        if controller.workspace.session is None:
            return "Open a scan, name two classes, paint a stroke of each."
        if entry is None:
            if controller.entries:
                return HINT
            return controller.ranker.trouble or (
                "Paint a stroke of each class, then press Find places."
            )
        if controller.paused:
            return "Paused: keys have their usual meaning."
        if entry.query.kind in ("patch", "slice"):
            return "Are the colours right? Accept them, or paint what is wrong."
        found = controller.workspace.session.classes.get(entry.query.class_id)
        if found is None:
            return "Its class was deleted: give it another one, or skip it."
        more = " By lot: it judges, and teaches nothing." if entry.control else ""
        return f"It looks like {found.name}.{more}"

    def _reflect_swatch(self, entry: QueuedQuery | None) -> None:
        session = self._controller.workspace.session
        found = None
        if entry is not None and session is not None:
            if entry.query.kind in ("superpixel", "mask"):
                found = session.classes.get(entry.query.class_id)
        self.swatch.setVisible(found is not None)
        if found is not None:
            self.swatch.setPixmap(swatch(str(found.color)).pixmap(12, 12))

    def _reflect_classes(self) -> None:
        session = self._controller.workspace.session
        entries = [] if session is None else list(session.classes)
        if entries == self._entries:
            return
        self._entries = entries
        with signals_blocked(self.change):
            self.change.clear()
            self.change.addItem("Other class (1–9)")
            for number, entry in enumerate(entries, 1):
                icon = swatch(str(entry.color))
                self.change.addItem(icon, f"{number}  {entry.name}", entry.id)

    def _compose(self) -> None:
        layout = QGridLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.setSpacing(4)
        layout.setColumnStretch(1, 1)
        self.words.setMinimumHeight(2 * self.words.fontMetrics().lineSpacing())
        layout.addWidget(self.swatch, 0, 0)
        layout.addWidget(self.words, 0, 1)
        for number, widgets in enumerate(
            (
                (self.accept, self.change),
                (self.paint, self.skip, self.next, self.pause),
            ),
            1,
        ):
            row = QHBoxLayout()
            row.setSpacing(4)
            for widget in widgets:
                row.addWidget(widget, 1)
            layout.addLayout(row, number, 0, 1, 2)

    def _connect(self) -> None:
        controller = self._controller
        controller.changed.connect(self.reflect)
        self.accept.clicked.connect(self._on_accept)
        self.paint.clicked.connect(self._on_paint)
        self.skip.clicked.connect(self._on_skip)
        self.next.clicked.connect(self._on_next)
        self.pause.toggled.connect(self._on_pause)
        self.change.activated.connect(self._on_change)
        self.reflect()

    def _on_accept(self) -> None:
        self._try(self._controller.accept)

    def _on_paint(self) -> None:
        self._try(self._controller.paint)

    def _on_skip(self) -> None:
        self._try(self._controller.skip)

    def _on_next(self) -> None:
        self._try(self._controller.next)

    def _on_pause(self, on: bool) -> None:
        self._controller.pause(on)

    def _on_change(self, index: int) -> None:
        class_id = self.change.itemData(index)
        self.change.setCurrentIndex(0)
        if class_id is not None:
            self._try(self._controller.change, int(class_id))

    def _try(self, act: Callable[..., None], *arguments: int) -> None:
        try:
            act(*arguments)
        except (ValueError, OSError) as error:
            self._controller.workspace.say(sentence(error))
