"""Live curves of a run: the loss, and what held-out objects say."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor, QFont
from qtpy.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from napari_sesami.viewer.app.jobs import Job, JobQueue

    Points = tuple[Sequence[float], Sequence[float]]

TOPIC = "curves"
LOSS, HELD = "#e08a1e", "#2f9e8f"  # told apart by the colour-blind, on dark and light
SHARE, LEAST = 12, 8  # the loss is averaged over a 12th of its steps, or 8 of them
HEIGHT = 230


class Curves(QWidget):
    """Two plots over the steps, in the colours of napari's theme.

    pyqtgraph is imported for the first run, in the background: neither opening the
    panel nor a step waits for it.
    """

    ready = Signal()
    """pyqtgraph is there: what is known can be drawn"""

    def __init__(self, work: JobQueue, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._jobs = work
        self._asked = False
        self.empty = QLabel("Curves appear with the first steps of a run.")
        self.empty.setWordWrap(True)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.empty.setAccessibleName("State of the curves")
        self.plots: _Plots | None = None
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.empty, 1)
        self.setMinimumHeight(HEIGHT)
        self.setAccessibleName("Curves of the run")
        self.setToolTip(
            "Orange: loss. Green: overlap with what was held out. By class: share of "
            "its pseudo-labels that is learnt from; 0 is a class nobody believes in"
        )
        self._colors = ("#262930", "#d0d0d0")

    def use_theme(self, background: str, text: str) -> None:
        """Draw on this background with this text."""
        self._colors = (background, text)
        if self.plots is not None:
            self.plots.recolor(background, text)

    def show_points(
        self,
        loss: Points,
        held: Points,
        steps: int,
        score: str = "mIoU",
        health: Mapping[str, Points] | None = None,
        colors: Mapping[str, str] | None = None,
    ) -> None:
        """Draw the curves; without points there is a sentence instead.

        `score` names what is measured on held-out objects; `health` is the share of
        accepted pixels of each class, in the `colors` of the classes.
        """
        some = self.plots is not None and bool(len(loss[0]) or len(held[0]))
        self.empty.setVisible(not some)
        if self.plots is not None:
            self.plots.widget.setVisible(some)
            if some:
                self.plots.draw(loss, held, steps, score)
                self.plots.draw_health(health or {}, colors or {})

    def prepare(self) -> None:
        """Have pyqtgraph ready before it is needed."""
        if not self._asked:
            self._asked = True
            self._jobs.submit(TOPIC, _import, self._on_imported)

    def _on_imported(self, _: object) -> None:
        self.plots = _Plots(self._colors)
        self.layout().addWidget(self.plots.widget, 1)
        self.plots.widget.hide()
        self.ready.emit()


def _import(job: Job) -> None:
    import_module("pyqtgraph")


class _Plots:
    """The two pyqtgraph plots."""

    def __init__(self, colors: tuple[str, str]) -> None:
        import pyqtgraph as pg

        self.widget = pg.GraphicsLayoutWidget()
        policy = QSizePolicy.Policy.Ignored  # else it asks for 640 × 480
        self.widget.setSizePolicy(policy, policy)
        self.widget.setAccessibleName("Loss and held-out overlap against steps")
        self._pg = pg
        self.loss = self._plot(0, "loss")
        self.held = self._plot(1, "")
        self.held.setLimits(minYRange=0.05)
        self._score = ""
        self.held.setLabel("bottom", "step")
        self.held.setXLink(self.loss)
        self.loss.getAxis("bottom").setStyle(showValues=False)
        self.health: Any = None  # made for the first run that has one
        self._lines: dict[str, Any] = {}
        thin = QColor(LOSS)
        thin.setAlpha(100)
        self._raw = self.loss.plot(pen=pg.mkPen(thin, width=1))
        self._mean = self.loss.plot(pen=pg.mkPen(LOSS, width=2))
        self._line = self.held.plot(
            pen=pg.mkPen(HELD, width=2), symbol="o", symbolSize=7, symbolBrush=HELD
        )
        self._base = pg.InfiniteLine(angle=0, movable=False)
        self.held.addItem(self._base)
        self.recolor(*colors)

    def _plot(self, row: int, name: str) -> Any:
        plot = self.widget.addPlot(row=row, col=0)
        plot.setMenuEnabled(False)
        plot.hideButtons()
        plot.setMouseEnabled(x=False, y=False)  # the wheel scrolls the panel
        plot.setLabel("left", name)
        plot.showGrid(y=True, alpha=0.2)
        axis = plot.getAxis("left")
        axis.setWidth(52)  # both plots begin at the same place
        axis.enableAutoSIPrefix(False)  # an overlap of 0.6 is not "600 (x0.001)"
        return plot

    def recolor(self, background: str, text: str) -> None:
        self.widget.setBackground(background)
        self._background = background
        self._text = text
        font = QFont()
        font.setPointSize(8)
        made = [] if self.health is None else [self.health]
        for plot in (self.loss, self.held, *made):
            for side in ("left", "bottom"):
                axis = plot.getAxis(side)
                axis.setPen(text)
                axis.setTextPen(text)
                axis.setTickFont(font)
                axis.label.setFont(font)
        dash = self._pg.mkPen(text, width=1, style=Qt.PenStyle.DashLine)
        self._base.setPen(dash)
        self._raw.setDownsampling(auto=True, method="peak")

    def draw(self, loss: Points, held: Points, steps: int, score: str) -> None:
        if score != self._score:
            self._score = score
            self.held.setLabel("left", f"held-out {score}")
            overlap = "iou" in score.lower()
            self.held.setLimits(yMax=1.02 if overlap else None)
        x, y = (np.asarray(v, float) for v in loss)
        self._raw.setData(x, y, connect="finite")
        self._mean.setData(x, running_mean(y), connect="finite")
        self._line.setData(*(np.asarray(v, float) for v in held))
        self._base.setVisible(bool(len(held[1])))
        if len(held[1]):
            self._base.setValue(float(held[1][0]))  # where the run began
        self.loss.setXRange(0, max(steps, 1), padding=0.02)

    def draw_health(
        self, health: Mapping[str, Points], colors: Mapping[str, str]
    ) -> None:
        """Draw a line per class, smoothed; a run without them has no such plot."""
        if self.health is None:
            if not health:
                return
            self.health = self._plot(2, "accepted")
            self.health.setLabel("bottom", "step")
            self.health.setXLink(self.loss)
            self.health.setYRange(0, 1.02)
            self.health.addLegend(offset=(4, 4), labelTextSize="7pt")
            self.recolor(self._background, self._text)
        self.health.setVisible(bool(health))
        for name in set(self._lines) - set(health):
            self.health.removeItem(self._lines.pop(name))
        for number, (name, (x, y)) in enumerate(health.items()):
            if name not in self._lines:
                color = colors.get(name) or self._pg.intColor(number, 9)
                pen = self._pg.mkPen(color, width=2)
                self._lines[name] = self.health.plot(pen=pen, name=name)
            mean = running_mean(np.asarray(y, float))
            self._lines[name].setData(np.asarray(x, float), mean, connect="finite")


def running_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average of the last values at each place, a share of all; NaN is left out."""
    width = max(LEAST, len(values) // SHARE)
    known = np.isfinite(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    end = np.arange(1, len(values) + 1)
    begin = np.maximum(end - width, 0)
    n = counts[end] - counts[begin]
    return np.where(n > 0, (sums[end] - sums[begin]) / np.maximum(n, 1), np.nan)
