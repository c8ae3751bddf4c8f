"""The page of defect classes in a real window: mouse, keys, ten thousand items."""

from __future__ import annotations

import re
import time

import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QFileDialog, QInputDialog
from tests.fakes.defects import KINDS, lot_of, write_klarf
from tests.fakes.hands import LEFT, settle
from tests.fakes.texture import Texture

from napari_sesami.classify import Defect, Lot, open_lot
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


def test_a_klarf_from_opening_to_opening_again(
    make_napari_viewer, qtbot, tmp_path, monkeypatch
):
    """With mouse and keys: open, name, label, look, wish, write, close, open again."""
    path = write_klarf(tmp_path / "lot.001", [0] * 24)
    before = path.read_bytes()
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1200, 950)
    panel = show_panel(viewer, "defects", own_dock=True)
    qtbot.waitUntil(lambda: panel._docked)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_, **__: (path, ""))
    monkeypatch.setattr(
        QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "out")
    )
    monkeypatch.setattr(QInputDialog, "getText", lambda *_: ("sauber", True))
    controller, gallery = panel.controller, panel.gallery
    controller.encoder = Texture()
    qtbot.mouseClick(panel.file_button, LEFT)
    qtbot.waitUntil(lambda: controller.ready, timeout=SOON)
    qtbot.mouseClick(panel.book.new_button, LEFT)
    assert [c.name for c in controller.sorting.classes] == [
        "speck", "Kratzer ß", "sauber",
    ]  # fmt: skip
    settle(qtbot, 200)
    click(qtbot, gallery, 0)
    for key in "123" * 6:  # the next one is picked after each
        qtbot.keyClick(gallery, key)
    assert controller.picked == [18] and len(controller.sorting.labels) == 18
    qtbot.waitUntil(lambda: controller.matrix is not None, timeout=SOON)
    qtbot.waitUntil(lambda: controller.matrix.counts.sum() == 18, timeout=SOON)
    panel.tabs.setCurrentIndex(1)
    settle(qtbot, 100)
    wide = panel.matrix._wide(3)
    qtbot.mouseClick(panel.matrix, LEFT, pos=QPoint(int(EDGE + 0.5 * wide), TOP + 5))
    shown = [controller.lot.defects[k].id for k in controller.shown]
    assert controller.what == "cell" and shown == controller.matrix.cell(0, 0)
    qtbot.keyClick(panel.matrix, Qt.Key.Key_Right)
    qtbot.keyClick(panel.matrix, Qt.Key.Key_Return)
    assert panel.matrix.cell == (0, 1) and "called Kratzer" in panel.title.text()
    handle = panel.slider.rect().center()
    qtbot.mouseClick(panel.slider, LEFT, pos=QPoint(4, handle.y()))
    wished = panel.slider.value() / 100
    assert wished < 0.9
    qtbot.waitUntil(lambda: controller.decisions.purity == wished, timeout=SOON)
    panel.tabs.setCurrentIndex(3)
    qtbot.mouseClick(panel.save_button, LEFT)
    after = (tmp_path / "out" / "lot.001").read_bytes()
    assert path.read_bytes() == before
    numbers = re.compile(rb"( \d+ \S+ 20 -1 2) (\d+) (1 0\.5 2 2)")
    # the class that was new has a line; nothing else has changed
    plain = numbers.sub(rb"\1 0 \3", after).replace(b"ClassLookup 4", b"ClassLookup 3")
    plain = re.sub(rb'\r\n *10 "sauber"', b"", plain)
    assert plain == before
    told = [int(m[2]) for m in numbers.finditer(after)][:18]
    assert told == [7, 9, 10] * 6
    panel.parent().close()
    labels = controller.sorting.labels
    again = open_lot(path).classifier(tmp_path / "lot.001.labels")
    assert again.labels == labels and len(labels) == 18
    assert (tmp_path / "out" / "report.html").stat().st_size > 2000


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
