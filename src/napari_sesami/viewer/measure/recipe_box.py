"""What is measured: the quantities of the recipe, and the fields of the chosen one."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QLineEdit, QTreeWidget, QTreeWidgetItem, QWidget
from superqt.utils import signals_blocked

from napari_sesami.measure import KINDS, stated
from napari_sesami.viewer.app.errors import ViewerError
from napari_sesami.viewer.widgets.factory import (
    button,
    choose,
    column,
    combo,
    named,
    row,
    spin,
    tree,
)
from napari_sesami.viewer.widgets.part import PanelPart
from napari_sesami.viewer.widgets.plain import plain_tip

if TYPE_CHECKING:
    from napari_sesami.measure import Measurement
    from napari_sesami.viewer.measure.controller import MeasureController

AT_DEPTHS = ("cd", "pitch", "space", "aspect ratio")
BY_EDGE = ("cd", "ler", "lwr", "lpr")
EDGES = [
    ("50 %", "50 %", "The middle of the fitted step"),
    ("flank", "flank", "SEM: the steepest place of the rim's outer flank"),
    ("threshold", "threshold", "SEM: a level between rim and floor"),
    ("peak", "peak", "SEM: the top of the rim"),
    ("model", "model", "SEM: the edge of a model of the whole rim"),
]


class RecipeBox(PanelPart, QWidget):
    """The list of quantities with their means, and what the chosen one depends on."""

    def __init__(self, controller: MeasureController) -> None:
        super().__init__()
        self.controller, self.workspace = controller, controller.workspace
        self.list = QTreeWidget()
        tip = "What is measured; this list is the recipe. A click shows its fields"
        tree(self.list, ["Quantity", "mean ± U"], "Quantities", tip)
        self.list.setFixedHeight(64)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.depths = named(QLineEdit(), "Depths in % of the height, e.g. 10, 50, 90")
        self.window = spin(
            "Share of the height that one value averages over", 1, 100, suffix=" %"
        )
        self.edge = combo("How an edge is defined", EDGES, 3, "Edge definition")
        self.lower = named(QLineEdit(), "Lower limit, in the unit of the value")
        self.upper = named(QLineEdit(), "Upper limit, in the unit of the value")
        for field, words in ((self.lower, "lower"), (self.upper, "upper")):
            field.setPlaceholderText(words)
        for field in (self.lower, self.upper, self.depths):
            field.setMinimumWidth(34)
        self.remove_button = button("Drop", "Measure this no longer (undoable)")
        self.remove_button.setMinimumWidth(40)
        self._at = row(QLabel("at"), (self.depths, 2), QLabel("over"), (self.window, 1))
        column(
            self,
            self.list,
            self._at,
            row(QLabel("edge"), self.edge, (self.lower, 1), (self.upper, 1),
                self.remove_button),
        )  # fmt: skip
        self.on(self.list.itemSelectionChanged, self._on_chosen)
        self.on(self.depths.editingFinished, self._take_depths)
        self.on(self.window.valueChanged, self._take_window)
        self.on(self.edge.activated, self._take_edge)
        self.on(self.lower.editingFinished, self._take_limits)
        self.on(self.upper.editingFinished, self._take_limits)
        self.on(self.remove_button.clicked, self._remove)
        self.watch(controller.changed, self.refresh)
        self.refresh()

    @property
    def chosen(self) -> Measurement | None:
        """The quantity whose fields are shown."""
        items = self.list.selectedItems()
        name = items[0].data(0, Qt.ItemDataRole.UserRole) if items else ""
        found = [m for m in self.controller.recipe.measure if m.name == name]
        return found[0] if found else None

    def refresh(self) -> None:
        """List what the recipe measures, with the means there are."""
        controller = self.controller
        with signals_blocked(self.list):
            self.list.clear()
            for m in controller.recipe.measure:
                item = QTreeWidgetItem([m.name, self._mean(m)])
                item.setData(0, Qt.ItemDataRole.UserRole, m.name)
                item.setToolTip(0, plain_tip(f"{m.kind}: {KINDS[m.kind].definition}"))
                item.setToolTip(1, plain_tip(self._reasons(m)))
                self.list.addTopLevelItem(item)
                item.setSelected(m.name == controller.focus)
                if m.name == controller.focus:
                    self.list.scrollToItem(item)
        self._show_fields()

    def _mean(self, m: Measurement) -> str:
        own = [r for r in self.controller.rows if r.measurement == m.name]
        judged = [r for r in own if r.statistic in ("mean", "3s") and r.has_value]
        shown = judged or [r for r in own if r.has_value]
        if not shown:
            return "no value" if own else "…"
        r = shown[0]
        text = stated(r.value, r.U, r.unit).split(" (k")[0]
        return text + (" …" if len(judged) > 1 else "")

    def _reasons(self, m: Measurement) -> str:
        own = [r.status for r in self.controller.rows if r.measurement == m.name]
        count = Counter(own).most_common()
        return ", ".join(f"{n} {status.replace('_', ' ')}" for status, n in count)

    def _on_chosen(self) -> None:
        if (m := self.chosen) is not None:
            self.controller.look_at(m.name)

    def _show_fields(self) -> None:
        m = self.chosen
        unit = self.controller.recipe.unit
        fields: tuple[Any, ...] = (
            self.depths, self.window, self.edge, self.lower, self.upper,
            self.remove_button,
        )  # fmt: skip
        for each in fields:
            each.setEnabled(m is not None)
        if m is None:
            return
        at_depth = m.kind in AT_DEPTHS
        self.depths.setEnabled(at_depth)
        self.window.setEnabled(at_depth or m.kind == "bow")
        self.edge.setEnabled(m.kind in BY_EDGE)
        usual = (0.1, 0.5, 0.9) if m.kind == "cd" else (0.5,)
        shares = ", ".join(f"{100 * q:g}" for q in m.at or usual)
        limits = m.limits
        texts = (
            (self.depths, f"{shares} %" if at_depth else ""),
            (self.lower, "" if not limits or limits.lower is None else limits.lower),
            (self.upper, "" if not limits or limits.upper is None else limits.upper),
        )
        for field, text in texts:
            if not field.hasFocus():
                field.setText(f"{text:g}" if isinstance(text, float) else text)
        for field in (self.lower, self.upper):
            field.setToolTip(
                f"{field.placeholderText()} limit, in {unit} (° for angles)"
            )
        with signals_blocked(self.window):
            self.window.setValue(round(100 * m.window))
        choose(self.edge, m.edge)

    def _take_depths(self) -> None:
        m = self.chosen
        if m is None or not self.depths.text().strip():
            return
        words = re.split(r"[,;\s]+", self.depths.text().replace("%", " ").strip())
        try:
            shares = [float(w) / 100 for w in words if w]
        except ValueError:
            raise ViewerError("Depths are numbers in %, e.g. 10, 50, 90.") from None
        if tuple(shares) != m.at:
            usual = (0.1, 0.5, 0.9) if m.kind == "cd" else (0.5,)
            if m.at or tuple(shares) != usual:
                self.controller.change(m.name, at=shares)

    def _take_window(self) -> None:
        m = self.chosen
        if m is not None and round(100 * m.window) != self.window.value():
            self.controller.change(m.name, window=self.window.value() / 100)

    def _take_edge(self) -> None:
        m = self.chosen
        if m is not None and self.edge.currentData() != m.edge:
            self.controller.change(m.name, edge=self.edge.currentData())

    def _take_limits(self) -> None:
        m = self.chosen
        if m is None:
            return
        limits = {}
        for name, field in (("lower", self.lower), ("upper", self.upper)):
            text = field.text().strip().replace(",", ".")
            if text:
                try:
                    limits[name] = float(text)
                except ValueError:
                    raise ViewerError(
                        f"The {name} limit is a number, e.g. 17.5."
                    ) from None
        before = {} if m.limits is None else m.limits.model_dump(exclude_none=True)
        if before.get("target") is not None:
            limits["target"] = before["target"]
        if limits != before:
            self.controller.change(m.name, limits=limits or None)

    def _remove(self) -> None:
        if (m := self.chosen) is not None:
            self.controller.remove(m.name)
