"""The workbench in a real window: its pages by mouse, docks of their own, its size."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref

import numpy as np
import pytest
import yaml
from qtpy.QtCore import QSize, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QApplication,
    QDockWidget,
    QLabel,
    QPushButton,
    QScrollArea,
)
from tests.fakes.hands import LEFT, canvas, press, settle
from tests.viewer.app.test_manifest import MANIFEST

from napari_sesami.viewer.app.actions import ACTIONS
from napari_sesami.viewer.app.pages import PAGES, ROOM, page, page_of
from napari_sesami.viewer.app.shortcuts import shortcuts
from napari_sesami.viewer.app.workspace import show_panel, show_workbench, workspace_of
from napari_sesami.viewer.widgets.key_help import KeyCards
from napari_sesami.viewer.widgets.panel import Panel
from napari_sesami.viewer.workbench.icons import FOLDER, icon

gui = pytest.mark.gui
NAMES = [each.name for each in PAGES]


def open_by_menu(viewer, qtbot):
    """Choose the first entry of Plugins ▸ Sesami with the mouse."""
    menu = viewer.window._qt_window.menuBar()
    for find in ("Plugins", "Sesami", "Sesami (Sesami)"):
        qtbot.waitUntil(menu.isVisible)
        entry = next(a for a in menu.actions() if a.text().strip("&") == find)
        QTest.mouseClick(menu, LEFT, pos=menu.actionGeometry(entry).center())
        menu = entry.menu()


def workbench_of(viewer):
    return workspace_of(viewer).panels.find("")


def turn(workbench, name):
    QTest.mouseClick(workbench.buttons[name], LEFT)


def all_panels(viewer, name):
    """Every live widget of a page's kind, wherever it is."""
    return [
        w
        for w in QApplication.allWidgets()
        if isinstance(w, Panel)
        and not w._cleaned
        and page_of(w) is page(name)
        and w.workspace is workspace_of(viewer)
    ]


@pytest.fixture
def window(make_napari_viewer):
    """A window that fills a small screen, with an image."""
    viewer = make_napari_viewer(show=True)
    viewer.window._qt_window.setGeometry(0, 0, 1280, 800)
    pixels = np.random.default_rng(0).integers(0, 255, (120, 160), np.uint8)
    viewer.add_image(pixels, name="wafer")
    return viewer


@pytest.fixture
def opened(window, qtbot):
    """The same with the workbench, which took the image."""
    workbench = show_workbench(window)
    qtbot.waitUntil(
        lambda: workbench._docked and workspace_of(window).binding is not None
    )
    return window, workbench


def test_every_page_is_a_dock_of_the_manifest_too():
    contributions = yaml.safe_load(MANIFEST.read_text())["contributions"]
    where = {c["id"]: c["python_name"] for c in contributions["commands"]}
    docks = {w["display_name"]: where[w["command"]] for w in contributions["widgets"]}
    first = next(iter(docks))
    assert first == "Sesami"
    del docks[first]
    assert docks == {each.dock: ROOM + each.panel for each in PAGES}


def test_every_page_has_a_drawing_that_is_sharp_on_every_screen(qapp):
    for name in (*NAMES, "own_dock"):
        assert (FOLDER / f"{name}.svg").is_file()
        drawn = icon(name, 24, "#ffffff")
        for ratio in (1, 2, 3):
            assert drawn.pixmap(QSize(24, 24), ratio).width() == 24 * ratio


@gui
def test_it_opens_by_the_first_entry_of_the_menu(window, qtbot):
    geometry = window.window._qt_window.geometry()
    open_by_menu(window, qtbot)
    qtbot.waitUntil(lambda: workbench_of(window) is not None)
    workbench = workbench_of(window)
    qtbot.waitUntil(lambda: workspace_of(window).binding is not None)
    assert workbench.isVisible()
    assert workbench.parent().windowTitle() == "Sesami"
    assert list(workbench._areas) == ["scan"]  # the others load when looked at
    assert window.window._qt_window.geometry() == geometry
    assert workspace_of(window).binding.image is window.layers["wafer"]


