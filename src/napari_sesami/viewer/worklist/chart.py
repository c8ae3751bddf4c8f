"""Time per scan, and how good the proposals were: a chart, two lines, a CSV."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pyqtgraph as pg
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_sesami.viewer.app.errors import sentence
from napari_sesami.viewer.widgets.factory import button, note

if TYPE_CHECKING:
    from napari_sesami.viewer.worklist.controller import WorklistController
    from napari_sesami.worklist import Round

HAND, HELPED, AXIS = "#9a9a9a", "#2ec46b", "#8a8a8a"
MOST = 4  # rounds that are listed


class TimeBox(QWidget):
    """Shows what the proposals save, and what training changed."""

    def __init__(
        self, controller: WorklistController, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._controller = controller
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
        self.chart.setAccessibleName("Seconds per scan, in the order of acceptance")
        self.chart.setToolTip(
            "Seconds per scan in the order of acceptance: grey by hand, green with "
            "proposals"
        )
        self.rounds = note("", "How good the proposals of each model were")
        self.rounds.setToolTip(
            "By model: proposals taken unchanged, their overlap (IoU) with what was "
            "accepted in the end, and labelled pixels whose class was right at once"
        )
        self.train_button = button(
            "Retrain…", "Save, and open the panel Runs to train on all that is labelled"
        )
        self.export_button = button(
            "Export CSV…", "Write state, time and counts of every scan into a table"
        )
        row = QHBoxLayout()
        row.addWidget(self.train_button)
        row.addWidget(self.export_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(self.line)
        layout.addWidget(self.chart)
        layout.addWidget(self.rounds)
        layout.addLayout(row)
        layout.addStretch(1)
        self.train_button.clicked.connect(self._on_train)
        self.export_button.clicked.connect(self._ask_export)
        controller.changed.connect(self.reflect)
        self.reflect()

    def disconnect_from_foreman(self) -> None:
        """Let go of the foreman."""
        self._controller.changed.disconnect(self.reflect)

    def reflect(self) -> None:
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
        if engine is None:
            return
        try:
            engine.worklist.to_csv(path)
        except (ValueError, OSError) as error:
            self._controller.workspace.say(sentence(error))
            return
        self._controller.workspace.say(f"Written to {path.name}.")

    def _ask_export(self) -> None:
        name, _ = QFileDialog.getSaveFileName(
            self, "Write the table", "work list.csv", "Tables (*.csv)"
        )
        if name:
            path = Path(name)
            self.export(path if path.suffix else path.with_suffix(".csv"))

    def _on_train(self) -> None:
        from napari_sesami.viewer.worklist.train_box import hand_over

        try:
            hand_over(self._controller)
        except (ValueError, OSError) as error:
            self._controller.workspace.say(sentence(error))


def _said(r: Round) -> str:
    scans = "1 scan" if r.scans == 1 else f"{r.scans} scans"
    same = 100 * r.accepted / max(r.proposals, 1)
    overlap = "" if r.iou is None else f", IoU {r.iou:.2f}"
    right = "" if r.agreement is None else f", {100 * r.agreement:.0f} % of pixels"
    return f"{r.name}: {scans}, {same:.0f} % unchanged{overlap}{right}"
