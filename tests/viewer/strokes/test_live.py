"""Strokes become labels while one paints, in a real window with a real mouse."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractButton, QComboBox, QLabel
from tests.fakes.hands import drag, press, settle
from tests.fakes.texture import Texture

from napari_sesami import Session
from napari_sesami.scan import Scan
from napari_sesami.viewer import attach
from napari_sesami.viewer.app.workspace import show_panel
from napari_sesami.viewer.layers.spatial import SPATIAL

pytestmark = pytest.mark.gui
CONTROL = Qt.KeyboardModifier.ControlModifier
SOON = 60_000  # ms, on a busy machine
THIRD = 40


def layers_of(planes: int = 1) -> np.ndarray:
    """Three layers of different grey in each plane."""
    rng = np.random.default_rng(0)
    grey = np.repeat([0.2, 0.5, 0.8], THIRD)[:, None] + 0.02 * rng.normal(
        size=(planes, 3 * THIRD, 160)
    )
    return (grey * 1000).astype(np.uint16)


def begin(make_napari_viewer, qtbot, data):
    """A window, a session with three classes, and the panel."""
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1200, 800)
    size = (2.0, 0.5, 0.5)[-data.ndim :]
    session = Session(Scan.from_array(data, pixel_size=size, units="nm"))
    session.retrieval.encoder = Texture()
    for name in ("substrate", "oxide", "metal"):
        session.classes.add(name)
    binding = attach(viewer, session)
    dock = show_panel(viewer, "strokes", own_dock=True)
    qtbot.waitUntil(lambda: dock._docked)
    dock.controller.set_zoom(1.0)
    if data.ndim > 2:
        viewer.dims.set_current_step(0, 0)
    viewer.reset_view()
    settle(qtbot, 50)
    return viewer, session, binding, dock


@pytest.fixture
def opened(make_napari_viewer, qtbot):
    return begin(make_napari_viewer, qtbot, layers_of()[0])


def paint(viewer, binding, number, y):
    """Choose a class by its key and drag a stroke."""
    press(viewer, getattr(Qt.Key, f"Key_{number}"))
    drag(viewer, binding.strokes, [(y, 30), (y, 60), (y, 90)])


def paint_three(viewer, binding, qtbot, dock):
    """Paint a stroke of each class and wait for the labels of all."""
    for number in (1, 2, 3):
        paint(viewer, binding, number, THIRD * number - THIRD // 2)
        settle(qtbot, 60)
    qtbot.waitUntil(lambda: result_classes(dock) == {1, 2, 3}, timeout=SOON)
    qtbot.waitUntil(lambda: not dock.workspace.jobs.busy, timeout=SOON)


def result(dock, plane=0):
    return dock.controller.layers.labels.plane(plane)


def result_classes(dock, plane=0):
    return set(np.unique(result(dock, plane)))


def truth():
    return np.repeat([1, 2, 3], THIRD)[:, None]


def test_strokes_of_the_mouse_label_the_slice_and_undo_takes_it_back(opened, qtbot):
    viewer, session, binding, dock = opened
    paint_three(viewer, binding, qtbot, dock)
    assert (result(dock) == truth()).mean() > 0.95
    layer = dock.controller.layers.layer
    for name in SPATIAL:
        np.testing.assert_array_equal(
            getattr(layer, name), getattr(binding.image, name)
        )
    before = result(dock).copy()
    paint(viewer, binding, 3, THIRD // 2)  # metal where the substrate is
    qtbot.waitUntil(lambda: (result(dock) != before).any(), timeout=SOON)
    press(viewer, Qt.Key.Key_Z, CONTROL)
    qtbot.waitUntil(lambda: (result(dock) == before).all(), timeout=SOON)
    assert session.history.can_redo


def test_erasing_the_last_stroke_empties_the_result(opened, qtbot):
    viewer, session, binding, dock = opened
    paint(viewer, binding, 1, 20)
    qtbot.waitUntil(lambda: result_classes(dock) == {1}, timeout=SOON)
    qtbot.waitUntil(lambda: "One class only" in dock.status.label.text(), timeout=SOON)
    session.strokes.erase(np.ones(session.scan.plane_shape, bool))
    qtbot.waitUntil(lambda: result_classes(dock) == {0}, timeout=SOON)
    assert "Nothing is painted yet" in dock.status.label.text()


def test_accepting_fills_free_pixels_only_unless_told_otherwise(opened, qtbot):
    viewer, session, binding, dock = opened
    mine = np.zeros(session.scan.plane_shape, np.uint8)
    mine[:10] = 3
    session.document.labels.write(mine)
    paint_three(viewer, binding, qtbot, dock)
    qtbot.mouseClick(dock.accept_button, Qt.MouseButton.LeftButton)
    labels = session.document.labels.plane()
    assert (labels[:10] == 3).all()
    assert (labels[10:] == result(dock)[10:]).all()
    dock.policy.setCurrentIndex(1)
    qtbot.mouseClick(dock.accept_button, Qt.MouseButton.LeftButton)
    assert (session.document.labels.plane() == result(dock)).all()
    session.undo()
    session.undo()
    assert (session.document.labels.plane() == mine).all()


def test_a_stroke_is_switched_off_and_judged_in_the_list(opened, qtbot):
    viewer, session, binding, dock = opened
    paint_three(viewer, binding, qtbot, dock)
    dock.tabs.setCurrentWidget(dock.strokes)
    table = dock.strokes.table
    assert table.rowCount() == 3
    table.item(2, 0).setCheckState(Qt.CheckState.Unchecked)
    qtbot.waitUntil(lambda: result_classes(dock) == {1, 2}, timeout=SOON)
    assert session.strokes.plane().max() == 3  # the paint itself stays
    table.item(2, 0).setCheckState(Qt.CheckState.Checked)
    qtbot.waitUntil(lambda: result_classes(dock) == {1, 2, 3}, timeout=SOON)
    paint(viewer, binding, 1, 5)
    paint(viewer, binding, 2, THIRD + 5)
    qtbot.waitUntil(lambda: table.rowCount() == 5, timeout=SOON)
    # the end of the stroke may still come, and judging begins anew
    qtbot.mouseClick(dock.strokes.judge_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: len(dock.controller.worth) == 5, timeout=SOON)
    assert table.item(0, 3).text()[0] in "+-"


def test_maps_are_layers_with_a_legend(opened, qtbot):
    viewer, _, binding, dock = opened
    paint_three(viewer, binding, qtbot, dock)
    layers = dock.controller.layers
    dock.maps.several.click()
    for key in ("vote", "margin", "novelty"):
        dock.maps.ticks[key].click()
    qtbot.waitUntil(
        lambda: all(layers.map_layer(k) for k in ("vote", "margin", "novelty")),
        timeout=SOON,
    )
    vote = np.asarray(layers.map_layer("vote").data[...])
    assert vote[: THIRD - 8].mean() > 0.6 > 0.4 > vote[THIRD + 8 :].mean()
    assert "Never seen" in dock.maps.legend.text()
    for name in SPATIAL:
        np.testing.assert_array_equal(
            getattr(layers.map_layer("margin"), name), getattr(binding.image, name)
        )
    assert layers.map_layer("margin").colorbar.visible
    dock.maps.ticks["vote"].click()
    assert layers.map_layer("vote") is None


def test_one_map_at_a_time_over_faded_labels_that_come_back(opened, qtbot):
    viewer, _, binding, dock = opened
    paint_three(viewer, binding, qtbot, dock)
    layers, labels = dock.controller.layers, binding.labels
    before = labels.opacity, layers.layer.opacity
    dock.maps.ticks["margin"].click()
    qtbot.waitUntil(lambda: layers.map_layer("margin") is not None, timeout=SOON)
    doubt = np.asarray(layers.map_layer("margin").data[...])
    assert doubt[THIRD - 2 : THIRD + 2].mean() > doubt[: THIRD - 8].mean()
    assert labels.opacity < 0.2 > layers.layer.opacity
    dock.maps.ticks["novelty"].click()
    qtbot.waitUntil(lambda: layers.map_layer("novelty") is not None, timeout=SOON)
    assert not dock.maps.ticks["margin"].isChecked()
    assert layers.map_layer("margin") is None
    assert labels.opacity < 0.2
    labels.opacity = 0.3  # somebody's own choice stays
    dock.maps.ticks["novelty"].click()
    assert (labels.opacity, layers.layer.opacity) == (0.3, before[1])


def test_why_names_the_stroke_and_un_teaching_it_is_undoable(opened, qtbot):
    viewer, session, binding, dock = opened
    paint_three(viewer, binding, qtbot, dock)
    dock.controller.explain((THIRD // 2 + 8, 140))
    row = dock.why.rows[0]
    qtbot.waitUntil(row.isVisible, timeout=SOON)
    assert row.words.text().startswith("substrate, slice 0")
    assert row.image.pixmap().width() > 0
    row.go.click()
    center = viewer.scene.camera.center[-2:]
    where = binding.strokes.world_to_data(center)
    assert abs(where[0] - THIRD // 2) < 8
    row.forget.click()
    assert set(np.unique(session.strokes.plane())) == {0, 2, 3}
    qtbot.waitUntil(lambda: result_classes(dock) == {2, 3}, timeout=SOON)
    session.undo()
    qtbot.waitUntil(lambda: result_classes(dock) == {1, 2, 3}, timeout=SOON)


def test_the_key_asks_about_the_pixel_under_the_mouse(opened, qtbot):
    from qtpy.QtTest import QTest
    from tests.fakes.hands import canvas, place

    viewer, _, binding, dock = opened
    paint_three(viewer, binding, qtbot, dock)
    QTest.mouseMove(canvas(viewer), place(viewer, binding.strokes, (100, 130)))
    settle(qtbot, 50)
    press(viewer, Qt.Key.Key_W, Qt.KeyboardModifier.ShiftModifier)
    qtbot.waitUntil(dock.why.rows[0].isVisible, timeout=SOON)
    assert dock.why.rows[0].words.text().startswith("metal")


def test_the_panel_fits_a_laptop_and_everything_has_a_tip(opened, qtbot):
    viewer, _, binding, dock = opened
    paint_three(viewer, binding, qtbot, dock)
    for box in dock.maps.ticks.values():
        box.click()
    dock.controller.explain((20, 20))
    qtbot.waitUntil(dock.why.rows[2].isVisible, timeout=SOON)
    dock.parent().setFixedWidth(320)
    settle(qtbot, 100)
    assert dock.minimumSizeHint().width() <= 320
    assert dock.minimumSizeHint().height() <= 900
    for tab in range(dock.tabs.count()):
        dock.tabs.setCurrentIndex(tab)
        settle(qtbot, 20)
        for label in dock.findChildren(QLabel):
            if label.isVisible() and label.text():
                wide = label.fontMetrics().boundingRect(label.text()).width()
                assert label.wordWrap() or wide <= label.width() + 1, label.text()
        for kind in (QAbstractButton, QComboBox):
            for widget in dock.findChildren(kind):
                if widget.isVisible() and not widget.objectName().startswith("qt_"):
                    if isinstance(widget.parent(), QComboBox) or not widget.isEnabled():
                        continue
                    named = (
                        widget.accessibleName()
                        or not getattr(widget, "text", lambda: "")()
                    )
                    assert named, widget
    qtbot.waitUntil(lambda: not dock.workspace.jobs.busy, timeout=SOON)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_published_way_is_chosen_in_the_panel(opened, qtbot, number):
    viewer, session, binding, dock = opened
    paint_three(viewer, binding, qtbot, dock)
    method = dock.method.itemText(number)
    dock.method.setCurrentIndex(number)
    dock.method.activated.emit(number)
    assert dock.controller.method == method != "ours"
    expected = session.segment(method=method, zoom=1.0).labels[0]
    qtbot.waitUntil(lambda: (result(dock) == expected).all(), timeout=SOON)
    qtbot.waitUntil(lambda: "neighbours" in dock.facts.text(), timeout=SOON)
    paint(viewer, binding, 3, THIRD // 2)
    qtbot.waitUntil(lambda: (result(dock) != expected).any(), timeout=SOON)


def test_classes_that_overlap_are_layers_of_their_own(opened, qtbot):
    viewer, session, binding, dock = opened
    paint_three(viewer, binding, qtbot, dock)
    qtbot.mouseClick(dock.overlap_tick, Qt.MouseButton.LeftButton)
    assert session.strokes.overlap
    layers = dock.controller.layers
    qtbot.waitUntil(
        lambda: all(layers.class_layer(c) is not None for c in (1, 2, 3)), timeout=SOON
    )
    qtbot.waitUntil(lambda: not layers.layer.visible, timeout=SOON)
    stroke = np.zeros(session.scan.plane_shape, np.uint8)
    for class_id, y in ((1, 5), (2, THIRD + 5), (3, 2 * THIRD + 8)):
        stroke[y : y + 3, 20:70] = class_id
    session.paint(stroke)
    session.paint(np.where(stroke == 3, 1, 0))
    paint(viewer, binding, 1, 2 * THIRD + THIRD // 2)  # substrate over metal: both

    def kept():
        return session.document.work.layers["below"].read(0)[
            session.strokes.plane() == 1
        ]

    qtbot.waitUntil(lambda: (kept() == 3).any(), timeout=SOON)

    def both():
        data = [np.asarray(layers.class_layer(c).data[...]) for c in (1, 3)]
        return ((data[0] > 0) & (data[1] > 0))[2 * THIRD + 8 :].mean() > 0.5

    qtbot.waitUntil(both, timeout=SOON)
    before = (kept() == 3).sum()
    press(viewer, Qt.Key.Key_Z, CONTROL)
    qtbot.waitUntil(lambda: (kept() == 3).sum() < before, timeout=SOON)
    qtbot.mouseClick(dock.overlap_tick, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(
        lambda: layers.class_layer(1) is None and layers.layer.visible, timeout=SOON
    )
    assert not session.strokes.overlap


def test_cleaning_up_keeps_the_result_until_the_next_stroke(opened, qtbot):
    viewer, _session, binding, dock = opened
    paint_three(viewer, binding, qtbot, dock)
    settle(qtbot, 400)  # the end of the last stroke would begin anew
    qtbot.waitUntil(lambda: not dock.workspace.jobs.busy, timeout=SOON)
    said = []
    dock.workspace.said.connect(said.append)
    qtbot.mouseClick(dock.clean_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: any("were redrawn" in s for s in said), timeout=3 * SOON)
    dock.workspace.said.disconnect(said.append)
    assert (result(dock) == truth()).mean() > 0.9


def test_a_closed_panel_is_let_go_of_and_strokes_still_speak(make_napari_viewer, qtbot):
    viewer, _, binding, dock = begin(make_napari_viewer, qtbot, layers_of()[0])
    controller, reference = dock.controller, weakref.ref(dock)
    dock.why.hover_tick.click()
    viewer.window.remove_dock_widget(dock)
    del dock
    settle(qtbot, 60)
    gc.collect()
    assert reference() is None
    assert not viewer.mouse_move_callbacks
    paint(viewer, binding, 1, 20)
    qtbot.waitUntil(lambda: controller.last is not None, timeout=SOON)
    again = show_panel(viewer, "strokes", own_dock=True)
    assert again.controller is controller
