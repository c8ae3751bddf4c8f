"""A folder of scans in a real window: open, propose, judge, with mouse and keys."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractButton, QComboBox, QLabel
from tests.fakes.grey_model import GreyModel
from tests.fakes.hands import LEFT, canvas, drag, place, press, settle
from tests.fakes.texture import Texture

from napari_sesami.viewer.app.workspace import show_panel
from napari_sesami.viewer.prompt.controller import PromptController

pytestmark = pytest.mark.gui
SHIFT, CONTROL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier
SOON = 20_000  # ms, on a busy machine
SHAPE = (96, 128)


def truth(shift: int = 0) -> np.ndarray:
    """Two grey blocks (1) and a bright layer (2) on dark ground."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[12 + shift : 36 + shift, 16:56] = 1
    labels[12 + shift : 36 + shift, 76:108] = 1
    labels[64:80] = 2
    return labels


def picture(labels: np.ndarray, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 3, labels.shape)
    return (np.array([20, 120, 220])[labels] + noise).clip(0, 255).astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    home = tmp_path / "wafers"
    home.mkdir()
    for i in range(3):
        tifffile.imwrite(home / f"scan {i + 1}.tif", picture(truth(4 * i), i))
    return home


def begin(make_napari_viewer, qtbot, folder):
    """A window with the panel, the folder chosen, and quick models."""
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1200, 950)
    dock = show_panel(viewer, "list", own_dock=True)
    qtbot.waitUntil(lambda: dock._docked)
    dock.open_folder(folder)
    engine = dock.controller.engine
    engine._model, engine._encoder = GreyModel(tile=128), Texture()
    settle(qtbot, 50)
    return dock


@pytest.fixture
def dock(make_napari_viewer, qtbot, folder):
    return begin(make_napari_viewer, qtbot, folder)


def opened(qtbot, dock, number):
    """Wait until a scan of the list is shown, and nothing is to come."""
    name = f"scan {number}.tif"
    controller = dock.controller
    qtbot.waitUntil(
        lambda: controller.at_work and controller.worklist.current == name, timeout=SOON
    )
    qtbot.waitUntil(lambda: not dock.workspace.jobs.busy, timeout=SOON)
    settle(qtbot, 80)


def double_click(qtbot, dock, row):
    view = dock.scans.list
    at = view.visualItemRect(view.item(row)).center()
    qtbot.mouseClick(view.viewport(), LEFT, pos=at)
    qtbot.mouseDClick(view.viewport(), LEFT, pos=at)


def open_row(qtbot, dock, row):
    double_click(qtbot, dock, row)
    opened(qtbot, dock, row + 1)


def label_by_hand(dock, shift=0):
    session = dock.workspace.session
    for name in ("block", "layer"):
        if name not in session.classes:
            session.classes.add(name)
    labels = truth(shift)
    for part in (np.s_[:, :66], np.s_[:, 66:]):
        mask = np.zeros(SHAPE, bool)
        mask[part] = labels[part] == 1
        session.commit(mask, "block")
    session.commit(labels == 2, "layer")


def click(qtbot, button):
    qtbot.mouseClick(button, LEFT)


@pytest.fixture
def proposed(dock, qtbot):
    """The first scan is done by hand, the second is open with its proposals."""
    open_row(qtbot, dock, 0)
    label_by_hand(dock)
    click(qtbot, dock.done_button)
    opened(qtbot, dock, 2)
    qtbot.waitUntil(lambda: dock.controller.reviewer.review is not None, timeout=SOON)
    settle(qtbot, 80)
    return dock


def statuses(dock):
    return dock.controller.reviewer.review.statuses()


def middle(dock, index):
    y0, x0, y1, x1 = dock.controller.reviewer.review.proposed[index].bbox
    return (y0 + y1) / 2, (x0 + x1) / 2


def test_a_double_click_opens_a_scan_and_leaves_the_other(dock, qtbot):
    viewer = dock.workspace.viewer
    open_row(qtbot, dock, 0)
    first = set(viewer.layers)
    assert dock.workspace.session.scan.path.name == "scan 1.tif"
    open_row(qtbot, dock, 2)
    assert dock.workspace.session.scan.path.name == "scan 3.tif"
    assert not first & set(viewer.layers)
    press(viewer, Qt.Key.Key_PageUp)
    opened(qtbot, dock, 2)
    press(viewer, Qt.Key.Key_PageDown)
    opened(qtbot, dock, 3)
    click(qtbot, dock.next_button)
    assert "last scan" in dock.status.label.text()


