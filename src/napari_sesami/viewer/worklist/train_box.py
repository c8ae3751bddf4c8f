"""Hands the labels of the project over to training, in the panel "Runs"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sesami.viewer.app.errors import ViewerError
from napari_sesami.viewer.app.workspace import show_panel

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
    show_panel(controller.workspace.viewer, "train", own_dock=True)
    controller.workspace.say(
        f"Start a run in the panel {RUNS}; when it wins, the next proposals use it."
    )
