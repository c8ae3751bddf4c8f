"""The row of tool buttons: what the left button of the mouse does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QGridLayout, QWidget
from superqt.utils import signals_blocked

from napari_sesami.viewer.app.actions import action
from napari_sesami.viewer.layers.mouse import Tool
from napari_sesami.viewer.widgets.action_button import ActionButton, tip_of
from napari_sesami.viewer.widgets.factory import tick
from napari_sesami.viewer.widgets.part import PanelPart

if TYPE_CHECKING:
    from napari_sesami.viewer.prompt.controller import PromptController

_TOOLS = (Tool.CLICK, Tool.BOX, Tool.LASSO, Tool.STROKE, Tool.CORRECT)


class ToolRow(PanelPart, QWidget):
    """Tools to prompt with; the one in use, pressed again, is released."""

    def __init__(
        self, controller: PromptController, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._controller = controller
        self.workspace = controller.workspace
        self.buttons: dict[Tool, ActionButton] = {}
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        for n, tool in enumerate(_TOOLS):
            made = ActionButton(self.workspace, f"prompt_{tool.value}")
            made.setCheckable(True)
            self.on(made.clicked, self.refresh)
            self.buttons[tool] = made
            grid.addWidget(made, n // 3, n % 3)
        sign = action("prompt_sign")
        self.sign = tick(sign.button, tip_of(sign))
        self.on(self.sign.clicked, self.workspace.act, sign.id)
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

    def _on_hover(self, on: bool) -> None:
        self._controller.options.hover = on
        self._controller.cursor.begin(None)
        self._controller.refresh()