def test_done_opens_the_next_and_the_model_proposes(proposed):
    dock = proposed
    assert [i.state for i in dock.controller.worklist] == [
        "accepted",
        "proposed",
        "new",
    ]
    assert statuses(dock) == ["waiting"] * 3
    assert "accepted" in dock.scans.list.item(0).text()
    assert "by hand" in dock.scans.list.item(0).text()
    layer = dock.controller.reviewer.screen.layer
    assert dock.workspace.viewer.layers.selection.active is layer
    np.testing.assert_array_equal(layer.scale, dock.workspace.binding.image.scale)


def test_one_key_each_accepts_and_rejects_and_undo_takes_back(proposed, qtbot):
    dock, viewer = proposed, proposed.workspace.viewer
    press(viewer, Qt.Key.Key_A)
    assert statuses(dock)[0] == "accepted"
    press(viewer, Qt.Key.Key_R)
    assert statuses(dock)[:2] == ["accepted", "rejected"]
    assert dock.controller.reviewer.index == 2
    press(viewer, Qt.Key.Key_Z, CONTROL)
    settle(qtbot)
    assert statuses(dock)[0] == "waiting"
    press(viewer, Qt.Key.Key_S)
    assert dock.controller.reviewer.index == 0


def test_a_click_takes_a_proposal_in_hand(proposed, qtbot):
    dock, viewer = proposed, proposed.workspace.viewer
    viewer.reset_view()
    settle(qtbot, 50)
    layer = dock.controller.reviewer.screen.layer
    at = place(viewer, layer, middle(dock, 2))
    qtbot.mouseClick(canvas(viewer), LEFT, pos=at)
    assert dock.controller.reviewer.index == 2
    assert "Proposal 3 of 3" in dock.review.facts.text()


def test_a_proposal_is_corrected_by_clicking(proposed, qtbot):
    dock, viewer = proposed, proposed.workspace.viewer
    viewer.reset_view()
    block = next(
        i
        for i, p in enumerate(dock.controller.reviewer.review.proposed)
        if p.class_id == 1
    )
    dock.controller.reviewer.take(block)
    press(viewer, Qt.Key.Key_C)
    settle(qtbot, 50)
    assert dock.controller.reviewer.correcting
    prompts = dock.workspace.get(PromptController)
    preview = prompts.screen.preview.layer
    assert viewer.layers.selection.active is preview
    # the bright layer belongs to it, too
    qtbot.mouseClick(canvas(viewer), LEFT, pos=place(viewer, preview, (70, 60)))
    qtbot.waitUntil(lambda: not prompts.busy, timeout=SOON)
    settle(qtbot, 50)
    press(viewer, Qt.Key.Key_A)
    qtbot.waitUntil(lambda: not dock.controller.reviewer.correcting, timeout=SOON)
    assert statuses(dock)[block] == "corrected"
    assert viewer.layers.selection.active is dock.controller.reviewer.screen.layer
    assert dock.controller.reviewer.index != block


def test_u_commits_a_correction_too(proposed, qtbot):
    dock, viewer = proposed, proposed.workspace.viewer
    viewer.reset_view()
    press(viewer, Qt.Key.Key_C)
    settle(qtbot, 50)
    index = dock.controller.reviewer._correcting
    prompts = dock.workspace.get(PromptController)
    preview = prompts.screen.preview.layer
    qtbot.mouseClick(canvas(viewer), LEFT, pos=place(viewer, preview, (90, 5)))
    qtbot.waitUntil(lambda: not prompts.busy, timeout=SOON)
    press(viewer, Qt.Key.Key_U)
    qtbot.waitUntil(lambda: not dock.controller.reviewer.correcting, timeout=SOON)
    assert statuses(dock)[index] == "corrected"


