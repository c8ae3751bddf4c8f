"""What the actions of the work list do; `app.actions.act` asks here first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sesami.viewer.app.keys import Action

if TYPE_CHECKING:
    from napari_sesami.viewer.app.workspace import Desk
    from napari_sesami.viewer.worklist.controller import Foreman


def work_act(desk: Desk, action: Action, argument: int) -> bool:
    """Carry out an action of the work list; False leaves it to others.

    The numbers of classes mean superpixels while that tool is in use.
    """
    known = desk.foreman
    if action is Action.PICK_CLASS and known is not None and known.pieces.on:
        if argument:
            known.pieces.pick(argument)
            return True
        return False
    if not action.value.startswith("work_"):
        return False
    from napari_sesami.viewer.worklist.controller import foreman_of

    _act(foreman_of(desk), action)
    return True


def _act(foreman: Foreman, action: Action) -> None:
    judge = foreman.judge
    match action:
        case Action.WORK_ACCEPT:
            judge.accept()
        case Action.WORK_CORRECT:
            judge.correct()
        case Action.WORK_REJECT:
            judge.reject()
        case Action.WORK_SKIP:
            judge.skip()
        case Action.WORK_REST:
            judge.rest()
        case Action.WORK_PROPOSE:
            foreman.propose()
        case Action.WORK_DONE:
            foreman.done()
        case Action.WORK_NEXT:
            foreman.step(1)
        case Action.WORK_BEFORE:
            foreman.step(-1)
        case Action.WORK_PIECES:
            foreman.pieces.toggle()
