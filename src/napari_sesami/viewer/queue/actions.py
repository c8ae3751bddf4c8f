"""What keys mean while a query is asked; `app.actions.act` asks here first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sesami.viewer.app.keys import Action

if TYPE_CHECKING:
    from napari_sesami.viewer.app.workspace import Workspace
    from napari_sesami.viewer.queue.controller import QueueController


def queue_act(workspace: Workspace, action: Action, argument: int) -> bool:
    """Carry out an action of the queue; False leaves it to others.

    While a query is asked, N is the next one, A accepts it, the numbers are its class,
    W paints in it and S skips it. While the brush is on, numbers pick its class.
    """
    if action is Action.QUEUE_NEXT:
        from napari_sesami.viewer.app.panels import show_panel

        show_panel(
            workspace.viewer, "next"
        ).controller.next()  # the panel says what keys mean
        return True
    from napari_sesami.viewer.queue.controller import QueueController

    controller = workspace.find(QueueController)
    if controller is None or not controller.asking or _prompting(workspace):
        return False
    return _answer(controller, action, argument)


def _answer(controller: QueueController, action: Action, argument: int) -> bool:
    match action:
        case Action.NEW_CLASS:
            controller.next()
        case Action.WORK_ACCEPT:
            controller.accept()
        case Action.WORK_SKIP:
            controller.skip()
        case Action.PAINT:
            controller.paint()
        case Action.PICK_CLASS if argument and not controller.binding.painting:
            controller.change_to(argument)
        case _:
            return False
    return True


def _prompting(workspace: Workspace) -> bool:
    """Whether keys mean an object that is being prompted."""
    from napari_sesami.viewer.layers.mouse import Tool
    from napari_sesami.viewer.prompt.controller import PromptController

    controller = workspace.find(PromptController)
    return controller is not None and controller.tool is not Tool.NONE