@gui
def test_every_page_is_reached_by_mouse_and_fits(opened, qtbot):
    viewer, workbench = opened
    main = viewer.window._qt_window
    geometry, minimum = main.geometry(), main.minimumSizeHint()
    for each in PAGES:
        turn(workbench, each.name)
        settle(qtbot, 60)
        panel = workspace_of(viewer).panels.find(each.name)
        assert panel.isVisible()
        assert page_of(panel) is each
        area = workbench._areas[each.name]
        assert workbench.stack.currentWidget() is area
        assert not area.horizontalScrollBar().isVisible()
        assert panel.width() <= area.viewport().width(), each.name  # nothing is cut
        assert workbench.status.isVisible()
        assert not panel.status.isVisible()
        assert main.geometry() == geometry
        assert main.minimumSizeHint().height() <= max(minimum.height(), 600)
        assert workbench.width() <= 320
        hint = workbench.minimumSizeHint()
        assert hint.width() <= 320
        assert hint.height() <= 400
    assert list(workbench._areas) == NAMES
    assert all(len(all_panels(viewer, name)) == 1 for name in NAMES)


@gui
def test_names_of_pages_are_never_cut(opened, qtbot):
    _, workbench = opened
    for each in PAGES:
        made = workbench.buttons[each.name]
        metrics = made.fontMetrics()
        assert metrics.horizontalAdvance(each.title) + 6 <= made.width()
        head = workbench.head.fontMetrics().horizontalAdvance(each.line)
        assert head <= workbench.width() - 50
        assert made.toolTip()
        assert made.accessibleName()
    assert workbench.own_dock_button.toolTip()


@gui
def test_pages_share_one_session(opened, qtbot):
    viewer, workbench = opened
    scan = workspace_of(viewer).panels.find("scan")
    QTest.keyClicks(scan.classes.name_edit, "oxide")
    QTest.keyClick(scan.classes.name_edit, Qt.Key.Key_Return)
    turn(workbench, "click")
    click = workspace_of(viewer).panels.find("click")
    assert click.workspace is scan.workspace
    box = click.commit.classes
    texts = [box.itemText(place) for place in range(box.count())]
    assert "oxide" in texts
    assert workbench.status.label.text() == workspace_of(viewer).message


@gui
def test_a_page_moves_to_a_dock_of_its_own_and_back_as_it_is(opened, qtbot):
    viewer, workbench = opened
    turn(workbench, "strokes")
    panel = workspace_of(viewer).panels.find("strokes")
    panel.tabs.setCurrentIndex(2)
    geometry = viewer.window._qt_window.geometry()
    QTest.mouseClick(workbench.own_dock_button, LEFT)
    settle(qtbot, 100)
    dock = panel.parent()
    assert isinstance(dock, QDockWidget)
    assert dock.isFloating()
    assert panel.isVisible()
    assert panel.status.isVisible()
    assert dock.windowTitle() == "Strokes to labels"
    assert "dock of its own" in workbench.away_text.text()
    assert workbench.away.isVisible()
    assert not workbench.own_dock_button.isVisible()
    assert viewer.window._qt_window.geometry() == geometry
    turn(workbench, "scan")
    turn(workbench, "strokes")
    assert all_panels(viewer, "strokes") == [panel]
    QTest.mouseClick(workbench.show_button, LEFT)
    QTest.mouseClick(workbench.back_button, LEFT)
    settle(qtbot, 100)
    assert workbench.isAncestorOf(panel)
    assert panel.isVisible()
    assert not panel._cleaned
    assert panel.tabs.currentIndex() == 2
    assert not any("Strokes" in name for name in viewer.window.dock_widgets)


@gui
def test_a_page_whose_dock_is_closed_is_a_page_again(opened, qtbot):
    viewer, workbench = opened
    turn(workbench, "models")
    QTest.mouseClick(workbench.own_dock_button, LEFT)
    settle(qtbot, 100)
    panel = workspace_of(viewer).panels.find("models")
    panel.parent().title.close_button.click()
    qtbot.waitUntil(lambda: "models" in workbench._areas)
    assert panel._cleaned
    again = workspace_of(viewer).panels.find("models")
    assert again.isVisible()
    assert workbench.isAncestorOf(again)
    del panel


