"""What keys mean while a query is asked; `app.actions.act` asks here first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sesami.viewer.app.keys import Action

if TYPE_CHECKING:
    from napari_sesami.viewer.app.workspace import Desk
    from napari_sesami.viewer.queue.controller import Asker


def queue_act(desk: Desk, action: Action, argument: int) -> bool:
    """Carry out an action of the queue; False leaves it to others.

    While a query is asked, N is the next one, A accepts it, the numbers are its class,
    W paints in it and S skips it. While the brush is on, numbers pick its class.
    """
    if action is Action.QUEUE_NEXT:
        from napari_sesami.viewer.app.panels import show_panel

        show_panel(desk.viewer, "next").asker.next()  # the panel says what keys mean
        return True
    asker = desk.asker
    if asker is None or not asker.asking or _prompting(desk):
        return False
    return _answer(asker, action, argument)


def _answer(asker: Asker, action: Action, argument: int) -> bool:
    match action:
        case Action.NEW_CLASS:
            asker.next()
        case Action.WORK_ACCEPT:
            asker.accept()
        case Action.WORK_SKIP:
            asker.skip()
        case Action.PAINT:
            asker.paint()
        case Action.PICK_CLASS if argument and not asker.link.painting:
            asker.change_to(argument)
        case _:
            return False
    return True


def _prompting(desk: Desk) -> bool:
    """Whether keys mean an object that is being prompted."""
    from napari_sesami.viewer.layers.mouse import Tool

    return desk.prompter is not None and desk.prompter.tool is not Tool.NONE
