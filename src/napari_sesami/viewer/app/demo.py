"""`sesami demo` with a screen: a sample, the workbench, and the tour that begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari import Viewer

LARGEST = (1600, 1000)  # px; a window beyond that only moves panels apart
SHARE = 0.94  # of the screen: its edges stay free


def run_demo(key: str) -> None:
    """Open napari on a sample with the tour, and wait until its window is closed."""
    import napari

    viewer = napari.Viewer(title="Sesami", show=False)
    enlarge(viewer)
    viewer.window.show()
    open_demo(viewer, key)
    napari.run()


def enlarge(viewer: Viewer) -> None:
    """Give the window most of the screen, in its middle."""
    window = viewer.window._qt_window
    screen = window.screen().availableGeometry()
    width, height = (
        min(most, round(SHARE * have))
        for most, have in zip(LARGEST, (screen.width(), screen.height()), strict=True)
    )
    window.resize(width, height)
    window.move(
        screen.x() + (screen.width() - width) // 2,
        screen.y() + (screen.height() - height) // 2,
    )


def open_demo(viewer: Viewer, key: str) -> None:
    """Put the workbench and a sample into a viewer, and begin the tour."""
    from functools import partial

    from qtpy.QtCore import QTimer

    from napari_sesami.viewer.app.workspace import workspace_of

    workspace = workspace_of(viewer)

    def start() -> None:
        """Begin as soon as the sample is shown."""
        if workspace.session is not None:
            workspace.session_changed.disconnect(start)
            # after the layers that the sample still adds: each takes the selection
            QTimer.singleShot(0, partial(workspace.act, "tour"))

    workspace.panels.show("click")
    workspace.session_changed.connect(start)
    viewer.open_sample("napari-sesami", key)
    viewer.reset_view()
