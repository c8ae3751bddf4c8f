"""What the actions of prompting do; `app.actions.act` asks here first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sesami.viewer.app.errors import ViewerError
from napari_sesami.viewer.app.keys import Action
from napari_sesami.viewer.layers.mouse import Tool

if TYPE_CHECKING:
    from napari_sesami.viewer.app.workspace import Workspace
    from napari_sesami.viewer.prompt.controller import PromptController

_TOOLS = {
    Action.PROMPT_CLICK: Tool.CLICK,
    Action.PROMPT_BOX: Tool.BOX,
    Action.PROMPT_STROKE: Tool.STROKE,
    Action.PROMPT_LASSO: Tool.LASSO,
    Action.PROMPT_CORRECT: Tool.CORRECT,
}


def prompt_act(workspace: Workspace, action: Action, argument: int) -> bool:
    """Carry out an action of prompting; False leaves it to others.

    Undo, redo and the numbers of classes mean the prompts while a prompt tool is in
    use or an object is at work.
    """
    if action.value.startswith("prompt_"):
        _act(_controller(workspace), action)
        return True
    from napari_sesami.viewer.prompt.controller import PromptController

    controller = workspace.find(PromptController)
    if controller is None or workspace.binding is None:
        return False
    if action is Action.UNDO:
        controller.history.undo()
    elif action is Action.REDO:
        controller.history.redo()
    elif action is Action.PICK_CLASS and controller.tool is not Tool.NONE:
        _pick(controller, argument)
    else:
        return False
    return True


def _controller(workspace: Workspace) -> PromptController:
    from napari_sesami.viewer.prompt.controller import PromptController

    controller = workspace.get(PromptController)
    _ = controller.binding  # says what is missing
    return controller


def _act(controller: PromptController, action: Action) -> None:
    if action in _TOOLS:
        controller.use(_TOOLS[action])
        return
    if action not in (Action.PROMPT_SIGN, Action.PROMPT_CLEAR):
        controller.binding.check_image()
    match action:
        case Action.PROMPT_SIGN:
            _flip_sign(controller)
        case Action.PROMPT_CANDIDATE:
            controller.step_candidate()
        case Action.PROMPT_COMMIT:
            controller.commit()
        case Action.PROMPT_CLEAR:
            controller.history.clear()
        case Action.PROMPT_FOLLOW:
            controller.slices.follow()
        case Action.PROMPT_BETWEEN:
            controller.slices.between()
        case Action.PROMPT_EVERYTHING:
            controller.search.everything()
        case Action.PROMPT_ALIKE:
            controller.search.alike()
        case Action.PROMPT_ACCEPT:
            controller.search.accept_all()
        case _:
            raise ViewerError(f"There is no action {action.value}.")


def _flip_sign(controller: PromptController) -> None:
    options = controller.options
    options.negative = not options.negative
    where = "off" if options.negative else "on"
    controller.workspace.say(f"Prompts now mean what is {where} the object.")
    controller.changed.emit()


def _pick(controller: PromptController, number: int) -> None:
    """Commit to the n-th class of the table from now on."""
    entries = list(controller.binding.session.classes)
    if not 1 <= number <= len(entries):
        raise ViewerError(f"There is no class {number}; press N to name one.")
    controller.options.class_id = entries[number - 1].id
    controller.workspace.say(f"Masks go to {entries[number - 1].name}.")
    controller.changed.emit()