@gui
def test_a_dock_opened_by_the_menu_takes_the_page_over(opened, qtbot):
    viewer, workbench = opened
    turn(workbench, "click")
    old = weakref.ref(workspace_of(viewer).panels.find("click"))
    _, panel = viewer.window.add_plugin_dock_widget("napari-sesami", "Click prompts")
    settle(qtbot, 100)
    gc.collect()
    assert old() is None
    assert workbench.away.isVisible()
    assert all_panels(viewer, "click") == [panel]
    assert show_panel(viewer, "click") is panel
    assert show_panel(viewer, "click", own_dock=True) is panel


@gui
def test_a_panel_is_never_open_twice(window, qtbot):
    scripted = show_panel(window, "scan", own_dock=True)
    settle(qtbot)
    from napari_sesami.viewer.label.panel import LabelPanel

    # napari's menu gives the same panel another name than a script does
    second = LabelPanel(window)
    window.window.add_dock_widget(second, name="Scan and classes (Sesami)")
    settle(qtbot, 100)
    assert scripted._cleaned
    del scripted
    assert list(window.window.dock_widgets) == ["Scan and classes (Sesami)"]
    assert show_panel(window, "scan", own_dock=True) is second


@gui
def test_commands_go_to_the_page_if_the_workbench_is_open(opened, qtbot):
    from napari._app_model import get_app_model

    viewer, workbench = opened
    workspace_of(viewer).session.classes.add("oxide")
    get_app_model().commands.execute_command("napari-sesami.prompt_sign").result()
    assert workbench.page.name == "click"
    assert show_panel(viewer, "scan", own_dock=True) is workspace_of(
        viewer
    ).panels.find("scan")
    assert workbench.page.name == "scan"
    assert list(viewer.window.dock_widgets) == ["Sesami (napari-sesami)"]


@gui
def test_a_command_opens_the_workbench_if_nothing_is_open(window, qtbot):
    from napari._app_model import get_app_model

    get_app_model().commands.execute_command("napari-sesami.queue_next").result()
    settle(qtbot)
    workbench = workbench_of(window)
    assert workbench.page.name == "next"
    assert len(window.window.dock_widgets) == 1


@gui
def test_a_key_never_types_into_a_hidden_page(opened, qtbot):
    viewer, workbench = opened
    main = viewer.window._qt_window
    scan = workspace_of(viewer).panels.find("scan")
    turn(workbench, "scan")
    scan.classes.name_edit.setFocus()
    turn(workbench, "click")
    assert not workbench.stack.isAncestorOf(main.focusWidget())
    turn(workbench, "scan")
    scan.classes.name_edit.setFocus()
    workbench.turn_to("click")
    assert main.focusWidget() is workbench  # and no field of the page that came
    press(viewer, Qt.Key.Key_N)
    assert workbench.page.name == "scan"
    assert main.focusWidget() is scan.classes.name_edit
    assert scan.classes.name_edit.isVisible()
    turn(workbench, "models")
    press(viewer, Qt.Key.Key_Q)
    card = workspace_of(viewer).get(KeyCards).card
    assert card.isVisible()
    assert workbench.page.name == "models"  # the page stays
    press(viewer, Qt.Key.Key_Q)
    assert workspace_of(viewer).get(KeyCards).card is None


@gui
def test_the_card_of_all_keys_fits_on_a_small_screen(opened, qtbot):
    viewer, _ = opened
    press(viewer, Qt.Key.Key_Q)
    card = workspace_of(viewer).get(KeyCards).card
    assert card.frameGeometry().width() <= 1280
    assert card.frameGeometry().height() <= 760
    shown = {label.text() for label in card.findChildren(QLabel)}
    for each in ACTIONS:
        if each.key:
            assert shortcuts().shown(each.key) in shown, each.id
    for label in card.findChildren(QLabel):
        assert label.width() >= label.sizeHint().width(), label.text()
        assert label.height() >= label.sizeHint().height(), label.text()
    QTest.keyClick(card, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: workspace_of(viewer).get(KeyCards).card is None)


@gui
def test_alt_and_a_number_open_a_page(opened, qtbot):
    viewer, workbench = opened
    main = viewer.window._qt_window
    main.activateWindow()
    qtbot.waitUntil(main.isActiveWindow)
    QTest.keyClick(canvas(viewer), Qt.Key.Key_9, Qt.KeyboardModifier.AltModifier)
    assert workbench.page.name == "models"
    assert workbench.buttons["models"].isChecked()


