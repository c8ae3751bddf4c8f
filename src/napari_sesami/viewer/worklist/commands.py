"""The commands of the work list: each opens the panel and acts on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sesami.viewer.app.keys import Action
from napari_sesami.viewer.app.panels import show_panel
from napari_sesami.viewer.app.workspace import workspace_of

if TYPE_CHECKING:
    import napari.viewer

    from napari_sesami.viewer.worklist.panel import WorkListDock


def show_worklist_dock(viewer: napari.viewer.Viewer) -> WorkListDock:
    """Open the panel, or give the open one."""
    panel: WorkListDock = show_panel(viewer, "list", own_dock=True)
    return panel


def accept(viewer: napari.viewer.Viewer) -> None:
    """Accept the proposal in hand."""
    _act(viewer, Action.WORK_ACCEPT)


def correct(viewer: napari.viewer.Viewer) -> None:
    """Correct the proposal in hand with prompts."""
    _act(viewer, Action.WORK_CORRECT)


def reject(viewer: napari.viewer.Viewer) -> None:
    """Reject the proposal in hand."""
    _act(viewer, Action.WORK_REJECT)


def skip(viewer: napari.viewer.Viewer) -> None:
    """Go to the next proposal."""
    _act(viewer, Action.WORK_SKIP)


def rest(viewer: napari.viewer.Viewer) -> None:
    """Accept all proposals that wait."""
    _act(viewer, Action.WORK_REST)


def propose(viewer: napari.viewer.Viewer) -> None:
    """Propose masks for the scan at work."""
    _act(viewer, Action.WORK_PROPOSE)


def done(viewer: napari.viewer.Viewer) -> None:
    """Accept the scan at work and open the next."""
    _act(viewer, Action.WORK_DONE)


def next_scan(viewer: napari.viewer.Viewer) -> None:
    """Open the next scan of the work list."""
    _act(viewer, Action.WORK_NEXT)


def scan_before(viewer: napari.viewer.Viewer) -> None:
    """Open the previous scan of the work list."""
    _act(viewer, Action.WORK_BEFORE)


def pieces(viewer: napari.viewer.Viewer) -> None:
    """Take the superpixel tool, or put it down."""
    _act(viewer, Action.WORK_PIECES)


def _act(viewer: napari.viewer.Viewer, action: Action) -> None:
    show_panel(viewer, "list")
    workspace_of(viewer).act(action)
