"""Painting and saving: what keys, buttons and the palette do on the page Scan."""

from __future__ import annotations

from psygnal import Signal

from napari_sesami.viewer.app.controller import Controller
from napari_sesami.viewer.app.errors import ViewerError


class LabelController(Controller):
    """The brush, the class it paints, the history and the project of the scan shown."""

    name_wanted = Signal()
    """somebody wants to name a new class"""

    def toggle_brush(self) -> None:
        """Turn the brush on, or off to move the view."""
        self.binding.toggle_brush()

    def pick(self, number: int) -> None:
        """Paint the n-th class of the table; 0 is the eraser."""
        binding = self.binding
        entries = list(binding.session.classes)
        if number > len(entries):
            have = len(entries)
            raise ViewerError(
                f"There is no class {number} yet; there {'is' if have == 1 else 'are'} "
                f"{have}. Press N to name a new one."
            )
        binding.pick(entries[number - 1].id if number else 0)
        what = f"Painting {entries[number - 1].name}." if number else "Erasing strokes."
        self.workspace.say(what)

    def name_class(self) -> None:
        """Let a new class be named."""
        _ = self.binding  # says what is missing
        self.name_wanted.emit()

    def toggle_visible(self) -> None:
        """Hide strokes and labels, or show them."""
        self.binding.toggle_visible()

    def undo(self) -> None:
        """Take back the last step of the session."""
        step = self.binding.undo()
        self.workspace.say(
            f"Taken back: {step}." if step else "There is nothing to undo."
        )

    def redo(self) -> None:
        """Do the step taken back last again."""
        step = self.binding.redo()
        self.workspace.say(
            f"Done again: {step}." if step else "There is nothing to redo."
        )

    def save(self) -> None:
        """Save the project in the background."""
        self.binding.flush()
        if self.binding.session.document.project is None:
            raise ViewerError("This labelling has no folder yet: press Save as… first.")
        self.workspace.saver.save()
