"""The page of defect classes in a real window: mouse, keys, ten thousand items."""

from __future__ import annotations

import time

import pytest
from qtpy.QtCore import QPoint, Qt
from tests.fakes.defects import KINDS, lot_of
from tests.fakes.hands import LEFT, settle
from tests.fakes.texture import Texture

from napari_sesami.classify import Defect, Lot
from napari_sesami.viewer.app.workspace import show_panel
from napari_sesami.viewer.classify.matrix_view import LEFT as EDGE
from napari_sesami.viewer.classify.matrix_view import TOP

pytestmark = pytest.mark.gui
SOON = 20_000  # ms, on a busy machine
CONTROL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def panel(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1200, 950)
    made = show_panel(viewer, "defects", own_dock=True)
    qtbot.waitUntil(lambda: made._docked)
    lot = lot_of(6, 2, labelled=False)
    classifier = lot.classifier(encoder=Texture())
    for k, kind in enumerate(KINDS):
        classifier.label([f"d{i}" for i in range(k, 18, 3)], kind)
    made.controller.take(classifier)
    qtbot.waitUntil(lambda: made.controller.matrix is not None, timeout=SOON)
    settle(qtbot, 200)
    return made


def click(qtbot, gallery, row, modifier=Qt.KeyboardModifier.NoModifier):
    place = gallery.visualRect(gallery.model().index(row)).center()
    qtbot.mouseClick(gallery.viewport(), LEFT, modifier, place)


def test_click_key_undo_and_a_cell_of_the_matrix(panel, qtbot):
    controller, gallery = panel.controller, panel.gallery
    assert "36 defects" in panel.name.text() and "Right among" in panel.shares.text()
    assert panel.width() <= 320 and panel.sizeHint().height() <= 900
    click(qtbot, gallery, 0)
    click(qtbot, gallery, 3, CONTROL)
    assert controller.picked == [0, 3]
    qtbot.keyClick(gallery, Qt.Key.Key_2)
    assert controller.sorting.labels["d3"][0] == "scratch"
    qtbot.keyClick(gallery, Qt.Key.Key_Z, CONTROL)
    assert controller.sorting.labels["d3"][0] == "speck"
    click(qtbot, gallery, 1)
    qtbot.keyClick(gallery, Qt.Key.Key_2)
    assert controller.picked == [2]  # the next one is picked
    panel.tabs.setCurrentIndex(1)
    settle(qtbot, 100)
    cell = panel.matrix._wide(3)
    qtbot.mouseClick(panel.matrix, LEFT, pos=QPoint(int(EDGE + 0.5 * cell), TOP + 5))
    assert controller.what == "cell" and "called" in panel.title.text()
    panel.slider.setValue(60)
    qtbot.waitUntil(lambda: controller.decisions.purity == 0.6, timeout=SOON)
    controller.show("all")
    click(qtbot, gallery, 0)
    panel.tabs.setCurrentIndex(2)
    qtbot.mouseClick(panel.why_button, LEFT)
    qtbot.waitUntil(lambda: controller.places is not None, timeout=SOON)
    place, found = controller.places
    assert place == 0 and [p.view for p in found] == ["low", "high"]
    assert found[1].unlike[8:16, 8:16].max() == 1  # the speck is in the middle
    panel.tabs.setCurrentIndex(3)
    settle(qtbot, 100)  # wafer map and Pareto are drawn


def test_ten_thousand_scroll(panel, qtbot):
    few = lot_of(2, 1, labelled=False).defects
    many = [
        Defect(f"n{k}", few[k % 6].high, few[k % 6].low, lot="a") for k in range(10_000)
    ]
    classifier = Lot(many, "many").classifier(encoder=Texture())
    # reading ten thousand pictures is not what is looked at here
    panel.controller.classifier = classifier
    panel.controller.decisions = panel.controller.matrix = None
    panel.controller.thumbnails.follow(classifier.lot)
    panel.controller.list_again()
    gallery = panel.gallery
    settle(qtbot, 300)
    bar = gallery.verticalScrollBar()
    assert gallery.model().rowCount() == 10_000
    qtbot.waitUntil(lambda: bar.maximum() > 400_000, timeout=SOON)
    began, frames = time.thread_time(), 40
    for frame in range(frames):
        bar.setValue(frame * bar.maximum() // frames)
        gallery.viewport().repaint()
    assert (time.thread_time() - began) / frames < 1 / 30
