"""Draws the picture of docs/queue.md: the queue on the XRM sample, in a real window.

xvfb-run -a -s "-screen 0 1600x1000x24" python scripts/draw_queue.py
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import napari
import numpy as np
from qtpy.QtWidgets import QApplication

from napari_sesami.viewer.app.workspace import show_panel

FOLDER = Path(__file__).parents[1] / "docs" / "images"
MAPS = {"xrm": ("combined",)}
ANSWERS = 24


def draw(key: str) -> Path:
    """Paint a stroke per class, answer from the truth, ask for the next, and shoot."""
    viewer = napari.Viewer(show=True)
    viewer.window.resize(1600, 1000)
    workspace = show_panel(viewer, "scan", own_dock=True).workspace
    viewer.open_sample("napari-sesami", key)
    dock = show_panel(viewer, "next", own_dock=True)
    pump()
    session = workspace.session
    truth_layer = viewer.layers[f"{workspace.binding.image.name} truth"]
    truth = np.asarray(truth_layer.data).reshape(-1, *session.scan.plane_shape)
    viewer.layers.remove(truth_layer)
    paint(session, truth, session.scan.n_planes // 2)
    if session.scan.n_planes > 1:
        viewer.dims.set_current_step(0, session.scan.n_planes // 2)
    dock.options.rank.click()
    wait(dock)
    dock.controller.next()
    for _ in range(ANSWERS):
        query = dock.controller.asked.query
        y0, x0, y1, x1 = query.bbox
        inside = truth[query.plane][y0:y1, x0:x1][query.mask]
        dock.controller.change(int(np.bincount(inside).argmax()))
        pump(2)
    wait(dock)
    for name in MAPS.get(key, ()):
        dock.maps.ticks[name].click()
    dock.controller.ask(next(e.id for e in dock.controller.entries if not e.control))
    wait(dock)
    viewer.canvas.overlays.scale_bar.visible = True
    dock.parent().raise_()
    pump()
    path = FOLDER / f"queue_{key}.png"
    viewer.screenshot(path, canvas_only=False, flash=False)
    print(dock.verdict.text(), session.queue.spent)
    viewer.close()
    return path


def paint(session: object, truth: np.ndarray, middle: int) -> None:
    """A short stroke of each class where it is deepest, near the middle slice."""
    from scipy.ndimage import distance_transform_edt

    for entry in session.classes:
        areas = (truth == entry.id).sum((1, 2))
        here = areas[middle] > 0
        plane = middle if here else int(areas.argmax())
        mask = truth[plane] == entry.id
        if not mask.any():
            continue
        depth = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
        row, column = np.unravel_index(int(depth.argmax()), depth.shape)
        stroke = np.zeros_like(mask)
        stroke[max(0, row - 1) : row + 2, max(0, column - 12) : column + 12] = True
        session.paint(np.where(stroke & mask, entry.id, 0), plane)


def wait(dock: object) -> None:
    """Let ranking, maps and pictures end."""
    quiet = 0
    while quiet < 80:
        pump(1)
        busy = dock.workspace.jobs.busy or dock.controller.ranker.running
        quiet = 0 if busy else quiet + 1


def pump(rounds: int = 20) -> None:
    """Let the window draw itself."""
    for _ in range(rounds):
        QApplication.processEvents()
        time.sleep(0.01)


if __name__ == "__main__":
    for name in sys.argv[1:] or MAPS:
        print(draw(name))
