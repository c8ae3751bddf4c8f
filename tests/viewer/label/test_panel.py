"""The Sesami panel in a real window, worked by real mouse and keys."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractButton, QComboBox, QLabel, QLineEdit, QWidget
from tests.fakes.hands import drag, press, settle

from napari_sesami.viewer.app.workspace import workspace_of
from napari_sesami.viewer.widgets.key_help import KeyCards

if TYPE_CHECKING:
    from napari_sesami.viewer.label.panel import LabelPanel

pytestmark = pytest.mark.gui
CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


def pixels(shape=(120, 160)):
    return np.random.default_rng(0).integers(0, 255, shape, np.uint8)


@pytest.fixture
def window(make_napari_viewer):
    """A window with an image in nm."""
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1200, 800)
    viewer.add_image(
        pixels(), scale=(0.5, 0.5), units=("nm", "nm"), axis_labels=("y", "x")
    )
    return viewer


@pytest.fixture
def opened(window, qtbot):
    """The same with the panel and two classes."""
    return window, begin(window, qtbot)


def begin(viewer, qtbot) -> LabelPanel:
    dock = open_dock(viewer, qtbot)
    qtbot.mouseClick(dock.picker.use_button, Qt.MouseButton.LeftButton)
    for name in ("oxide", "void"):
        type_class(dock, name)
    viewer.reset_view()
    settle(qtbot, 50)
    return dock


def open_dock(viewer, qtbot) -> LabelPanel:
    _, dock = viewer.window.add_plugin_dock_widget("napari-sesami", "Scan and classes")
    qtbot.waitUntil(lambda: dock._docked)
    return dock


def type_class(dock, name):
    QTest.keyClicks(dock.classes.name_edit, name)
    QTest.keyClick(dock.classes.name_edit, Qt.Key.Key_Return)


def strokes(dock):
    return dock.workspace.session.strokes.plane(dock.workspace.binding.plane)


def test_a_real_stroke_reaches_the_session_and_ctrl_z_takes_it_back(opened, qtbot):
    viewer, dock = opened
    binding = dock.workspace.binding
    press(viewer, Qt.Key.Key_1)
    assert binding.painting
    drag(viewer, binding.strokes, [(60, 40), (60, 60), (60, 90), (60, 120)])
    qtbot.waitUntil(lambda: strokes(dock).any())
    ys, xs = np.nonzero(strokes(dock) == 1)
    assert xs.min() < 45
    assert xs.max() > 115
    assert abs(ys.mean() - 60) < 2
    steps = dock.workspace.session.history.can_undo
    assert steps
    press(viewer, Qt.Key.Key_Z, CONTROL)
    assert not strokes(dock).any()
    assert not np.asarray(binding.strokes.data).any()
    press(viewer, Qt.Key.Key_Z, CONTROL | SHIFT)
    assert strokes(dock).any()
    np.testing.assert_array_equal(binding.strokes.data, strokes(dock))


def test_one_drag_is_one_step_also_when_it_covers_another_class(opened, qtbot):
    viewer, dock = opened
    binding = dock.workspace.binding
    press(viewer, Qt.Key.Key_1)
    drag(viewer, binding.strokes, [(60, 40), (60, 120)])
    qtbot.waitUntil(lambda: strokes(dock).any())
    first = strokes(dock).copy()
    press(viewer, Qt.Key.Key_0)
    drag(viewer, binding.strokes, [(60, 60), (60, 80)])
    qtbot.waitUntil(lambda: (strokes(dock) != first).any())
    press(viewer, Qt.Key.Key_2)
    second = strokes(dock).copy()
    drag(viewer, binding.strokes, [(40, 100), (80, 100)])
    qtbot.waitUntil(lambda: (strokes(dock) == 2).any())
    press(viewer, Qt.Key.Key_Z, CONTROL)
    np.testing.assert_array_equal(strokes(dock), second)
    press(viewer, Qt.Key.Key_Z, CONTROL)
    np.testing.assert_array_equal(strokes(dock), first)
    np.testing.assert_array_equal(binding.strokes.data, first)


def test_naparis_own_undo_keeps_the_session_in_step(opened, qtbot):
    viewer, dock = opened
    binding = dock.workspace.binding
    press(viewer, Qt.Key.Key_1)
    drag(viewer, binding.strokes, [(60, 40), (60, 120)])
    qtbot.waitUntil(lambda: strokes(dock).any())
    binding.strokes.undo()  # as a script or another plugin would
    qtbot.waitUntil(lambda: not strokes(dock).any())


def test_number_keys_pick_classes_and_the_table_follows(opened, qtbot):
    viewer, dock = opened
    press(viewer, Qt.Key.Key_1)
    assert dock.workspace.binding.current_class == dock.classes.current == 1
    press(viewer, Qt.Key.Key_2)
    assert dock.workspace.binding.current_class == dock.classes.current == 2
    press(viewer, Qt.Key.Key_7)
    assert "no class 7" in dock.status.label.text()
    assert dock.workspace.binding.current_class == 2
    press(viewer, Qt.Key.Key_P)
    assert (
        str(dock.workspace.binding.strokes.mode) == "paint"
    )  # napari's own key still works


def test_w_turns_the_brush_on_and_off_whatever_layer_is_selected(opened, qtbot):
    viewer, dock = opened
    viewer.layers.selection.active = dock.workspace.binding.image
    press(viewer, Qt.Key.Key_W)
    assert dock.workspace.binding.painting
    assert dock.paint_button.isChecked()
    press(viewer, Qt.Key.Key_W)
    assert not dock.workspace.binding.painting
    assert not dock.paint_button.isChecked()


def test_painting_an_unknown_class_is_refused_with_a_sentence(opened, qtbot):
    viewer, dock = opened
    binding = dock.workspace.binding
    binding.pick(1)
    binding.strokes.selected_label = 77
    drag(viewer, binding.strokes, [(60, 40), (60, 120)])
    qtbot.waitUntil(lambda: "77" in dock.status.label.text())
    assert not np.asarray(binding.strokes.data).any()


def test_editing_the_labels_by_hand_reaches_the_session(opened, qtbot):
    viewer, dock = opened
    binding = dock.workspace.binding
    viewer.layers.selection.active = binding.labels
    binding.labels.mode, binding.labels.selected_label = "paint", 2
    binding.labels.brush_size = 9
    drag(viewer, binding.labels, [(60, 40), (60, 60)])
    qtbot.waitUntil(
        lambda: bool((dock.workspace.session.document.labels.plane() == 2).any())
    )
    press(viewer, Qt.Key.Key_Z, CONTROL)
    assert not np.asarray(binding.labels.data).any()


def test_a_pixel_size_typed_by_hand_moves_all_layers(opened, qtbot):
    _viewer, dock = opened
    row = dock.facts.rows["x"]
    row.number.clear()
    QTest.keyClicks(row.number, "0,25")
    QTest.keyClick(row.number, Qt.Key.Key_Return)
    assert dock.workspace.session.scan.pixel_size == (0.5, 0.25)
    for layer in dock.workspace.binding.layers:
        np.testing.assert_allclose(layer.scale, (0.5, 0.25))
    dock.workspace.session.undo()
    assert dock.facts.rows["x"].number.text() == "0.5"
    np.testing.assert_allclose(dock.workspace.binding.strokes.scale, (0.5, 0.5))


def test_a_pixel_size_that_is_none_is_refused_with_a_sentence(opened, qtbot):
    _, dock = opened
    row = dock.facts.rows["y"]
    for typed in ("0", "-3", "nan", "two"):
        row.number.clear()
        QTest.keyClicks(row.number, typed)
        QTest.keyClick(row.number, Qt.Key.Key_Return)
        assert f'"{typed}"' in dock.status.label.text()
        assert dock.workspace.session.scan.pixel_size == (0.5, 0.5)
        assert row.number.text() == "0.5"


def test_a_size_can_become_unknown_and_known_again(opened, qtbot):
    _, dock = opened
    row = dock.facts.rows["y"]
    row.unit.setCurrentText("unknown")
    row.unit.activated.emit(row.unit.currentIndex())
    assert dock.workspace.session.scan.pixel_size == (None, 0.5)
    assert "Type the pixel size" in dock.facts.note.text()
    QTest.keyClicks(row.number, "2")
    QTest.keyClick(row.number, Qt.Key.Key_Return)
    assert dock.workspace.session.scan.pixel_size == (2.0, 0.5)
    assert dock.workspace.session.scan.units == ("nm", "nm")


def test_classes_are_renamed_by_typing_and_bad_names_are_refused(opened, qtbot):
    _, dock = opened
    table = dock.classes.table
    table.item(0, 2).setText("nitride")
    assert dock.workspace.session.classes.names == ("nitride", "void")
    table.item(0, 2).setText("void")
    assert "already a class" in dock.status.label.text()
    assert table.item(0, 2).text() == "nitride"
    type_class(dock, "   ")
    assert "needs a name" in dock.status.label.text()


def test_a_class_is_renamed_through_its_editor(opened, qtbot):
    _, dock = opened
    table = dock.classes.table
    table.setCurrentCell(1, 2)
    table.editItem(table.item(1, 2))
    editor = table.findChild(QLineEdit)
    editor.selectAll()
    QTest.keyClicks(editor, "crack")
    QTest.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: dock.workspace.session.classes.names == ("oxide", "crack"))


def test_a_removed_class_comes_back_with_its_pixels(opened, qtbot):
    viewer, dock = opened
    binding = dock.workspace.binding
    press(viewer, Qt.Key.Key_2)
    drag(viewer, binding.strokes, [(60, 40), (60, 120)])
    qtbot.waitUntil(lambda: strokes(dock).any())
    qtbot.mouseClick(dock.classes.remove_button, Qt.MouseButton.LeftButton)
    assert dock.workspace.session.classes.names == ("oxide",)
    assert not np.asarray(binding.strokes.data).any()
    qtbot.mouseClick(dock.undo_button, Qt.MouseButton.LeftButton)
    assert dock.workspace.session.classes.names == ("oxide", "void")
    assert (np.asarray(binding.strokes.data) == 2).any()


def test_hiding_a_class_hides_its_pixels_only_on_screen(opened, qtbot):
    viewer, dock = opened
    binding = dock.workspace.binding
    press(viewer, Qt.Key.Key_1)
    drag(viewer, binding.strokes, [(60, 40), (60, 120)])
    qtbot.waitUntil(lambda: strokes(dock).any())
    before = strokes(dock).copy()
    dock.classes.table.item(0, 0).setCheckState(Qt.CheckState.Unchecked)
    assert binding.strokes.get_color(1)[3] == 0
    assert binding.strokes.get_color(2)[3] == 1
    np.testing.assert_array_equal(strokes(dock), before)
    dock.classes.table.item(0, 0).setCheckState(Qt.CheckState.Checked)
    assert binding.strokes.get_color(1)[3] == 1


def test_n_puts_the_cursor_where_a_class_is_named(opened, qtbot):
    viewer, dock = opened
    press(viewer, Qt.Key.Key_N)
    assert dock.classes.name_edit.hasFocus() or (
        dock.window().focusWidget() is dock.classes.name_edit
    )


def test_q_shows_the_list_of_keys_and_puts_it_away(opened, qtbot):
    viewer, dock = opened
    cards = dock.workspace.get(KeyCards)
    press(viewer, Qt.Key.Key_Q)
    assert cards.card.isVisible()
    press(viewer, Qt.Key.Key_Q)
    assert cards.card is None
    assert not dock.keys.isExpanded()  # the fold of this page is for the mouse


def test_keys_without_a_scan_say_what_is_missing(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    dock = open_dock(viewer, qtbot)
    press(viewer, Qt.Key.Key_W)
    assert "no scan to label yet" in dock.status.label.text()
    assert not dock.picker.use_button.isEnabled()


def test_closing_and_opening_the_panel_three_times_leaves_one_callback(window, qtbot):
    viewer = window
    dock = begin(viewer, qtbot)
    for _ in range(3):
        reference = weakref.ref(dock)
        viewer.window.remove_dock_widget(dock)
        del dock
        settle(qtbot, 60)
        gc.collect()
        assert reference() is None
        dock = open_dock(viewer, qtbot)
    assert dock.workspace.session.classes.names == ("oxide", "void")
    calls = []
    dock.workspace.session.document.events.changed.connect(
        lambda *given: calls.append(given)
    )
    press(viewer, Qt.Key.Key_1)
    drag(viewer, dock.workspace.binding.strokes, [(60, 40), (60, 120)])
    qtbot.waitUntil(lambda: bool(calls))
    settle(qtbot, 60)
    assert len(calls) == 1


def test_the_close_button_of_the_dock_cleans_up(opened, qtbot):
    viewer, dock = opened
    wrapper = dock.parent()
    wrapper.title.close_button.click()
    qtbot.waitUntil(lambda: dock._cleaned)
    workspace_of(viewer).say("nobody listens")
    assert dock.status.label.text() != "nobody listens"


def test_removing_a_layer_lets_the_session_go(opened, qtbot):
    viewer, dock = opened
    viewer.layers.remove(dock.workspace.binding.strokes)
    assert dock.workspace.session is None
    assert not dock.facts.isVisible()
    assert not dock.classes.isEnabled()


def test_the_panel_fits_a_laptop_and_nothing_is_cut_off(opened, qtbot):
    viewer, dock = opened
    press(viewer, Qt.Key.Key_Q)  # with the list of keys, its tallest form
    settle(qtbot, 50)
    hint = dock.minimumSizeHint()
    assert hint.width() <= 320
    assert hint.height() <= 900
    dock.parent().setFixedWidth(320)
    settle(qtbot, 100)
    assert dock.width() <= 320
    for label in dock.findChildren(QLabel):
        if label.isVisible() and label.text() and not hasattr(label, "elideMode"):
            wide = label.fontMetrics().boundingRect(label.text()).width()
            assert label.wordWrap() or wide <= label.width() + 1, label.text()
    for button in dock.findChildren(QAbstractButton):
        if button.isVisible() and button.text():
            wide = button.fontMetrics().boundingRect(button.text()).width()
            assert wide <= button.width(), button.text()


def test_everything_to_press_has_a_tip_and_a_name_for_screen_readers(opened, qtbot):
    _, dock = opened
    for kind in (QAbstractButton, QComboBox, QLineEdit):
        for widget in dock.findChildren(kind):
            if widget.objectName().startswith("qt_") or _inner(widget):
                continue
            assert _tip(widget), widget
            assert widget.accessibleName() or widget.text(), widget


def _tip(widget: QWidget) -> str:
    while widget is not None and not widget.toolTip():
        widget = widget.parent()
    return widget.toolTip() if widget is not None else ""


def _inner(widget: QWidget) -> bool:
    """Parts that Qt itself puts into its widgets."""
    return isinstance(widget.parent(), QComboBox) or not widget.isVisible()
