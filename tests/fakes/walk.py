"""A newcomer's walk in a napari of its own: two scans, all pages, save, kill, reopen.

`python -m tests.fakes.walk work FOLDER` does the work and ends by SIGKILL, as a power
cut does; `python -m tests.fakes.walk again FOLDER` opens the project and tells what is
there. Both tell what they see as JSON lines in FOLDER/said.jsonl and draw the screen
into FOLDER.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import napari
import numpy as np
from qtpy.QtCore import Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QLineEdit, QMenu

from napari_sesami.scan import load_sample
from napari_sesami.train import deepest
from napari_sesami.viewer.app.pages import PAGES
from napari_sesami.viewer.app.workspace import workspace_of
from napari_sesami.viewer.prompt.controller import PromptController
from tests.fakes.hands import LEFT, NO_KEY, canvas, drag, place, press

if TYPE_CHECKING:
    from collections.abc import Callable

SHEET = (545, 547)  # in a nanosheet of the first sample
SOON = 120.0


class Walk:
    """One window, and the hands in front of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.viewer = napari.Viewer(title="Sesami")
        self.window = self.viewer.window._qt_window
        self.window.setGeometry(0, 0, 1280, 800)
        self.pump(20)
        self.workspace = workspace_of(self.viewer)

    def say(self, **facts: Any) -> None:
        with (self.folder / "said.jsonl").open("a") as stream:
            stream.write(json.dumps(facts) + "\n")

    def pump(self, rounds: int) -> None:
        for _ in range(rounds):
            QApplication.processEvents()
            time.sleep(0.01)

    def wait(self, done: Callable[[], Any], what: str) -> None:
        end = time.monotonic() + SOON
        while not done():
            if time.monotonic() > end:
                self.shoot("stuck")
                raise TimeoutError(f"{what}; the window says: {self.workspace.message}")
            self.pump(1)

    def quiet(self) -> None:
        self.pump(20)
        self.wait(lambda: not self.workspace.jobs.busy, "the work never ends")

    def shoot(self, name: str) -> None:
        self.pump(20)
        self.window.screen().grabWindow(0).save(str(self.folder / f"{name}.png"))

    def open_workbench(self) -> None:
        bar = self.window.menuBar()
        menus = {a.text().replace("&", ""): a for a in bar.actions()}
        QTest.mouseClick(bar, LEFT, pos=bar.actionGeometry(menus["Plugins"]).center())
        self.pump(10)
        popup: QMenu = menus["Plugins"].menu()
        sesami = next(a for a in popup.actions() if a.text().startswith("Sesami"))
        QTest.mouseClick(popup, LEFT, pos=popup.actionGeometry(sesami).center())
        self.pump(10)
        inner: QMenu = sesami.menu()
        first = inner.actions()[0]
        QTest.mouseClick(inner, LEFT, pos=inner.actionGeometry(first).center())
        self.pump(20)

    def page(self, name: str) -> Any:
        """Click the icon of a page, and give its panel."""
        QTest.mouseClick(self.workspace.panels.find("").buttons[name], LEFT)
        self.pump(20)
        return self.workspace.panels.find(name)

    def click(self, yx: tuple[float, float]) -> None:
        where = place(self.viewer, self.workspace.binding.image, yx)
        QTest.mouseClick(canvas(self.viewer), LEFT, NO_KEY, where)

    def click_and_commit(self, yx: tuple[float, float]) -> None:
        self.page("click")
        clicks = self.workspace.get(PromptController)
        before = len(self.workspace.session.objects)
        self.click(yx)
        self.wait(lambda: clicks.mask is not None and not clicks.busy, "no mask")
        press(self.viewer, Qt.Key.Key_U)
        count = self.workspace.session.objects
        self.wait(lambda: len(count) == before + 1, "the mask was not committed")

    def stroke(self, number: int, yx: tuple[float, float], half: float) -> None:
        """Pick a class by its digit and paint a line."""
        press(self.viewer, getattr(Qt.Key, f"Key_{number}"))
        y, x = yx
        steps = [(y, x + share * half) for share in (-1, -0.5, 0, 0.5, 1)]
        drag(self.viewer, self.workspace.binding.strokes, steps)
        self.pump(10)

    def answer_dialog(self, text: Path, press_: Callable[[], None]) -> None:
        """Press a button that opens a file dialog, and type a path into it."""

        def type_it() -> None:
            dialog = QApplication.activeModalWidget()
            if dialog is None:
                return  # it was answered
            field = dialog.findChild(QLineEdit)
            if field is not None:
                field.clear()
                QTest.keyClicks(field, str(text))
                QTest.keyClick(field, Qt.Key.Key_Return)
            QTimer.singleShot(1000, type_it)

        QTimer.singleShot(1000, type_it)
        press_()

    def state(self) -> dict[str, Any]:
        """What a user would miss if it were lost."""
        session = self.workspace.session
        labels = np.asarray(session.labels)
        planes = range(session.scan.n_planes)
        strokes = sum(int(np.count_nonzero(session.strokes.plane(p))) for p in planes)
        return {
            "scan": session.scan.name,
            "kind": session.scan.modality,
            "units": [str(u) for u in session.scan.units],
            "classes": list(session.classes.names),
            "objects": len(session.objects),
            "labelled": np.bincount(labels.ravel()).tolist(),
            "strokes": strokes,
        }


