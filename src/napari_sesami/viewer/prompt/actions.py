"""What the actions of prompting do; `app.actions.act` asks here first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sesami.viewer.app.errors import ViewerError
from napari_sesami.viewer.app.keys import Action
from napari_sesami.viewer.layers.mouse import Tool

if TYPE_CHECKING:
    from napari_sesami.viewer.app.workspace import Desk
    from napari_sesami.viewer.prompt.controller import Prompter

_TOOLS = {
    Action.PROMPT_CLICK: Tool.CLICK,
    Action.PROMPT_BOX: Tool.BOX,
    Action.PROMPT_STROKE: Tool.STROKE,
    Action.PROMPT_LASSO: Tool.LASSO,
    Action.PROMPT_CORRECT: Tool.CORRECT,
}


def prompt_act(desk: Desk, action: Action, argument: int) -> bool:
    """Carry out an action of prompting; False leaves it to others.

    Undo, redo and the numbers of classes mean the prompts while a prompt tool is in
    use or an object is at work.
    """
    if action.value.startswith("prompt_"):
        _act(_prompter(desk), action)
        return True
    prompter = desk.prompter
    if prompter is None or desk.link is None:
        return False
    if action is Action.UNDO:
        prompter.travel.undo()
    elif action is Action.REDO:
        prompter.travel.redo()
    elif action is Action.PICK_CLASS and prompter.tool is not Tool.NONE:
        _pick(prompter, argument)
    else:
        return False
    return True


def _prompter(desk: Desk) -> Prompter:
    from napari_sesami.viewer.prompt.controller import prompter_of

    prompter = prompter_of(desk)
    _ = prompter.link  # says what is missing
    return prompter


def _act(prompter: Prompter, action: Action) -> None:
    if action in _TOOLS:
        prompter.use(_TOOLS[action])
        return
    if action not in (Action.PROMPT_SIGN, Action.PROMPT_CLEAR):
        prompter.link.check_image()
    match action:
        case Action.PROMPT_SIGN:
            _flip_sign(prompter)
        case Action.PROMPT_CANDIDATE:
            prompter.step_candidate()
        case Action.PROMPT_COMMIT:
            prompter.commit()
        case Action.PROMPT_CLEAR:
            prompter.travel.clear()
        case Action.PROMPT_FOLLOW:
            prompter.slices.follow()
        case Action.PROMPT_BETWEEN:
            prompter.slices.between()
        case Action.PROMPT_EVERYTHING:
            prompter.search.everything()
        case Action.PROMPT_ALIKE:
            prompter.search.alike()
        case Action.PROMPT_ACCEPT:
            prompter.search.accept_all()
        case _:
            raise ViewerError(f"There is no action {action.value}.")


def _flip_sign(prompter: Prompter) -> None:
    options = prompter.options
    options.negative = not options.negative
    where = "off" if options.negative else "on"
    prompter.desk.say(f"Prompts now mean what is {where} the object.")
    prompter.changed.emit()


def _pick(prompter: Prompter, number: int) -> None:
    """Commit to the n-th class of the table from now on."""
    entries = list(prompter.link.session.classes)
    if not 1 <= number <= len(entries):
        raise ViewerError(f"There is no class {number}; press N to name one.")
    prompter.options.class_id = entries[number - 1].id
    prompter.desk.say(f"Masks go to {entries[number - 1].name}.")
    prompter.changed.emit()
