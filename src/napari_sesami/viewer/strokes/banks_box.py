"""Banks: what was learned on one scan, taken to another."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFileDialog, QWidget

from napari_sesami.viewer.strokes.jobs import combined_bank, saved_bank
from napari_sesami.viewer.widgets.factory import button, column, note, row, tick
from napari_sesami.viewer.widgets.part import PanelPart

if TYPE_CHECKING:
    from napari_sesami.viewer.strokes.controller import StrokesController

BANK = "bank"
FILTER = "Bank (*.bank)"


class BankBox(PanelPart, QWidget):
    """Save and load `.bank` files."""

    def __init__(
        self, controller: StrokesController, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._controller, self.workspace = controller, controller.workspace
        self.save_button = button("Save…", "Write what was learned to a .bank file")
        self.load_button = button("Load…", "Learn from a .bank of the same device")
        self.combine_button = button(
            "Combine…", "Make one bank of two or more; classes are joined by name"
        )
        self.pictures = tick(
            "With thumbnails",
            "Small pictures of the patches; without, no pixel leaves the house",
            on=True,
        )
        self.words = note(
            "A bank labels other scans of the same device without new strokes. It fits "
            "scans read by the same model; another pixel size is resampled.",
            "What a bank is",
        )
        buttons = row(self.save_button, self.load_button, self.combine_button)
        column(self, buttons, self.pictures, self.words, None, margin=4)
        self.save_button.clicked.connect(self._on_save)
        self.load_button.clicked.connect(self._on_load)
        self.combine_button.clicked.connect(self._on_combine)

    def save(self, path: Path) -> None:
        """Write a bank in the background."""
        session, with_pictures = (
            self._controller.binding.session,
            self.pictures.isChecked(),
        )
        task = partial(saved_bank, session, self._controller.how, path, with_pictures)
        self.workspace.jobs.submit(BANK, task, self._on_saved)

    def load(self, path: Path) -> None:
        """Learn from a bank; one that does not fit is refused in a sentence."""
        self.run(self._learn, path)

    def _learn(self, path: Path) -> None:
        session = self._controller.binding.session
        session.retrieval.teach(path)
        self.workspace.say(f"Learned from {path.name}.")
        self._controller.set_zoom(session.retrieval.learner.best_zoom())

    def combine(self, banks: list[Path], path: Path) -> None:
        """Write one bank of several in the background."""
        task = partial(combined_bank, self._controller.binding.session, banks, path)
        self.workspace.jobs.submit(BANK, task, self._on_combined)

    def _on_combined(self, answer: tuple[Path, int]) -> None:
        path, patches = answer
        self.workspace.say(f"{path.name} holds {patches} patches. Load… learns it.")

    def _on_saved(self, path: Path) -> None:
        self.workspace.say(f"Saved {path.name}, {path.stat().st_size / 1e6:.1f} MB.")

    def _on_save(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "Save the bank", "", FILTER)
        if name:
            self.run(self.save, Path(name).with_suffix(".bank"))

    def _on_combine(self) -> None:
        names, _ = QFileDialog.getOpenFileNames(
            self, "Choose the banks to combine", "", FILTER
        )
        if len(names) < 2:
            if names:
                self.workspace.say("Choose two banks or more to combine.")
            return
        name, _ = QFileDialog.getSaveFileName(self, "Save the new bank", "", FILTER)
        if name:
            banks = [Path(n) for n in names]
            self.run(self.combine, banks, Path(name).with_suffix(".bank"))

    def _on_load(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Load a bank", "", FILTER)
        if name:
            self.load(Path(name))
