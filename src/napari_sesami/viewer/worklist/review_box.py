"""The proposals of a scan: accept, correct, reject, and how many are left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGridLayout, QWidget

from napari_sesami.prompt import certainty
from napari_sesami.viewer.widgets.action_button import ActionButton
from napari_sesami.viewer.widgets.factory import (
    column,
    combo,
    fill_classes,
    note,
    row,
    tick,
)
from napari_sesami.viewer.widgets.part import PanelPart
from napari_sesami.viewer.worklist.layers import OUTLINES

if TYPE_CHECKING:
    from napari_sesami.viewer.worklist.controller import WorklistController
    from napari_sesami.worklist import Review


class ReviewBox(PanelPart, QWidget):
    """Buttons for the proposal in hand, its class, and the counts."""

    def __init__(
        self, controller: WorklistController, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._controller, self.workspace = controller, controller.workspace
        self.propose_button = self._button("work_propose")
        self.at_once_tick = tick(
            "at once", "Propose as soon as a new scan is opened", controller.at_once
        )
        self.facts = note("", "The proposal in hand")
        self.class_combo = combo(
            "Class of the proposal in hand; another one accepts it as that",
            name="Class of the proposal in hand",
        )
        self.accept_button = self._button("work_accept")
        self.correct_button = self._button("work_correct")
        self.reject_button = self._button("work_reject")
        self.skip_button = self._button("work_skip")
        self.rest_button = self._button("work_rest")
        self.counts = note("", "What became of the proposals")
        self.counts.setTextFormat(Qt.TextFormat.RichText)
        grid = QGridLayout()
        grid.addWidget(self.accept_button, 0, 0)
        grid.addWidget(self.correct_button, 0, 1)
        grid.addWidget(self.reject_button, 0, 2)
        grid.addWidget(self.skip_button, 1, 0)
        grid.addWidget(self.rest_button, 1, 1, 1, 2)
        first = row((self.propose_button, 1), self.at_once_tick)
        hand = (self.facts, self.class_combo)
        column(self, first, *hand, grid, self.counts, None, margin=4)
        self.at_once_tick.toggled.connect(self._on_tick)
        self.class_combo.activated.connect(self._on_class)
        self.watch(controller.changed, self.refresh)
        self.refresh()

    def _button(self, name: str) -> ActionButton:
        """Make a button of an action; three of them share a row."""
        return ActionButton(self.workspace, name, least=1)

    def refresh(self) -> None:
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
        if review is None or index is None:
            fill_classes(self.class_combo, (), 0)
            done = "All proposals are judged."
            if review is None:
                done = _what_next(self._controller)
            elif review.waiting:
                done = "Click on a proposal."
            self.facts.setText(done)
            return
        proposed, object_id = review.proposed[index], review.object_of(index)
        shown = proposed.class_id
        if object_id is not None:
            shown = review.session.objects[object_id].class_id
        fill_classes(self.class_combo, review.session.classes, shown)
        doing = "being corrected" if self._controller.reviewer.correcting else ""
        state = doing or review.status(index)
        self.facts.setText(
            f"Proposal {index + 1} of {len(review)}, {state}: "
            f"{certainty(min(proposed.certainty, proposed.score))}, the class has "
            f"{100 * proposed.certainty:.0f} % of the votes, {proposed.area} pixels."
        )

    def _on_tick(self, on: bool) -> None:
        self._controller.at_once = on

    def _on_class(self, line: int) -> None:
        class_id = int(self.class_combo.itemData(line))
        self.run(self._controller.reviewer.accept, class_id)


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
