"""The keys as they are now: the table's, or what the user set in napari's preferences.

napari's preferences list what its action manager knows, and keep what is changed there
in `napari.settings`. Our actions are registered for `SesamiKeys`, so that they show up
under "Viewer key bindings"; the keys themselves are bound here, on one viewer and on
its layers of ours, because an action of the manager would be bound on every viewer,
and could not have another meaning while a query is asked.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from napari.utils.key_bindings import KeymapProvider, coerce_keybinding
from psygnal import Signal

from napari_sesami.viewer.app.actions import NUMBERS, keys, meanings

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtGui import QKeyEvent

    Press = Callable[[str, int | None], None]

PREFIX = "napari-sesami:"
FIXED = (NUMBERS, "0", "PageDown", "PageUp")
"""Numbers are those of the class table; napari's editor has no paging keys."""


class SesamiKeys(KeymapProvider):
    """Stands for our viewers and layers in napari's list of shortcuts."""


class Shortcuts:
    """Which keys are in use for each key of the table; one for all viewers."""

    changed = Signal()
    """a key was changed in the preferences"""

    def __init__(self) -> None:
        self._keys = {key: [key] for key in keys()}
        self._by_name = {
            PREFIX + found.id: key for key, found in keys().items() if key not in FIXED
        }

    def register(self) -> None:
        """Tell napari about the keys, and take over what the user set before."""
        from napari.settings import get_settings
        from napari.utils.action_manager import action_manager
        from napari.utils.shortcuts import default_shortcuts

        settings = get_settings().shortcuts
        settings.events.shortcuts.connect(self._on_stored)
        stored = settings.shortcuts
        action_manager.events.shortcut_changed.connect(self._on_changed)
        for name, key in self._by_name.items():
            words = "; ".join(each.shown_title for each in meanings(key=key)[::-1])
            action_manager.register_action(
                name, _pressed, f"Sesami: {words}", SesamiKeys
            )
            # so that Restore All Keybindings brings ours back, too
            default_shortcuts.setdefault(name, [coerce_keybinding(key)])
            self._keys[key] = []
            for each in stored.get(name, default_shortcuts[name]):
                self._keys[key].append(each)
                action_manager.bind_shortcut(name, each)

    def _on_stored(self, event: Any) -> None:
        """Keep only what the user changed: napari warns of names it does not know yet.

        It reads its settings before any plugin is loaded, and says on the console that
        there is no such action; the key works all the same.
        """
        from napari.utils.shortcuts import default_shortcuts

        for name in self._by_name:
            if event.value.get(name) == default_shortcuts[name]:
                del event.value[name]

    def of(self, key: str) -> list[Any]:
        """Give the keys in use for a key of the table."""
        return (
            [str(number) for number in range(1, 10)]
            if key == NUMBERS
            else (self._keys[key])
        )

    def shown(self, key: str) -> str:
        """Give the keys in use as people read them; "" if there is none."""
        if key == NUMBERS:
            return "1 – 9"
        used = self._keys.get(key, [key])  # those inside a part of a page are fixed
        return ", ".join(str(coerce_keybinding(each)) for each in used)

    def _on_changed(self, event: Any) -> None:
        key = self._by_name.get(event.name)
        if key is None:
            return
        if not event.shortcut:  # all of them are taken off, then the new ones come
            self._keys[key] = []
        elif event.shortcut not in self._keys[key]:
            self._keys[key].append(event.shortcut)
        self.changed.emit()


def pressed_key(event: QKeyEvent) -> str:
    """Spell the key of an event as the table of actions does, e.g. "Control-Z"."""
    from qtpy.QtCore import Qt

    held = event.modifiers()
    word = {
        Qt.Key.Key_Return: "Enter", Qt.Key.Key_Enter: "Enter",
        Qt.Key.Key_Delete: "0", Qt.Key.Key_Backspace: "0",
    }.get(event.key())  # fmt: skip
    if word is None:
        code = int(event.key())
        word = chr(code) if 32 < code < 127 else ""
    if held & Qt.KeyboardModifier.ShiftModifier and word.isalpha():
        word = f"Shift-{word}"
    if held & Qt.KeyboardModifier.ControlModifier and word:
        word = f"Control-{word}"
    return word if not held & Qt.KeyboardModifier.AltModifier else ""


def _pressed() -> None:
    """Do nothing: our keys are bound by `BoundKeys`; napari only lists them."""


_shortcuts: list[Shortcuts] = []


def shortcuts() -> Shortcuts:
    """Give the keys in use; the first call tells napari about them."""
    if not _shortcuts:
        _shortcuts.append(Shortcuts())
        _shortcuts[0].register()
    return _shortcuts[0]


class BoundKeys:
    """Our keys on a viewer or a layer; they follow the preferences until `close`.

    Parameters
    ----------
    target
        The viewer or layer.
    press
        Called with the key of the table, and the number if it is one. It must not hold
        the target or a widget strongly: napari keeps it as long as the target lives.
    layer
        Whether the target is a layer of ours, where more keys are bound.
    """

    def __init__(self, target: Any, press: Press, *, layer: bool) -> None:
        self._target = weakref.ref(target)
        self._press = press
        self._layer = layer
        self._bound: list[Any] = []
        self._bind()
        shortcuts().changed.connect(self._bind)

    def close(self) -> None:
        """Take the keys off again."""
        shortcuts().changed.disconnect(self._bind, missing_ok=True)
        target = self._target()
        while self._bound and target is not None:
            target.bind_key(self._bound.pop(), None)

    def _bind(self) -> None:
        target = self._target()
        if target is None:
            return
        while self._bound:
            target.bind_key(self._bound.pop(), None)
        for key, action in keys().items():
            if action.on_layers and not self._layer:
                continue
            for n, each in enumerate(shortcuts().of(key), 1):
                number = n if key == NUMBERS else None
                target.bind_key(each, _call(self._press, key, number), overwrite=True)
                self._bound.append(each)


def _call(press: Press, key: str, number: int | None) -> Callable[[Any], None]:
    def pressed(target: Any) -> None:
        press(key, number)

    return pressed
