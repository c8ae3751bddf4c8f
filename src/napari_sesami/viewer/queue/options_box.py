"""What is asked for: kind of regions, strategy, budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QGridLayout, QLabel, QProgressBar, QSpinBox, QWidget
from superqt.utils import signals_blocked

from napari_sesami.viewer.app.jobs import Debounced
from napari_sesami.viewer.widgets.action_button import ActionButton
from napari_sesami.viewer.widgets.factory import (
    add_entry,
    choose,
    combo,
    named,
    row,
    spin,
    tick,
)
from napari_sesami.viewer.widgets.part import PanelPart

if TYPE_CHECKING:
    from napari_sesami.viewer.queue.controller import QueueController

REGIONS = (
    ("superpixels", "superpixel", "Small areas of one grey: a key each"),
    ("patches", "patch", "Squares of 128 pixels: accept or paint in them"),
    ("whole slices", "slice", "One slice at a time: accept its labels or paint"),
    ("masks of the model", "mask", "What the prompt model outlines on this slice"),
)
REST = 50  # ms; a progress bar draws the whole window at once when it is set
ALWAYS = ("rare", "clasp")  # strategies that share out over the classes by themselves


class QueueOptions(PanelPart, QWidget):
    """Two choices, a tick, the button that ranks, and the budget."""

    def __init__(
        self, controller: QueueController, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._controller, self.workspace = controller, controller.workspace
        self.kind = combo("Regions that are asked about", REGIONS)
        self.strategy = combo("How queries are chosen")
        self.stratified = tick(
            "A share for every class",
            "Share the list out over the classes, so that a rare one is not crowded "
            "out; the strategy itself may do so already",
        )
        self.rank = ActionButton(self.workspace, "queue_find")
        self.clicks = _limit("Budget in clicks; 0 is no limit", 9999, " clicks")
        self.minutes = _limit("Budget in minutes; 0 is no limit", 999, " min")
        spent = "What the answers cost, against the budget"
        self.bar = named(QProgressBar(), spent, "Budget spent")
        self._later = Debounced(self._show_spent, REST)
        self.at_close(self._later.stop)
        self._compose()
        self.watch(controller.changed, self.refresh)
        self.kind.activated.connect(self._on_kind)
        self.strategy.activated.connect(self._on_strategy)
        self.stratified.toggled.connect(self._on_stratified)
        self.clicks.editingFinished.connect(self._on_budget)
        self.minutes.editingFinished.connect(self._on_budget)
        self.refresh()

    def refresh(self) -> None:
        """Show wish and budget, whoever changed them."""
        queue = self._controller.queue
        self.setEnabled(queue is not None)
        if queue is None:
            return
        if self.strategy.count() == 0:
            from napari_sesami.suggest import STRATEGIES

            with signals_blocked(self.strategy):
                for name, strategy in STRATEGIES.items():
                    add_entry(self.strategy, strategy.label, name, strategy.note)
        settings, budget = queue.settings, queue.budget
        choose(self.kind, settings.kind)
        choose(self.strategy, settings.strategy)
        with signals_blocked(self.stratified):
            self.stratified.setChecked(
                settings.stratified or settings.strategy in ALWAYS
            )
        self.stratified.setEnabled(settings.strategy not in ALWAYS)
        with signals_blocked(self.clicks), signals_blocked(self.minutes):
            self.clicks.setValue(budget.clicks)
            self.minutes.setValue(round(budget.seconds / 60))
        running = self._controller.ranker.running
        self.rank.setText("Stop" if running else "Find queries")
        self._later.soon()

    def _show_spent(self) -> None:
        queue = self._controller.queue
        if queue is None:
            return
        clicks, seconds = queue.spent
        self.bar.setRange(0, 1000)
        self.bar.setValue(min(1000, round(1000 * queue.progress)))
        limit = f" of {queue.budget.clicks}" if queue.budget.clicks else ""
        minutes, rest = divmod(round(seconds), 60)
        end = f" of {queue.budget.seconds // 60} min" if queue.budget.seconds else ""
        self.bar.setFormat(f"{clicks:.0f}{limit} clicks · {minutes}:{rest:02d}{end}")

    def _compose(self) -> None:
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setColumnStretch(1, 1)
        for line, (text, box) in enumerate(
            (("Ask about", self.kind), ("Chosen by", self.strategy))
        ):
            label = QLabel(text)
            label.setBuddy(box)
            label.setToolTip(box.toolTip())
            layout.addWidget(label, line, 0)
            layout.addWidget(box, line, 1)
        layout.addLayout(row((self.stratified, 1), self.rank), 2, 0, 1, 2)
        budget = row(QLabel("Budget"), (self.clicks, 1), (self.minutes, 1))
        layout.addLayout(budget, 3, 0, 1, 2)
        layout.addWidget(self.bar, 4, 0, 1, 2)

    def _on_kind(self, index: int) -> None:
        self.run(self._wish, "kind", self.kind.itemData(index))

    def _on_strategy(self, index: int) -> None:
        self.run(self._wish, "strategy", self.strategy.itemData(index))

    def _on_stratified(self, on: bool) -> None:
        self.run(self._wish, "stratified", on)

    def _wish(self, name: str, value: object) -> None:
        """Change what is asked for, and rank anew if there is something to rank."""
        controller, queue = self._controller, self._controller.queue
        if queue is None:
            return
        ranked = bool(queue.open or controller.ranker.trouble)
        try:
            queue.ask_for(**{name: value})
            if ranked:
                controller.ranker.begin()
        finally:
            controller.changed.emit()

    def rank_or_stop(self) -> None:
        """Rank what to label next, or stop that."""
        ranker = self._controller.ranker
        if ranker.running:
            ranker.halt()
        else:
            ranker.begin(anew=True)

    def _on_budget(self) -> None:
        queue = self._controller.queue
        if queue is not None:
            queue.spend(self.clicks.value(), 60 * self.minutes.value())


def _limit(tip: str, most: int, suffix: str) -> QSpinBox:
    made = spin(tip, 0, most, suffix=suffix, zero="no limit")
    made.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
    return made
