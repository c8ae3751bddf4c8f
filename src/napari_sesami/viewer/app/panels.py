"""Which panels of a viewer are open, and where: no panel is ever open twice.

Two copies of a panel would answer the same key twice, and closing one would put down
the tool of the other. So the newest place has the panel, and the older one gives it up.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from psygnal import Signal
from qtpy.QtWidgets import QDockWidget, QWidget

from napari_sesami.viewer.app.pages import PAGES, page, page_of
from napari_sesami.viewer.app.workspace import workspace_of

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_sesami.viewer.app.dock import DeskDock
    from napari_sesami.viewer.app.workspace import Workspace

PLUGIN = "napari-sesami"
WORKBENCH = "Sesami"
"""How the manifest calls the workbench."""

_panels: weakref.WeakKeyDictionary[Workspace, OpenPanels] = weakref.WeakKeyDictionary()


def panels_of(workspace: Workspace) -> OpenPanels:
    """Give the list of open panels of a workspace; the first call sets it up."""
    if workspace not in _panels:
        _panels[workspace] = OpenPanels()
    return _panels[workspace]


class OpenPanels:
    """The open panels of one viewer, by the name of their page.

    Attributes
    ----------
    turned_to
        Name of the page that the workbench showed last.
    """

    closed = Signal(str)
    """the panel of a page was closed"""
    taken = Signal(str, object)
    """a panel moves elsewhere: name of its page, the panel that gives way"""

    def __init__(self) -> None:
        self._open: dict[str, weakref.ref[DeskDock]] = {}
        self.turned_to = PAGES[0].name

    def find(self, name: str) -> DeskDock | None:
        """Give the open panel of a page; "" is the workbench."""
        reference = self._open.get(name)
        return None if reference is None else reference()

    def add(self, panel: DeskDock) -> None:
        """Note a new panel; an open one of the same page is closed."""
        name = _name(panel)
        old = self.find(name)
        self._open[name] = weakref.ref(panel)
        if old is None:
            return
        self.taken.emit(name, old)
        dock = dock_around(old)
        old.clean_up()
        if dock is not None and old.parent() is dock:
            panel.workspace.viewer.window.remove_dock_widget(dock)
        old.deleteLater()

    def remove(self, panel: DeskDock) -> None:
        """Note that a panel was closed."""
        name = _name(panel)
        if self.find(name) is panel:
            del self._open[name]
            self.closed.emit(name)


def show_panel(viewer: Viewer, name: str, own_dock: bool = False) -> Any:
    """Bring a panel forward wherever it is, and give it.

    Parameters
    ----------
    viewer
        The napari viewer.
    name
        Of the page.
    own_dock
        If neither the panel nor the workbench is open: open the panel as a dock of its
        own instead of the workbench.
    """
    panels = panels_of(workspace_of(viewer))
    workbench, panel = panels.find(""), panels.find(name)
    if panel is None and workbench is None and own_dock:
        title = page(name).dock
        return viewer.window.add_plugin_dock_widget(PLUGIN, title, tabify=True)[1]
    if panel is None or (workbench is not None and workbench.isAncestorOf(panel)):
        workbench = workbench or show_workbench(viewer)
        bring_forward(workbench)
        return workbench.turn_to(name)
    bring_forward(panel)
    return panel


def show_workbench(viewer: Viewer) -> Any:
    """Open the workbench, or bring it forward."""
    workbench = panels_of(workspace_of(viewer)).find("")
    if workbench is None:
        _, workbench = viewer.window.add_plugin_dock_widget(PLUGIN, WORKBENCH)
    bring_forward(workbench)
    return workbench


def bring_forward(panel: QWidget) -> None:
    """Show the dock around a panel, and raise it among its tabs."""
    dock = dock_around(panel)
    if dock is not None:
        dock.show()
        dock.raise_()


def dock_around(panel: QWidget) -> QDockWidget | None:
    """Find the dock that a panel lies in, directly or not."""
    around = panel.parentWidget()
    while around is not None and not isinstance(around, QDockWidget):
        around = around.parentWidget()
    return around


def _name(panel: DeskDock) -> str:
    found = page_of(panel)
    return "" if found is None else found.name
