"""`sesami demo` with a screen: napari with a sample and the panels, ready to click."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari import Viewer


def run_demo(key: str) -> None:
    """Open napari on a sample and wait until its window is closed."""
    import napari

    viewer = napari.Viewer(title="Sesami")
    open_demo(viewer, key)
    napari.run()


def open_demo(viewer: Viewer, key: str) -> None:
    """Put the panels and a sample into a viewer and take up the click tool."""
    from qtpy.QtCore import QTimer

    from napari_sesami.viewer.app.commands import show_dock
    from napari_sesami.viewer.app.workspace import workspace_of
    from napari_sesami.viewer.prompt.commands import click, show_prompt_dock

    workspace = workspace_of(viewer)

    def start() -> None:
        """Take up the tool as soon as the sample is shown."""
        if workspace.session is not None:
            workspace.session_changed.disconnect(start)
            # after the layers that the sample still adds: each takes the selection
            QTimer.singleShot(0, lambda: click(viewer))

    show_dock(viewer)
    show_prompt_dock(viewer)
    workspace.session_changed.connect(start)
    viewer.open_sample("napari-sesami", key)
    viewer.reset_view()
