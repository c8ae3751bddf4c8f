"""The page "Measure" by mouse, in a real window."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QFileDialog

from napari_sesami.lab.metrology.scenes import fins
from napari_sesami.viewer.app.workspace import show_panel, workspace_of
from tests.fakes.hands import drag, settle

pytestmark = pytest.mark.gui
LEFT = Qt.MouseButton.LeftButton


def test_pick_a_class_drag_a_line_choose_a_row_copy_and_save(
    make_napari_viewer, qtbot, tmp_path, monkeypatch
):
    drawn = fins(1, count=4).noisy(4.0, 1)
    viewer = make_napari_viewer(show=True)
    workspace = workspace_of(viewer)
    session = workspace.start(drawn.scan()).session
    for name, id_ in drawn.classes.items():
        session.classes.add(name)
        session.commit(drawn.labels == id_, name)
    panel = show_panel(viewer, "measure")
    controller, table = panel.controller, panel.table
    settle(qtbot, 200)
    inner = panel.recipe_box.parentWidget()
    assert inner.minimumSizeHint().width() <= 300
    QTest.mouseClick(panel.tools["pick"], LEFT)
    assert controller.tools.tool == "pick" and panel.tools["pick"].isChecked()
    labels = workspace.binding.labels
    silicon = np.argwhere(drawn.labels == drawn.classes["silicon"])
    place = silicon[np.abs(silicon[:, 0] - silicon[:, 0].mean()) < 1][0]
    drag(viewer, labels, [(place[0], place[1] + 6.0)] * 2)
    qtbot.waitUntil(lambda: table.model().rowCount() == 5, timeout=20000)
    assert "± " in table.model().index(0, 2).data()
    QTest.mouseClick(panel.tools["move"], LEFT)
    line = controller.layers.drawn[1][1].mean(0)
    before = controller.rows[1].value
    drag(viewer, labels, [line + np.array([d, 0]) for d in (0.0, 2, 4)])
    qtbot.waitUntil(lambda: not controller.busy)
    assert controller.chosen == 1 and controller.rows[1].value != before
    assert table.currentIndex().row() == 1
    center = viewer.scene.camera.center
    where = table.visualRect(table.model().index(3, 0)).center()
    QTest.mouseClick(table.viewport(), LEFT, Qt.KeyboardModifier(0), where)
    assert controller.chosen == 3 and viewer.scene.camera.center != center
    assert panel.budget.terms and panel.budget.title.startswith("silicon cd")
    assert "<rect" in panel.plot.svg
    QTest.keyClick(table, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().text().startswith("measurement\tzone")
    path = tmp_path / "values.csv"
    monkeypatch.setattr(
        QFileDialog, "getSaveFileName", lambda *_: (str(path), "Spreadsheet (*.csv)")
    )
    QTest.mouseClick(panel.save_button, LEFT)
    assert len(path.read_text("utf-8-sig").splitlines()) == 6
    panel.recipe_box.upper.setText("1")
    panel.recipe_box.upper.editingFinished.emit()
    qtbot.waitUntil(lambda: {r.verdict for r in controller.rows} == {"fail"})
    QTest.mouseClick(panel.recipe_box.remove_button, LEFT)
    assert table.model().rowCount() == 0
    workspace.act("undo")
    qtbot.waitUntil(lambda: table.model().rowCount() == 5, timeout=20000)
