"""Draw the page "Measure": open a sample, pick classes, drag, save; all by mouse.

    python scripts/draw_measure.py [FOLDER] [WIDTHxHEIGHT] [light]

FOLDER gets a picture of the whole screen after each step. Without a screen:

    xvfb-run -a -s "-screen 0 1440x900x24" python scripts/draw_measure.py
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from draw_window import open_window, pump
from napari_sesami.scan import load_sample
from napari_sesami.viewer.app.workspace import show_panel, workspace_of

if TYPE_CHECKING:
    from pathlib import Path

    import napari

LEFT = Qt.MouseButton.LeftButton


def main() -> None:
    """Click through the page and take a picture after each step."""
    viewer, folder, _ = open_window("measure", "1440x900")
    window = viewer.window._qt_window
    scene = load_sample("tem")
    workspace = workspace_of(viewer)
    session = workspace.start(scene.scan).session
    for each in scene.classes:
        entry = session.classes.add(each.name, each.color)
        if (scene.labels == each.id).any():
            session.objects.commit(scene.labels == each.id, entry.name)
    panel = show_panel(viewer, "measure")
    pump(40)
    page = panel.recipe_box.parentWidget()
    print("page", panel.width(), page.minimumSizeHint(), page.width())
    shot = Shots(window, folder)
    shot("1_open")
    controller = panel.controller

    def pick(kind: str, *classes: str) -> None:
        panel.kind_combo.setCurrentText(kind)
        panel.kind_combo.activated.emit(panel.kind_combo.currentIndex())
        if controller.tools.tool != "pick":
            QTest.mouseClick(panel.tools["pick"], LEFT)
        for name in classes:
            ids = session.classes[name].id
            labels = session.document.labels.plane(0)
            click(viewer, workspace.binding.labels, deepest(labels == ids))
        wait(controller)

    pick("cd", "silicon")
    shot("2_cd")
    pick("thickness", "silicon", "high-k")
    shot("3_film")
    panel.plot_combo.setCurrentIndex(1)
    controller.choose(next(k for k, r in enumerate(controller.rows) if r.profile))
    shot("4_profile")
    pick("pitch", "silicon")
    panel.table.clicked.emit(panel.table.model().index(3, 0))
    shot("5_row")
    QTest.mouseClick(panel.tools["move"], LEFT)
    line = controller.layers.drawn[3][1][:, -2:].mean(0)
    layer = controller.layers.lines
    drag(viewer, layer, [line + np.array([step, 0]) for step in range(4)])
    print(f"followed in {1e3 * controller.took:.0f} ms")
    shot("6_dragged")
    print(controller.results().summary())
    viewer.close()


def deepest(mask: np.ndarray) -> tuple[int, int]:
    """A point well inside of a mask."""
    from scipy.ndimage import distance_transform_edt

    away = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(int(away.argmax()), mask.shape)
    return int(y), int(x)


class Shots:
    """Takes pictures of the whole screen."""

    def __init__(self, window: object, folder: Path) -> None:
        self._window, self._folder = window, folder

    def __call__(self, name: str) -> None:
        """Save a picture under a name."""
        pump(25)
        screen = self._window.screen()  # type: ignore[attr-defined]
        screen.grabWindow(0).save(str(self._folder / f"{name}.png"))


def wait(controller: object, seconds: float = 60.0) -> None:
    """Wait for the values."""
    end = time.monotonic() + seconds
    pump(5)
    while controller.busy and time.monotonic() < end:  # type: ignore[attr-defined]
        pump(2)


def place(viewer: napari.Viewer, layer: object, yx: object) -> QPoint:
    """Where a pixel of a layer lies on the canvas."""
    world = layer.data_to_world(yx)[-2:]  # type: ignore[attr-defined]
    camera, native = viewer.scene.camera, canvas(viewer)
    y = native.height() / 2 + (world[0] - camera.center[-2]) * camera.zoom
    x = native.width() / 2 + (world[1] - camera.center[-1]) * camera.zoom
    return QPoint(round(x), round(y))


def canvas(viewer: napari.Viewer) -> object:
    """The native canvas."""
    return viewer.window._qt_viewer.canvas.native


def click(viewer: napari.Viewer, layer: object, yx: object) -> None:
    """Press and release over a pixel."""
    QTest.mouseClick(
        canvas(viewer), LEFT, Qt.KeyboardModifier.NoModifier, place(viewer, layer, yx)
    )
    pump(4)


def drag(viewer: napari.Viewer, layer: object, points: list[object]) -> None:
    """Press at the first point, move along, release."""
    native, none = canvas(viewer), Qt.KeyboardModifier.NoModifier
    where = [place(viewer, layer, p) for p in points]
    QTest.mousePress(native, LEFT, none, where[0])
    for point in where[1:]:
        moved = QMouseEvent(
            QEvent.Type.MouseMove, QPointF(point), QPointF(native.mapToGlobal(point)),
            Qt.MouseButton.NoButton, LEFT, none,
        )  # fmt: skip
        QApplication.sendEvent(native, moved)
        pump(2)
    QTest.mouseRelease(native, LEFT, none, where[-1])
    pump(4)


if __name__ == "__main__":
    main()
