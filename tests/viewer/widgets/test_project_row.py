"""Saving, reopening and recovering through the panel, in a real window."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from qtpy.QtCore import Qt
from tests.fakes.hands import drag, press, settle

from napari_sesami import Session
from napari_sesami.scan import open_scan

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.gui


@pytest.fixture
def picture(tmp_path) -> Path:
    import tifffile

    path = tmp_path / "wafer.tif"
    pixels = np.random.default_rng(0).integers(0, 255, (120, 160), np.uint8)
    tifffile.imwrite(path, pixels)
    return path


@pytest.fixture
def panel(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    _, dock = viewer.window.add_plugin_dock_widget("napari-sesami", "Scan and classes")
    qtbot.waitUntil(lambda: dock._docked)
    return viewer, dock


def test_a_labelling_is_saved_closed_and_reopened(panel, picture, tmp_path, qtbot):
    viewer, dock = panel
    folder = tmp_path / "lot.sesami"
    dock.workspace.open(picture)
    qtbot.waitUntil(lambda: dock.workspace.session is not None, timeout=20_000)
    assert dock.facts.rows["x"].number.text() == ""  # plain TIFF: nobody knows
    assert "Type the pixel size" in dock.facts.note.text()
    dock.workspace.act("save")
    assert "press Save as… first" in dock.status.label.text()
    dock.workspace.session.classes.add("oxide")
    press(viewer, Qt.Key.Key_1)
    drag(viewer, dock.workspace.binding.strokes, [(60, 40), (60, 120)])
    qtbot.waitUntil(lambda: dock.workspace.session.history.can_undo)
    dock.workspace.saver.save_as(folder)
    qtbot.waitUntil(lambda: "Saved in lot.sesami" in dock.status.label.text())
    assert dock.project.label.text() == "lot.sesami"
    assert dock.project.state.text() == "All saved."
    painted = dock.workspace.session.strokes.plane().copy()
    assert painted.any()
    viewer.layers.clear()
    assert dock.workspace.session is None
    dock.project.open_project(folder)
    qtbot.waitUntil(lambda: dock.workspace.session is not None, timeout=20_000)
    np.testing.assert_array_equal(dock.workspace.session.strokes.plane(), painted)
    np.testing.assert_array_equal(dock.workspace.binding.strokes.data, painted)
    assert dock.workspace.session.classes.names == ("oxide",)
    settle(qtbot)


def test_work_of_a_crash_is_offered_back(panel, picture, tmp_path, qtbot):
    _, dock = panel
    folder = tmp_path / "lot.sesami"
    crashed = Session(open_scan(picture), folder)
    crashed.save()
    crashed.classes.add("oxide")
    crashed.paint(np.eye(120, 160, dtype=np.uint8))
    crashed.close()  # without a save: the journal holds the two steps
    dock.project.open_project(folder)
    qtbot.waitUntil(lambda: dock.workspace.session is not None, timeout=20_000)
    assert "2 steps after the last save came back" in dock.project.state.text()
    assert dock.project.discard_button.isVisible()
    qtbot.mouseClick(dock.project.discard_button, Qt.MouseButton.LeftButton)
    assert not dock.workspace.session.strokes.plane().any()
    assert not dock.project.discard_button.isVisible()


def test_what_cannot_be_opened_is_one_sentence(panel, tmp_path, qtbot):
    _, dock = panel
    broken = tmp_path / "broken.dm4"
    broken.write_bytes(b"")
    dock.workspace.open(broken)
    qtbot.waitUntil(lambda: "broken.dm4" in dock.status.label.text())
    qtbot.waitUntil(lambda: "Opening" not in dock.status.label.text())
    dock.project.open_project(tmp_path)
    assert str(tmp_path) in dock.status.label.text()
    assert dock.workspace.session is None


@pytest.mark.parametrize("key", ["tem", "sem_pair", "xrm", "aoi"])
def test_a_sample_opens_ready_to_paint(panel, qtbot, key):
    viewer, dock = panel
    viewer.open_sample("napari-sesami", key)
    binding = dock.workspace.binding
    assert binding is not None
    qtbot.waitUntil(lambda: viewer.layers.selection.active is binding.strokes)
    assert (
        None not in binding.session.scan.pixel_size[-2:] or binding.session.scan.is_rgb
    )
    assert len(binding.session.classes) >= 3
    press(viewer, Qt.Key.Key_1)
    height, width = binding.session.scan.plane_shape
    y = height // 2
    drag(
        viewer, binding.strokes, [(y, width // 4), (y, width // 2), (y, 3 * width // 4)]
    )
    qtbot.waitUntil(lambda: bool(binding.session.strokes.plane(binding.plane).any()))
    assert viewer.screenshot(canvas_only=True, flash=False).std() > 5


def test_a_file_with_two_images_asks_which_one(panel, tmp_path, qtbot, monkeypatch):
    import h5py
    from qtpy.QtWidgets import QDialog

    from napari_sesami.viewer.widgets import scan_picker

    _, dock = panel
    path = tmp_path / "two.h5"
    with h5py.File(path, "w") as file:
        file["first"] = np.zeros((40, 50), np.uint8)
        file["second"] = np.ones((60, 70), np.uint8)
    asked = []

    class Chooser(scan_picker.ImageChooser):
        """The real dialog, answered by a user who takes the second line."""

        def exec(self):
            asked.append([self.list.item(i).text() for i in range(self.list.count())])
            self.list.setCurrentRow(1)
            return QDialog.DialogCode.Accepted

    monkeypatch.setattr(scan_picker, "ImageChooser", Chooser)
    dock.workspace.open(path)
    qtbot.waitUntil(lambda: dock.workspace.session is not None, timeout=20_000)
    assert len(asked[0]) == 2
    wanted = asked[0][1]
    shape = dock.workspace.session.scan.shape
    assert f"{shape[0]} × {shape[1]}" in wanted


def test_a_scan_that_moved_is_asked_for_and_found(panel, picture, qtbot, monkeypatch):
    from napari_sesami.viewer.widgets import project_row

    _, dock = panel
    folder = picture.with_name("lot.sesami")
    session = Session(open_scan(picture), folder)
    session.classes.add("oxide")
    session.save()
    session.close()
    elsewhere = picture.parent / "archive" / "renamed.tif"
    elsewhere.parent.mkdir()
    picture.rename(elsewhere)
    questions = []

    def answer(parent, question):
        questions.append(question)
        return str(elsewhere), ""

    monkeypatch.setattr(project_row.QFileDialog, "getOpenFileName", answer)
    dock.project.open_project(folder)
    qtbot.waitUntil(lambda: dock.workspace.session is not None, timeout=20_000)
    assert questions == ["Where is wafer.tif now?"]
    assert dock.workspace.session.classes.names == ("oxide",)
