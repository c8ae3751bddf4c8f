"""Times what a user waits for, in a napari of its own; prints JSON.

`python -m tests.fakes.first_hour BEGAN`, where BEGAN is the `time.time()` at which the
process was asked for. Each row is (wall seconds, processor seconds of all threads).
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

import napari
import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_sesami.scan import load_sample
from napari_sesami.viewer.app.demo import enlarge, open_demo
from napari_sesami.viewer.app.workspace import workspace_of
from napari_sesami.viewer.layers.mouse import Tool
from napari_sesami.viewer.prompt.controller import PromptController
from napari_sesami.viewer.tour.controller import TourController
from tests.fakes.hands import LEFT, NO_KEY, canvas, place, press

if TYPE_CHECKING:
    from collections.abc import Callable

SOON = 300.0
SHEETS = ((545, 547), (447, 547), (350, 547), (640, 547), (545, 600), (447, 500))


def drawn(viewer: Any) -> None:
    """Let the window show what it has."""
    canvas(viewer).update()
    QApplication.processEvents()
    viewer.window._qt_viewer.canvas._scene_canvas.render(alpha=False)


def wait(done: Callable[[], Any]) -> None:
    """Let events run until something is so."""
    end = time.monotonic() + SOON
    while not done():
        QApplication.processEvents()
        time.sleep(0.002)  # or waiting is counted as work
        if time.monotonic() > end:
            raise TimeoutError


def timed(viewer: Any, do: Callable[[], Any], done: Callable[[], Any]) -> list[float]:
    """Do something; seconds until it is done and drawn."""
    wall, cpu = time.perf_counter(), time.process_time()
    do()
    wait(done)
    drawn(viewer)
    return [time.perf_counter() - wall, time.process_time() - cpu]


def pause(milliseconds: int = 600) -> None:
    """Let what runs behind come to its end."""
    QTest.qWait(milliseconds)


def main() -> None:
    """Go through the first minutes, and print how long each step took."""
    said: dict[str, list[float]] = {}
    viewer = napari.Viewer(title="Sesami", show=False)
    enlarge(viewer)
    viewer.window.show()
    open_demo(viewer, "tem")
    workspace = workspace_of(viewer)
    wait(lambda: workspace.session is not None)
    drawn(viewer)
    said["demo window"] = [time.time() - float(sys.argv[1]), time.process_time()]
    wait(lambda: workspace.get(TourController).balloon is not None)
    pause(2000)
    workspace.get(TourController).close()
    clicks = workspace.get(PromptController)
    clicks.options.hover = False
    if clicks.tool is not Tool.CLICK:
        clicks.use(Tool.CLICK)
    clicks.cursor.stop()
    wait(lambda: not workspace.jobs.busy)

    def click(yx: tuple[float, float]) -> list[float]:
        where = place(viewer, workspace.binding.image, yx)
        return timed(
            viewer,
            lambda: QTest.mouseClick(canvas(viewer), LEFT, NO_KEY, where),
            lambda: clicks.mask is not None and not clicks.busy,
        )

    said["drawing a frame alone"] = timed(viewer, lambda: None, lambda: True)
    said["first click"] = click(SHEETS[0])
    fresh, further = [], []
    for yx in SHEETS[1:]:
        clicks.clear()
        pause(100)
        fresh.append(click(yx))
        for step in (12, -12):
            pause(100)
            further.append(click((yx[0], yx[1] + step)))
    said["click on another object"] = np.median(fresh, axis=0).tolist()
    said["further click"] = np.median(further, axis=0).tolist()
    clicks.clear()
    click(SHEETS[0])
    press(viewer, Qt.Key.Key_U)
    wait(lambda: len(workspace.session.objects) == 1)
    said["find all alike"] = timed(
        viewer,
        lambda: workspace.act("prompt_alike"),
        lambda: clicks.search.kind and not clicks.search.busy,
    )
    clicks.search.accept_all()
    pause()
    first = workspace.binding
    sample = load_sample("aoi")
    said["sample"] = timed(
        viewer,
        lambda: viewer.open_sample("napari-sesami", "aoi"),
        lambda: workspace.binding is not first,
    )
    pause()
    second = workspace.binding
    said["switch of scan"] = timed(
        viewer,
        lambda: workspace.adopt(first.image),
        lambda: workspace.binding is first,
    )
    pause()
    workspace.adopt(second.image)
    # what napari itself takes to show a picture and three layers of labels like it
    pixels = np.asarray(sample.scan.data)
    empty = np.zeros(sample.scan.plane_shape, np.uint8)

    def plain() -> None:
        viewer.add_image(pixels, name="plain")
        for number in range(3):
            viewer.add_labels(empty, name=f"plain {number}")

    said["sample, napari's own part"] = timed(viewer, plain, lambda: True)
    print(json.dumps(said), flush=True)
    viewer.close()


if __name__ == "__main__":
    main()
