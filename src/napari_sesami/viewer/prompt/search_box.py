"""Many at once: search everything or all alike, tune, take all or one by one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFormLayout, QGridLayout, QLabel, QWidget
from superqt.utils import signals_blocked

from napari_sesami.prompt import certainty
from napari_sesami.viewer.widgets.action_button import ActionButton
from napari_sesami.viewer.widgets.factory import (
    button,
    column,
    named,
    row,
    share,
    spin,
)
from napari_sesami.viewer.widgets.part import PanelPart

if TYPE_CHECKING:
    from napari_sesami.viewer.prompt.controller import PromptController

_button = partial(button, least=24)


class ManyBox(PanelPart, QWidget):
    """Searches, filters that work at once, and what is taken of the matches."""

    def __init__(
        self, controller: PromptController, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._controller, search = controller, controller.search
        self.workspace = controller.workspace
        self.everything, self.alike, self.accept_all = (
            ActionButton(self.workspace, name, least=24)
            for name in ("prompt_everything", "prompt_alike", "prompt_accept")
        )
        grid = "Grid: pixels between the clicks of Everything"
        self.spacing = spin(grid, 4, 512, suffix=" px")
        self.score = share("Least score: sure from 0.8 on, poor below 0.5")
        least = "Least area: keep masks with so many pixels"
        self.smallest = spin(least, 1, 1_000_000, suffix=" px")
        self.likeness = share("Least likeness: of Find all like this; 1 is the same")
        self.count = named(QLabel(), "", "How many were found")
        self.previous = _button("◀", "Look at the one before")
        self.next = _button("▶", "Look at the next one")
        self.accept = _button("Take", "Commit this one")
        self.skip = _button("Skip", "Put this one aside")
        self.drop = _button("Drop all", "Forget what was found")
        form, review = QFormLayout(), QGridLayout()
        form.setVerticalSpacing(2)
        form.addRow("Grid", self.spacing)
        form.addRow("Least score", self.score)
        form.addRow("Least area", self.smallest)
        form.addRow("Least likeness", self.likeness)
        for n, widget in enumerate((self.previous, self.next, self.accept, self.skip)):
            review.addWidget(widget, 0, n)
        review.addWidget(self.accept_all, 1, 0, 1, 2)
        review.addWidget(self.drop, 1, 2, 1, 2)
        searches = row((self.everything, 1), (self.alike, 1))
        column(self, searches, form, self.count, review)
        self.watch(search.changed, self.refresh)
        self.on(self.accept.clicked, search.accept)
        self.on(self.skip.clicked, search.skip)
        self.on(self.previous.clicked, search.step, -1)
        self.on(self.next.clicked, search.step, 1)
        self.on(self.drop.clicked, search.clear)
        self.spacing.valueChanged.connect(self._on_spacing)
        for box in (self.score, self.smallest, self.likeness):
            box.valueChanged.connect(self._on_filter)

    def refresh(self) -> None:
        """Show filters and what was found."""
        search = self._controller.search
        values = (
            (self.spacing, search.spacing),
            (self.score, search.filters.score),
            (self.smallest, search.filters.smallest),
            (self.likeness, search.likeness),
        )
        for box, value in values:
            with signals_blocked(box):
                box.setValue(value)
        found = len(search.found)
        text = ""
        if found:
            score = search.found[search.index].score
            text = f"{search.index + 1} of {found}: {certainty(score)} ({score:.2f})"
        self.count.setText(text)
        for each in (
            self.previous,
            self.next,
            self.accept,
            self.skip,
            self.accept_all,
        ):
            each.setEnabled(bool(found))
        self.drop.setEnabled(bool(search.kind))
        self.setEnabled(self.workspace.binding is not None)

    def _on_spacing(self, pixels: int) -> None:
        self._controller.search.spacing = pixels

    def _on_filter(self) -> None:
        self._controller.search.tune(
            score=self.score.value(),
            smallest=self.smallest.value(),
            likeness=self.likeness.value(),
        )
