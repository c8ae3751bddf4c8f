"""What every panel of ours does when it comes, moves and goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QDockWidget, QLabel, QWidget

from napari_sesami.viewer.app.pages import page_of
from napari_sesami.viewer.app.panels import WORKBENCH, panels_of
from napari_sesami.viewer.app.workspace import workspace_of

if TYPE_CHECKING:
    from napari.viewer import Viewer
    from qtpy.QtGui import QShowEvent


class DeskDock(QWidget):
    """A panel of a workspace that lets go of it, once, when its × is pressed.

    It is a dock of its own or a page of the workbench, and may move from one to the
    other. napari calls no `closeEvent` on a docked widget; the dock around it is
    destroyed.

    Attributes
    ----------
    status
        Its line of words and progress; the workbench has one for all its pages.
    """

    status: QWidget

    def __init__(self, napari_viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._docked = self._cleaned = False
        self._dock: QDockWidget | None = None
        self.workspace = workspace_of(napari_viewer)
        panels_of(self.workspace).add(self)

    def showEvent(self, event: QShowEvent) -> None:
        """Hook to the dock: napari tells a widget nothing when its × is pressed."""
        super().showEvent(event)
        dock = self.parent()
        if isinstance(dock, QDockWidget) and dock is not self._dock:
            self.leave_dock()
            self._dock, self._docked = dock, True
            dock.destroyed.connect(self.clean_up)
            # not `self.window()`: a dock that floats is a window itself
            self.workspace.bind_window(dock.parentWidget().window())
            dock.topLevelChanged.connect(self._name_dock)
            self._name_dock()

    def _name_dock(self, *_: object) -> None:
        """Show the panel's name alone; napari adds the plugin's to it."""
        if self._dock is None:
            return
        found = page_of(self)
        name = WORKBENCH if found is None else found.dock
        self._dock.setWindowTitle(name)  # on its tab
        bar = self._dock.titleBarWidget()
        label = None if bar is None else bar.findChild(QLabel)
        if label is not None:
            label.setText(name)

    def leave_dock(self) -> None:
        """Survive the dock around it: the panel moves elsewhere."""
        if self._dock is not None:
            self._dock.destroyed.disconnect(self.clean_up)
            self._dock.topLevelChanged.disconnect(self._name_dock)
            self._dock = None

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
            self._dock = None  # a dock knows its panel: the two would stay alive
            self._let_go()
            panels_of(self.workspace).remove(self)

    def _let_go(self) -> None:
        """Disconnect from whatever outlives the panel."""
        raise NotImplementedError
