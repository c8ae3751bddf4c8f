"""What is asked for: kind of regions, strategy, budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QSpinBox,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_sesami.viewer.app.errors import sentence
from napari_sesami.viewer.app.jobs import Debounced
from napari_sesami.viewer.widgets.factory import button, tick

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


class OptionsBox(QWidget):
    """Two choices, a tick, the button that ranks, and the budget."""

    def __init__(
        self, controller: QueueController, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._controller = controller
        self.kind = _combo("Regions that are asked about")
        for text, key, tip in REGIONS:
            self.kind.addItem(text, key)
            self.kind.setItemData(self.kind.count() - 1, tip, _tip_role())
        self.strategy = _combo("How places are chosen")
        self.stratified = tick(
            "A share for every class",
            "Share the list out over the classes, so that a rare one is not crowded "
            "out; the strategy itself may do so already",
        )
        self.rank = button("Find places", "Rank what to label next, in the background")
        self.clicks = _spin("Budget in clicks; 0 is no limit", 9999, " clicks")
        self.minutes = _spin("Budget in minutes; 0 is no limit", 999, " min")
        self.bar = QProgressBar()
        self.bar.setAccessibleName("Budget spent")
        self.bar.setToolTip("What the answers cost, against the budget")
        self._later = Debounced(self._reflect_bar, REST)
        self._compose()
        self._connect()

    def disconnect_from_asker(self) -> None:
        """Let go of the engine."""
        self._later.stop()
        self._controller.changed.disconnect(self.reflect)

    def reflect(self) -> None:
        """Show wish and budget, whoever changed them."""
        queue = self._controller.queue
        self.setEnabled(queue is not None)
        if queue is None:
            return
        if self.strategy.count() == 0:
            self._fill_strategies()
        settings, budget = queue.settings, queue.budget
        for box, value in (
            (self.kind, settings.kind),
            (self.strategy, settings.strategy),
        ):
            with signals_blocked(box):
                box.setCurrentIndex(box.findData(value))
        with signals_blocked(self.stratified):
            self.stratified.setChecked(
                settings.stratified or settings.strategy in ALWAYS
            )
        self.stratified.setEnabled(settings.strategy not in ALWAYS)
        for spin, number in (
            (self.clicks, budget.clicks),
            (self.minutes, round(budget.seconds / 60)),
        ):
            with signals_blocked(spin):
                spin.setValue(number)
        running = self._controller.ranker.running
        self.rank.setText("Stop" if running else "Find places")
        self._later.soon()

    def _reflect_bar(self) -> None:
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

    def _fill_strategies(self) -> None:
        from napari_sesami.suggest import STRATEGIES

        with signals_blocked(self.strategy):
            for name, strategy in STRATEGIES.items():
                self.strategy.addItem(strategy.label, name)
                at = self.strategy.count() - 1
                self.strategy.setItemData(at, strategy.note, _tip_role())

    def _compose(self) -> None:
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setColumnStretch(1, 1)
        for row, (text, box) in enumerate(
            (("Ask about", self.kind), ("Chosen by", self.strategy))
        ):
            label = QLabel(text)
            label.setBuddy(box)
            label.setToolTip(box.toolTip())
            layout.addWidget(label, row, 0)
            layout.addWidget(box, row, 1)
        third, fourth = QHBoxLayout(), QHBoxLayout()
        third.addWidget(self.stratified, 1)
        third.addWidget(self.rank)
        fourth.addWidget(self.clicks)
        fourth.addWidget(self.minutes)
        fourth.addWidget(self.bar, 1)
        layout.addLayout(third, 2, 0, 1, 2)
        layout.addLayout(fourth, 3, 0, 1, 2)

    def _connect(self) -> None:
        self._controller.changed.connect(self.reflect)
        self.kind.activated.connect(self._on_kind)
        self.strategy.activated.connect(self._on_strategy)
        self.stratified.toggled.connect(self._on_stratified)
        self.rank.clicked.connect(self._on_rank)
        self.clicks.editingFinished.connect(self._on_budget)
        self.minutes.editingFinished.connect(self._on_budget)
        self.reflect()

    def _on_kind(self, index: int) -> None:
        self._wish(kind=self.kind.itemData(index))

    def _on_strategy(self, index: int) -> None:
        self._wish(strategy=self.strategy.itemData(index))

    def _on_stratified(self, on: bool) -> None:
        self._wish(stratified=on)

    def _wish(self, **changes: object) -> None:
        """Change what is asked for, and rank anew if there is something to rank."""
        controller = self._controller
        queue = controller.queue
        if queue is None:
            return
        ranked = bool(queue.open or controller.ranker.trouble)
        try:
            queue.ask_for(**changes)
            if ranked:
                controller.ranker.begin()
        except (ValueError, OSError) as error:
            controller.workspace.say(sentence(error))
        controller.changed.emit()

    def _on_rank(self) -> None:
        ranker = self._controller.ranker
        try:
            if ranker.running:
                ranker.halt()
            else:
                ranker.begin(anew=True)
        except (ValueError, OSError) as error:
            self._controller.workspace.say(sentence(error))

    def _on_budget(self) -> None:
        queue = self._controller.queue
        if queue is not None:
            queue.spend(self.clicks.value(), 60 * self.minutes.value())


def _combo(tip: str) -> QComboBox:
    made = QComboBox()
    made.setToolTip(tip)
    made.setAccessibleName(tip)
    made.setMinimumContentsLength(8)
    made.setSizeAdjustPolicy(
        QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
    )
    return made


def _spin(tip: str, most: int, suffix: str) -> QSpinBox:
    made = QSpinBox()
    made.setRange(0, most)
    made.setSuffix(suffix)
    made.setSpecialValueText("no limit")
    made.setToolTip(tip)
    made.setAccessibleName(tip)
    made.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
    made.setFixedWidth(76)
    return made


def _tip_role() -> int:
    from qtpy.QtCore import Qt

    return int(Qt.ItemDataRole.ToolTipRole)
