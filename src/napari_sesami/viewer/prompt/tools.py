"""The row of tool buttons: what the left button of the mouse does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QGridLayout, QPushButton, QWidget
from superqt.utils import signals_blocked

from napari_sesami.viewer.app.keys import Action
from napari_sesami.viewer.layers.mouse import Tool
from napari_sesami.viewer.widgets.factory import button, tick
from napari_sesami.viewer.widgets.panel import PanelPart

if TYPE_CHECKING:
    from napari_sesami.viewer.prompt.controller import PromptController

_BUTTONS = (
    (Tool.CLICK, Action.PROMPT_CLICK, "Click", "G", "Click on an object"),
    (Tool.BOX, Action.PROMPT_BOX, "Box", "Shift+G", "Drag a box around an object"),
    (Tool.LASSO, Action.PROMPT_LASSO, "Lasso", "Shift+J", "Draw around an object"),
    (Tool.STROKE, Action.PROMPT_STROKE, "Stroke", "J", "Draw along a thin layer"),
    (
        Tool.CORRECT,
        Action.PROMPT_CORRECT,
        "Correct",
        "Shift+K",
        "Click a committed object to go on with it (or Ctrl+click with any tool)",
    ),
)


class ToolRow(PanelPart, QWidget):
    """Tools to prompt with; the one in use, pressed again, is released."""

    def __init__(
        self, controller: PromptController, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._controller = controller
        self.workspace = controller.workspace
        self.buttons: dict[Tool, QPushButton] = {}
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        for n, (tool, action, text, key, tip) in enumerate(_BUTTONS):
            made = button(text, f"{tip}. Press again to move the view (key {key})")
            made.setCheckable(True)
            self.on(made.clicked, self._take, action)
            self.buttons[tool] = made
            grid.addWidget(made, n // 3, n % 3)
        self.sign = tick(
            "− off it",
            "Prompts mean what is not the object (Shift+N). With Shift, or the right "
            "button, a single prompt means the opposite",
        )
        self.on(self.sign.clicked, self.workspace.act, Action.PROMPT_SIGN)
        grid.addWidget(self.sign, 1, 2)
        self.hover = tick(
            "Preview under the cursor", "Show the mask of a click before it is made"
        )
        self.hover.clicked.connect(self._on_hover)
        grid.addWidget(self.hover, 2, 0, 1, 3)

    def refresh(self) -> None:
        """Show what is in use, whoever changed it."""
        controller = self._controller
        ready = controller.workspace.binding is not None
        for tool, made in self.buttons.items():
            made.setEnabled(ready)
            with signals_blocked(made):
                made.setChecked(controller.tool is tool)
        with signals_blocked(self.sign), signals_blocked(self.hover):
            self.sign.setChecked(controller.options.negative)
            self.hover.setChecked(controller.options.hover)

    def _take(self, action: Action) -> None:
        self.workspace.act(action)
        self.refresh()

    def _on_hover(self, on: bool) -> None:
        self._controller.options.hover = on
        self._controller.cursor.begin(None)
        self._controller.refresh()
