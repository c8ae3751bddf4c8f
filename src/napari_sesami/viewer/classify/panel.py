"""The "Defect classes" page: composes its parts and wires them, nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QSlider, QWidget
from superqt import QElidingLabel

from napari_sesami.viewer.classify.class_book import ClassBook
from napari_sesami.viewer.classify.controller import ORDERS, SHOWS, ClassifyController
from napari_sesami.viewer.classify.drift_view import DriftView
from napari_sesami.viewer.classify.gallery import GalleryView
from napari_sesami.viewer.classify.matrix_view import MatrixView
from napari_sesami.viewer.classify.model_box import DefectModelBox
from napari_sesami.viewer.classify.wafer_map import WaferMap
from napari_sesami.viewer.classify.why_view import WhyView
from napari_sesami.viewer.widgets.action_button import ActionButton
from napari_sesami.viewer.widgets.factory import (
    button,
    choose,
    column,
    combo,
    named,
    note,
    row,
    scrolled,
    tabs,
)
from napari_sesami.viewer.widgets.panel import Panel
from napari_sesami.viewer.widgets.plain import plain_tip

if TYPE_CHECKING:
    from napari.viewer import Viewer


TABS = 262  # px; what is higher scrolls
WHY_TAB = 2


class ClassifyPanel(Panel):
    """Sort the defects of a lot: label some, and see which the machine decides.

    Parameters
    ----------
    napari_viewer
        Injected by napari, which looks for exactly this parameter name.
    """

    def __init__(self, napari_viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(napari_viewer, parent)
        self.controller = self.workspace.get(ClassifyController)
        self.name = QElidingLabel("No lot yet")
        self.name.setElideMode(Qt.TextElideMode.ElideMiddle)
        self.name.setAccessibleName("Lot of defects")
        self.file_button = button("Lot…", "Open a KLARF 1.x, or a table (CSV)")
        self.folder_button = button("Folder…", "Open a folder of pictures of defects")
        self.objects_button = ActionButton(self.workspace, "defect_objects", least=0)
        self.show_box = combo("Which defects the gallery shows", SHOWS, 6, "Show")
        self.order_box = combo("How the gallery is sorted", ORDERS, 6, "Sort")
        self.again_button = button("↻", "Look again who belongs into the gallery", 26)
        self.gallery = GalleryView(self.controller)
        self.title = note("", "What the gallery shows")
        self.slider = named(
            QSlider(Qt.Orientation.Horizontal),
            "Wished purity: how many of those called a class must be of it",
            "Wished purity",
        )
        self.slider.setRange(50, 99)
        self.slider.setValue(round(100 * self.controller.purity))
        self.purity = note("", "Wished purity in words")
        self.shares = note("", "Shares of machine and people")
        self.book = ClassBook(self.controller)
        self.matrix = MatrixView(self.controller)
        self.wafer = WaferMap(self.controller)
        self.drift = DriftView(self.controller)
        self.save_button = button(
            "Results…", "Write table, JSON, report, and the KLARF, into a folder", 0
        )
        self.model = DefectModelBox(self.controller)
        self.why = WhyView(self.controller)
        self.why_button = ActionButton(self.workspace, "defect_why", least=0)
        self.alike_button = ActionButton(self.workspace, "defect_alike", least=0)
        judged, out, told = QWidget(), QWidget(), QWidget()
        column(judged, self.matrix, None)
        column(told, self.why, row(self.why_button, self.alike_button), None)
        column(out, self.save_button, self.wafer, self.drift, None)
        self.tabs = tabs(
            "Classes, confusion, why, wafer, model",
            (
                ("Classes", "Names, numbers, definitions, counts", self.book),
                ("Confusion", "Which class is taken for which", scrolled(judged)),
                ("Why", "What the picked defect is told by", told),
                ("Wafer", "Map, Pareto, drift, and the results", scrolled(out)),
                ("Model", "Encoder, fine-tuning, the model", self.model),
            ),
        )
        self.tabs.setFixedHeight(TABS)
        self.lay_out(
            self.name,
            row(self.file_button, self.folder_button, self.objects_button),
            row((self.show_box, 1), (self.order_box, 1), self.again_button),
            self.title,
            self.gallery,
            row(self.purity, (self.slider, 1)),
            self.shares,
            self.tabs,
            stretch=self.gallery,
        )
        self.watch(self.controller.changed, self.refresh)
        self.watch(self.controller.listed, self._selected_none)
        self.file_button.clicked.connect(self.ask_file)
        self.folder_button.clicked.connect(self.ask_folder)
        self.save_button.clicked.connect(self._ask_results)
        self.on(self.again_button.clicked, self.controller.list_again)
        self.show_box.activated.connect(self._show)
        self.order_box.activated.connect(self._sort)
        self.slider.valueChanged.connect(self._wish)
        self.refresh()

    def refresh(self) -> None:
        """Show what is known of the lot."""
        controller = self.controller
        there = controller.classifier is not None
        for made in (
            self.show_box, self.order_box, self.again_button, self.slider,
            self.why_button, self.alike_button,
        ):  # fmt: skip
            made.setEnabled(there)
        answered = controller.decisions is not None
        self.save_button.setEnabled(answered)
        self.purity.setText(f"Purity ≥ {self.slider.value()} %")
        choose(self.show_box, controller.what)
        choose(self.order_box, controller.order)
        if not there:
            self.name.setText("No lot yet")
            self.title.setText("Open a KLARF, a table or a folder of pictures.")
            self.shares.setText("")
            return
        lot = controller.lot
        self.name.setText(f"{lot.name}: {len(lot)} defects")
        self.name.setToolTip(plain_tip("\n".join([str(lot.path or ""), *lot.problems])))
        shown = {key: word for word, key in SHOWS}.get(controller.what, "")
        what = controller.title or shown
        self.title.setText(f"{len(controller.shown)} shown: {what}{self._control()}")
        self.shares.setText(self._shares())

    def _control(self) -> str:
        """Say of a queue what it asks for control, and what it leaves out."""
        if self.controller.what != "queue":
            return ""
        control, saved = self.controller.control, self.controller.saved
        return f", {len(control)} of them for control; {saved} need no look"

    def _shares(self) -> str:
        """Say who decides how many, and how right that was on held-out labels."""
        from napari_sesami.classify import drift_sentence, share_text

        controller = self.controller
        d, matrix = controller.decisions, controller.matrix
        if d is None or not controller.ready:
            return "The pictures are being read; labels can be given meanwhile."
        if matrix is None:
            return "Label defects of two classes: pick some and press 1 to 9."
        n = max(1, len(d))
        people = len(d) - d.by_machine - d.for_people
        right = share_text(matrix.right, matrix.decided)
        new = drift_sentence(controller.drift)
        return (
            f"Machine {d.by_machine} ({100 * d.by_machine / n:.0f} %), labelled "
            f"{people}, for people {d.for_people} ({100 * d.for_people / n:.0f} %). "
            f"Right among held-out labels: {right}.{' ' if new else ''}{new}"
        )

    def open_lot(self, path: Path) -> None:
        """Open a lot; what is wrong with it is said."""
        self.run(self.controller.open_lot, path)

    def _selected_none(self) -> None:
        self.controller.pick([])

    def _show(self, _: int) -> None:
        self.run(self.controller.show, self.show_box.currentData())
        self.refresh()

    def _sort(self, _: int) -> None:
        picked = list(self.controller.picked)
        self.run(self.controller.sort, self.order_box.currentData())
        self.controller.pick(picked)
        self.refresh()

    def _wish(self, value: int) -> None:
        self.purity.setText(f"Purity ≥ {value} %")
        self.controller.set_purity(value / 100)

    def ask_file(self) -> None:
        """Let the user choose a KLARF or a table."""
        name, _ = QFileDialog.getOpenFileName(
            self,
            "A lot of defects",
            filter="KLARF or table (*.001 *.000 *.kla* *.csv *)",
        )
        if name:
            self.open_lot(Path(name))

    def ask_folder(self) -> None:
        """Let the user choose a folder of pictures."""
        name = QFileDialog.getExistingDirectory(self, "A folder of pictures of defects")
        if name:
            self.open_lot(Path(name))

    def ask_why(self) -> None:
        """Show where the picked defect differs."""
        self.controller.explain()
        self.tabs.setCurrentIndex(WHY_TAB)

    def _ask_results(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "A folder for the results")
        if name:
            self.run(self.controller.save_results, Path(name))
