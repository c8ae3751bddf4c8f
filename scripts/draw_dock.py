"""Draws the pictures of docs/viewer.md: the panel with each sample, in a real window.

xvfb-run -a -s "-screen 0 1600x1000x24" python scripts/draw_dock.py
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import napari
import numpy as np
from qtpy.QtWidgets import QApplication

from napari_sesami.scan import list_samples
from napari_sesami.viewer.app.workspace import show_panel

FOLDER = Path(__file__).parents[1] / "docs" / "images"


def draw(key: str) -> Path:
    """Open a sample, paint a stroke of each class where the truth has it, and shoot."""
    viewer = napari.Viewer(show=True)
    viewer.window.resize(1600, 1000)
    dock = show_panel(viewer, "scan", own_dock=True)
    viewer.open_sample("napari-sesami", key)
    pump()
    binding = dock.workspace.binding
    if binding.session.scan.n_planes > 1:
        viewer.dims.set_current_step(0, binding.session.scan.n_planes // 2)
    truth = np.asarray(viewer.layers[f"{binding.image.name} truth"].data)
    plane = truth.reshape(-1, *truth.shape[-2:])[binding.plane]
    for entry in binding.session.classes:
        binding.session.paint(
            np.where(middle(plane == entry.id), entry.id, 0), binding.plane
        )
    binding.pick(1)
    viewer.canvas.overlays.scale_bar.visible = True
    viewer.reset_view()
    pump()
    path = FOLDER / f"dock_{key}.png"
    viewer.screenshot(path, canvas_only=False, flash=False)
    viewer.close()
    return path


def middle(mask: np.ndarray, length: int = 60) -> np.ndarray:
    """A stroke along the deepest row of a mask, as a user would draw it."""
    from scipy.ndimage import distance_transform_edt

    depth = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    stroke = np.zeros_like(mask)
    stroke[max(0, row - 2) : row + 3, max(0, column - length) : column + length] = True
    return stroke & mask


def pump(rounds: int = 20) -> None:
    """Let the window draw itself."""
    for _ in range(rounds):
        QApplication.processEvents()
        time.sleep(0.01)


if __name__ == "__main__":
    for name in sys.argv[1:] or list_samples():
        print(draw(name))
