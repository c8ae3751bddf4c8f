"""The tour by mouse and keys, from the start of the demonstration to a saved table."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest
from qtpy.QtCore import QRect, QSize, Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QLineEdit
from tests.fakes.hands import LEFT, NO_KEY, canvas, drag, place, press

from napari_sesami.viewer.app.demo import LARGEST, enlarge, open_demo
from napari_sesami.viewer.app.workspace import workspace_of
from napari_sesami.viewer.runs.controller import RunsController
from napari_sesami.viewer.tour.balloon import beside
from napari_sesami.viewer.tour.controller import END, TourController

gui = pytest.mark.gui
SOON = 60_000
SHIFT = Qt.KeyboardModifier.ShiftModifier
SHOTS = os.environ.get("SESAMI_SHOTS", "")  # a folder for pictures of each balloon


@pytest.mark.parametrize(
    ("target", "side"),
    [
        (QRect(600, 300, 40, 40), "left"),
        (QRect(10, 300, 40, 40), "right"),
        (QRect(0, 0, 1280, 40), "below"),
        (QRect(0, 700, 1280, 90), "above"),
        (QRect(990, 780, 280, 18), "left"),
    ],
)
def test_a_balloon_lies_in_the_window_and_never_on_what_it_shows(target, side):
    window = QRect(0, 0, 1280, 800)
    rect, found = beside(target, QSize(298, 150), window)
    assert found == side
    assert window.contains(rect)
    assert not rect.intersects(target)


@gui
def test_the_tour_ends_in_a_table(make_napari_viewer, qtbot, tmp_path):
    viewer = make_napari_viewer(show=True)
    enlarge(viewer)
    window = viewer.window._qt_window
    screen = window.screen().availableGeometry()
    for have, most, of in (
        (window.width(), LARGEST[0], screen.width()),
        (window.height(), LARGEST[1], screen.height()),
    ):
        assert have >= 0.9 * min(most, of)
    open_demo(viewer, "tem")
    workspace = workspace_of(viewer)
    tour = workspace.get(TourController)

    def says(words: str) -> None:
        """Wait for a balloon; it is on screen and covers nothing it points at."""
        qtbot.waitUntil(
            lambda: tour.balloon is not None and words in tour.balloon.words.text(),
            timeout=SOON,
        )
        qtbot.waitUntil(tour.balloon.isVisible)
        assert window.rect().contains(tour.balloon.geometry())
        assert not tour.balloon.geometry().intersects(tour._mark.geometry())
        if SHOTS:
            qtbot.wait(400)
            name = f"{len(list(Path(SHOTS).iterdir())):02}.png"
            window.screen().grabWindow(0).save(str(Path(SHOTS) / name))

    def click(widget) -> None:
        where = widget.rect().center()
        if hasattr(widget, "isChecked"):
            where.setX(8)  # a tick box answers where its box and words are
        QTest.mouseClick(widget, LEFT, NO_KEY, where)

    says("the mask appears")
    spot = tour._places.click
    image, session = workspace.binding.image, workspace.session
    QTest.mouseClick(canvas(viewer), LEFT, NO_KEY, place(viewer, image, spot.yx))
    says("Press U")
    press(viewer, Qt.Key.Key_U)
    says("Shift+S")
    assert len(session.objects) == 1
    press(viewer, Qt.Key.Key_S, SHIFT)
    says("in orange")
    press(viewer, Qt.Key.Key_T, SHIFT)

    first, second = tour._places.strokes
    for stroke in (first, second):
        if stroke is second:
            says("another class: press")
            number = session.classes.ids.index(stroke.class_id) + 1
            press(viewer, getattr(Qt.Key, f"Key_{number}"))
        says(f"inside the {stroke.name}")
        y, x = stroke.yx
        points = [(y, x + share * stroke.half) for share in (-1, -0.5, 0, 0.5, 1)]
        drag(viewer, workspace.binding.strokes, points)
    assert len(session.objects) > 9  # the sheets, most of them with one click
    says("accept it into the labels")
    click(workspace.panels.find("strokes").accept_button)

    says("Tick this map")
    doubt = workspace.panels.find("strokes").maps.ticks["margin"]
    click(doubt)
    says("Bright is in doubt")
    assert workspace.binding.labels.opacity < 0.1
    assert viewer.layers["TEM nanosheets doubt"].colorbar.visible
    click(doubt)

    says("Press Start")
    runs = workspace.get(RunsController)
    click(workspace.panels.find("train").form.start_button)
    says("Save the table")
    (run,) = runs.active
    run.cancel()

    def type_name() -> None:
        field = QApplication.activeModalWidget().findChild(QLineEdit)
        field.clear()
        QTest.keyClicks(field, str(tmp_path / "sheets"))
        QTest.keyClick(field, Qt.Key.Key_Return)

    QTimer.singleShot(500, type_name)
    click(workspace.panels.find("objects").save_button)
    qtbot.waitUntil(lambda: tour.balloon is None, timeout=SOON)
    assert workspace.message == END
    with (tmp_path / "sheets.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(session.objects)
    assert {row["class"] for row in rows} == {spot.name}
    assert all(float(row["area (nm²)"]) > 1 for row in rows)
    qtbot.waitUntil(lambda: not runs.active, timeout=SOON)


@gui
def test_skip_goes_on_close_ends_and_help_begins_anew(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    enlarge(viewer)
    workspace = workspace_of(viewer)
    help_menu = viewer.window.help_menu
    help_menu.aboutToShow.emit()
    entry = next(a for a in help_menu.actions() if a.text() == "Tour of Sesami")
    entry.trigger()  # no scan is open: it brings one
    tour = workspace.get(TourController)
    qtbot.waitUntil(lambda: tour.number == 1, timeout=SOON)
    for number in (2, 3):
        QTest.mouseClick(tour.balloon.skip_button, LEFT)
        qtbot.waitUntil(lambda n=number: tour.number == n)
    QTest.mouseClick(tour.balloon.close_button, LEFT)
    assert tour.balloon is None
    workspace.act("tour")
    qtbot.waitUntil(lambda: tour.number == 1, timeout=SOON)
    for _ in range(5):
        tour.skip()
    assert tour.balloon is None
    assert workspace.message == END
