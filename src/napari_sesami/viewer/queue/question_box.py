"""The question: what the region looks like, and a button for each answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QGridLayout, QGroupBox, QLabel, QWidget
from superqt.utils import signals_blocked

from napari_sesami.viewer.widgets.action_button import ActionButton
from napari_sesami.viewer.widgets.factory import button, combo, note, row, swatch
from napari_sesami.viewer.widgets.part import PanelPart

if TYPE_CHECKING:
    from napari_sesami.session import QueuedQuery
    from napari_sesami.viewer.queue.controller import QueueController

HINT = "Press N, or click a query in the list."


class AskBox(PanelPart, QGroupBox):
    """Accept, change, paint, skip, next; each has a key."""

    def __init__(
        self, controller: QueueController, parent: QWidget | None = None
    ) -> None:
        super().__init__("Which class is this?", parent)
        self._controller, self.workspace = controller, controller.workspace
        self.swatch = QLabel()
        self.swatch.setToolTip("Colour of the class that it looks like")
        self.words = note(
            HINT, "What is asked", "What the region looks like now, and why it is asked"
        )
        self.accept, self.paint, self.skip, self.next = (
            ActionButton(self.workspace, name, "next", show_key=True)
            for name in ("queue_accept", "paint", "queue_skip", "queue_next")
        )
        self.pause = button(
            "Pause", "Give the keys their usual meaning, and go on later"
        )
        self.pause.setCheckable(True)
        self.change = combo(
            "It is another class: keys 1 to 9, or choose here",
            letters=10,
            name="Another class",
        )
        self._entries: object = None
        layout = QGridLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.setSpacing(4)
        layout.setColumnStretch(1, 1)
        self.words.setMinimumHeight(2 * self.words.fontMetrics().lineSpacing() + 8)
        layout.addWidget(self.swatch, 0, 0)
        layout.addWidget(self.words, 0, 1)
        for line, pair in enumerate(
            (
                (self.accept, self.paint),
                (self.next, self.skip),
                (self.change, self.pause),
            )
        ):
            layout.addLayout(row(*((each, 1) for each in pair)), line + 1, 0, 1, 2)
        self.pause.toggled.connect(self._on_pause)
        self.change.activated.connect(self._on_change)
        self.watch(controller.changed, self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the query that is asked."""
        controller = self._controller
        entry = controller.asked
        self._show_classes()
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
        self._show_swatch(entry)

    def _sentence(self, entry: QueuedQuery | None) -> str:
        controller = self._controller
        if self.workspace.session is None:
            return "Open a scan, name two classes, paint a stroke of each."
        if entry is None:
            if controller.entries:
                return HINT
            return controller.ranker.trouble or (
                "Paint a stroke of each class, then press Find queries."
            )
        if controller.paused:
            return "Paused: keys have their usual meaning."
        if entry.query.kind in ("patch", "slice"):
            return "Are the colours right? Accept them, or paint what is wrong."
        found = self.workspace.session.classes.get(entry.query.class_id)
        if found is None:
            return "Its class was deleted: give it another one, or skip it."
        more = (
            " Drawn at random: it judges, and teaches nothing." if entry.control else ""
        )
        return f"It looks like {found.name}.{more}"

    def _show_swatch(self, entry: QueuedQuery | None) -> None:
        session = self.workspace.session
        found = None
        if entry is not None and session is not None:
            if entry.query.kind in ("superpixel", "mask"):
                found = session.classes.get(entry.query.class_id)
        self.swatch.setVisible(found is not None)
        if found is not None:
            self.swatch.setPixmap(swatch(str(found.color)).pixmap(12, 12))

    def _show_classes(self) -> None:
        session = self.workspace.session
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

    def _on_pause(self, on: bool) -> None:
        self.run(self._controller.pause, on)

    def _on_change(self, index: int) -> None:
        class_id = self.change.itemData(index)
        self.change.setCurrentIndex(0)
        if class_id is not None:
            self.run(self._controller.change, int(class_id))
