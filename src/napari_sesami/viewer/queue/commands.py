"""The commands of the queue: each opens the panel and acts on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sesami.viewer.app.keys import Action
from napari_sesami.viewer.app.workspace import desk_of

if TYPE_CHECKING:
    import napari.viewer

    from napari_sesami.viewer.queue.panel import QueueDock


def show_queue_dock(viewer: napari.viewer.Viewer) -> QueueDock:
    """Open the panel, or give the open one."""
    from napari_sesami.viewer.queue.panel import QueueDock

    for widget in viewer.window.dock_widgets.values():
        if isinstance(widget, QueueDock):
            return widget
    _, widget = viewer.window.add_plugin_dock_widget(
        "napari-sesami", "What to label next", tabify=True
    )
    return widget


def find(viewer: napari.viewer.Viewer) -> None:
    """Rank what to label next."""
    show_queue_dock(viewer).options.rank.click()


def next_query(viewer: napari.viewer.Viewer) -> None:
    """Go to the next query."""
    show_queue_dock(viewer)
    desk_of(viewer).act(Action.QUEUE_NEXT)


def accept(viewer: napari.viewer.Viewer) -> None:
    """Accept the class that the region looks like."""
    show_queue_dock(viewer).ask.accept.click()


def skip(viewer: napari.viewer.Viewer) -> None:
    """Leave the query out."""
    show_queue_dock(viewer).ask.skip.click()
