"""What the panel does with a result: accept it, go to a reason, take a stroke back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.viewer.app.errors import ViewerError
from napari_sesami.viewer.layers.camera import go_to

if TYPE_CHECKING:
    from napari_sesami.viewer.strokes.controller import Live


def accept(live: Live, overwrite: bool) -> None:
    """Write the result of the plane on screen into the session's labels, undoably.

    Without `overwrite` only pixels that have no label yet are taken.
    """
    session, plane = live.link.session, live.link.plane
    found = None if live.layers is None else live.layers.labels.plane(plane)
    if found is None or not found.any():
        raise ViewerError("There is no result on this slice yet: paint a stroke.")
    known = np.isin(found, list(session.classes.ids))
    current = session.labels_plane(plane)
    allowed = known if overwrite else known & (current == 0)
    if session.write_labels(np.where(allowed, found, current), plane) is None:
        live.desk.say("Nothing changed: every pixel has a label already.")
    else:
        live.desk.say("The result is in the labels; undo (Ctrl+Z) takes it back.")


def unteach(live: Live, stroke: int) -> None:
    """Erase a stroke, undoably; one that comes from a bank is switched off."""
    found = live.link.session.stroke_pixels(stroke)
    if found is None:
        live.switch(stroke, False)
        live.desk.say("What the bank said there is switched off.")
        return
    plane, box, pixels = found
    live.link.session.erase(pixels, plane, at=box[:2])
    live.desk.say("The stroke is forgotten; undo (Ctrl+Z) brings it back.")


def jump(live: Live, plane: int, y: float, x: float) -> None:
    """Show a place of the scan in the middle of the canvas."""
    go_to(live.desk.viewer, live.link.strokes, plane, y, x)


def inside(live: Live, at: tuple[float, float]) -> bool:
    """Whether a pixel lies on the scan."""
    height, width = live.link.session.scan.plane_shape
    return 0 <= at[0] < height and 0 <= at[1] < width
