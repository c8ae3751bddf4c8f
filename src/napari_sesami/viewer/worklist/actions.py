"""What the actions of the work list do; `app.actions.act` asks here first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sesami.viewer.app.keys import Action

if TYPE_CHECKING:
    from napari_sesami.viewer.app.workspace import Workspace
    from napari_sesami.viewer.worklist.controller import WorklistController


def work_act(workspace: Workspace, action: Action, argument: int) -> bool:
    """Carry out an action of the work list; False leaves it to others.

    The numbers of classes mean superpixels while that tool is in use.
    """
    from napari_sesami.viewer.worklist.controller import WorklistController

    known = workspace.find(WorklistController)
    if action is Action.PICK_CLASS and known is not None and known.superpixels.on:
        if argument:
            known.superpixels.pick(argument)
            return True
        return False
    if not action.value.startswith("work_"):
        return False
    _act(workspace.get(WorklistController), action)
    return True


def _act(controller: WorklistController, action: Action) -> None:
    judge = controller.reviewer
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
            controller.propose()
        case Action.WORK_DONE:
            controller.done()
        case Action.WORK_NEXT:
            controller.step(1)
        case Action.WORK_BEFORE:
            controller.step(-1)
        case Action.WORK_PIECES:
            controller.superpixels.toggle()
