"""The commands of the queue: each opens the panel and acts on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sesami.viewer.app.keys import Action
from napari_sesami.viewer.app.panels import show_panel
from napari_sesami.viewer.app.workspace import workspace_of

if TYPE_CHECKING:
    import napari.viewer

    from napari_sesami.viewer.queue.panel import QueueDock


def show_queue_dock(viewer: napari.viewer.Viewer) -> QueueDock:
    """Open the panel, or give the open one."""
    panel: QueueDock = show_panel(viewer, "next", own_dock=True)
    return panel


def find(viewer: napari.viewer.Viewer) -> None:
    """Rank what to label next."""
    show_panel(viewer, "next").options.rank.click()


def next_query(viewer: napari.viewer.Viewer) -> None:
    """Go to the next query."""
    show_panel(viewer, "next")
    workspace_of(viewer).act(Action.QUEUE_NEXT)


def accept(viewer: napari.viewer.Viewer) -> None:
    """Accept the class that the region looks like."""
    show_panel(viewer, "next").ask.accept.click()


def skip(viewer: napari.viewer.Viewer) -> None:
    """Leave the query out."""
    show_panel(viewer, "next").ask.skip.click()