def test_another_class_in_the_combo_accepts_as_that(proposed, qtbot):
    dock = proposed
    own = dock.controller.reviewer.review.proposed[0].class_id
    row = dock.review.class_combo.findData(3 - own)
    dock.review.class_combo.setCurrentIndex(row)
    dock.review.class_combo.activated.emit(row)
    target = dock.controller.reviewer.review.object_of(0)
    assert dock.workspace.session.objects[target].class_id == 3 - own
    assert statuses(dock)[0] == "corrected"


def test_the_rest_is_accepted_and_done_measures(proposed, qtbot):
    dock = proposed
    click(qtbot, dock.review.rest_button)
    assert statuses(dock) == ["accepted"] * 3
    assert "press Done" in dock.status.label.text()
    press(dock.workspace.viewer, Qt.Key.Key_D, SHIFT)
    opened(qtbot, dock, 3)
    assert dock.controller.worklist[1].record["accepted"] == 3
    assert "100 % unchanged" in dock.times.rounds.text()
    assert (dock.workspace.session.document.project.path / "scans").is_dir()


def test_proposals_survive_leaving_and_coming_back(proposed, qtbot):
    dock = proposed
    press(dock.workspace.viewer, Qt.Key.Key_R)
    before = statuses(dock)
    open_row(qtbot, dock, 0)
    assert dock.controller.reviewer.review is None
    open_row(qtbot, dock, 1)
    assert statuses(dock) == before


def test_proposing_is_cancelled_by_the_button(dock, qtbot):
    dock.controller.at_once = False
    open_row(qtbot, dock, 0)
    label_by_hand(dock)
    click(qtbot, dock.done_button)
    opened(qtbot, dock, 2)
    click(qtbot, dock.review.propose_button)
    click(qtbot, dock.status.cancel_button)
    qtbot.waitUntil(lambda: not dock.workspace.jobs.busy, timeout=SOON)
    settle(qtbot)
    assert dock.controller.reviewer.review is None
    assert dock.controller.worklist[1].state == "new"


def test_a_broken_file_is_one_sentence_and_the_next_opens(dock, qtbot, folder):
    (folder / "scan 1.tif").write_bytes(b"no tiff")
    double_click(qtbot, dock, 0)
    row = dock.scans.list.item(0)
    qtbot.waitUntil(lambda: "cannot be opened" in row.text(), timeout=SOON)
    qtbot.waitUntil(lambda: "broken" in dock.status.label.text(), timeout=SOON)
    assert "scan 1.tif" in dock.status.label.text()
    assert "scan 1.tif" in row.toolTip()
    open_row(qtbot, dock, 1)


def test_the_list_comes_back_with_the_project(
    proposed, qtbot, make_napari_viewer, folder
):
    proposed.workspace.viewer.close()
    settle(qtbot)
    again = show_panel(make_napari_viewer(show=True), "list", own_dock=True)
    again.open_folder(folder.with_name("wafers.sesami"))
    states = [i.state for i in again.controller.worklist]
    assert states == ["accepted", "proposed", "new"]


def test_superpixels_are_labelled_by_click_and_drag(dock, qtbot):
    viewer = dock.workspace.viewer
    open_row(qtbot, dock, 0)
    session = dock.workspace.session
    session.classes.add("block")
    session.classes.add("layer")
    press(viewer, Qt.Key.Key_X, SHIFT)
    pieces = dock.controller.superpixels
    assert pieces.on
    qtbot.waitUntil(lambda: pieces.ready, timeout=SOON)
    settle(qtbot, 80)
    layer = pieces._layers.layer
    qtbot.mouseMove(canvas(viewer), place(viewer, layer, (24, 30)))
    settle(qtbot, 50)
    assert np.asarray(layer.data).any()  # the one under the cursor is lit
    qtbot.mouseClick(canvas(viewer), LEFT, pos=place(viewer, layer, (24, 30)))
    labels = session.document.labels.plane()
    assert labels[24, 30] == 1
    assert (labels[truth() == 0] == 1).mean() < 0.05  # it keeps to the edge
    press(viewer, Qt.Key.Key_2)
    drag(viewer, layer, [(72, 10), (72, 60), (72, 120)])
    assert (session.document.labels.plane()[72, 12:118] == 2).mean() > 0.95
    press(viewer, Qt.Key.Key_Z, CONTROL)
    assert not (session.document.labels.plane() == 2).any()
    press(viewer, Qt.Key.Key_X, SHIFT)
    settle(qtbot, 50)
    assert not pieces.on
    assert layer not in viewer.layers


