"""Hands the labels of the project over to training, in the panel "Runs"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sesami.viewer.app.errors import ViewerError

if TYPE_CHECKING:
    from napari_sesami.viewer.worklist.controller import WorklistController

RUNS = "Runs"


def hand_over(controller: WorklistController) -> None:
    """Save what is labelled, and bring the panel that trains on it forward."""
    engine = controller.working()
    if not engine.worklist.count("accepted"):
        raise ViewerError("Accept a scan first: a run learns from what is accepted.")
    controller.binding.flush()
    controller.workspace.saver.save()
    window = controller.workspace.viewer.window
    for name, widget in window.dock_widgets.items():
        if name.startswith(f"{RUNS} ("):
            widget.show()
            break
    else:
        try:
            window.add_plugin_dock_widget("napari-sesami", RUNS, tabify=True)
        except (KeyError, ValueError) as error:
            raise ViewerError(
                "This version of napari-sesami has no panel for training yet."
            ) from error
    controller.workspace.say(
        f"Start a run in the panel {RUNS}; when it wins, the next proposals use it."
    )
