"""Repeats: cells that look like a chosen one, and where they differ from it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFormLayout, QWidget

from napari_sesami.viewer.app.errors import ViewerError
from napari_sesami.viewer.layers.result_planes import MapKind
from napari_sesami.viewer.strokes.jobs import repeats_of
from napari_sesami.viewer.strokes.layers import CellLayers
from napari_sesami.viewer.widgets.factory import button, column, note, row, share
from napari_sesami.viewer.widgets.part import PanelPart

if TYPE_CHECKING:
    from napari_sesami.retrieve import Repeats
    from napari_sesami.viewer.strokes.controller import StrokesController

    Box = tuple[int, int, int, int]

REPEATS = "repeats"
DIFFERENCE = MapKind(
    "difference",
    "Difference of repeats",
    "inferno",
    (0.0, 8.0),
    "Difference: bright = 8 robust standard deviations from the median repeat.",
)
HINT = (
    "Draw a rectangle around one cell (Choose cell), or commit it as an object and "
    "point at it; then Find."
)


@dataclass(frozen=True)
class _Cell:
    """What was searched, and what was found."""

    plane: int
    box: Box
    repeats: Repeats


class RepeatsBox(PanelPart, QWidget):
    """Choose a cell, find its repeats, see their difference, transfer its labels."""

    def __init__(
        self, controller: StrokesController, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._controller, self.workspace = controller, controller.workspace
        self.found: _Cell | None = None
        self._layers: CellLayers | None = None
        self.choose_button = button("Choose cell", "Draw a rectangle around one cell")
        self.find_button = button("Find", "Find all repeats of the cell on this slice")
        self.transfer_button = button(
            "Transfer labels", "Copy the cell's labels into free pixels of its repeats"
        )
        self.transfer_button.setEnabled(False)
        self.least = share(
            "Smallest similarity of a repeat; lower finds more", 0.1, 0.99
        )
        self.least.setValue(0.8)
        self.words = note(HINT, "What was found")
        form = QFormLayout()
        form.addRow("At least", self.least)
        buttons = row(self.choose_button, self.find_button)
        column(self, buttons, form, self.transfer_button, self.words, None, margin=4)
        self.on(self.choose_button.clicked, self.choose)
        self.on(self.find_button.clicked, self.find)
        self.on(self.transfer_button.clicked, self.transfer)
        self.watch(controller.changed, self.refresh)

    def choose(self) -> None:
        """Give the user a layer in which to draw a rectangle."""
        self._cell_layers().draw_cell()
        self.workspace.say("Drag a rectangle around one cell, then press Find.")

    def find(self) -> None:
        """Search in the background."""
        controller = self._controller
        box = self._box()
        controller.workspace.say("Looking for repeats …")
        task = partial(
            repeats_of,
            controller.binding.session,
            controller.binding.plane,
            box,
            self.least.value(),
            controller.zoom,
        )
        controller.workspace.jobs.submit(REPEATS, task, self._on_found)

    def transfer(self) -> None:
        """Copy the labels of the cell into its repeats, undoably."""
        from napari_sesami.retrieve import transfer_labels

        found = self.found
        if found is None:
            raise ViewerError("Find the repeats of a cell first.")
        session = self._controller.binding.session
        labels = session.document.labels.plane(found.plane)
        y0, x0, y1, x1 = found.box
        if not labels[y0:y1, x0:x1].any():
            raise ViewerError(
                "The cell has no labels yet: accept a result or commit objects in it."
            )
        new = transfer_labels(labels, found.box, found.repeats)
        changed = session.document.labels.write(new, found.plane)
        self.workspace.say(
            "The cell's labels are in its repeats; undo (Ctrl+Z) takes them back."
            if changed
            else "Nothing changed: the repeats have labels already."
        )

    def _box(self) -> Box:
        """The rectangle that was drawn, else the object under the cursor."""
        binding = self._controller.binding
        drawn = self._cell_layers().cell
        if drawn is not None:
            return drawn
        here = [o for o in binding.session.objects.values() if binding.plane in o.parts]
        if not here:
            raise ViewerError(HINT)
        newest = max(here, key=lambda o: o.order)
        return newest.parts[binding.plane].bbox

    def _on_found(self, answer: tuple[int, Box, Repeats]) -> None:
        controller = self._controller
        if controller.layers is None:
            return
        plane, box, repeats = answer
        self.found = _Cell(plane, box, repeats)
        n = len(repeats.boxes)
        self._cell_layers().outline(plane, repeats.boxes)
        if n >= 3:
            controller.layers.show_map(DIFFERENCE, plane, repeats.difference)
        self.transfer_button.setEnabled(n > 1)
        self.words.setText(
            f"{n} cells found, similarity {repeats.similarity.min():.2f} to "
            f"{repeats.similarity.max():.2f}.\n"
            + (DIFFERENCE.legend if n >= 3 else "Three are needed for a difference.")
            if n
            else "No repeats: lower the similarity, or choose a larger cell."
        )
        controller.workspace.say(f"{n} cells look like the chosen one.")

    def _cell_layers(self) -> CellLayers:
        """The layers of the scan shown."""
        binding = self._controller.binding
        if self._layers is None or self._layers.binding is not binding:
            self._layers = CellLayers(self.workspace.viewer, binding)
        return self._layers

    def refresh(self) -> None:
        """Forget what was found when the scan goes."""
        if self._controller.last is None and self.workspace.binding is None:
            self.found = None
            self.transfer_button.setEnabled(False)
