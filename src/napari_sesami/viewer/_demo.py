"""`sesami demo` with a screen: napari with a sample and the panel, ready to paint."""

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
    """Put the panel and a sample into a viewer."""
    from napari_sesami.viewer._commands import show_dock

    show_dock(viewer)
    viewer.open_sample("napari-sesami", key)
    viewer.reset_view()
