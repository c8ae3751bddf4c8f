"""Before and after on held-out objects, and whether the result is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QAbstractItemView,
    QTreeWidget,
    QTreeWidgetItem,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_sesami.viewer.runs.judging import SEMI
from napari_sesami.viewer.runs.pictures import PictureGrid
from napari_sesami.viewer.runs.verdict import Column, columns_of, lines_of
from napari_sesami.viewer.widgets.factory import button, column, combo, note, row, tree
from napari_sesami.viewer.widgets.part import PanelPart
from napari_sesami.viewer.widgets.plain import plain_tip

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sesami.train import Run, Verdict
    from napari_sesami.viewer.runs.controller import RunsController

# readable on dark and light grounds; a sign says the same for those who see no colour
BETTER, WORSE = "#2a9d5c", "#d9534f"
NOTICED = 0.0005  # smaller changes are none
USE = ("Use it", "Answer clicks with this adapter from now on")
USE_SEGMENTER = ("Use it", "Propose and map with this segmenter from now on")
INSIST = ("Use it anyway", "It did not win on the held-out objects: {}")


class GateBox(PanelPart, QWidget):
    """The verdict on the selected run, class by class, and two ways to act on it."""

    def __init__(
        self, controller: RunsController, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._controller, self._judging = controller, controller.verdicts
        self.workspace = controller.workspace
        tip = "Measured on objects that the run never learned from"
        self.sentence = note("", "Verdict", tip)
        self.metric = combo("What is compared")
        self.table = QTreeWidget()
        tip = "Held-out objects of each class, before and after the run"
        name = "Before and after, per class"
        tree(self.table, ["Class", "Before", "After", "Change"], name, tip)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.worst = PictureGrid(
            "Worst pictures",
            "The worst of the held-out objects: by hand (white), before (orange), "
            "after (blue); click to see one large",
            "",
        )
        self.use_button = button(*USE)
        self.back_button = button(
            "Roll back", "Go back to what answered clicks before the last adapter"
        )
        self.label_button = button(
            "Label this slice", "Show what the segmenter says of the slice, as a layer"
        )
        self._columns: list[Column] = []
        buttons = row(
            (self.label_button, 1), (self.use_button, 1), (self.back_button, 1)
        )
        parts = (self.sentence, self.metric, self.table, self.worst, None, buttons)
        column(self, *parts).setStretch(3, 10)
        self.metric.activated.connect(self._fill)
        self.on(self.use_button.clicked, self._use)
        self.on(self.back_button.clicked, self._judging.roll_back)
        self.on(self.label_button.clicked, self._label)
        self.watch(controller.changed, self.refresh)
        self.watch(controller.verdicts.changed, self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the verdict on the selected run, or why there is none yet."""
        verdicts, run = self._judging, self._controller.selected
        verdict = verdicts.verdict(run)
        self.sentence.setText(self._words())
        for part in (self.metric, self.table):
            part.setVisible(verdict is not None)
        self._show_use(verdict, verdicts.in_use(run))
        segmenter = run is not None and run.config.recipe == SEMI
        self.label_button.setVisible(segmenter)
        self.label_button.setEnabled(verdict is not None)
        self.back_button.setEnabled(verdicts.can_roll_back)
        self._columns = [] if verdict is None else columns_of(verdict)
        with signals_blocked(self.metric):
            kept = max(0, self.metric.currentIndex())
            self.metric.clear()
            self.metric.addItems([each.title for each in self._columns])
            self.metric.setCurrentIndex(min(kept, max(0, self.metric.count() - 1)))
        self._fill()
        pictures = worst_of(verdict, run)
        self.worst.show_pictures(pictures)
        self.worst.setVisible(bool(pictures))

    def _words(self) -> str:
        verdicts, run = self._judging, self._controller.selected
        if run is None:
            return "The result of a run is judged here before it is used."
        verdict = verdicts.verdict(run)
        if verdict is not None:
            return ("In use. " if verdicts.in_use(run) else "") + verdict.sentence
        if run.folder in verdicts.trouble:
            return verdicts.trouble[run.folder]
        if run.status.state == "finished":
            return "Comparing before and after on the held-out objects …"
        return "A run is judged when it has finished."

    def _show_use(self, verdict: Any, used: bool) -> None:
        wins = verdict is None or verdict.wins
        run = self._controller.selected
        segmenter = run is not None and run.config.recipe == SEMI
        use = USE_SEGMENTER if segmenter else USE
        text, tip = use if wins else INSIST
        tip = tip if wins else tip.format(verdict.sentence)
        self.use_button.setText(text)
        self.use_button.setToolTip("It is in use" if used else tip)
        self.use_button.setAccessibleName(f"{text}: {tip}")
        self.use_button.setEnabled(verdict is not None and not used)

    def _fill(self, *_: object) -> None:
        """Write the table for the metric that is chosen."""
        self.table.clear()
        index = self.metric.currentIndex()
        verdict = self._judging.verdict(self._controller.selected)
        if verdict is None or not 0 <= index < len(self._columns):
            return
        chosen = self._columns[index]
        for line in lines_of(verdict, chosen):
            item = QTreeWidgetItem([line.name, line.before, line.after, line.change])
            for place in (1, 2, 3):
                item.setTextAlignment(place, int(Qt.AlignmentFlag.AlignRight.value))
            if abs(line.gain) > NOTICED:
                item.setForeground(3, QColor(BETTER if line.gain > 0 else WORSE))
            item.setToolTip(0, plain_tip(line.tip))
            self.table.addTopLevelItem(item)
        height = self.table.fontMetrics().lineSpacing() + 6
        shown = min(max(2, self.table.topLevelItemCount()), 7)
        head = self.table.header().sizeHint().height()
        self.table.setFixedHeight(head + shown * height + 6)

    def _label(self) -> None:
        if self._controller.selected is not None:
            self._judging.label_slice(self._controller.selected)

    def _use(self) -> None:
        if self._controller.selected is not None:
            self._judging.adopt(self._controller.selected)


def worst_of(verdict: Verdict | None, run: Run | None) -> list[tuple[Path, str]]:
    """Pictures of the objects that came out worst, and their captions."""
    if verdict is None or run is None:
        return []
    names = enumerate(verdict.worst, 1)
    panels = "by hand, before, after"
    return [(run.folder / name, f"worst {n}: {panels}") for n, name in names]
