"""A stroke: from napari's brush to the labels of the slice."""

from __future__ import annotations

import numpy as np
from napari.components import ViewerModel

from napari_sesami import Session
from napari_sesami.scan import Scan
from napari_sesami.viewer import workspace_of
from napari_sesami.viewer.strokes.controller import StrokesController
from tests.fakes.hops import Hops, tell
from tests.fakes.texture import Texture, stripes

SOON = 60_000  # ms, on a busy machine
# Today and a tenth more: lower them with each step towards 28 hops of a reader.
# Pixels speak in the first picture, too: that is 34 calls of these.
CALLS, ENTERED = 186, 106


def paint(layer, class_id: int, y: int) -> None:
    """Draw a line with the brush, as one stroke."""
    layer.selected_label = class_id
    layer.brush_size = 3
    with layer.block_history():
        for x in range(20, 60):
            layer.paint((y, x), class_id)


def test_a_stroke_becomes_labels_in_few_calls(qtbot):
    hops, viewer = Hops(), ViewerModel()
    with hops.listen():
        workspace = workspace_of(viewer)
        session = Session(Scan.from_array(stripes()[0]))
        session.retrieval.encoder = Texture()
        for name in ("substrate", "oxide", "metal"):
            session.classes.add(name)
        link = workspace.take(session)
        live = workspace.get(StrokesController)
        live.set_zoom(1.0)

        def classes() -> set[int]:
            """What the result layers show."""
            own = (link.image, link.strokes, link.labels)
            shown = [np.asarray(x.data) for x in viewer.layers if x not in own]
            found = {int(c) for data in shown for c in np.unique(data)}
            return found - {0}

        try:
            for class_id, y in ((1, 10), (2, 60)):
                paint(link.strokes, class_id, y)
                qtbot.waitUntil(lambda: class_id in classes(), timeout=SOON)  # noqa: B023
            qtbot.waitUntil(lambda: not workspace.jobs.busy, timeout=SOON)
            qtbot.wait(400)  # borders are refined when the brush has rested
            qtbot.waitUntil(lambda: not workspace.jobs.busy, timeout=SOON)
            with hops.count():
                paint(link.strokes, 3, 100)
                qtbot.waitUntil(lambda: 3 in classes(), timeout=SOON)
        finally:
            workspace.close()
    calls, entered = tell("stroke", hops.names)
    assert calls <= CALLS
    assert entered <= ENTERED
