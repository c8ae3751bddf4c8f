"""The proposals of a scan: accept, correct, reject, and how many are left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QGridLayout, QHBoxLayout, QVBoxLayout, QWidget
from superqt.utils import signals_blocked

from napari_sesami.viewer.app.keys import Action, key_of
from napari_sesami.viewer.widgets.factory import button, note, swatch, tick
from napari_sesami.viewer.worklist.screen import OUTLINES

if TYPE_CHECKING:
    from qtpy.QtWidgets import QPushButton

    from napari_sesami.viewer.worklist.controller import WorklistController
    from napari_sesami.worklist import Review


class ReviewBox(QWidget):
    """Buttons for the proposal in hand, its class, and the counts."""

    def __init__(
        self, controller: WorklistController, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._controller = controller
        self.propose_button = _keyed(
            "Propose",
            "Propose masks from what was accepted so far",
            Action.WORK_PROPOSE,
        )
        self.at_once_tick = tick(
            "at once", "Propose as soon as a new scan is opened", controller.at_once
        )
        self.facts = note("", "The proposal in hand")
        self.class_combo = QComboBox()
        self.class_combo.setAccessibleName("Class of the proposal in hand")
        self.class_combo.setToolTip(
            "Class of the proposal in hand; another one accepts it as that"
        )
        self.accept_button = _keyed(
            "Accept", "Take the proposal in hand as it is", Action.WORK_ACCEPT
        )
        self.correct_button = _keyed(
            "Correct", "Take it and click to correct it", Action.WORK_CORRECT
        )
        self.reject_button = _keyed(
            "Reject", "The proposal in hand is wrong", Action.WORK_REJECT
        )
        self.skip_button = _keyed("Skip", "Go to the next proposal", Action.WORK_SKIP)
        self.rest_button = _keyed(
            "Accept the rest", "Take all that wait; one undo step", Action.WORK_REST
        )
        self.counts = note("", "What became of the proposals")
        self.counts.setTextFormat(Qt.TextFormat.RichText)
        self._compose()
        self._connect()
        self.reflect()

    def disconnect_from_foreman(self) -> None:
        """Let go of the foreman."""
        self._controller.changed.disconnect(self.reflect)

    def _compose(self) -> None:
        first, grid = QHBoxLayout(), QGridLayout()
        first.addWidget(self.propose_button, 1)
        first.addWidget(self.at_once_tick)
        grid.addWidget(self.accept_button, 0, 0)
        grid.addWidget(self.correct_button, 0, 1)
        grid.addWidget(self.reject_button, 0, 2)
        grid.addWidget(self.skip_button, 1, 0)
        grid.addWidget(self.rest_button, 1, 1, 1, 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addLayout(first)
        layout.addWidget(self.facts)
        layout.addWidget(self.class_combo)
        layout.addLayout(grid)
        layout.addWidget(self.counts)
        layout.addStretch(1)

    def _connect(self) -> None:
        for made, action in (
            (self.propose_button, Action.WORK_PROPOSE),
            (self.accept_button, Action.WORK_ACCEPT),
            (self.correct_button, Action.WORK_CORRECT),
            (self.reject_button, Action.WORK_REJECT),
            (self.skip_button, Action.WORK_SKIP),
            (self.rest_button, Action.WORK_REST),
        ):
            made.setProperty("action", action.value)
            made.clicked.connect(self._on_button)
        self.at_once_tick.toggled.connect(self._on_tick)
        self.class_combo.activated.connect(self._on_class)
        self._controller.changed.connect(self.reflect)

    def reflect(self) -> None:
        """Show the proposal in hand and the counts."""
        controller = self._controller
        judge, review = controller.reviewer, controller.reviewer.review
        index = judge.index if review is not None else None
        waiting = review.waiting if review is not None else []
        self.propose_button.setEnabled(controller.at_work)
        for made in (self.accept_button, self.correct_button, self.reject_button):
            made.setEnabled(index is not None)
        self.class_combo.setEnabled(index is not None)
        self.skip_button.setEnabled(bool(waiting))
        self.rest_button.setEnabled(bool(waiting))
        n = len(waiting)
        self.rest_button.setText(f"Accept the rest ({n})" if n else "Accept the rest")
        self._show_hand(review, index)
        self.counts.setText("" if review is None else _counts(review))

    def _show_hand(self, review: Review | None, index: int | None) -> None:
        with signals_blocked(self.class_combo):
            self.class_combo.clear()
            if review is None:
                self.facts.setText(_what_next(self._controller))
                return
            if index is None:
                left = len(review.waiting)
                self.facts.setText(
                    "Click on a proposal." if left else "All proposals are judged."
                )
                return
            proposed = review.proposed[index]
            for entry in review.session.classes:
                self.class_combo.addItem(swatch(str(entry.color)), entry.name, entry.id)
            object_id = review.object_of(index)
            shown = proposed.class_id
            if object_id is not None:
                shown = review.session.objects[object_id].class_id
            self.class_combo.setCurrentIndex(self.class_combo.findData(shown))
        doing = "being corrected" if self._controller.reviewer.correcting else ""
        state = doing or review.status(index)
        self.facts.setText(
            f"Proposal {index + 1} of {len(review)}, {state}: "
            f"{100 * proposed.certainty:.0f} % sure, {proposed.area} pixels."
        )

    def _on_button(self) -> None:
        self._controller.workspace.act(Action(self.sender().property("action")))

    def _on_tick(self, on: bool) -> None:
        self._controller.at_once = on

    def _on_class(self, row: int) -> None:
        class_id = self.class_combo.itemData(row)
        try:
            self._controller.reviewer.accept(int(class_id))
        except ValueError as error:
            self._controller.workspace.say(str(error))


def _keyed(text: str, tip: str, action: Action) -> QPushButton:
    """A button that names its key, and leaves the keyboard to the canvas."""
    made = button(text, f"{tip} (key {key_of(action)})")
    made.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    made.setMinimumWidth(1)  # three in a row of 300 px
    return made


def _what_next(controller: WorklistController) -> str:
    if controller.engine is None:
        return "Choose a folder of scans above."
    if not controller.at_work:
        return "Double-click a scan of the list to open it."
    if not controller.engine.sources(but=controller.engine.worklist.current):
        return "Label this scan by hand and press Done; then the model can propose."
    return "No proposals yet: press Propose."


def _counts(review: Review) -> str:
    found = review.statuses()
    parts = []
    for status in ("waiting", "accepted", "corrected", "rejected"):
        square = f'<span style="color:{OUTLINES[status][1]}">■</span>'
        parts.append(f"{square}&nbsp;{found.count(status)}&nbsp;{status}")
    return " &nbsp;".join(parts)
