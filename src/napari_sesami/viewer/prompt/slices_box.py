"""Slices: follow the object, fill in between, and see where it is least sure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from napari_sesami.viewer.app.errors import sentence
from napari_sesami.viewer.app.keys import Action
from napari_sesami.viewer.prompt.strip import Strip
from napari_sesami.viewer.widgets.factory import button

if TYPE_CHECKING:
    from napari_sesami.viewer.prompt.controller import PromptController


class VolumeBox(QWidget):
    """Buttons and strip for scans of several slices."""

    def __init__(
        self, controller: PromptController, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._controller = controller
        self.back = button("◀ Back", "Follow the object to earlier slices")
        self.both = button("Follow", "Follow the object both ways (Shift+F)")
        self.ahead = button("Ahead ▶", "Follow the object to later slices")
        self.between = button(
            "Fill between",
            "Interpolate between the slices that were prompted (Shift+B)",
        )
        self.worst = button("Worst slice", "Show the slice that is least sure")
        self.strip = Strip()
        grid = QGridLayout()
        for n, each in enumerate((self.back, self.both, self.ahead)):
            grid.addWidget(each, 0, n)
        grid.addWidget(self.between, 1, 0, 1, 2)
        grid.addWidget(self.worst, 1, 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(grid)
        layout.addWidget(self.strip)
        self.back.clicked.connect(self._on_back)
        self.both.clicked.connect(self._on_both)
        self.ahead.clicked.connect(self._on_ahead)
        self.between.clicked.connect(self._on_between)
        self.worst.clicked.connect(self._on_worst)
        self.strip.picked.connect(self._on_picked)
        controller.slices.changed.connect(self.reflect)

    def disconnect_from_prompter(self) -> None:
        """Let go of the prompter."""
        self._controller.slices.changed.disconnect(self.reflect)

    def reflect(self) -> None:
        """Show the bars of the object at work."""
        binding = self._controller.workspace.binding
        self.setVisible(binding is not None and binding.session.scan.n_planes > 1)
        plane = 0 if binding is None else binding.plane
        self.strip.set_bars(self._controller.slices.bars, plane)
        self.worst.setEnabled(bool(self.strip.bars))

    def _on_back(self) -> None:
        self._follow((-1,))

    def _on_ahead(self) -> None:
        self._follow((1,))

    def _follow(self, directions: tuple[int, ...]) -> None:
        try:
            self._controller.slices.follow(directions)
        except ValueError as error:
            self._controller.workspace.say(sentence(error))

    def _on_both(self) -> None:
        self._controller.workspace.act(Action.PROMPT_FOLLOW)

    def _on_between(self) -> None:
        self._controller.workspace.act(Action.PROMPT_BETWEEN)

    def _on_worst(self) -> None:
        try:
            self._controller.slices.jump_to_worst()
        except ValueError as error:
            self._controller.workspace.say(sentence(error))

    def _on_picked(self, plane: int) -> None:
        self._controller.slices.jump(plane)
