"""The commands of `napari.yaml`: each opens its page and does the action of its name.

`napari_sesami.viewer.app.commands:ID` is made when it is asked for, from the table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sesami.viewer.app.actions import ACTIONS, NUMBERS, action
from napari_sesami.viewer.app.workspace import workspace_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari.viewer

    Command = Callable[[napari.viewer.Viewer], None]

NAMES = tuple(dict.fromkeys(each.id for each in ACTIONS if each.key != NUMBERS))
"""Actions that are commands: all but those that need a number."""


def __getattr__(name: str) -> Command:
    if name not in NAMES:
        raise AttributeError(f"There is no action {name}.")

    def command(viewer: napari.viewer.Viewer) -> None:
        workspace = workspace_of(viewer)
        workspace.panels.show(action(name).page)
        workspace.act(name)

    command.__name__, command.__doc__ = name, action(name).title
    return command
