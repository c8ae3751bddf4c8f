"""The commands of strokes to labels: each opens the panel and acts on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sesami.viewer.app.keys import Action
from napari_sesami.viewer.app.panels import show_panel
from napari_sesami.viewer.app.workspace import workspace_of

if TYPE_CHECKING:
    import napari.viewer

    from napari_sesami.viewer.strokes.panel import StrokesDock


def show_strokes_dock(viewer: napari.viewer.Viewer) -> StrokesDock:
    """Open the panel, or give the open one."""
    panel: StrokesDock = show_panel(viewer, "strokes", own_dock=True)
    return panel


def why(viewer: napari.viewer.Viewer) -> None:
    """Explain the class of the pixel under the cursor."""
    show_panel(viewer, "strokes")
    workspace_of(viewer).act(Action.WHY)


def accept(viewer: napari.viewer.Viewer) -> None:
    """Write the result of the slice on screen into the labels."""
    show_panel(viewer, "strokes").accept_button.click()


def whole_scan(viewer: napari.viewer.Viewer) -> None:
    """Label every slice in the background, or stop that."""
    show_panel(viewer, "strokes").whole.button.click()