def test_another_layer_puts_the_superpixel_tool_down(dock, qtbot):
    open_row(qtbot, dock, 0)
    dock.workspace.session.classes.add("block")
    dock.tabs.setCurrentWidget(dock.superpixels)
    click(qtbot, dock.superpixels.button)
    qtbot.waitUntil(lambda: dock.controller.superpixels.ready, timeout=SOON)
    dock.workspace.viewer.layers.selection.active = dock.workspace.binding.image
    settle(qtbot, 50)
    assert not dock.controller.superpixels.on
    assert not dock.superpixels.button.isChecked()


def test_the_table_is_exported(proposed, qtbot, tmp_path):
    dock = proposed
    dock.times.export(tmp_path / "t.csv")
    assert "scan 1.tif,accepted" in (tmp_path / "t.csv").read_text()
    assert "by hand" in dock.times.line.text()


def test_moving_the_mouse_counts_as_work(dock, qtbot):
    open_row(qtbot, dock, 0)
    item = dock.controller.worklist[0]
    before = item.seconds
    native = canvas(dock.workspace.viewer)
    qtbot.mouseMove(native, native.rect().center())
    qtbot.waitUntil(lambda: item.seconds > before, timeout=SOON)


def test_what_is_missing_is_said_in_a_sentence(make_napari_viewer, qtbot, tmp_path):
    viewer = make_napari_viewer(show=True)
    dock = show_panel(viewer, "list", own_dock=True)
    press(viewer, Qt.Key.Key_O, SHIFT)
    assert "choose a folder" in dock.status.label.text()
    (tmp_path / "empty").mkdir()
    dock.open_folder(tmp_path / "empty")
    assert "no scan in empty" in dock.status.label.text()
    dock.open_folder(tmp_path / "nowhere")
    assert "nowhere" in dock.status.label.text()


def test_the_panel_is_small_and_says_what_everything_is(proposed, qtbot):
    dock = proposed
    assert dock.minimumSizeHint().width() <= 320
    assert dock.minimumSizeHint().height() <= 850
    for kind in (QAbstractButton, QComboBox):
        for widget in dock.findChildren(kind):
            if widget.isVisibleTo(dock) and widget.parent() is not dock.tabs.tabBar():
                assert widget.toolTip(), widget
                assert widget.accessibleName(), widget
    assert all(
        label.accessibleName() or label.text() for label in dock.findChildren(QLabel)
    )


def test_a_removed_panel_is_collected_and_the_tool_is_put_down(
    make_napari_viewer, qtbot, folder
):
    dock = begin(make_napari_viewer, qtbot, folder)
    viewer = dock.workspace.viewer
    open_row(qtbot, dock, 0)
    dock.workspace.session.classes.add("block")
    press(viewer, Qt.Key.Key_X, SHIFT)
    controller, gone = dock.controller, weakref.ref(dock)
    viewer.window.remove_dock_widget(dock)
    del dock
    settle(qtbot, 80)
    gc.collect()
    assert gone() is None
    assert not controller.superpixels.on


def test_retraining_hands_over_to_the_panel_runs(proposed, qtbot):
    dock = proposed
    dock.tabs.setCurrentWidget(dock.times)
    click(qtbot, dock.times.train_button)
    qtbot.waitUntil(lambda: not dock.workspace.jobs.busy, timeout=SOON)
    names = list(dock.workspace.viewer.window.dock_widgets)
    assert any(name.startswith("Runs (") for name in names)
    assert not dock.workspace.session.document.dirty


def test_undo_brings_a_proposal_back_into_the_hand(proposed, qtbot):
    dock, viewer = proposed, proposed.workspace.viewer
    press(viewer, Qt.Key.Key_Y, SHIFT)
    assert dock.controller.reviewer.index is None
    press(viewer, Qt.Key.Key_Z, CONTROL)
    settle(qtbot, 50)
    assert dock.controller.reviewer.index == 0
    press(viewer, Qt.Key.Key_A)
    assert statuses(dock) == ["accepted", "waiting", "waiting"]
