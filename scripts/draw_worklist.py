"""Draws the pictures of docs/data-engine.md: a folder of scans, in a real window.

xvfb-run -a -s "-screen 0 1600x1000x24" python scripts/draw_worklist.py
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import napari
import numpy as np
import tifffile
from qtpy.QtWidgets import QApplication

from napari_sesami.lab.scenes import tem
from napari_sesami.viewer.app.workspace import show_panel

FOLDER = Path(__file__).parents[1] / "docs" / "images"
SCANS, SIDE = 6, 512


def scenes(n: int = SCANS) -> list:
    """Places of one device: alike, and yet each a little different."""
    wide = tem("gaa", 9, view="across", shape=(SIDE, n * SIDE))
    parts = [np.s_[:, i * SIDE : (i + 1) * SIDE] for i in range(n)]
    return [replace(wide, image=wide.image[p], labels=wide.labels[p]) for p in parts]


def write(folder: Path, drawn: list) -> None:
    """Write scans with their pixel size."""
    folder.mkdir()
    for i, scene in enumerate(drawn, 1):
        size = scene.pixel_size[0]
        tifffile.imwrite(
            folder / f"section {i}.tif",
            np.ascontiguousarray(scene.image),
            imagej=True,
            resolution=(1 / size, 1 / size),
            metadata={"unit": scene.unit},
        )


def by_hand(session: object, scene: object) -> None:
    """Commit every object of the truth, as a user would have after some minutes."""
    from skimage.measure import label

    for spec in scene.classes:
        if spec.name not in session.classes:
            session.classes.add(spec.name, color=spec.color)
    parts = label(scene.labels, background=0, connectivity=1)
    for i in range(1, parts.max() + 1):
        mask = parts == i
        if mask.sum() >= 60:
            session.commit(mask, int(scene.labels[mask][0]))


def draw(folder: Path) -> list[Path]:
    """Label a scan, let the model propose for the next, judge some, and shoot."""
    drawn = scenes()
    write(folder / "wafer 12", drawn)
    viewer = napari.Viewer(show=True)
    viewer.window.resize(1600, 1000)
    workspace = show_panel(viewer, "scan", own_dock=True).workspace
    dock = show_panel(viewer, "list", own_dock=True)
    dock.open_folder(folder / "wafer 12")
    controller = dock.controller
    made = []
    for number, seconds in ((1, 212), (2, 31), (3, 24)):
        if number == 1:
            controller.go(f"section {number}.tif")
        wait(workspace)
        scene = drawn[number - 1]
        if number == 1:
            by_hand(workspace.session, scene)
        else:
            judge_by_truth(controller, scene.labels, stop=number == 3)
        controller.engine.item.seconds = float(seconds)  # nobody sits here to be timed
        if number == 3:
            break
        controller.done()
    dock.parent().raise_()
    viewer.canvas.overlays.scale_bar.visible = True
    viewer.reset_view()
    pump()
    made.append(shoot(viewer, "worklist.png"))
    dock.tabs.setCurrentWidget(dock.times)
    pump()
    made.append(shoot(viewer, "worklist_progress.png"))
    dock.tabs.setCurrentWidget(dock.superpixels)
    controller.superpixels.toggle()
    wait(workspace)
    middle = np.array(workspace.session.scan.plane_shape) / 2
    controller.superpixels.hover(tuple(middle))
    pump()
    made.append(shoot(viewer, "worklist_superpixels.png"))
    viewer.close()
    return made


def judge_by_truth(controller: object, truth: np.ndarray, stop: bool) -> None:
    """Accept what is right, reject what is wrong; with `stop`, leave some waiting."""
    review = controller.reviewer.review
    for i, p in enumerate(review.proposed[: len(review) // 2 if stop else None]):
        y0, x0, y1, x1 = p.bbox
        inside = truth[y0:y1, x0:x1][p.mask]
        controller.reviewer.take(i)
        if np.mean(inside == p.class_id) > 0.7:
            controller.reviewer.accept()
        else:
            controller.reviewer.reject()
    found = review.statuses()
    print({name: found.count(name) for name in set(found)})


def shoot(viewer: napari.Viewer, name: str) -> Path:
    """Take the whole window."""
    path = FOLDER / name
    viewer.screenshot(path, canvas_only=False, flash=False)
    return path


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
    with tempfile.TemporaryDirectory() as place:
        print(*draw(Path(place)), sep="\n")
    sys.exit()
