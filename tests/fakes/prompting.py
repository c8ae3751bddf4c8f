"""A window with the SeSAMI panel and a model that is quick, for the prompt tests."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_sesami.viewer.app.workspace import workspace_of
from napari_sesami.viewer.layers.overlay import EDGE, MASK
from tests.fakes.grey_model import GreyModel
from tests.fakes.hands import LEFT, NO_KEY, canvas, place, settle

SHIFT = Qt.KeyboardModifier.ShiftModifier
CONTROL = Qt.KeyboardModifier.ControlModifier


def scene(shape=(96, 128)) -> np.ndarray:
    """Dark ground, a grey block, a bright layer, another grey block."""
    image = np.zeros(shape, np.uint8)
    image[16:40, 16:56] = 120
    image[56:64, :] = 220
    image[72:88, 80:112] = 120
    return image


def stack() -> np.ndarray:
    """The block drifts through seven slices and ends in the sixth."""
    volume = np.zeros((7, 96, 128), np.uint8)
    for z in range(6):
        volume[z, 16 + 2 * z : 40 + 2 * z, 16 + 2 * z : 56 + 2 * z] = 160
    return volume


def begin(make_napari_viewer, qtbot, image, *, model=None, classes=("void",), **where):
    """Open a window with an image, the panel, classes, and the quick model."""
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1200, 900)
    layer = viewer.add_image(image, **where)
    workspace = workspace_of(viewer)
    workspace.adopt(layer)
    workspace.session.prompts.model = model or GreyModel(tile=128)
    for name in classes:
        workspace.session.classes.add(name)
    _, dock = viewer.window.add_plugin_dock_widget("napari-sesami", "Click prompts")
    qtbot.waitUntil(lambda: dock._docked)
    viewer.reset_view()
    settle(qtbot, 50)
    return viewer, dock


def click(viewer, layer, yx, modifiers=NO_KEY, button=LEFT) -> None:
    QTest.mouseClick(canvas(viewer), button, modifiers, place(viewer, layer, yx))


def answered(qtbot, dock) -> None:
    """Wait until the object at work has its answer."""
    controller = dock.controller
    qtbot.waitUntil(lambda: bool(controller.draft.planes) and not controller.busy)


def shown(dock) -> np.ndarray:
    """Where the preview layer shows the mask on the plane on screen."""
    preview = dock.controller.screen.preview
    data = np.asarray(preview.layer.data[(*preview._lead(preview.plane), ...)])
    return np.isin(data, (MASK, EDGE))
