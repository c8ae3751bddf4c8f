"""Names from files are shown as they are, never as the HTML that they may hold."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, TypeVar

from qtpy.QtCore import Qt

if TYPE_CHECKING:
    from qtpy.QtWidgets import QLabel

    L = TypeVar("L", bound=QLabel)


def plain_label(label: L) -> L:
    """Let a label show its text letter by letter, whatever is set later."""
    label.setTextFormat(Qt.TextFormat.PlainText)
    return label


def plain_tip(text: str) -> str:
    """Return words for a tool tip or a question, which Qt would else take for HTML."""
    if "<" not in text and "&" not in text:
        return text
    lines = html.escape(text).replace("\n", "<br>")
    return f"<qt>{lines}</qt>"
