"""Time per scan, and how good the proposals were: a chart, two lines, a CSV."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pyqtgraph as pg
from qtpy.QtWidgets import QFileDialog, QSizePolicy, QWidget

from napari_sesami.viewer.widgets.factory import button, column, named, note, row
from napari_sesami.viewer.widgets.part import PanelPart
from napari_sesami.viewer.worklist.train_box import hand_over

if TYPE_CHECKING:
    from napari_sesami.viewer.worklist.controller import WorklistController
    from napari_sesami.worklist import Round

HAND, HELPED, AXIS = "#9a9a9a", "#2ec46b", "#8a8a8a"
MOST = 4  # rounds that are listed


class TimeBox(PanelPart, QWidget):
    """Shows what the proposals save, and what training changed."""

    def __init__(
        self, controller: WorklistController, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._controller, self.workspace = controller, controller.workspace
        self._drawn: object = None
        self.line = note("", "Time per scan")
        self.chart = pg.PlotWidget()
        self.chart.setFixedHeight(120)
        # its own wish for 640 px would make the whole panel as wide
        self.chart.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.chart.setBackground(None)
        for side in ("left", "bottom"):
            self.chart.getAxis(side).setPen(AXIS)
            self.chart.getAxis(side).setTextPen(AXIS)
        self.chart.setMouseEnabled(x=False, y=False)
        self.chart.hideButtons()
        self.chart.setMenuEnabled(False)
        self.chart.setLabel("left", "seconds")
        named(
            self.chart,
            "Seconds per scan in the order of acceptance: grey by hand, green with "
            "proposals",
            "Seconds per scan, in the order of acceptance",
        )
        self.rounds = note(
            "",
            "How good the proposals of each model were",
            "By model: proposals taken unchanged, their overlap (IoU) with what was "
            "accepted in the end, and labelled pixels whose class was right at once",
        )
        self.train_button = button(
            "Retrain…", "Save, and open the panel Runs to train on all that is labelled"
        )
        self.export_button = button(
            "Export CSV…", "Write state, time and counts of every scan into a table"
        )
        buttons = row(self.train_button, self.export_button)
        column(self, self.line, self.chart, self.rounds, buttons, None, margin=4)
        self.on(self.train_button.clicked, hand_over, controller)
        self.export_button.clicked.connect(self._ask_export)
        self.watch(controller.changed, self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Draw anew if a time or a count is another."""
        engine = self._controller.engine
        self.train_button.setEnabled(self._controller.at_work)
        self.export_button.setEnabled(engine is not None)
        if engine is None:
            self.line.setText("Choose a folder of scans above.")
            self.rounds.setText("")
            return
        times, rounds = engine.worklist.times(), engine.rounds()
        if (times, rounds) == self._drawn:
            return
        self._drawn = (times, rounds)
        self.line.setText(times.sentence)
        self.chart.clear()
        for helped, color in ((False, HAND), (True, HELPED)):
            at = [i for i, h in enumerate(times.helped) if h is helped]
            bars = pg.BarGraphItem(
                x=[i + 1 for i in at],
                height=[times.seconds[i] for i in at],
                width=0.7,
                brush=color,
                pen=color,
            )
            self.chart.addItem(bars)
        every = max(1, len(times.names) // 8)
        numbers = range(1, len(times.names) + 1, every)
        self.chart.getAxis("bottom").setTicks([[(n, str(n)) for n in numbers]])
        self.chart.setXRange(0.4, max(len(times.names), 5) + 0.6, padding=0)
        self.chart.setYRange(0, max([*times.seconds, 10]) * 1.05, padding=0)
        self.rounds.setText("\n".join(_said(r) for r in rounds[-MOST:]))

    def export(self, path: Path) -> None:
        """Write the table."""
        engine = self._controller.engine
        if engine is not None:
            engine.worklist.to_csv(path)
            self.workspace.say(f"Written to {path.name}.")

    def _ask_export(self) -> None:
        name, _ = QFileDialog.getSaveFileName(
            self, "Write the table", "work list.csv", "Tables (*.csv)"
        )
        if name:
            path = Path(name)
            path = path if path.suffix else path.with_suffix(".csv")
            self.run(self.export, path)


def _said(r: Round) -> str:
    scans = "1 scan" if r.scans == 1 else f"{r.scans} scans"
    same = 100 * r.accepted / max(r.proposals, 1)
    overlap = "" if r.iou is None else f", IoU {r.iou:.2f}"
    right = "" if r.agreement is None else f", {100 * r.agreement:.0f} % of pixels"
    return f"{r.name}: {scans}, {same:.0f} % unchanged{overlap}{right}"
