"""Hands the labels of the project over to training, in the panel "Runs"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sesami.viewer.app.errors import ViewerError
from napari_sesami.viewer.app.panels import show_panel

if TYPE_CHECKING:
    from napari_sesami.viewer.worklist.controller import Foreman

RUNS = "Runs"


def hand_over(foreman: Foreman) -> None:
    """Save what is labelled, and bring the panel that trains on it forward."""
    engine = foreman.working()
    if not engine.worklist.count("accepted"):
        raise ViewerError("Accept a scan first: a run learns from what is accepted.")
    foreman.link.flush()
    foreman.desk.keeper.save()
    show_panel(foreman.desk.viewer, "train", own_dock=True)
    foreman.desk.say(
        f"Start a run in the panel {RUNS}; when it wins, the next proposals use it."
    )
