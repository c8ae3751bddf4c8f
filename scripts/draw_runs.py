"""Draws the pictures of the Runs panel for docs/viewer.md, from a real run.

xvfb-run -a -s "-screen 0 1600x1000x24" python scripts/draw_runs.py [STEPS]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import napari
from qtpy.QtWidgets import QApplication
from skimage.measure import label

from napari_sesami import Session
from napari_sesami.lab.scenes import FAMILIES
from napari_sesami.scan import Scan
from napari_sesami.viewer import attach

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = Path(__file__).parents[1] / "docs" / "images"


def labelled(project: Path) -> Session:
    """Nanosheets with the contrast of another detector, all objects committed."""
    scene = FAMILIES["gaa_across"](4)
    scan = Scan.from_array(
        255 - scene.image, pixel_size=scene.pixel_size, units=scene.unit, name="fin 4"
    )
    session = Session(scan, project=project, model="sesami-nano")
    for entry in scene.classes:
        session.classes.add(entry.name, entry.color)
    names = {entry.id: entry.name for entry in scene.classes}
    parts = label(scene.labels, background=0)
    for number in range(1, parts.max() + 1):
        mask = parts == number
        if 100 <= mask.sum() < mask.size / 8:
            session.commit(mask, names[int(scene.labels[mask][0])])
    return session


def wait(until: Callable[[], object]) -> None:
    """Let the window live until something is so."""
    while not until():
        QApplication.processEvents()
        time.sleep(0.005)


def pause(seconds: float = 0.6) -> None:
    """Let everything be drawn."""
    end = time.monotonic() + seconds
    wait(lambda: time.monotonic() > end)


def draw(steps: int) -> None:
    """Train, and shoot the window on the way and the verdict at the end."""
    with tempfile.TemporaryDirectory() as folder:
        session = labelled(Path(folder) / "fins.sesami")
        viewer = napari.Viewer(show=True)
        viewer.window.resize(1200, 900)
        binding = attach(viewer, session)
        _, dock = viewer.window.add_plugin_dock_widget("napari-sesami", "Runs")
        viewer.reset_view()
        binding.strokes.visible = False
        wait(dock.form.start_button.isEnabled)
        dock.form.steps.setValue(steps)
        dock.form.start_button.click()
        wait(lambda: dock.controller.active)
        run = dock.controller.selected
        wait(lambda: run.status.step >= 0.7 * steps)
        pause()
        viewer.screenshot(FOLDER / "runs.png", canvas_only=False, flash=False)
        wait(lambda: run.status.over)
        print(run.status.sentence, run.facts.get("verdict"))
        wait(dock.gate.use_button.isEnabled)
        pause(2)
        dock.grab().save(str(FOLDER / "runs_result.png"))
        dock.tabs.setCurrentWidget(dock.pictures)
        pause()
        dock.grab().save(str(FOLDER / "runs_pictures.png"))
        viewer.close()


if __name__ == "__main__":
    draw(int(sys.argv[1]) if len(sys.argv) > 1 else 120)
