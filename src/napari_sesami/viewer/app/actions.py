"""What each action does; keys, buttons and the palette all come here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sesami.viewer.app.errors import ViewerError
from napari_sesami.viewer.app.keys import Action
from napari_sesami.viewer.app.panels import show_panel
from napari_sesami.viewer.prompt.actions import prompt_act
from napari_sesami.viewer.queue.actions import queue_act
from napari_sesami.viewer.worklist.actions import work_act

if TYPE_CHECKING:
    from napari_sesami.viewer.app.binding import Link
    from napari_sesami.viewer.app.workspace import Desk


FIRST = (queue_act, work_act, prompt_act)
"""Who is asked before an action means what it usually does."""


def act(desk: Desk, action: Action, argument: int = 0) -> None:
    """Carry out an action; a ValueError is a sentence for the user."""
    if any(asked(desk, action, argument) for asked in FIRST):
        return
    match action:
        case Action.UNDO:
            _undo(desk)
        case Action.REDO:
            _redo(desk)
        case Action.PAINT:
            _link(desk).toggle_brush()
        case Action.PICK_CLASS:
            _pick(desk, argument)
        case Action.NEW_CLASS:
            _link(desk)
            show_panel(desk.viewer, "scan")  # never type into a page that is hidden
            desk.name_wanted.emit()
        case Action.TOGGLE_LABELS:
            _link(desk).toggle_visible()
        case Action.SAVE:
            _save(desk)
        case Action.SHOW_KEYS:
            show_panel(desk.viewer, "scan")
            desk.keys_wanted.emit()
        case Action.WHY:
            _why(desk)


def _link(desk: Desk) -> Link:
    if desk.link is None:
        raise ViewerError(
            "There is no scan to label yet: open one, or take an image of the viewer."
        )
    return desk.link


def _undo(desk: Desk) -> None:
    step = _link(desk).undo()
    desk.say(f"Taken back: {step}." if step else "There is nothing to undo.")


def _redo(desk: Desk) -> None:
    step = _link(desk).redo()
    desk.say(f"Done again: {step}." if step else "There is nothing to redo.")


def _pick(desk: Desk, number: int) -> None:
    """Pick the n-th class of the table; 0 is the eraser."""
    link = _link(desk)
    entries = list(link.session.classes)
    if number > len(entries):
        have = len(entries)
        raise ViewerError(
            f"There is no class {number} yet; there {'is' if have == 1 else 'are'} "
            f"{have}. Press N to name a new one."
        )
    link.pick(entries[number - 1].id if number else 0)
    what = f"Painting {entries[number - 1].name}." if number else "Erasing strokes."
    desk.say(what)


def _why(desk: Desk) -> None:
    _link(desk)
    if desk.live is None:
        raise ViewerError("Open the panel Strokes to labels first: it explains.")
    show_panel(desk.viewer, "strokes")
    desk.why_wanted.emit()


def _save(desk: Desk) -> None:
    link = _link(desk)
    link.flush()
    if link.session.project is None:
        raise ViewerError("This labelling has no folder yet: press Save as… first.")
    desk.keeper.save()
