"""The list of keys, folded away until it is asked for."""

from __future__ import annotations

from qtpy.QtWidgets import QFormLayout, QLabel, QWidget
from superqt import QCollapsible

from napari_sesami.viewer.app.keys import help_rows


class HelpCard(QCollapsible):
    """All keys of the plugin; they work while the canvas has the focus."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Keys", parent)
        page = QWidget()
        form = QFormLayout(page)
        form.setContentsMargins(0, 0, 0, 0)
        form.setVerticalSpacing(2)
        for keys, text in help_rows():
            label = QLabel(text)
            label.setWordWrap(True)
            form.addRow(QLabel(keys), label)
        self.setContent(page)
        self.setToolTip("Keys that work while the pointer is over the picture")
        self.setAccessibleName("Keys of the plugin")
        self.collapse(animate=False)

    def toggle(self) -> None:
        """Fold out or in."""
        if self.isExpanded():
            self.collapse(animate=False)
        else:
            self.expand(animate=False)
