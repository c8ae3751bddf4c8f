"""The keys: those of one page folded away on it, and all of them on one card."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QDialog,
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

from napari_sesami.viewer.app.actions import ACTIONS
from napari_sesami.viewer.app.controller import Controller
from napari_sesami.viewer.app.pages import PAGES
from napari_sesami.viewer.app.shortcuts import shortcuts
from napari_sesami.viewer.widgets.part import PanelPart

if TYPE_CHECKING:
    from collections.abc import Sequence

MOUSE = (
    ("Click", "On the object; the mask follows"),
    ("Shift+click, right", "Off the object"),
    ("Ctrl+click", "Correct a committed object"),
    ("Drag", "Box, lasso, stroke; else moves the view"),
)
"""What the mouse does while a click tool is on."""
COLUMNS = (("scan", "strokes", "defects"), ("click",), ("next", "measure", "list"))
"""Pages below and beside each other on the card."""
CHANGE = "Preferences ▸ Shortcuts ▸ Viewer key bindings changes them (Sesami: …)."


def key_rows(page: str) -> list[tuple[str, str]]:
    """(key, what it does) of a page, as the keys are now."""
    rows = []
    for each in ACTIONS:
        key = shortcuts().shown(each.key) if each.key else ""
        if each.page == page and key and each.when != "workspace.binding":
            rows.append((key, each.shown_title))
    return rows


class HelpCard(PanelPart, QCollapsible):
    """Keys of a page; they work while the canvas has the focus."""

    def __init__(
        self, title: str, page: str, more: Sequence[tuple[str, str]] = ()
    ) -> None:
        super().__init__(title, expandedIcon="▼", collapsedIcon="▶")
        self._page, self._more = page, tuple(more)
        self.setToolTip("Keys that work while the pointer is over the picture")
        self.setAccessibleName(f"{title} of this page")
        self.setContent(QWidget())
        self._fill()
        self.collapse(animate=False)
        self.watch(shortcuts().changed, self._fill)

    def _fill(self) -> None:
        content = QWidget()
        form = QFormLayout(content)
        form.setContentsMargins(0, 0, 0, 0)
        form.setVerticalSpacing(2)
        for key, text in (*self._more, *key_rows(self._page)):
            label = QLabel(text)
            label.setWordWrap(True)
            form.addRow(QLabel(key), label)
        form.addRow(QLabel("Q shows the keys of all pages."))
        self.content().deleteLater()
        self.setContent(content)


class KeyCard(QDialog):
    """All keys of all pages; it floats beside the work until it is put away."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Tool)
        self.setWindowTitle("Keys of Sesami")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        columns = QHBoxLayout()
        columns.setSpacing(18)
        titles = {page.name: page.title for page in PAGES}
        for names in COLUMNS:
            column = QVBoxLayout()
            column.setSpacing(4)
            for name in names:
                more = MOUSE if name == "click" else ()
                column.addWidget(QLabel(f"<b>{titles[name]}</b>"))
                column.addLayout(_table((*more, *key_rows(name))))
                column.addSpacing(12)
            column.addStretch(1)
            columns.addLayout(column)
        layout = QVBoxLayout(self)
        layout.addLayout(columns)
        layout.addWidget(QLabel(f"Keys work over the picture. {CHANGE}"))


class KeyCards(Controller):
    """Shows the card of all keys, or puts it away."""

    _card: weakref.ref[KeyCard] | None = None

    @property
    def card(self) -> KeyCard | None:
        """The card, if it is shown."""
        return None if self._card is None else self._card()

    def toggle(self) -> None:
        """Show the card in the middle of the window, or put it away."""
        if self.card is not None:
            self.close()
            return
        window = self.workspace.viewer.window._qt_window
        card = KeyCard(window)
        self._card = weakref.ref(card)
        card.destroyed.connect(self._forget)
        card.adjustSize()
        card.move(window.frameGeometry().center() - card.rect().center())
        card.show()

    def close(self) -> None:
        """Put the card away."""
        card, self._card = self.card, None
        if card is not None:
            card.destroyed.disconnect(self._forget)
            card.close()

    def _forget(self) -> None:
        self._card = None


def _table(rows: Sequence[tuple[str, str]]) -> QGridLayout:
    grid = QGridLayout()
    grid.setHorizontalSpacing(8)
    grid.setVerticalSpacing(1)
    grid.setColumnStretch(1, 1)
    for line, (key, text) in enumerate(rows):
        grid.addWidget(QLabel(key), line, 0)
        grid.addWidget(QLabel(text), line, 1)
    return grid
