"""A click: from the mouse event of napari to the mask in the preview layer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
from napari.components import ViewerModel
from napari.utils.interactions import mouse_press_callbacks, mouse_release_callbacks

from napari_sesami import Session
from napari_sesami.scan import Scan
from napari_sesami.viewer import workspace_of
from napari_sesami.viewer.layers.mouse import Tool
from napari_sesami.viewer.prompt.controller import PromptController
from tests.fakes.grey_model import GreyModel
from tests.fakes.hops import Hops, tell

if TYPE_CHECKING:
    from napari.layers import Labels

SOON = 60_000  # ms, on a busy machine
# Lower them with each step towards 25 hops of a reader. 108 and 53 where the answer
# comes within the grace of a click; a slow machine goes the longer way, 116 and 59.
# Candidates beside the net, and who chooses among them, are about 50 calls of these.
CALLS, ENTERED = 176, 86


def block() -> np.ndarray:
    image = np.zeros((96, 128), np.uint8)
    image[16:40, 16:56] = 120
    return image


def click(layer: Labels, y: float, x: float) -> None:
    """Press and release as napari's canvas tells a layer."""
    event = SimpleNamespace(
        type="mouse_press",
        button=1,
        modifiers=(),
        pos=(100, 100),
        position=(y, x),
        view_direction=None,
        dims_displayed=[0, 1],
        handled=False,
    )
    mouse_press_callbacks(layer, event)
    event.type = "mouse_release"
    mouse_release_callbacks(layer, event)


def test_a_click_becomes_a_mask_in_few_calls(qtbot):
    hops, viewer = Hops(), ViewerModel()
    with hops.listen():
        workspace = workspace_of(viewer)
        session = Session(Scan.from_array(block()))
        session.prompts.model = GreyModel(tile=128)
        workspace.take(session)
        controller = workspace.get(PromptController)
        controller.use(Tool.CLICK)
        preview = viewer.layers.selection.active

        def shown() -> bool:
            return np.asarray(preview.data)[20, 20] != 0 and not workspace.jobs.busy

        try:
            click(preview, 28, 40)  # the embedding is made for the first click
            qtbot.waitUntil(shown, timeout=SOON)
            controller.clear()
            assert not np.asarray(preview.data).any()
            with hops.count():
                click(preview, 28, 40)
                qtbot.waitUntil(shown, timeout=SOON)
        finally:
            workspace.close()
    calls, entered = tell("click", hops.names)
    assert calls <= CALLS
    assert entered <= ENTERED