@gui
def test_closed_and_opened_again_it_shows_the_same_page_and_leaves_nothing(
    window, qtbot
):
    viewer = window
    workbench = show_workbench(viewer)
    for name in NAMES:
        turn(workbench, name)
    turn(workbench, "list")
    QTest.mouseClick(workbench.own_dock_button, LEFT)
    settle(qtbot, 60)
    apart = workspace_of(viewer).panels.find("list")
    workspace = workspace_of(viewer)
    panels = [workspace.panels.find(name) for name in NAMES if name != "list"]
    gone = [weakref.ref(panel) for panel in (workbench, *panels)]
    del panels
    workbench.parent().title.close_button.click()
    del workbench
    settle(qtbot, 120)
    gc.collect()
    assert not [reference() for reference in gone if reference() is not None]
    assert not apart._cleaned  # its own dock is another place
    assert workspace.panels.find("list") is apart
    again = show_workbench(viewer)
    settle(qtbot, 60)
    assert again.page.name == "list"
    assert again.away.isVisible()
    assert workspace.session is not None


@gui
def test_the_theme_colours_the_drawings(opened, qtbot):
    viewer, workbench = opened

    def ink():
        image = workbench.buttons["list"].icon().pixmap(24, 24).toImage()
        colors = [
            image.pixelColor(x, y)
            for x in range(image.width())
            for y in range(image.height())
        ]
        return np.mean([c.value() for c in colors if c.alpha() > 200])

    assert ink() > 150
    viewer.theme = "light"
    settle(qtbot)
    assert ink() < 100
    viewer.theme = "dark"


@gui
def test_opening_it_loads_neither_torch_nor_other_pages():
    script = """
import sys, time
import napari
viewer = napari.Viewer()
from napari_sesami.viewer.app.shortcuts import shortcuts
from napari_sesami.viewer.app.workspace import show_workbench
began = time.process_time()
workbench = show_workbench(viewer)
print("SECONDS", time.process_time() - began)
print("TORCH", "torch" in sys.modules)
print("OTHERS", sorted(m for m in sys.modules if m.startswith("napari_sesami.viewer.")
      and m.endswith(".panel") and ".widgets." not in m))
viewer.close()
"""
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    told = dict(line.split(" ", 1) for line in ran.stdout.splitlines() if " " in line)
    assert float(told["SECONDS"]) < 1
    assert told["TORCH"] == "False"
    room = "napari_sesami.viewer."
    assert told["OTHERS"] == str([f"{room}label.panel", f"{room}workbench.panel"])


@gui
@pytest.mark.parametrize("name", NAMES)
def test_a_dock_of_its_own_fits_a_small_screen_and_cuts_nothing(window, qtbot, name):
    """Its parts scroll up and down; none is wider than what is seen of them."""
    panel = show_panel(window, name, own_dock=True)
    settle(qtbot, 150)
    assert panel.minimumSizeHint().height() <= 400
    assert panel.height() <= 900
    assert window.window._qt_window.height() <= 800
    session = workspace_of(window).session
    if session is not None:
        session.classes.add("a class with a long name")
    settle(qtbot, 60)
    for area in panel.findChildren(QScrollArea):
        page = area.widget()
        if page is not None and page.isVisible():
            assert page.minimumSizeHint().width() <= area.viewport().width()
    for each in panel.findChildren(QPushButton):
        if each.isVisible():
            assert each.width() >= each.minimumSizeHint().width(), each.text()
    for each in panel.findChildren(QLabel):
        if each.isVisible() and type(each) is QLabel and not each.wordWrap():
            assert each.width() >= each.sizeHint().width(), each.text()


@gui
def test_words_on_the_page_next_are_whole(opened, qtbot):
    viewer, workbench = opened
    workspace_of(viewer).session.classes.add("oxide")
    turn(workbench, "next")
    panel = workspace_of(viewer).panels.find("next")
    settle(qtbot, 100)
    change, bar = panel.ask.change, panel.options.bar
    words = change.fontMetrics().horizontalAdvance(change.itemText(0))
    assert change.width() >= words + 28  # with its arrow
    longest = "99 of 100 clicks · 59:59 of 60 min"
    assert bar.width() >= bar.fontMetrics().horizontalAdvance(longest)
    for each in panel.maps.ticks.values():
        assert each.width() >= each.sizeHint().width(), each.text()
