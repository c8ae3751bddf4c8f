"""Slices: follow the object, fill in between, and see where it is least sure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QGridLayout, QWidget

from napari_sesami.viewer.prompt.strip import Strip
from napari_sesami.viewer.widgets.action_button import ActionButton
from napari_sesami.viewer.widgets.factory import button, column
from napari_sesami.viewer.widgets.part import PanelPart

if TYPE_CHECKING:
    from napari_sesami.viewer.prompt.controller import PromptController


class VolumeBox(PanelPart, QWidget):
    """Buttons and strip for scans of several slices."""

    def __init__(
        self, controller: PromptController, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._controller, slices = controller, controller.slices
        self.workspace = controller.workspace
        self.back = button("◀ Back", "Follow the object to earlier slices")
        self.both = ActionButton(self.workspace, "prompt_follow")
        self.ahead = button("Ahead ▶", "Follow the object to later slices")
        self.between = ActionButton(self.workspace, "prompt_between")
        self.worst = button("Worst slice", "Show the slice that is least sure")
        self.strip = Strip()
        grid = QGridLayout()
        for n, each in enumerate((self.back, self.both, self.ahead)):
            grid.addWidget(each, 0, n)
        grid.addWidget(self.between, 1, 0, 1, 2)
        grid.addWidget(self.worst, 1, 2)
        column(self, grid, self.strip)
        self.on(self.back.clicked, slices.follow, (-1,))
        self.on(self.ahead.clicked, slices.follow, (1,))
        self.on(self.worst.clicked, slices.jump_to_worst)
        self.strip.picked.connect(slices.jump)
        self.watch(slices.changed, self.refresh)

    def refresh(self) -> None:
        """Show the bars of the object at work."""
        binding = self._controller.workspace.binding
        self.setVisible(binding is not None and binding.session.scan.n_planes > 1)
        plane = 0 if binding is None else binding.plane
        self.strip.set_bars(self._controller.slices.bars, plane)
        self.worst.setEnabled(bool(self.strip.bars))
