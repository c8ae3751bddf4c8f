"""The table of features: the core finds them by name and imports none of them.

A feature that gives a key another meaning while it is active, or follows a session
from its opening on, adds one line here.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sesami.viewer.app.keys import Action
    from napari_sesami.viewer.app.workspace import Workspace

ACTS = (
    "napari_sesami.viewer.queue.actions:queue_act",
    "napari_sesami.viewer.worklist.actions:work_act",
    "napari_sesami.viewer.prompt.actions:prompt_act",
    "napari_sesami.viewer.strokes.actions:strokes_act",
)
"""Asked in this order, before an action means what it usually does."""

FOLLOWERS = ("napari_sesami.viewer.runs.controller:follow_runs",)
"""Called with the workspace when another session is shown."""


def act_by_feature(workspace: Workspace, action: Action, argument: int) -> bool:
    """Let the features carry an action out; return whether one of them did."""
    return any(_load(place)(workspace, action, argument) for place in ACTS)


def tell_followers(workspace: Workspace) -> None:
    """Tell features that another session is shown; no panel need be open."""
    for place in FOLLOWERS:
        _load(place)(workspace)


def _load(place: str) -> Any:
    module, name = place.split(":")
    return getattr(import_module(module), name)
