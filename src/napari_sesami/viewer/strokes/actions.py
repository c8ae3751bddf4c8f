"""What keys mean for strokes to labels; `app.actions.act` asks here first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sesami.viewer.app.errors import ViewerError
from napari_sesami.viewer.app.keys import Action

if TYPE_CHECKING:
    from napari_sesami.viewer.app.workspace import Workspace


def strokes_act(workspace: Workspace, action: Action, argument: int) -> bool:
    """Explain the pixel under the cursor; False leaves it to others."""
    if action is not Action.WHY or workspace.binding is None:
        return False
    from napari_sesami.viewer.app.panels import show_panel
    from napari_sesami.viewer.strokes.controller import StrokesController

    if workspace.find(StrokesController) is None:
        raise ViewerError("Open the panel Strokes to labels first: it explains.")
    show_panel(workspace.viewer, "strokes")
    workspace.why_wanted.emit()
    return True
