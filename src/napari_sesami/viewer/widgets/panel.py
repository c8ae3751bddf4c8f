"""What every panel and every part of one can do: watch, run a verb, come and go."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QDockWidget, QLabel, QWidget

from napari_sesami.viewer.app.pages import page_of
from napari_sesami.viewer.app.panels import WORKBENCH
from napari_sesami.viewer.app.workspace import workspace_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.viewer import Viewer
    from qtpy.QtGui import QShowEvent

    from napari_sesami.viewer.app.workspace import Workspace


class PanelPart:
    """Beside a Qt class: a part of a panel, which goes while what it shows lives on.

    Attributes
    ----------
    workspace
        Where it tells what went wrong.
    """

    workspace: Workspace
    _watched: list[tuple[str, Callable[[], Any]]]

    def watch(self, signal: Any, slot: Callable[..., Any], group: str = "") -> None:
        """Connect to a signal (psygnal, Qt, napari) of what outlives the part.

        The connection ends with the part, or with `unwatch` of its group.
        """
        signal.connect(slot)
        self.at_close(partial(signal.disconnect, slot), group)

    def unwatch(self, group: str) -> None:
        """End the connections of a group: something else is looked at now."""
        kept = []
        for name, undo in self.__dict__.get("_watched", ()):
            if name != group:
                kept.append((name, undo))
                continue
            with suppress(TypeError, RuntimeError):  # the other side went first
                undo()
        self._watched = kept

    def at_close(self, call: Callable[[], Any], group: str = "") -> None:
        """Remember what is done when the part goes."""
        self.__dict__.setdefault("_watched", []).append((group, call))

    def on(self, signal: Any, verb: Callable[..., Any], *args: Any) -> None:
        """Run a verb whenever a widget of ours asks for it; its own word is dropped."""
        signal.connect(lambda *_: self.run(verb, *args))

    def run(self, verb: Callable[..., Any], *args: Any) -> Any:
        """Run a verb; advice is shown as a sentence, a bug is logged and shown as one.

        Returns what the verb returned, or None if it was refused.
        """
        try:
            return verb(*args)
        except Exception as error:
            self.workspace.show_error(error)
        return None

    def release(self) -> None:
        """End all that would keep the part alive; the parts inside it first."""
        if isinstance(self, QWidget):
            for child in self.findChildren(QWidget):
                if isinstance(child, PanelPart):
                    child.release()
        for group in dict.fromkeys(g for g, _ in self.__dict__.get("_watched", ())):
            self.unwatch(group)


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

    status: QWidget

    def __init__(self, napari_viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._docked = self._cleaned = False
        self._dock: QDockWidget | None = None
        self.workspace = workspace_of(napari_viewer)
        self.workspace.panels.add(self)

    def refresh(self) -> None:
        """Show what is, whoever changed it."""

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
