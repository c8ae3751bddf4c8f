"""`sesami demo` with a screen: a sample and the workbench, ready to click."""

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
    """Put the workbench and a sample into a viewer and take up the click tool."""
    from functools import partial

    from qtpy.QtCore import QTimer

    from napari_sesami.viewer.app.workspace import workspace_of

    workspace = workspace_of(viewer)

    def start() -> None:
        """Take up the tool as soon as the sample is shown."""
        if workspace.session is not None:
            workspace.session_changed.disconnect(start)
            # after the layers that the sample still adds: each takes the selection
            QTimer.singleShot(0, partial(workspace.act, "prompt_click"))

    workspace.panels.show("click")
    workspace.session_changed.connect(start)
    viewer.open_sample("napari-sesami", key)
    viewer.reset_view()
