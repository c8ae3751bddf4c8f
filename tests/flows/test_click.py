"""A click: from the mouse event of napari to the mask in the preview layer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
from napari.components import ViewerModel
from napari.utils.interactions import mouse_press_callbacks, mouse_release_callbacks

from napari_sesami import Session
from napari_sesami.scan import Scan
from napari_sesami.viewer import desk_of
from napari_sesami.viewer.layers.mouse import Tool
from napari_sesami.viewer.prompt.controller import prompter_of
from tests.fakes.grey_model import GreyModel
from tests.fakes.hops import Hops, tell

if TYPE_CHECKING:
    from napari.layers import Labels

BOUND = 999  # hops; lower it with every step towards 25


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


def test_a_click_becomes_a_mask_in_few_hops(qtbot):
    viewer = ViewerModel()
    desk = desk_of(viewer)
    session = Session(Scan.from_array(block()))
    session.model = GreyModel(tile=128)
    desk.take(session)
    prompter = prompter_of(desk)
    prompter.use(Tool.CLICK)
    preview = viewer.layers.selection.active
    ready = (28.0, 40.0)

    def shown() -> bool:
        return np.asarray(preview.data)[20, 20] != 0 and not desk.work.busy

    try:
        click(preview, *ready)  # the embedding is made for the first click
        qtbot.waitUntil(shown, timeout=20_000)
        prompter.clear()
        qtbot.waitUntil(lambda: not np.asarray(preview.data).any(), timeout=20_000)
        # a thread of its own has no trace: it is followed from its beginning
        desk.work.close()
        desk.work.__init__()
        with Hops() as hops:
            click(preview, *ready)
            qtbot.waitUntil(shown, timeout=20_000)
    finally:
        desk.close()
    tell("click", hops.names)
    assert len(hops) <= BOUND
