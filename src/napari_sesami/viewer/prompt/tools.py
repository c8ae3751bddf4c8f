"""The row of tool buttons: what the left button of the mouse does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QCheckBox, QGridLayout, QPushButton, QWidget
from superqt.utils import signals_blocked

from napari_sesami.viewer.app.keys import Action
from napari_sesami.viewer.layers.mouse import Tool

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


class ToolRow(QWidget):
    """Tools to prompt with; the one in use, pressed again, is released."""

    def __init__(
        self, controller: PromptController, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._controller = controller
        self.buttons: dict[Tool, QPushButton] = {}
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        for n, (tool, action, text, key, tip) in enumerate(_BUTTONS):
            button = QPushButton(text)
            button.setCheckable(True)
            button.setToolTip(f"{tip}. Press again to move the view (key {key})")
            button.setAccessibleName(f"{text}: {tip}")
            button.setProperty("action", action.value)
            button.clicked.connect(self._on_clicked)
            self.buttons[tool] = button
            grid.addWidget(button, n // 3, n % 3)
        self.sign = QCheckBox("− off it")
        self.sign.setToolTip(
            "Prompts mean what is not the object (Shift+N). With Shift, or the right "
            "button, a single prompt means the opposite"
        )
        self.sign.setAccessibleName("Prompts mean what is off the object")
        self.sign.clicked.connect(self._on_sign)
        grid.addWidget(self.sign, 1, 2)
        self.hover = QCheckBox("Preview under the cursor")
        self.hover.setToolTip("Show the mask of a click before it is made")
        self.hover.setAccessibleName("Preview the mask under the cursor")
        self.hover.clicked.connect(self._on_hover)
        grid.addWidget(self.hover, 2, 0, 1, 3)

    def reflect(self) -> None:
        """Show what is in use, whoever changed it."""
        controller = self._controller
        ready = controller.workspace.binding is not None
        for tool, button in self.buttons.items():
            button.setEnabled(ready)
            with signals_blocked(button):
                button.setChecked(controller.tool is tool)
        with signals_blocked(self.sign), signals_blocked(self.hover):
            self.sign.setChecked(controller.options.negative)
            self.hover.setChecked(controller.options.hover)

    def _on_clicked(self) -> None:
        self._controller.workspace.act(Action(self.sender().property("action")))
        self.reflect()

    def _on_sign(self) -> None:
        self._controller.workspace.act(Action.PROMPT_SIGN)

    def _on_hover(self, on: bool) -> None:
        self._controller.options.hover = on
        self._controller.cursor.begin(None)
        self._controller.refresh()
