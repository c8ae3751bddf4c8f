"""The table of committed objects, by mouse, in a real window."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QFileDialog
from tests.fakes.hands import settle

from napari_sesami.scan import Scan
from napari_sesami.viewer.app.workspace import show_panel, workspace_of

pytestmark = pytest.mark.gui
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def opened(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    scan = Scan.from_array(
        np.zeros((60, 80), np.uint8), pixel_size=(0.5, 0.5), units=("nm", "nm")
    )
    workspace = workspace_of(viewer)
    workspace.start(scan)
    session = workspace.session
    session.classes.add("void")
    session.classes.add("oxide")
    for x in (10, 30, 50):
        mask = np.zeros((60, 80), bool)
        mask[20:30, x : x + x // 5] = True
        session.commit(mask, "void")
    panel = show_panel(viewer, "objects")
    settle(qtbot, 300)
    return viewer, panel, session


def choose(panel, *rows: int) -> None:
    table = panel.table
    for number, each in enumerate(rows):
        where = table.visualItemRect(table.topLevelItem(each)).center()
        held = Qt.KeyboardModifier.ControlModifier if number else Qt.KeyboardModifier(0)
        QTest.mouseClick(table.viewport(), LEFT, held, where)


def test_rows_have_size_with_unit_and_sort_by_it(opened):
    _, panel, _ = opened
    table = panel.table
    assert panel.count.text() == "3 objects"
    texts = [table.topLevelItem(i).text(2) for i in range(3)]
    assert texts == ["5 nm²", "15 nm²", "25 nm²"]
    header = table.header()
    middle = header.sectionViewportPosition(2) + header.sectionSize(2) // 2
    for _ in range(2):
        place = header.viewport().rect().center()
        place.setX(middle)
        QTest.mouseClick(header.viewport(), LEFT, Qt.KeyboardModifier(0), place)
    assert [table.topLevelItem(i).text(2) for i in range(3)] == texts[::-1]


def test_chosen_objects_are_recoloured_merged_deleted_and_brought_back(opened, qtbot):
    _, panel, session = opened
    assert not panel.delete_button.isEnabled() and not panel.merge_button.isEnabled()
    choose(panel, 0, 1)
    assert panel.chosen == [1, 2] and panel.merge_button.isEnabled()
    panel.class_combo.setCurrentText("oxide")
    QTest.mouseClick(panel.class_button, LEFT)
    assert {session.objects[i].class_id for i in (1, 2)} == {2}
    QTest.mouseClick(panel.merge_button, LEFT)
    assert list(session.objects) == [1, 3]
    qtbot.waitUntil(lambda: panel.table.topLevelItemCount() == 2)
    choose(panel, 0)
    QTest.mouseClick(panel.split_button, LEFT)
    assert len(session.objects) == 3
    qtbot.waitUntil(lambda: panel.table.topLevelItemCount() == 3)
    choose(panel, 0, 2)
    QTest.mouseClick(panel.delete_button, LEFT)
    assert len(session.objects) == 1
    session.undo()
    qtbot.waitUntil(lambda: panel.table.topLevelItemCount() == 3)


def test_a_double_click_shows_the_object(opened):
    viewer, panel, _ = opened
    viewer.scene.camera.center = (100.0, 100.0)
    choose(panel, 2)
    where = panel.table.visualItemRect(panel.table.topLevelItem(2)).center()
    QTest.mouseDClick(panel.table.viewport(), LEFT, Qt.KeyboardModifier(0), where)
    y, x = viewer.scene.camera.center[-2:]
    assert abs(y - 24.5 * 0.5) < 1 and abs(x - 54.5 * 0.5) < 1


def test_the_table_is_saved(opened, tmp_path, monkeypatch):
    _, panel, _ = opened
    path = tmp_path / "objects.csv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    QTest.mouseClick(panel.save_button, LEFT)
    lines = path.read_text("utf-8").splitlines()
    assert len(lines) == 4 and "area (nm²)" in lines[0]
