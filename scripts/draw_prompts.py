"""Draws the pictures of docs/prompting.md: clicks on samples, in a real window.

xvfb-run -a -s "-screen 0 1600x1000x24" python scripts/draw_prompts.py
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import napari
import numpy as np
from qtpy.QtWidgets import QApplication
from scipy import ndimage

from napari_sesami.session import Ask
from napari_sesami.viewer.app.workspace import show_panel
from napari_sesami.viewer.layers.mouse import Tool

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sesami.viewer.prompt.panel import PromptPanel

FOLDER = Path(__file__).parents[1] / "docs" / "images"


def open_sample(key: str) -> tuple[napari.Viewer, PromptPanel, np.ndarray]:
    """A window with a sample, the panel, and the truth of the plane on screen."""
    viewer = napari.Viewer(show=True)
    viewer.window.resize(1600, 1000)
    viewer.open_sample("napari-sesami", key)
    dock = show_panel(viewer, "click", own_dock=True)
    pump()
    binding = dock.workspace.binding
    if binding.session.scan.n_planes > 1:
        viewer.dims.set_current_step(0, binding.session.scan.n_planes // 2)
    pump()
    truth = np.asarray(viewer.layers[f"{binding.image.name} truth"].data)
    viewer.canvas.overlays.scale_bar.visible = True
    viewer.reset_view()
    dock.controller.options.hover = False
    dock.controller.use(Tool.CLICK)
    return viewer, dock, truth.reshape(-1, *truth.shape[-2:])[binding.plane]


def objects(plane: np.ndarray, class_id: int) -> list[tuple[float, float]]:
    """The middle of each object of a class inside the picture, the largest first."""
    parts, count = ndimage.label(plane == class_id)
    rim = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
    parts[np.isin(parts, rim)] = 0
    sizes = ndimage.sum_labels(np.ones_like(parts), parts, range(1, count + 1))
    middles = []
    for i in [i for i in np.argsort(sizes)[::-1] + 1 if sizes[i - 1] > 0]:
        depth = ndimage.distance_transform_edt(np.pad(parts == i, 1))[1:-1, 1:-1]
        y, x = np.unravel_index(int(depth.argmax()), depth.shape)
        middles.append((float(y), float(x)))
    return middles


def ask(dock: PromptPanel, *asks: Ask) -> None:
    """Give prompts and wait for the answer."""
    for each in asks:
        dock.controller.add(each)
        wait(lambda: not dock.controller.busy)


def tem() -> None:
    """Channels of transistors committed by boxes, the last one at work."""
    viewer, dock, truth = open_sample("tem")
    parts, _ = ndimage.label(truth == 1)
    boxes = [s for s in ndimage.find_objects(parts) if s[0].stop - s[0].start < 60]
    for n, (rows, columns) in enumerate(boxes):
        dock.controller.options.class_id = 1
        box = (rows.start - 1, columns.start - 1, rows.stop + 1, columns.stop + 1)
        if n < len(boxes) - 1:
            ask(dock, Ask("box", box))
            dock.controller.commit()
        else:
            y, x = (rows.start + rows.stop) / 2, (columns.start + columns.stop) / 2
            ask(dock, Ask("point", (y, x)), Ask("box", box))
    shoot(viewer, "prompt_tem.png")


def xrm() -> None:
    """An object followed through the slices."""
    viewer, dock, truth = open_sample("xrm")
    best = max(dock.workspace.session.classes, key=lambda c: len(objects(truth, c.id)))
    ask(dock, Ask("point", objects(truth, best.id)[0]))
    dock.controller.slices.follow()
    wait(lambda: not dock.workspace.jobs.busy)
    shoot(viewer, "prompt_xrm.png")


def alike() -> None:
    """All objects like one, from one click."""
    viewer, dock, truth = open_sample("tem")
    best = max(dock.workspace.session.classes, key=lambda c: len(objects(truth, c.id)))
    dock.controller.options.class_id = best.id
    ask(dock, Ask("point", objects(truth, best.id)[0]))
    dock.many_fold.expand(animate=False)
    dock.controller.search.alike()
    wait(lambda: not dock.workspace.jobs.busy)
    shoot(viewer, "prompt_alike.png")


def wait(done: Callable[[], bool], seconds: float = 120) -> None:
    """Let the window live until something is done."""
    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)


def pump(rounds: int = 20) -> None:
    """Let the window draw itself."""
    for _ in range(rounds):
        QApplication.processEvents()
        time.sleep(0.01)


def shoot(viewer: napari.Viewer, name: str) -> None:
    """Take the picture and close the window."""
    pump(40)
    viewer.screenshot(FOLDER / name, canvas_only=False, flash=False)
    print(FOLDER / name)
    viewer.close()


if __name__ == "__main__":
    pictures = {"tem": tem, "xrm": xrm, "alike": alike}
    for chosen in sys.argv[1:] or pictures:
        pictures[chosen]()
