"""The page "Measure": pick a quantity and classes, read values with error bars."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QFileDialog, QLabel, QWidget
from superqt.utils import signals_blocked

from napari_sesami.measure import KINDS, STATUSES, classes_for
from napari_sesami.viewer.measure.controller import MeasureController
from napari_sesami.viewer.measure.plot_box import PLOTS, BudgetBar, PlotView, drawn
from napari_sesami.viewer.measure.recipe_box import RecipeBox
from napari_sesami.viewer.measure.table import ValueTable
from napari_sesami.viewer.widgets.action_button import ActionButton
from napari_sesami.viewer.widgets.factory import (
    button,
    choose,
    combo,
    fill_classes,
    note,
    row,
    tick,
)
from napari_sesami.viewer.widgets.panel import Panel

if TYPE_CHECKING:
    from napari.viewer import Viewer

TOOLS = ("pick", "caliper", "move")
FILES = (
    "Spreadsheet (*.csv);;All of it (*.json);;Recipe (*.toml);;Folder with report (*)"
)


class MeasurePanel(Panel):
    """Dimensions of what is labelled.

    Parameters
    ----------
    napari_viewer
        Injected by napari, which looks for exactly this parameter name.
    """

    def __init__(self, napari_viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(napari_viewer, parent)
        self.controller = controller = self.workspace.get(MeasureController)
        kinds = [(k, k, q.definition) for k, q in KINDS.items() if k != "caliper"]
        self.kind_combo = combo("What is measured", kinds, 8, "Quantity")
        self.kind_combo.setPlaceholderText("caliper, by hand")
        self.one, self.two = (
            combo(f"{word} class", letters=5, name=f"{word} class")
            for word in ("First", "Second")
        )
        self.add_button = button("Measure", "Measure it on every instance of the class")
        self.tools = {
            name: ActionButton(self.workspace, f"measure_{name}", "measure", least=40)
            for name in TOOLS
        }
        for each in self.tools.values():
            each.setCheckable(True)
        self.anchor = combo("In whose frame the next caliper is kept", letters=2,
                            name="Anchor of calipers")  # fmt: skip
        self.frame_combo = combo("What is upright", letters=2, name="Frame")
        self.recipe_box = RecipeBox(controller)
        status = [
            ("all", "", "All rows"), ("values", "ok", "Rows with a value"),
            ("no value", "none", "Rows without a value, with the reason"),
            *((s.replace("_", " "), s, why) for s, why in STATUSES.items()
              if s not in ("ok", "uncalibrated")),
        ]  # fmt: skip
        self.status_combo = combo("Rows of which status", status, 4, "Status")
        verdicts = [("any verdict", "", "")] + [
            (v, v, "") for v in ("pass", "fail", "undecided")
        ]
        self.verdict_combo = combo("Rows of which verdict", verdicts, 4, "Verdict")
        self.copy_button = button(
            "Copy", "Put the rows on the clipboard, with a header"
        )
        self.table = ValueTable(controller)
        self.table.setMinimumHeight(90)
        self.budget = BudgetBar()
        self.plot_combo = combo(
            "Which plot", [(t, k, tip) for t, k, tip in PLOTS], 7, "Plot of"
        )
        self.plot = PlotView()
        self.count = note("", "How many values there are")
        self.count.setWordWrap(False)  # else the page is as high as it would like
        self.count.setMinimumWidth(120)
        self.whole = tick("All slices", "Measure every slice that has labels")
        self.save_button = button("Save…", "Values as CSV or JSON, the recipe as TOML, "
                                  "or a folder with a report")  # fmt: skip
        self.load_button = button("Load recipe…", "Take a recipe from a TOML file")
        self.lay_out(
            row((self.kind_combo, 1), self.add_button),
            row((self.one, 1), (self.two, 1)),
            row(*((each, 1) for each in self.tools.values())),
            row(QLabel("frame"), (self.frame_combo, 1), QLabel("anchor"),
                (self.anchor, 1)),
            self.recipe_box,
            row(self.status_combo, (self.verdict_combo, 1), self.copy_button),
            self.table,
            self.budget,
            row((self.count, 1), self.plot_combo),
            self.plot,
            row(self.whole, (self.load_button, 1), (self.save_button, 1)),
            stretch=self.table,
        )  # fmt: skip
        self._connect()
        self.refresh()

    def _connect(self) -> None:
        controller = self.controller
        self.on(self.kind_combo.activated, self._take_kind)
        self.on(self.add_button.clicked, self._add)
        self.on(self.anchor.activated, self._take_anchor)
        self.on(self.frame_combo.activated, self._take_frame)
        for each in (self.status_combo, self.verdict_combo):
            self.on(each.activated, self._take_filter)
        self.on(self.copy_button.clicked, self.table.copy)
        self.on(self.whole.clicked, self._take_whole)
        self.on(self.save_button.clicked, self._ask_save)
        self.on(self.load_button.clicked, self._ask_load)
        self.on(self.plot_combo.activated, self._show_plot)
        self.table.hovered.connect(self._on_hovered)
        self.watch(controller.changed, self.refresh)
        self.watch(self.workspace.viewer.events.theme, self._on_theme)
        self._on_theme()

    def refresh(self) -> None:
        """Show the recipe and the values as they are, whoever changed them."""
        controller, session = self.controller, self.workspace.session
        choose(self.kind_combo, controller.kind)
        _, most = classes_for(controller.kind)
        if session is not None:
            picked = controller.picked
            ids = {entry.name: entry.id for entry in session.classes}
            for place, each in enumerate((self.one, self.two)):
                wanted = ids.get(picked[place]) if place < len(picked) else None
                fill_classes(each, session.classes, wanted or each.currentData() or 0)
        self.one.setVisible(most > 0)
        self.two.setVisible(most > 1)
        self.add_button.setEnabled(session is not None and bool(len(session.classes)))
        for name, each in self.tools.items():
            each.setChecked(controller.tools.tool == name)
        self._fill_frames()
        stack = session is not None and session.scan.n_planes > 1
        self.whole.setVisible(stack)
        with signals_blocked(self.whole):
            self.whole.setChecked(controller.whole)
        self.count.setText(self._words())
        self.table.refresh()
        self.save_button.setEnabled(bool(controller.rows))
        self.copy_button.setEnabled(bool(controller.rows))
        self._on_hovered(-1)
        self._show_plot()

    def _words(self) -> str:
        controller = self.controller
        if controller.busy:
            return "Measuring …"
        rows = controller.rows
        if not controller.recipe.measure:
            return "Nothing measured yet."
        good = sum(r.has_value for r in rows)
        failed = sum(r.verdict == "fail" for r in rows)
        words = f"{good} values" + (
            f", {len(rows) - good} without" * (good < len(rows))
        )
        return words + (f", {failed} fail" if failed else "")

    def _fill_frames(self) -> None:
        recipe = self.controller.recipe
        axis = recipe.frame.axis
        entries: list[tuple[str, Any]] = [("picture", {})]
        entries += [(f"along {name}", {"feature": name}) for name in recipe.features]
        pairs = {m.between[:2] for m in recipe.measure if m.between}
        pairs |= {axis.level} if axis.level else set()
        entries += [(f"{a} on {b} level", {"level": [a, b]}) for a, b in sorted(pairs)]
        if axis.angle is not None:
            entries.append((f"{axis.angle:g}°", {"angle": axis.angle}))
        now = axis.model_dump(exclude_none=True, mode="json")
        with signals_blocked(self.frame_combo):
            self.frame_combo.clear()
            for text, value in entries:
                self.frame_combo.addItem(text, value)
                if value == now:
                    self.frame_combo.setCurrentIndex(self.frame_combo.count() - 1)
        with signals_blocked(self.anchor):
            self.anchor.clear()
            self.anchor.addItem("picture", "")
            for name in recipe.features:
                self.anchor.addItem(name, name)
            self.anchor.setCurrentIndex(
                max(0, self.anchor.findData(self.controller.anchor))
            )

    def _take_kind(self) -> None:
        self.controller.choose_kind(self.kind_combo.currentData())

    def _add(self) -> None:
        controller = self.controller
        most = classes_for(controller.kind)[1]
        names = [each.currentText() for each in (self.one, self.two)[:most]]
        controller.picked = list(dict.fromkeys(n for n in names if n))
        controller.add()

    def _take_anchor(self) -> None:
        self.controller.anchor = self.anchor.currentData()

    def _take_frame(self) -> None:
        self.controller.level_by(**self.frame_combo.currentData())

    def _take_filter(self) -> None:
        self.controller.filter(
            self.status_combo.currentData(), self.verdict_combo.currentData()
        )

    def _take_whole(self) -> None:
        self.controller.measure_whole(self.whole.isChecked())

    def _on_hovered(self, place: int) -> None:
        controller = self.controller
        place = place if place >= 0 else controller.chosen
        rows = controller.rows
        self.budget.show_result(rows[place] if 0 <= place < len(rows) else None)

    def _show_plot(self) -> None:
        controller = self.controller
        rows, m = controller.rows, self.recipe_box.chosen
        chosen = rows[controller.chosen] if controller.chosen >= 0 else None
        if chosen is None and m is not None:
            chosen = next((r for r in rows if r.measurement == m.name), None)
        if chosen is None:
            self.plot.show_svg("", "The plot of what is measured stands here.")
            return
        self.plot.show_svg(*drawn(self.plot_combo.currentData(), chosen, rows))

    def _on_theme(self, *_: object) -> None:
        from napari.utils.theme import get_theme

        text = get_theme(self.workspace.viewer.theme).text.as_hex()
        self.plot.use_theme(text)
        self.budget.use_theme(text)

    def _ask_save(self) -> None:
        session = self.workspace.session
        name = "values" if session is None else f"{session.scan.name} values"
        path, wanted = QFileDialog.getSaveFileName(
            self, "Save what was measured", f"{name}.csv", FILES
        )
        if path:
            target = Path(path)
            if not target.suffix and "*." in wanted:
                target = target.with_suffix(wanted.split("*")[1].rstrip(")"))
            self.controller.save(target)

    def _ask_load(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self, "Load a recipe", "", "Recipes (*.toml)"
        )
        if path:
            self.controller.load(Path(path))