def work(folder: Path) -> None:
    """Label two scans of different units, look at all pages, save, and be killed."""
    walk = Walk(folder)
    viewer, workspace = walk.viewer, walk.workspace
    viewer.open_sample("napari-sesami", "tem")
    walk.pump(20)
    walk.open_workbench()
    walk.shoot("01_tem")
    walk.page("click")
    walk.click_and_commit(SHEET)
    walk.shoot("02_sheet")
    first = workspace.session
    viewer.open_sample("napari-sesami", "xrm")
    walk.wait(lambda: workspace.session not in (None, first), "nothing takes the scan")
    walk.quiet()
    scan = workspace.session.scan
    plane = workspace.binding.plane
    walk.say(plane=plane, units=len({str(u) for e in viewer.layers for u in e.units}))
    walk.page("scan")
    walk.shoot("03_xrm")
    truth = np.asarray(load_sample("xrm").labels)[plane]
    places = {int(value): deepest(truth == value) for value in np.unique(truth)}
    thick = sorted(places, key=lambda value: -places[value][1])[:2]
    for value in thick:
        yx, depth = places[value]
        number = workspace.session.classes.ids.index(max(value, 1)) + 1
        if value == 0:
            number = min(n for n in range(1, 9) if n != number)
        walk.page("strokes")
        walk.stroke(number, yx, min(depth, 20))
    walk.quiet()
    walk.shoot("04_strokes")
    walk.say(
        painted=int(np.count_nonzero(workspace.session.strokes.plane(plane))),
        shape=list(scan.plane_shape),
    )
    accept = workspace.panels.find("strokes").accept_button
    walk.wait(accept.isEnabled, "nothing to accept")
    QTest.mouseClick(accept, LEFT)
    walk.quiet()
    walk.click_and_commit(places[thick[0]][0])
    walk.shoot("05_click")
    before = walk.window.geometry().getRect()
    for number, each in enumerate(PAGES):
        panel = walk.page(each.name)
        walk.quiet()
        walk.shoot(f"1{number}_{each.name}")
        same = walk.window.geometry().getRect() == before
        walk.say(page=each.name, same=same, visible=bool(panel.isVisible()))
    walk.page("scan")
    save = workspace.panels.find("scan").project.save_as_button
    walk.answer_dialog(folder / "bumps", lambda: QTest.mouseClick(save, LEFT))
    walk.wait(lambda: workspace.saver.folder is not None, "the project was not saved")
    walk.shoot("20_saved")
    walk.say(saved=walk.state())
    # back to the first scan: it is where it was left
    (behind,) = workspace.behind
    workspace.adopt(behind.image)
    walk.quiet()
    walk.shoot("21_back")
    walk.say(back=walk.state())
    save = walk.page("scan").project.save_as_button
    walk.answer_dialog(folder / "sheets", lambda: QTest.mouseClick(save, LEFT))
    walk.wait(lambda: workspace.saver.folder is not None, "the project was not saved")
    walk.say(back=walk.state())
    walk.page("strokes")
    walk.stroke(1, (830, 340), 60)
    walk.quiet()
    walk.pump(300)
    walk.say(last=walk.state())
    os.kill(os.getpid(), signal.SIGKILL)


def again(folder: Path) -> None:
    """Open both projects by their button, tell what is there, and close."""
    walk = Walk(folder)
    walk.open_workbench()
    for name in ("sheets", "bumps"):
        project = walk.page("scan").project
        had = walk.workspace.session
        walk.answer_dialog(
            folder / f"{name}.sesami",
            lambda p=project: QTest.mouseClick(p.open_button, LEFT),
        )
        walk.wait(
            lambda had=had: walk.workspace.session not in (None, had), "not opened"
        )
        walk.quiet()
        walk.shoot(f"30_{name}")
        walk.say(again=name, **walk.state())
    walk.viewer.close()


if __name__ == "__main__":
    here = Path(sys.argv[2])
    here.mkdir(parents=True, exist_ok=True)
    {"work": work, "again": again}[sys.argv[1]](here)
