"""Which panels of a viewer are open, and where: no panel is ever open twice.

Two copies of a panel would answer the same key twice, and closing one would put down
the tool of the other. So the newest place has the panel, and the older one gives it up.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Protocol

from psygnal import Signal

from napari_sesami.viewer.app.pages import PAGES, page, page_of

if TYPE_CHECKING:
    from napari.viewer import Viewer
    from qtpy.QtWidgets import QDockWidget

PLUGIN = "napari-sesami"
WORKBENCH = "Sesami"
"""How the manifest calls the workbench."""


class OpenPanel(Protocol):
    """What the list of open panels asks of one."""

    def clean_up(self) -> None:
        """Let go of everything that would keep the panel alive."""

    def parentWidget(self) -> Any:
        """The widget around it."""

    def deleteLater(self) -> None:
        """Go with the next events of Qt."""


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

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = weakref.ref(viewer)
        self._open: dict[str, weakref.ref[Any]] = {}
        self.turned_to = PAGES[0].name

    def find(self, name: str) -> Any:
        """Give the open panel of a page, or None; "" is the workbench."""
        reference = self._open.get(name)
        return None if reference is None else reference()

    def add(self, panel: OpenPanel) -> None:
        """Note a new panel; an open one of the same page is closed."""
        name = _name(panel)
        old = self.find(name)
        self._open[name] = weakref.ref(panel)
        if old is None:
            return
        self.taken.emit(name, old)
        dock = dock_around(old)
        old.clean_up()
        viewer = self._viewer()
        if dock is not None and old.parentWidget() is dock and viewer is not None:
            viewer.window.remove_dock_widget(dock)
        old.deleteLater()

    def remove(self, panel: OpenPanel) -> None:
        """Note that a panel was closed."""
        name = _name(panel)
        if self.find(name) is panel:
            del self._open[name]
            self.closed.emit(name)

    def show(self, name: str, own_dock: bool = False) -> Any:
        """Bring the panel of a page forward wherever it is, and give it.

        Parameters
        ----------
        name
            Of the page.
        own_dock
            If neither the panel nor the workbench is open: open the panel as a dock of
            its own instead of the workbench.
        """
        workbench, panel = self.find(""), self.find(name)
        if panel is None and workbench is None and own_dock:
            return self._open_dock(page(name).dock, tabify=True)
        if panel is None or (workbench is not None and workbench.isAncestorOf(panel)):
            return self.show_workbench().turn_to(name)
        bring_forward(panel)
        return panel

    def show_workbench(self) -> Any:
        """Open the workbench, or bring it forward."""
        workbench = self.find("") or self._open_dock(WORKBENCH)
        bring_forward(workbench)
        return workbench

    def _open_dock(self, title: str, tabify: bool = False) -> Any:
        viewer = self._viewer()
        assert viewer is not None  # whoever asks is in its window
        return viewer.window.add_plugin_dock_widget(PLUGIN, title, tabify=tabify)[1]


def bring_forward(panel: OpenPanel) -> None:
    """Show the dock around a panel, and raise it among its tabs."""
    dock = dock_around(panel)
    if dock is not None:
        dock.show()
        dock.raise_()


def dock_around(panel: OpenPanel) -> QDockWidget | None:
    """Find the dock that a panel lies in, directly or not."""
    from qtpy.QtWidgets import QDockWidget

    around = panel.parentWidget()
    while around is not None and not isinstance(around, QDockWidget):
        around = around.parentWidget()
    return around


def _name(panel: OpenPanel) -> str:
    found = page_of(panel)
    return "" if found is None else found.name
