"""Buttons of actions: word, sentence and key come from the table of actions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QPushButton

from napari_sesami.viewer.app.actions import meanings
from napari_sesami.viewer.app.shortcuts import shortcuts
from napari_sesami.viewer.widgets.factory import named
from napari_sesami.viewer.widgets.part import PanelPart

if TYPE_CHECKING:
    from napari_sesami.viewer.app.actions import Action
    from napari_sesami.viewer.app.workspace import Workspace


class ActionButton(PanelPart, QPushButton):
    """Does what its action's key does, names that key, and leaves the keyboard alone.

    Parameters
    ----------
    workspace
        Whose action it is.
    name
        Of the action.
    page
        Where the button is, if the name means something else on each page.
    least
        Smallest width in px, for buttons that share a row; 0 is as wide as its word.
    show_key
        Whether the key stands on the button, too.
    """

    def __init__(
        self,
        workspace: Workspace,
        name: str,
        page: str = "",
        *,
        least: int | None = None,
        show_key: bool = False,
    ) -> None:
        self.workspace = workspace
        self.action = _meant(name, page)
        super().__init__(self.action.button or self.action.title)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._show_key = show_key
        self._say_key()
        if least is not None:
            words = self.fontMetrics().horizontalAdvance(self.text())
            self.setMinimumWidth(least or words + 10)
        self.on(self.clicked, workspace.act, name)
        self.watch(shortcuts().changed, self._say_key)

    def _say_key(self) -> None:
        key = shortcuts().shown(self.action.key) if self.action.key else ""
        named(self, tip_of(self.action), f"{self.action.button}: {tip_of(self.action)}")
        if self._show_key:
            self.setText(f"{self.action.button} ({key})" if key else self.action.button)


def tip_of(action: Action) -> str:
    """The sentence of an action with its key."""
    key = shortcuts().shown(action.key) if action.key else ""
    return f"{action.tip or action.title}" + (f" (key {key})" if key else "")


def _meant(name: str, page: str) -> Action:
    found = meanings(name=name)
    return next((each for each in found if each.page == page), found[-1])
