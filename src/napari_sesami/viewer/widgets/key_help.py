"""The list of keys, folded away until it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFormLayout, QLabel, QWidget
from superqt import QCollapsible

from napari_sesami.viewer.app.keys import help_rows

if TYPE_CHECKING:
    from collections.abc import Sequence


class HelpCard(QCollapsible):
    """Keys of the plugin, or of prompting; they work while the canvas has the focus."""

    def __init__(
        self,
        title: str = "Keys",
        prompts: bool = False,
        more: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(title)
        page = QWidget()
        form = QFormLayout(page)
        form.setContentsMargins(0, 0, 0, 0)
        form.setVerticalSpacing(2)
        for keys, text in (*more, *help_rows(prompts=prompts)):
            label = QLabel(text)
            label.setWordWrap(True)
            form.addRow(QLabel(keys), label)
        self.setContent(page)
        self.setToolTip("Keys that work while the pointer is over the picture")
        self.setAccessibleName(f"{title} of {'prompting' if prompts else 'the plugin'}")
        self.collapse(animate=False)

    def toggle(self) -> None:
        """Fold out or in."""
        fold = self.collapse if self.isExpanded() else self.expand
        fold(animate=False)
