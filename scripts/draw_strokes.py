"""Draws the picture of docs/strokes.md: strokes of the TEM sample, in a real window.

xvfb-run -a -s "-screen 0 1600x1000x24" python scripts/draw_strokes.py
"""

from __future__ import annotations

import time
from pathlib import Path

import napari
import numpy as np
from qtpy.QtWidgets import QApplication

from napari_sesami.viewer.app.workspace import show_panel

FOLDER = Path(__file__).parents[1] / "docs" / "images"


def draw(key: str = "tem") -> Path:
    """Open a sample, paint a stroke of each class where the truth has it, and shoot."""
    viewer = napari.Viewer(show=True)
    viewer.window.resize(1600, 1000)
    workspace = show_panel(viewer, "scan", own_dock=True).workspace
    viewer.open_sample("napari-sesami", key)
    dock = show_panel(viewer, "strokes", own_dock=True)
    pump()
    binding = workspace.binding
    truth = np.asarray(viewer.layers[f"{binding.image.name} truth"].data)
    plane = truth.reshape(-1, *truth.shape[-2:])[binding.plane]
    for entry in binding.session.classes:
        for stroke in strokes(plane == entry.id):
            binding.session.paint(np.where(stroke, entry.id, 0), binding.plane)
    wait(workspace)
    found = dock.controller.last
    truth_here = plane > 0
    print(f"agrees with the truth: {(found.labels == plane)[truth_here].mean():.3f}")
    y, x = np.argwhere(plane == plane.max())[0]
    dock.controller.explain((float(y), float(x)))
    wait(workspace)
    binding.labels.visible = False
    viewer.canvas.overlays.scale_bar.visible = True
    dock.parent().raise_()
    viewer.reset_view()
    pump()
    path = FOLDER / f"strokes_{key}.png"
    viewer.screenshot(path, canvas_only=False, flash=False)
    viewer.close()
    return path


def strokes(mask: np.ndarray, count: int = 2, length: int = 30) -> list[np.ndarray]:
    """Short strokes along the deepest rows of a mask, as a user would draw them."""
    from scipy.ndimage import distance_transform_edt

    left, out = mask.copy(), []
    for _ in range(count):
        depth = distance_transform_edt(np.pad(left, 1))[1:-1, 1:-1]
        if depth.max() < 2:
            break
        row, column = np.unravel_index(int(depth.argmax()), depth.shape)
        stroke = np.zeros_like(mask)
        box = np.s_[row - 1 : row + 2, max(0, column - length) : column + length]
        stroke[box] = left[box]
        out.append(stroke)
        left[max(0, row - 60) : row + 60, max(0, column - 60) : column + 60] = False
    return out


def wait(workspace: object) -> None:
    """Let the background work end."""
    quiet = 0
    while quiet < 60:
        pump(1)
        quiet = 0 if workspace.jobs.busy else quiet + 1


def pump(rounds: int = 20) -> None:
    """Let the window draw itself."""
    for _ in range(rounds):
        QApplication.processEvents()
        time.sleep(0.01)


if __name__ == "__main__":
    print(draw())
