"""What every dock of ours does when its panel comes and goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QWidget

from napari_sesami.viewer.app.workspace import workspace_of

if TYPE_CHECKING:
    from napari.viewer import Viewer
    from qtpy.QtGui import QShowEvent


class DeskDock(QWidget):
    """A panel of a workspace that lets go of it, once, when its × is pressed.

    napari calls no `closeEvent` on a docked widget; the dock around it is destroyed.
    """

    def __init__(self, napari_viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._docked = self._cleaned = False
        self.workspace = workspace_of(napari_viewer)

    def showEvent(self, event: QShowEvent) -> None:
        """Hook to the dock: napari tells a widget nothing when its × is pressed."""
        super().showEvent(event)
        if not self._docked and self.parent() is not None:
            self._docked = True
            self.parent().destroyed.connect(self.clean_up)
            self.workspace.bind_window(self.window())

    def take_image(self) -> None:
        """Begin with the image that is there, if it is the only one."""
        from napari.layers import Image

        if self.workspace.binding is None:
            images = [x for x in self.workspace.viewer.layers if isinstance(x, Image)]
            if len(images) == 1:
                self.workspace.adopt(images[0])

    def clean_up(self, *_: object) -> None:
        """Let go of everything that would keep the panel alive; the workspace stays."""
        if not self._cleaned:
            self._cleaned = True
            self._let_go()

    def _let_go(self) -> None:
        """Disconnect from whatever outlives the panel."""
        raise NotImplementedError
