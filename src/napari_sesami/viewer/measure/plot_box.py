"""Plots of the chosen quantity, the same drawings as in the report; and its budget."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QByteArray, QRectF, Qt
from qtpy.QtGui import QColor, QPainter
from qtpy.QtSvg import QSvgRenderer
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_sesami.measure import (
    SCOPES,
    TERM_COLORS,
    chart_of,
    curve,
    histogram,
)
from napari_sesami.viewer.widgets.factory import named

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtGui import QPaintEvent

    from napari_sesami.measure import Result

PLOTS = (
    ("Histogram", "histogram", "How the values of this quantity are spread"),
    ("Profile", "profile", "Thickness along the film, with its error as a band"),
    ("Spectrum", "psd", "Power spectrum of the roughness, and its fit"),
    ("Chart", "chart", "Value by value (or slice by slice) with control limits"),
)
INK = "#555"  # of text in the drawings


class PlotView(QWidget):
    """Shows a drawing of the measure room in the colours of napari's theme."""

    def __init__(self) -> None:
        super().__init__()
        self._drawing: QSvgRenderer | None = None
        self.svg = ""
        self._text = "#d0d0d0"
        self.empty = "Choose a value to see its plot."
        self.setMinimumHeight(84)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        named(self, "Plot of the chosen quantity", "Plot")

    def use_theme(self, text: str) -> None:
        """Write in this colour."""
        self._text = text
        self.show_svg(self.svg)

    def show_svg(self, svg: str, empty: str = "") -> None:
        """Show a drawing, or a sentence where there is none."""
        self.svg, self.empty = svg, empty or self.empty
        colored = svg.replace(INK, self._text).replace("#444", self._text)
        colored = colored.replace("'#dfeaf3'", "'#0072B2' fill-opacity='0.25'")
        self._drawing = QSvgRenderer(QByteArray(colored.encode())) if svg else None
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw it as large as it fits."""
        painter = QPainter(self)
        if self._drawing is None:
            painter.setPen(QColor(self._text))
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(self.rect(), int(flags), self.empty)
        else:
            size = self._drawing.defaultSize()
            scale = min(self.width() / size.width(), self.height() / size.height())
            width, height = size.width() * scale, size.height() * scale
            left = (self.width() - width) / 2
            self._drawing.render(painter, QRectF(left, 0, width, height))
        painter.end()


class BudgetBar(QWidget):
    """What adds to the error of one value, as shares of u²."""

    def __init__(self) -> None:
        super().__init__()
        self.terms: list[tuple[str, float, float]] = []
        self.title = ""
        self._text = "#d0d0d0"
        self.setFixedHeight(44)
        named(self, "What adds to the error of the value under the mouse", "Budget")

    def use_theme(self, text: str) -> None:
        """Write in this colour."""
        self._text = text
        self.update()

    def show_result(self, r: Result | None) -> None:
        """Show the budget of a value; None shows nothing."""
        self.terms, self.title = [], ""
        if r is not None and r.has_value and r.budget.terms:
            total = r.budget.standard**2
            for name in SCOPES:
                if u := r.budget.u(name):
                    self.terms.append((name, u, u * u / total if total else 0.0))
            self.title = str(r)
            words = ", ".join(f"{n} {u:.2g} {r.unit}".strip() for n, u, _ in self.terms)
            self.setAccessibleDescription(f"{self.title}: {words}")
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the title, the bar and the largest terms."""
        painter = QPainter(self)
        font = self.font()
        font.setPointSizeF(max(7.0, font.pointSizeF() * 0.85))
        painter.setFont(font)
        painter.setPen(QColor(self._text))
        width, metrics = self.width(), painter.fontMetrics()
        title = self.title or "Point at a value to see what its error is made of."
        title = metrics.elidedText(title, Qt.TextElideMode.ElideRight, width)
        painter.drawText(0, 12, title)
        x = 0.0
        for name, _, share in self.terms:
            painter.fillRect(
                QRectF(x, 17, share * width, 10), QColor(TERM_COLORS[name])
            )
            x += share * width
        x = 0.0
        for name, u, _ in sorted(self.terms, key=lambda t: -t[2]):
            word = f"{name} {u:.2g}"
            needed = metrics.horizontalAdvance(word) + 18
            if x + needed > width:
                break
            painter.fillRect(QRectF(x, 33, 8, 8), QColor(TERM_COLORS[name]))
            painter.drawText(int(x) + 11, 41, word)
            x += needed
        painter.end()


def drawn(kind: str, r: Result, rows: Sequence[Result]) -> tuple[str, str]:
    """Draw one of `PLOTS` for a row among all; gives the drawing, or why not."""
    same = [
        o for o in rows
        if (o.measurement, o.zone, o.at) == (r.measurement, r.zone, r.at)
    ]  # fmt: skip
    values = [o for o in same if o.has_value and o.statistic in ("value", "ratio")]
    if kind == "histogram":
        if len(values) < 3:
            return "", "A histogram needs three values."
        numbers = np.array([o.value for o in values])
        return histogram(numbers, values[0].unit, values[0].limits), ""
    if kind == "chart":
        planes = list(dict.fromkeys(o.plane for o in values))
        if len(planes) > 1:
            groups = [[o for o in values if o.plane == p] for p in planes]
        else:
            groups = [[o] for o in values]
        if len(groups) < 3:
            return "", "A control chart needs three values, or slices."
        means = [float(np.mean([o.value for o in g])) for g in groups]
        bars = [
            float(np.sqrt(np.mean([o.U**2 for o in g]) / len(g)))
            if all(math.isfinite(o.U) for o in g) else 0.0
            for g in groups
        ]  # fmt: skip
        chart = chart_of(means, bars)
        return chart.svg(), ""
    wanted = "thickness" if kind == "profile" else "psd"
    found = [r, *same, *(o for o in rows if o.measurement == r.measurement)]
    source = next((o for o in found if wanted in o.profile), None)
    if source is None:
        what = "a film" if kind == "profile" else "LER, LWR or LPR"
        return "", f"Choose a value of {what}."
    p = source.profile
    if kind == "profile":
        order = np.argsort(p["s"])
        return curve(
            np.asarray(p["s"])[order].tolist(),
            np.asarray(p["thickness"])[order].tolist(), source.U,
        ), ""  # fmt: skip
    return curve(p["f"][1:], p["psd"][1:], fit=p["fit"][1:], logarithmic=True), ""
