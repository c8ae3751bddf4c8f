"""The short help card of prompting, folded away until it is asked for."""

from __future__ import annotations

from qtpy.QtWidgets import QFormLayout, QLabel, QWidget
from superqt import QCollapsible

from napari_sesami.viewer.app.keys import help_rows

_MOUSE = (
    ("Click", "On the object; the mask follows"),
    ("Shift+click, right", "Off the object"),
    ("Ctrl+click", "Correct a committed object"),
    ("Drag", "Box, lasso, stroke; else moves the view"),
)


class PromptHelp(QCollapsible):
    """Mouse and keys of prompting."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Mouse and keys", parent)
        page = QWidget()
        form = QFormLayout(page)
        form.setContentsMargins(0, 0, 0, 0)
        form.setVerticalSpacing(2)
        for keys, text in (*_MOUSE, *help_rows(prompts=True)):
            label = QLabel(text)
            label.setWordWrap(True)
            form.addRow(QLabel(keys), label)
        self.setContent(page)
        self.setToolTip("Keys work while the pointer is over the picture")
        self.setAccessibleName("Mouse and keys of prompting")
        self.collapse(animate=False)
