"""What every part of a panel can do: watch, run a verb, let go."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QWidget

if TYPE_CHECKING:
    from collections.abc import Callable

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
