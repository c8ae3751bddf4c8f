"""The pages of the workbench at work, for docs/pages.md; draw_workbench.py calls it.

Each page is brought to what it shows after some minutes of work: by the same calls as
a user's keys and clicks make, on the samples of the package.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import napari
import numpy as np
from napari._qt.dialogs.qt_notification import NapariQtNotification
from PIL import Image
from qtpy.QtWidgets import QApplication
from scipy.ndimage import distance_transform_edt

from draw_worklist import by_hand, judge_by_truth, scenes, write
from napari_sesami.classify import Lot
from napari_sesami.lab.defects import draw_lot
from napari_sesami.scan import load_sample
from napari_sesami.viewer.app.pages import PAGES
from napari_sesami.viewer.app.workspace import workspace_of
from napari_sesami.viewer.layers.camera import fit
from napari_sesami.viewer.prompt.controller import PromptController
from napari_sesami.viewer.runs.controller import RunsController

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sesami.viewer.app.workspace import Workspace

FOLDER = Path(__file__).parents[1] / "docs" / "images"
SIZES = ((1600, 1000), (1280, 800))
SHEET, STEPS = (545, 547), 24  # a nanosheet of the sample, and steps of the run
QUALITY = 80


def main(wanted: list[str]) -> None:
    """Draw the pages that are named, or all of them."""
    with tempfile.TemporaryDirectory() as folder:
        viewer = napari.Viewer(title="Sesami")
        workspace = workspace_of(viewer)
        workspace.panels.show("scan")
        viewer.open_sample("napari-sesami", "tem")
        pump(60)
        truth = f"{workspace.binding.image.name} truth"
        viewer.layers.remove(viewer.layers[truth])
        # what a page shows was done on those before
        for page in (
            "scan", "click", "objects", "strokes", "next", "train", "models", "measure",
        ):  # fmt: skip
            at_work = globals()[f"_{page}"]
            workspace.panels.show(page)
            pump(30)
            at_work(workspace)
            if not wanted or page in wanted:
                shoot(workspace, page)
        if not wanted or "defects" in wanted:
            workspace.panels.show("defects")
            _defects(workspace)
            shoot(workspace, "defects")
        if not wanted or "list" in wanted:
            workspace.panels.show("list")
            _list(workspace, Path(folder) / "wafer 12")
            shoot(workspace, "list")
        viewer.close()


def _scan(workspace: Workspace) -> None:
    """The sample is open."""


def _click(workspace: Workspace) -> None:
    """One click was committed; all alike were found and wait to be taken."""
    clicks = workspace.get(PromptController)
    clicks.use("click")
    clicks.clicked(clicks.tool, SHEET, False)
    wait(lambda: clicks.mask is not None and not clicks.busy)
    clicks.commit()
    clicks.search.alike()
    wait(lambda: clicks.search.found and not clicks.search.busy)


def _objects(workspace: Workspace) -> None:
    """They were taken; three are chosen."""
    workspace.get(PromptController).search.accept_all()
    pump(60)
    table = workspace.panels.find("objects").table
    for row in (2, 3, 4):
        table.topLevelItem(row).setSelected(True)


def _strokes(workspace: Workspace) -> None:
    """A stroke in each class; a pixel between two of them is explained."""
    workspace.get(PromptController).use("none")
    sample = load_sample("tem")
    for entry in sample.classes:
        mask = sample.labels == entry.id
        if mask.any():
            workspace.session.paint(np.where(stroke_in(mask), entry.id, 0), 0)
    panel = workspace.panels.find("strokes")
    quiet(workspace)
    panel.controller.explain(tuple(map(float, SHEET)))
    wait(panel.why.rows[0].isVisible)


def _measure(workspace: Workspace) -> None:
    """Sheets and the film about them; a row of the film is chosen, with its profile."""
    panel = workspace.panels.find("measure")
    controller = panel.controller
    for kind, *classes in (("cd", "silicon"), ("thickness", "silicon", "high-k")):
        controller.choose_kind(kind)
        for name in classes:
            controller.pick(name)
        quiet(workspace)
    panel.plot_combo.setCurrentIndex(1)
    controller.choose(next(k for k, r in enumerate(controller.rows) if r.profile))


def _next(workspace: Workspace) -> None:
    """Places were ranked; the first is asked, over the map of what is worth most."""
    panel = workspace.panels.find("next")
    workspace.act("queue_find")
    quiet(workspace)
    panel.maps.ticks["combined"].click()
    workspace.act("queue_next")
    quiet(workspace)


def _train(workspace: Workspace) -> None:
    """A short run is over, and was judged."""
    places = workspace.panels.find("next")
    places.maps.ticks["combined"].click()
    places.controller.pause(True)
    workspace.panels.find("strokes").accept()
    runs, panel = workspace.get(RunsController), workspace.panels.find("train")
    wait(panel.form.start_button.isEnabled)
    panel.form.steps.setValue(STEPS)
    panel.form.start_button.click()
    wait(lambda: runs.active)
    wait(lambda: not runs.active)
    quiet(workspace)
    panel.tabs.setCurrentWidget(panel.curves)


def _models(workspace: Workspace) -> None:
    """What is installed."""


def _defects(workspace: Workspace) -> None:
    """Six of each class are labelled; what the machine does not know is reviewed."""
    lots = [draw_lot(6, number) for number in (1, 2)]
    lot = Lot.joined(lots)
    truth = {d.id: str(d.label) for d in lot.defects}
    for defect in lot.defects:
        defect.label = None
    classifier = lot.classifier()
    kinds = sorted(set(truth.values()))
    for kind in kinds:
        classifier.label([i for i, k in truth.items() if k == kind][:6], kind)
    panel = workspace.panels.find("defects")
    panel.controller.take(classifier)
    wait(lambda: panel.controller.matrix is not None)
    quiet(workspace)
    panel.tabs.setCurrentIndex(1)
    panel.controller.show("queue")
    panel.gallery.setCurrentIndex(panel.gallery.model().index(0))
    pump(100)


def _list(workspace: Workspace, folder: Path) -> None:
    """One scan is labelled, the next has proposals, of which some were judged."""
    drawn = scenes(4)
    write(folder, drawn)
    panel = workspace.panels.find("list")
    panel.open_folder(folder)
    panel.controller.go("section 1.tif")
    quiet(workspace)
    by_hand(workspace.session, drawn[0])
    panel.controller.engine.item.seconds = 212.0  # nobody sits here to be timed
    panel.controller.done()
    wait(lambda: (r := panel.controller.reviewer.review) is not None and r.proposed)
    quiet(workspace)
    judge_by_truth(panel.controller, drawn[1].labels, stop=True)


def stroke_in(mask: np.ndarray, half: int = 40) -> np.ndarray:
    """A short line through the deepest place of a mask."""
    depth = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    thick = int(np.clip(depth[y, x] - 1, 1, 5))
    line = np.zeros_like(mask)
    line[max(0, y - thick) : y + thick, max(0, x - half) : x + half] = True
    return line & mask


def shoot(workspace: Workspace, page: str) -> None:
    """Take the window in both sizes."""
    viewer = workspace.viewer
    window = viewer.window._qt_window
    for note in window.findChildren(NapariQtNotification):
        note.close()
    for width, height in SIZES:
        window.setGeometry(0, 0, width, height)
        pump(30)
        if page != "next":
            fit(viewer, workspace.binding.image)
        pump(40)
        made = FOLDER / f"page_{page}_{width}.jpg"
        with tempfile.TemporaryDirectory() as folder:
            shot = Path(folder) / "shot.png"
            window.screen().grabWindow(0, 0, 0, width, height).save(str(shot))
            Image.open(shot).convert("RGB").save(made, quality=QUALITY)
        print(made.name, window.geometry(), flush=True)


def quiet(workspace: Workspace) -> None:
    """Wait until the background work has been over for a moment."""
    last = time.monotonic()
    while time.monotonic() < last + 1.2:
        pump(1)
        if workspace.jobs.busy:
            last = time.monotonic()


def wait(until: Callable[[], object]) -> None:
    """Let the window live until something is so."""
    while not until():
        pump(1)


def pump(rounds: int) -> None:
    """Let the window draw itself."""
    for _ in range(rounds):
        QApplication.processEvents()
        time.sleep(0.01)


DRAWN = {name[1:] for name in globals() if name[0] == "_" and name[1] != "_"}
assert {page.name for page in PAGES} >= DRAWN
