"""Real mouse and key events on the canvas of a napari window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

if TYPE_CHECKING:
    from collections.abc import Sequence

NO_KEY = Qt.KeyboardModifier.NoModifier
LEFT = Qt.MouseButton.LeftButton


def canvas(viewer):
    """The native canvas; napari offers no public way to it."""
    return viewer.window._qt_viewer.canvas.native


def place(viewer, layer, yx: Sequence[float]) -> QPoint:
    """Where a pixel (y, x) of a layer lies on the canvas."""
    point = [*viewer.dims.point[: viewer.dims.ndim - 2], 0, 0][-layer.ndim :]
    data = [*layer.world_to_data(point)[:-2], *yx]
    world = layer.data_to_world(data)[-2:]
    camera = viewer.scene.camera
    center, zoom = camera.center[-2:], camera.zoom
    native = canvas(viewer)
    y = native.height() / 2 + (world[0] - center[0]) * zoom
    x = native.width() / 2 + (world[1] - center[1]) * zoom
    return QPoint(round(x), round(y))


def drag(viewer, layer, points: Sequence[Sequence[float]]) -> None:
    """Press the left button at the first point, move along, and release."""
    native = canvas(viewer)
    where = [place(viewer, layer, point) for point in points]
    QTest.mousePress(native, LEFT, NO_KEY, where[0])
    for point in where[1:]:
        place_ = QPointF(point)
        moved = QMouseEvent(
            QEvent.Type.MouseMove,
            place_,
            QPointF(native.mapToGlobal(point)),
            Qt.MouseButton.NoButton,
            LEFT,
            NO_KEY,
        )
        QApplication.sendEvent(native, moved)
        QApplication.processEvents()
    QTest.mouseRelease(native, LEFT, NO_KEY, where[-1])


def press(viewer, key: Qt.Key, modifiers: Qt.KeyboardModifier = NO_KEY) -> None:
    """Press a key while the canvas has the focus."""
    QTest.keyClick(canvas(viewer), key, modifiers)


def settle(qtbot, milliseconds: int = 30) -> None:
    """Let napari draw and the debouncing run out."""
    qtbot.wait(milliseconds)
