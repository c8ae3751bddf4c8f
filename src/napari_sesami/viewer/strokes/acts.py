"""What the panel does with a result: accept it, go to a reason, take a stroke back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sesami.viewer.app.errors import ViewerError
from napari_sesami.viewer.layers.camera import go_to

if TYPE_CHECKING:
    from napari_sesami.viewer.strokes.controller import StrokesController


def accept(controller: StrokesController, overwrite: bool) -> None:
    """Write the result of the plane on screen into the session's labels, undoably.

    Without `overwrite` only pixels that have no label yet are taken.
    """
    session, plane = controller.binding.session, controller.binding.plane
    found = None if controller.layers is None else controller.layers.labels.plane(plane)
    if found is None or not found.any():
        raise ViewerError("There is no result on this slice yet: paint a stroke.")
    if not session.document.labels.accept(found, plane, overwrite=overwrite):
        controller.workspace.say("Nothing changed: every pixel has a label already.")
    else:
        controller.workspace.say(
            "The result is in the labels; undo (Ctrl+Z) takes it back."
        )


def unteach(controller: StrokesController, stroke: int) -> None:
    """Erase a stroke, undoably; one that comes from a bank is switched off."""
    found = controller.binding.session.retrieval.learner.stroke_pixels(stroke)
    if found is None:
        controller.switch(stroke, False)
        controller.workspace.say("What the bank said there is switched off.")
        return
    plane, box, pixels = found
    controller.binding.session.strokes.erase(pixels, plane, at=box[:2])
    controller.workspace.say("The stroke is forgotten; undo (Ctrl+Z) brings it back.")


def jump(controller: StrokesController, plane: int, y: float, x: float) -> None:
    """Show a place of the scan in the middle of the canvas."""
    go_to(controller.workspace.viewer, controller.binding.strokes, plane, y, x)


def inside(controller: StrokesController, at: tuple[float, float]) -> bool:
    """Whether a pixel lies on the scan."""
    height, width = controller.binding.session.scan.plane_shape
    return 0 <= at[0] < height and 0 <= at[1] < width
