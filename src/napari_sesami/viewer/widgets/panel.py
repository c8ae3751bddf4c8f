"""What every panel and every part of one can do: watch, run a verb, come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QDockWidget, QLabel, QLayout, QSizePolicy, QWidget

from napari_sesami.viewer.app.pages import page_of
from napari_sesami.viewer.app.panels import WORKBENCH
from napari_sesami.viewer.app.workspace import workspace_of
from napari_sesami.viewer.widgets.factory import WIDTH, column, scrolled
from napari_sesami.viewer.widgets.part import PanelPart
from napari_sesami.viewer.widgets.status_line import StatusLine

if TYPE_CHECKING:
    from napari.viewer import Viewer
    from qtpy.QtGui import QShowEvent


class Panel(PanelPart, QWidget):
    """A page of the workbench or a dock of its own; it goes without a trace.

    It may move from one to the other. napari calls no `closeEvent` on a docked widget
    and tells it nothing when its × is pressed; but the dock around it is destroyed.

    Parameters
    ----------
    napari_viewer
        Injected by napari, which looks for exactly this parameter name.

    Attributes
    ----------
    status
        Its line of words and progress; the workbench has one for all its pages.
    """

    def __init__(self, napari_viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._docked = self._cleaned = False
        self._dock: QDockWidget | None = None
        self.workspace = workspace_of(napari_viewer)
        self.workspace.panels.add(self)
        self.status = StatusLine(self.workspace)

    def lay_out(
        self, *parts: QWidget | QLayout | None, stretch: QWidget | None = None
    ) -> None:
        """Put parts below each other on a page that scrolls, above the status line.

        `stretch` takes the room that is left. The page fits 300 px beside its scroll
        bar, and is as low as the window asks for.
        """
        page = QWidget()
        layout = column(page, *parts, margin=2)
        if stretch is not None:
            layout.setStretchFactor(stretch, 1)
        outer = column(self, scrolled(page), self.status, margin=4)
        outer.setStretch(0, 1)
        self.setMinimumWidth(WIDTH)
        # else napari puts a spring below, which takes the room from the page
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)

    def refresh(self) -> None:
        """Show what is, whoever changed it."""

    def take_up(self) -> None:
        """Take up the tool of the page; called when the user turns to it."""

    def showEvent(self, event: QShowEvent) -> None:
        """Hook to the dock that the panel came into."""
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
            self.workspace.panels.remove(self)

    def _let_go(self) -> None:
        """Disconnect from whatever outlives the panel."""
        self.release()
