"""The tick that lets several heat maps be on at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sesami.viewer.layers.shown_maps import ShownMaps
from napari_sesami.viewer.widgets.factory import tick

if TYPE_CHECKING:
    from qtpy.QtWidgets import QCheckBox

    from napari_sesami.viewer.app.workspace import Workspace


def several_tick(workspace: Workspace) -> QCheckBox:
    """A tick that lets several maps be on at once."""
    made = tick("Several at once", "Off: a new map takes the place of the one before")
    made.toggled.connect(workspace.get(ShownMaps).allow_several)
    return made
