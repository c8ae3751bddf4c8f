"""The commands of prompting: each opens the SeSAMI panel and acts on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sesami.viewer.app.keys import Action
from napari_sesami.viewer.app.panels import show_panel
from napari_sesami.viewer.app.workspace import workspace_of

if TYPE_CHECKING:
    import napari.viewer

    from napari_sesami.viewer.prompt.panel import PromptDock


def show_prompt_dock(viewer: napari.viewer.Viewer) -> PromptDock:
    """Open the SeSAMI panel, or give the open one."""
    panel: PromptDock = show_panel(viewer, "click", own_dock=True)
    return panel


def click(viewer: napari.viewer.Viewer) -> None:
    """Click on objects, or stop clicking."""
    _act(viewer, Action.PROMPT_CLICK)


def box(viewer: napari.viewer.Viewer) -> None:
    """Drag boxes around objects."""
    _act(viewer, Action.PROMPT_BOX)


def stroke(viewer: napari.viewer.Viewer) -> None:
    """Draw strokes along objects."""
    _act(viewer, Action.PROMPT_STROKE)


def lasso(viewer: napari.viewer.Viewer) -> None:
    """Draw lassos around objects."""
    _act(viewer, Action.PROMPT_LASSO)


def correct(viewer: napari.viewer.Viewer) -> None:
    """Click committed objects to correct them."""
    _act(viewer, Action.PROMPT_CORRECT)


def sign(viewer: napari.viewer.Viewer) -> None:
    """Point at what is on, or off, the object."""
    _act(viewer, Action.PROMPT_SIGN)


def candidate(viewer: napari.viewer.Viewer) -> None:
    """Show the next of the three candidates."""
    _act(viewer, Action.PROMPT_CANDIDATE)


def commit(viewer: napari.viewer.Viewer) -> None:
    """Commit the mask to its class."""
    _act(viewer, Action.PROMPT_COMMIT)


def clear(viewer: napari.viewer.Viewer) -> None:
    """Forget the mask and begin anew."""
    _act(viewer, Action.PROMPT_CLEAR)


def follow(viewer: napari.viewer.Viewer) -> None:
    """Follow the object through the slices."""
    _act(viewer, Action.PROMPT_FOLLOW)


def between(viewer: napari.viewer.Viewer) -> None:
    """Fill in between corrected slices."""
    _act(viewer, Action.PROMPT_BETWEEN)


def everything(viewer: napari.viewer.Viewer) -> None:
    """Find masks of everything."""
    _act(viewer, Action.PROMPT_EVERYTHING)


def alike(viewer: napari.viewer.Viewer) -> None:
    """Find all objects like this one."""
    _act(viewer, Action.PROMPT_ALIKE)


def accept(viewer: napari.viewer.Viewer) -> None:
    """Take all masks that were found."""
    _act(viewer, Action.PROMPT_ACCEPT)


def _act(viewer: napari.viewer.Viewer, action: Action) -> None:
    show_panel(viewer, "click")
    workspace_of(viewer).act(action)
