"""The list of runs: when, what became of it, how far it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView, QTreeWidget, QTreeWidgetItem
from superqt.utils import signals_blocked

from napari_sesami.viewer.runs.words import said_begin, said_name, said_state
from napari_sesami.viewer.widgets.factory import tree
from napari_sesami.viewer.widgets.part import PanelPart
from napari_sesami.viewer.widgets.plain import plain_tip

if TYPE_CHECKING:
    from napari_sesami.train import Run
    from napari_sesami.viewer.runs.controller import RunsController

ROWS = 4  # that are seen without scrolling


class RunList(PanelPart, QTreeWidget):
    """Runs of the project, the newest first; the selected one is shown below."""

    def __init__(self, controller: RunsController) -> None:
        super().__init__()
        self._controller, self.workspace = controller, controller.workspace
        tip = "Runs of this project; the selected one is shown below"
        tree(self, ["Run", "State", "Step"], "Runs", tip)
        self.setUniformRowHeights(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        line = self.fontMetrics().lineSpacing() + 1
        self.setFixedHeight(self.header().sizeHint().height() + ROWS * line + 4)
        self.currentItemChanged.connect(self._on_selected)
        for signal in (
            controller.changed,
            controller.ticked,
            controller.verdicts.changed,
        ):
            self.watch(signal, self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the runs as they are; rows are reused, so that nothing flickers."""
        runs = self._controller.runs
        with signals_blocked(self):
            while self.topLevelItemCount() > len(runs):
                self.takeTopLevelItem(self.topLevelItemCount() - 1)
            while self.topLevelItemCount() < len(runs):
                item = QTreeWidgetItem()
                item.setTextAlignment(2, int(Qt.AlignmentFlag.AlignRight.value))
                self.addTopLevelItem(item)
            for row, run in enumerate(runs):
                self._write(self.topLevelItem(row), run)
                if run is self._controller.selected:
                    self.setCurrentItem(self.topLevelItem(row))

    def _write(self, item: QTreeWidgetItem, run: Run) -> None:
        status = run.status
        mark = " ✓" if self._controller.verdicts.in_use(run) else ""
        texts = (
            f"{said_name(run)}, {said_begin(run.folder)}{mark}",
            said_state(status.state),
            f"{status.step} / {status.steps}",
        )
        for column, text in enumerate(texts):
            if item.text(column) != text:
                item.setText(column, text)
        tip = f"{texts[0]}: {status.sentence or texts[1]}"
        item.setToolTip(0, plain_tip(f"{tip} (in use)" if mark else tip))

    def _on_selected(self, item: QTreeWidgetItem | None, *_: object) -> None:
        row = self.indexOfTopLevelItem(item) if item is not None else -1
        runs = self._controller.runs
        self._controller.select(runs[row] if 0 <= row < len(runs) else None)
