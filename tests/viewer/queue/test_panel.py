"""The queue in a real window: keys and clicks answer, the list holds still."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QEnterEvent
from qtpy.QtWidgets import QAbstractButton, QApplication, QComboBox, QSpinBox
from tests.fakes.hands import drag, press, settle
from tests.fakes.texture import Texture

from napari_sesami import Session
from napari_sesami.scan import Scan
from napari_sesami.session import core
from napari_sesami.viewer import attach
from napari_sesami.viewer.app.workspace import show_panel, workspace_of
from napari_sesami.viewer.layers.spatial import SPATIAL

pytestmark = pytest.mark.gui
SHIFT, CONTROL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier
SOON = 60_000  # ms, on a busy machine
NAMES = ("substrate", "oxide", "metal")


def grey(planes: int) -> np.ndarray:
    """Three layers in each plane, with an odd patch that nobody painted."""
    rng = np.random.default_rng(0)
    image = np.repeat([0.2, 0.5, 0.8], 40)[:, None] + 0.02 * rng.normal(
        size=(planes, 120, 160)
    )
    checks = np.indices((24, 24)).sum(0) % 2
    for z in range(planes):
        image[z, 84:108, 100 - z : 124 - z] = checks
    return (np.clip(image, 0, 1) * 1000).astype(np.uint16)


def begin(make_napari_viewer, qtbot, planes=1, *, strokes=3, project=None):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1300, 950)
    data = grey(planes) if planes > 1 else grey(1)[0]
    size = (2.0, 0.5, 0.5)[-data.ndim :]
    scan = Scan.from_array(data, pixel_size=size, units="nm")
    session = Session(scan, project)
    session.retrieval.encoder = Texture()
    for name in NAMES:
        if name not in session.classes:
            session.classes.add(name)
    for i in range(strokes):
        stroke = np.zeros((120, 160), np.uint8)
        stroke[40 * i + 20, 20:60] = i + 1
        session.paint(stroke, plane=0)
    session.queue.ask_for(n=10)
    binding = attach(viewer, session)
    dock = show_panel(viewer, "next", own_dock=True)
    qtbot.waitUntil(lambda: dock._docked)
    dock.controller.ranker.zoom = 1.0
    if planes > 1:
        viewer.dims.set_current_step(0, 0)
    viewer.reset_view()
    settle(qtbot, 50)
    return viewer, session, binding, dock


@pytest.fixture
def opened(make_napari_viewer, qtbot):
    return begin(make_napari_viewer, qtbot)


def quiet(qtbot, dock) -> None:
    """Wait until ranking, judging and pictures have ended."""
    qtbot.waitUntil(
        lambda: not dock.controller.ranker.running and not dock.workspace.jobs.busy,
        timeout=SOON,
    )
    settle(qtbot, 60)


def find(qtbot, dock) -> None:
    qtbot.mouseClick(dock.options.rank, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bool(dock.controller.entries), timeout=SOON)
    quiet(qtbot, dock)


def ranked_again(qtbot, dock) -> None:
    """Wait for the ranking that follows an answer."""
    before = dock.controller.ranker.rounds
    qtbot.waitUntil(lambda: dock.controller.ranker.rounds > before, timeout=SOON)
    quiet(qtbot, dock)


def region(session, query) -> np.ndarray:
    y0, x0, y1, x1 = query.bbox
    return session.strokes.plane(query.plane)[y0:y1, x0:x1][core(query)]


def said(dock) -> str:
    return dock.status.label.text()


def test_places_are_listed_with_pictures_and_a_click_goes_there(
    make_napari_viewer, qtbot
):
    viewer, _session, binding, dock = begin(make_napari_viewer, qtbot, 6)
    find(qtbot, dock)
    ids = [e.id for e in dock.controller.entries]
    assert dock.list.ids() == ids
    assert all(not dock.list.item(i).icon().isNull() for i in range(len(ids)))
    row = next(
        i
        for i, e in enumerate(dock.controller.entries)
        if e.query.plane > 0 and not e.control
    )
    item, entry = dock.list.item(row), dock.controller.entries[row]
    assert f"slice {entry.query.plane}" in item.text()
    dock.list.scrollToItem(item)
    where = dock.list.visualItemRect(item).center()
    qtbot.mouseClick(dock.list.viewport(), Qt.MouseButton.LeftButton, pos=where)
    assert dock.controller.current == entry.id
    assert binding.plane == entry.query.plane
    center = binding.strokes.world_to_data(
        (viewer.dims.point[0], *viewer.scene.camera.center[-2:])
    )[-2:]
    np.testing.assert_allclose(center, entry.center, atol=0.6)
    layer = dock.controller.screen.outline_layer
    drawn = layer.data[:, 0]
    assert set(drawn[:, 0]) == {entry.query.plane}
    y0, x0, y1, x1 = entry.query.bbox
    np.testing.assert_allclose(drawn[:, 1:].min(0), (y0 - 0.5, x0 - 0.5), atol=1)
    np.testing.assert_allclose(drawn[:, 1:].max(0), (y1 - 0.5, x1 - 0.5), atol=1)
    for name in SPATIAL:
        np.testing.assert_array_equal(
            getattr(layer, name), getattr(binding.image, name)
        )
    assert viewer.layers.selection.active is binding.strokes


def test_one_key_each_answers_and_goes_on(opened, qtbot):
    viewer, session, _binding, dock = opened
    find(qtbot, dock)
    press(viewer, Qt.Key.Key_Q, SHIFT)
    first = dock.controller.asked
    press(viewer, Qt.Key.Key_N)
    second = dock.controller.asked
    assert second.id != first.id and first in dock.controller.entries
    press(viewer, Qt.Key.Key_A)
    assert (region(session, second.query) == second.query.class_id).all()
    third = dock.controller.asked
    assert third.id not in (first.id, second.id)
    press(viewer, Qt.Key.Key_3)
    assert (region(session, third.query) == 3).sum() > 10
    fourth = dock.controller.asked
    press(viewer, Qt.Key.Key_S)
    hows = {a.entry.id: a.how for a in session.queue.answers}
    assert hows[second.id] == "accepted" and hows[fourth.id] == "skipped"
    assert session.queue.spent[0] == 3
    qtbot.waitUntil(lambda: "3 of 100 clicks" in dock.options.bar.format())
    quiet(qtbot, dock)


def test_undo_takes_an_answer_back_and_redo_gives_it_again(opened, qtbot):
    viewer, session, _binding, dock = opened
    find(qtbot, dock)
    dock.controller.next()
    entry = dock.controller.asked
    press(viewer, Qt.Key.Key_2)
    quiet(qtbot, dock)
    assert entry.id not in dock.list.ids()
    press(viewer, Qt.Key.Key_Z, CONTROL)
    qtbot.waitUntil(lambda: dock.list.ids()[:1] == [entry.id], timeout=SOON)
    assert (region(session, entry.query) == 0).all()
    press(viewer, Qt.Key.Key_Z, CONTROL | SHIFT)
    qtbot.waitUntil(lambda: entry.id not in dock.list.ids(), timeout=SOON)
    quiet(qtbot, dock)


def test_painting_in_the_outline_is_an_answer_too(opened, qtbot):
    viewer, session, binding, dock = opened
    find(qtbot, dock)
    dock.controller.next()
    entry = dock.controller.asked
    press(viewer, Qt.Key.Key_W)
    assert binding.painting and binding.current_class == entry.query.class_id
    press(viewer, Qt.Key.Key_3)  # the brush is on: its class, no answer
    assert binding.current_class == 3 and not session.queue.answers
    binding.strokes.brush_size = 2
    y, x = entry.center
    drag(viewer, binding.strokes, [(y, x - 1), (y, x), (y, x + 1)])
    settle(qtbot, 60)
    press(viewer, Qt.Key.Key_N)
    assert [a.how for a in session.queue.answers] == ["painted"]
    assert not binding.painting
    assert dock.controller.asked is not None and dock.controller.asked.id != entry.id
    quiet(qtbot, dock)


def test_keys_keep_their_meaning_while_paused_and_after_closing(opened, qtbot):
    viewer, session, binding, dock = opened
    find(qtbot, dock)
    dock.controller.next()
    qtbot.mouseClick(dock.ask.pause, Qt.MouseButton.LeftButton)
    assert not dock.controller.screen.outline_layer.visible
    press(viewer, Qt.Key.Key_1)
    assert binding.painting and not session.queue.answers
    press(viewer, Qt.Key.Key_W)
    qtbot.mouseClick(dock.ask.pause, Qt.MouseButton.LeftButton)
    assert dock.controller.asking and dock.controller.screen.outline_layer.visible
    controller = dock.controller
    viewer.window.remove_dock_widget(dock)
    qtbot.waitUntil(lambda: not controller.asking)
    press(viewer, Qt.Key.Key_2)
    assert not session.queue.answers


def test_the_list_holds_still_under_the_mouse(opened, qtbot):
    viewer, _session, _binding, dock = opened
    find(qtbot, dock)
    before = dock.list.ids()
    dock.controller.next()
    entry = dock.controller.asked
    dock.list.setAttribute(Qt.WidgetAttribute.WA_UnderMouse, True)
    press(viewer, Qt.Key.Key_3)
    ranked_again(qtbot, dock)
    assert dock.list.ids() == before
    row = before.index(entry.id)
    assert dock.list.item(row).font().strikeOut()
    dock.list.setAttribute(Qt.WidgetAttribute.WA_UnderMouse, False)
    point = QPointF(1, 1)
    QApplication.sendEvent(dock.list, QEnterEvent(point, point, point))
    QApplication.sendEvent(dock.list, QEvent(QEvent.Type.Leave))
    assert dock.list.ids() == [e.id for e in dock.controller.entries]
    assert entry.id not in dock.list.ids()


def test_every_heat_map_is_a_layer_with_a_legend(make_napari_viewer, qtbot):
    viewer, _session, binding, dock = begin(make_napari_viewer, qtbot, 3)
    heat = dock.controller.heat
    dock.maps.several.click()
    for box in dock.maps.ticks.values():
        box.click()
    qtbot.waitUntil(
        lambda: all(heat.layer(key) for key in dock.maps.ticks), timeout=SOON
    )
    for key in dock.maps.ticks:
        layer = heat.layer(key)
        shown = np.asarray(layer.data[0])
        assert 0 <= shown.min() < shown.max() <= 1, key
        assert tuple(layer.contrast_limits_range) == (0, 1)
        assert dock.maps.legends[key].isVisibleTo(dock.maps)
        for name in SPATIAL:
            np.testing.assert_array_equal(
                getattr(layer, name), getattr(binding.image, name)
            )
    novelty = np.asarray(heat.layer("novelty").data[0])
    assert novelty[90:104, 104:120].mean() > 3 * np.median(novelty)
    assert not np.asarray(heat.layer("margin").data[2]).any()  # not looked at yet
    viewer.dims.set_current_step(0, 2)
    qtbot.waitUntil(
        lambda: np.asarray(heat.layer("margin").data[2]).any(), timeout=SOON
    )
    dock.maps.ticks["margin"].click()
    assert heat.layer("margin") is None
    assert heat.layer("entropy") is not None


def test_patches_show_what_they_look_like_and_are_accepted(opened, qtbot):
    viewer, session, _binding, dock = opened
    dock.options.kind.setCurrentIndex(dock.options.kind.findData("patch"))
    dock.options.kind.activated.emit(dock.options.kind.currentIndex())
    find(qtbot, dock)
    dock.controller.next()
    entry = dock.controller.asked
    assert entry.query.kind == "patch"
    qtbot.waitUntil(
        lambda: dock.controller.screen.looks_layer is not None, timeout=SOON
    )
    assert "Are the colours right?" in dock.ask.words.text()
    press(viewer, Qt.Key.Key_A)
    assert (region(session, entry.query) > 0).all()
    session.undo()
    quiet(qtbot, dock)


def test_the_queue_survives_a_restart_of_napari(make_napari_viewer, qtbot, tmp_path):
    folder = tmp_path / "wafer.sesami"
    viewer, session, _binding, dock = begin(make_napari_viewer, qtbot, project=folder)
    find(qtbot, dock)
    dock.controller.next()
    press(viewer, Qt.Key.Key_3)
    dock.options.clicks.setValue(40)
    dock.options.clicks.editingFinished.emit()
    ranked_again(qtbot, dock)
    ids = dock.list.ids()
    workspace_of(viewer).close()
    viewer.close()
    again = make_napari_viewer(show=True)
    scan = Scan.from_array(grey(1)[0], pixel_size=(0.5, 0.5), units="nm")
    session = Session(scan, folder)
    session.retrieval.encoder = Texture()
    attach(again, session)
    dock = show_panel(again, "next", own_dock=True)
    qtbot.waitUntil(lambda: dock._docked)
    assert dock.list.ids() == ids
    qtbot.waitUntil(lambda: "1 of 40 clicks" in dock.options.bar.format())
    qtbot.waitUntil(lambda: len(dock.controller.pictures) == len(ids), timeout=SOON)
    quiet(qtbot, dock)


def test_what_is_missing_is_said_in_one_sentence(make_napari_viewer, qtbot):
    _viewer, session, _binding, dock = begin(make_napari_viewer, qtbot, strokes=0)
    qtbot.mouseClick(dock.options.rank, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "Nothing is painted yet" in said(dock), timeout=SOON)
    assert "Nothing is painted yet" in dock.ask.words.text()
    stroke = np.zeros((120, 160), np.uint8)
    stroke[20, 20:60] = 1
    session.paint(stroke)
    qtbot.waitUntil(lambda: "one class only" in said(dock), timeout=SOON)
    stroke = np.zeros((120, 160), np.uint8)
    stroke[60, 20:60] = 2
    session.paint(stroke)
    qtbot.waitUntil(lambda: bool(dock.controller.entries), timeout=SOON)
    quiet(qtbot, dock)
    session.document.labels.write(np.ones((120, 160), np.uint8))
    qtbot.mouseClick(dock.options.rank, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "labelled already" in said(dock), timeout=SOON)


def test_without_a_scan_every_button_says_so(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    dock = show_panel(viewer, "next", own_dock=True)
    qtbot.waitUntil(lambda: dock._docked)
    press(viewer, Qt.Key.Key_Q, SHIFT)
    assert "no scan to label yet" in said(dock)
    assert "Open a scan" in dock.ask.words.text()
    assert not dock.options.isEnabled()


def test_a_deleted_class_asks_for_another_one(opened, qtbot):
    viewer, session, _binding, dock = opened
    find(qtbot, dock)
    dock.controller.next()
    entry = dock.controller.asked
    session.classes.remove(entry.query.class_id)
    quiet(qtbot, dock)
    if (
        dock.controller.current == entry.id
        and dock.controller.asked.query == entry.query
    ):
        assert "was deleted" in dock.ask.words.text()
        press(viewer, Qt.Key.Key_A)
        assert "was deleted" in said(dock)
    press(viewer, Qt.Key.Key_1)
    left = session.classes.ids[0]
    assert (region(session, entry.query) == left).all()
    quiet(qtbot, dock)


def test_cancel_stops_the_ranking_and_it_can_begin_again(make_napari_viewer, qtbot):
    _viewer, _session, _binding, dock = begin(make_napari_viewer, qtbot, 6)
    qtbot.mouseClick(dock.options.rank, Qt.MouseButton.LeftButton)
    assert dock.options.rank.text() == "Stop"
    dock.status.cancel_button.click()
    qtbot.waitUntil(lambda: not dock.controller.ranker.running, timeout=SOON)
    assert dock.options.rank.text() == "Find queries"
    find(qtbot, dock)


def test_everything_has_a_tooltip_and_a_name_and_fits(opened, qtbot):
    _, _, _, dock = opened
    for box in dock.maps.ticks.values():
        box.click()
    settle(qtbot, 60)
    for kind in (QAbstractButton, QComboBox, QSpinBox):
        for widget in dock.findChildren(kind):
            if widget.isVisible() and not widget.objectName().startswith("qt_"):
                assert widget.toolTip(), widget
                assert widget.accessibleName() or widget.text(), widget
    assert dock.minimumSizeHint().width() <= 320
    assert dock.minimumSizeHint().height() <= 900
    quiet(qtbot, dock)
