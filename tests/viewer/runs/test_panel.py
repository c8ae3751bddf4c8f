"""Runs in a real window: started, watched, held, stopped, taken up, judged, used."""

from __future__ import annotations

import gc
import json
import os
import re
import shutil
import signal
import weakref

import numpy as np
import pytest
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import (
    QAbstractButton,
    QApplication,
    QComboBox,
    QLabel,
    QListWidget,
    QMessageBox,
    QPlainTextEdit,
    QSpinBox,
    QTabBar,
    QTreeWidget,
)
from tests.fakes.hands import settle
from tests.fakes.prompting import click
from tests.fakes.runs import Movable, config, importable, judged_run, orphan

from napari_sesami import Session
from napari_sesami.scan import Scan
from napari_sesami.train import start_run
from napari_sesami.viewer import attach
from napari_sesami.viewer.app.workspace import workspace_of
from napari_sesami.viewer.layers.mouse import Tool
from napari_sesami.viewer.runs.controller import RunsController
from napari_sesami.viewer.runs.curves import running_mean
from napari_sesami.viewer.runs.words import said_memory, said_time

pytestmark = pytest.mark.gui
LEFT = Qt.MouseButton.LeftButton
KINDS = (
    QAbstractButton,
    QComboBox,
    QListWidget,
    QPlainTextEdit,
    QSpinBox,
    QTreeWidget,
)
SOON = 60_000  # ms; a worker process imports torch on a busy machine


def begin(make_napari_viewer, qtbot, tmp_path):
    """A window with a session in a project, and the panel."""
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1200, 940)
    scan = Scan.from_array(scene(), pixel_size=0.5, units="nm", name="wafer")
    session = Session(scan, project=tmp_path / "lab.sesami")
    attach(viewer, session)
    return viewer, session, show(viewer, qtbot)


def show(viewer, qtbot):
    _, dock = viewer.window.add_plugin_dock_widget("napari-sesami", "Runs")
    qtbot.waitUntil(lambda: dock._docked)
    settle(qtbot, 50)
    return dock


def scene() -> np.ndarray:
    """Bright blocks in rows, on dark ground."""
    image = np.full((128, 160), 40, np.uint8)
    for y in range(8, 120, 28):
        for x in range(8, 150, 36):
            image[y : y + 16, x : x + 20] = 200
    return image


def label(session, count: int = 8) -> None:
    """Commit blocks as objects of two classes."""
    for name in ("pad", "via"):
        session.classes.add(name)
    label_more(session, count)


def label_more(session, count: int) -> None:
    places = [(y, x) for y in range(8, 120, 28) for x in range(8, 150, 36)]
    for n, (y, x) in enumerate(places[:count]):
        mask = np.zeros(session.scan.plane_shape, bool)
        mask[y : y + 16, x : x + 20] = True
        session.commit(mask, ("pad", "via")[n % 2])


@pytest.fixture
def opened(make_napari_viewer, qtbot, tmp_path, monkeypatch):
    importable(monkeypatch)
    viewer, session, dock = begin(make_napari_viewer, qtbot, tmp_path)
    yield viewer, session, dock
    for run in session.runs.list():
        if run.alive:
            run.stop()
            run.wait(60)


def start(session, dock, qtbot, **options):
    """Start a small run beside the form, and wait until the panel shows it."""
    run = session.runs.start(config(**options))
    dock.controller.refresh()
    qtbot.waitUntil(lambda: dock.controller.selected is not None, timeout=SOON)
    return run


def state(dock) -> str:
    return dock.controller.selected.status.state


def press(qtbot, button) -> None:
    assert button.isEnabled(), button.text()
    qtbot.mouseClick(button, LEFT)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a small run that has finished."""
    with pytest.MonkeyPatch.context() as patch:
        importable(patch)
        folder = tmp_path_factory.mktemp("runs") / "20261120-101010-tiny"
        run = start_run(config(steps=20, picture_every=10), folder)
        assert run.wait(120).state == "finished", run.log_tail()
    return folder


def take_over(session, dock, qtbot, folder) -> None:
    """Put a run that has finished into the project, and look."""
    shutil.copytree(folder, session.runs.root / folder.name)
    dock.controller.refresh()
    qtbot.waitUntil(lambda: dock.controller.selected is not None, timeout=SOON)


@pytest.fixture
def toasts():
    """What napari's notifications said."""
    from napari.utils.notifications import notification_manager

    seen = []

    def hear(note):
        seen.append(note)

    notification_manager.notification_ready.connect(hear)
    yield seen
    notification_manager.notification_ready.disconnect(hear)


def test_a_run_is_watched_from_its_first_step_to_its_end(opened, qtbot, toasts):
    _, session, dock = opened
    assert dock.curves.plots is None  # pyqtgraph only comes with a first curve
    start(session, dock, qtbot, steps=40, nap=0.02)
    qtbot.waitUntil(lambda: dock.curves.plots is not None, timeout=SOON)
    qtbot.waitUntil(lambda: "left" in dock.progress.bar.format(), timeout=SOON)
    qtbot.waitUntil(lambda: state(dock) == "finished", timeout=SOON)
    settle(qtbot, 600)
    assert dock.progress.bar.value() == 40
    assert dock.list.topLevelItem(0).text(1) == "finished"
    loss, held = dock.curves.plots._raw.xData, dock.curves.plots._line.xData
    assert len(loss) == 40
    assert list(held) == [0, 10, 20, 30, 40]
    ends = [note for note in toasts if "XOR" in note.message or "tiny" in note.message]
    assert len([n for n in toasts if n.severity.name in ("INFO", "WARNING")]) == 1, ends
    dock.tabs.setCurrentWidget(dock.pictures)
    assert dock.pictures.list.count() >= 8
    assert dock.pictures.list.item(0).text() == "step 40"
    dock.tabs.setCurrentWidget(dock.log)
    assert not dock.log.isHidden()


def test_a_thumbnail_is_shown_large_by_a_click(opened, qtbot, finished):
    _, session, dock = opened
    take_over(session, dock, qtbot, finished)
    dock.tabs.setCurrentWidget(dock.pictures)
    qtbot.waitUntil(lambda: dock.pictures.list.count() > 0, timeout=SOON)
    items = dock.pictures.list
    where = items.visualItemRect(items.item(0)).center()
    qtbot.mouseClick(items.viewport(), LEFT, pos=where)
    large = dock.pictures.large
    qtbot.waitUntil(large.isVisible)
    assert large.label.pixmap().width() > items.iconSize().width()
    large.close()


def test_a_run_is_paused_goes_on_is_stopped_and_resumed(opened, qtbot):
    _, session, dock = opened
    run = start(session, dock, qtbot, steps=60, nap=0.1)
    hold, stop = dock.progress.hold_button, dock.progress.stop_button
    qtbot.waitUntil(lambda: run.status.step > 2, timeout=SOON)
    qtbot.waitUntil(hold.isEnabled, timeout=SOON)
    press(qtbot, hold)
    qtbot.waitUntil(lambda: state(dock) == "paused", timeout=SOON)
    qtbot.waitUntil(lambda: hold.text() == "Go on", timeout=SOON)
    press(qtbot, hold)
    qtbot.waitUntil(lambda: state(dock) == "running", timeout=SOON)
    press(qtbot, stop)
    qtbot.waitUntil(lambda: state(dock) == "cancelled", timeout=SOON)
    reached = run.status.step
    assert 0 < reached < 60
    qtbot.waitUntil(lambda: hold.text() == "Resume", timeout=SOON)
    press(qtbot, hold)
    qtbot.waitUntil(lambda: state(dock) == "running", timeout=SOON)
    qtbot.waitUntil(lambda: run.status.step > reached, timeout=SOON)
    press(qtbot, stop)
    qtbot.waitUntil(lambda: state(dock) == "cancelled", timeout=SOON)


def test_a_second_run_waits_for_the_first(opened, qtbot):
    _, session, dock = opened
    first = start(session, dock, qtbot, steps=200, nap=0.05)
    qtbot.waitUntil(lambda: first.status.state == "running", timeout=SOON)
    second = session.runs.start(config(steps=2))
    dock.controller.refresh()
    qtbot.waitUntil(lambda: dock.list.topLevelItemCount() == 2, timeout=SOON)
    states = {dock.list.topLevelItem(n).text(1) for n in range(2)}
    assert states == {"waiting", "running"}
    first.stop()
    qtbot.waitUntil(lambda: second.status.state == "finished", timeout=SOON)


def test_a_run_that_was_cut_off_is_offered_when_its_project_is_opened(
    make_napari_viewer, qtbot, tmp_path, monkeypatch, toasts
):
    importable(monkeypatch)
    viewer, session, dock = begin(make_napari_viewer, qtbot, tmp_path)
    run = start(session, dock, qtbot, steps=2000, nap=0.05)
    qtbot.waitUntil(lambda: run.status.step > 2, timeout=SOON)
    owner = json.loads((run.folder / "lock").read_text())
    os.kill(owner["pid"], signal.SIGKILL)
    qtbot.waitUntil(lambda: state(dock) == "crashed", timeout=SOON)
    workspace_of(viewer).close()
    toasts.clear()

    second = Session(session.scan, project=tmp_path / "lab.sesami")
    attach(viewer, second)  # no panel of runs is open
    workspace = workspace_of(viewer)
    qtbot.waitUntil(lambda: bool(toasts), timeout=SOON)
    assert "cut off" in workspace.message
    assert [text for text, _ in toasts[0].actions] == ["Resume"]
    toasts[0].actions[0][1]()
    again = workspace.get(RunsController).runs[0]
    qtbot.waitUntil(lambda: again.status.state == "running", timeout=SOON)
    again.stop()
    assert again.wait(60).state == "cancelled"


def test_a_run_that_ended_with_its_window_is_offered_too(opened, qtbot, toasts):
    _, session, dock = opened
    orphan(session)
    dock.controller.refresh()
    qtbot.waitUntil(lambda: bool(toasts), timeout=SOON)
    assert "step 1 of 40" in toasts[0].message
    assert dock.progress.hold_button.text() == "Resume"


def test_a_run_of_a_newer_version_is_a_sentence(opened, qtbot):
    _, session, dock = opened
    orphan(session)
    (session.runs.root / "20261120-121212-tiny" / "version").write_text("99")
    dock.controller.refresh()
    qtbot.waitUntil(lambda: "newer" in dock.status.label.text(), timeout=SOON)
    assert dock.list.topLevelItemCount() == 0


@pytest.fixture
def foreign(opened, tmp_path, monkeypatch):
    """A run in the project that was stopped and needs a file of somebody else."""
    code = tmp_path / "somewhere"
    code.mkdir()
    (code / "their_recipe.py").write_text(
        "import pathlib; pathlib.Path(__file__).with_suffix('.ran').touch()\n"
    )
    monkeypatch.syspath_prepend(str(code))
    _, session, dock = opened
    folder = session.runs.root / "20261121-090000-theirs"
    folder.mkdir(parents=True)
    toml = '[run]\nrecipe = "their_recipe:Theirs"\nsteps = 2\n[theirs]\n'
    (folder / "run.toml").write_text(toml)
    (folder / "version").write_text("1\n")
    (folder / "status.json").write_text('{"state": "cancelled", "steps": 2}')
    return session, dock, code / "their_recipe.py"


def answer(qtbot, text: str, seen: list[str]) -> None:
    """Press a button of the question that will come, and note what it said."""

    def press_it() -> None:
        box = QApplication.activeModalWidget()
        if not isinstance(box, QMessageBox):
            QTimer.singleShot(50, press_it)
            return
        seen.append(box.text())
        assert box.defaultButton().text() != "Run it anyway"
        found = [b for b in box.buttons() if b.text().replace("&", "") == text]
        qtbot.mouseClick(found[0], LEFT)

    QTimer.singleShot(50, press_it)


def test_code_of_somebody_else_is_run_only_when_its_user_says_so(foreign, qtbot):
    _, dock, code = foreign
    dock.controller.refresh()
    qtbot.waitUntil(lambda: dock.controller.selected is not None, timeout=SOON)
    run, begun, seen = dock.controller.selected, [], []
    run.starter = lambda: begun.append(run)
    hold = dock.progress.hold_button
    qtbot.waitUntil(lambda: hold.text() == "Resume", timeout=SOON)
    answer(qtbot, "Cancel", seen)
    press(qtbot, hold)
    assert f"Theirs in {code}" in seen[0]
    assert "nothing of it was run" in dock.workspace.message
    settle(qtbot, 100)
    assert not begun
    answer(qtbot, "Run it anyway", seen)
    press(qtbot, hold)
    qtbot.waitUntil(lambda: len(begun) == 1, timeout=SOON)
    press(qtbot, hold)  # it was agreed to: no question comes
    qtbot.waitUntil(lambda: len(begun) == 2, timeout=SOON)
    code.write_text(code.read_text() + "# changed\n")
    answer(qtbot, "Cancel", seen)
    press(qtbot, hold)
    settle(qtbot, 100)
    assert len(seen) == 3 and len(begun) == 2
    assert not code.with_suffix(".ran").exists()  # asking imports nothing


def test_without_a_panel_a_notification_asks_for_code_of_somebody_else(
    foreign, qtbot, toasts
):
    _, dock, code = foreign
    dock.controller.refresh()
    qtbot.waitUntil(lambda: dock.controller.selected is not None, timeout=SOON)
    run, begun = dock.controller.selected, []
    run.starter = lambda: begun.append(run)
    dock.controller.resume(run)
    assert f"Theirs in {code}" in toasts[-1].message
    assert [text for text, _ in toasts[-1].actions] == ["Run it anyway"]
    settle(qtbot, 100)
    assert not begun
    toasts[-1].actions[0][1]()
    qtbot.waitUntil(lambda: len(begun) == 1, timeout=SOON)


def test_what_there_is_to_learn_from_is_said_in_words(opened, qtbot):
    _, session, dock = opened
    assert not dock.form.start_button.isEnabled()
    label(session, 1)
    words = dock.form.words
    qtbot.waitUntil(lambda: "Only one object" in words.text(), timeout=SOON)
    assert not dock.form.start_button.isEnabled()
    session.undo()
    label_more(session, 12)
    qtbot.waitUntil(dock.form.start_button.isEnabled, timeout=SOON)
    assert words.text().startswith("12 objects of 2 classes on 1 scan, ")
    assert re.search(r"scan, 9 to learn from, 3 to judge\.", words.text())
    assert "Estimate" in dock.form.estimate.text()
    qtbot.mouseClick(dock.form.estimate_button, LEFT)
    assert dock.form.estimate_button.text() == "Cancel"
    qtbot.waitUntil(lambda: "Trying" in dock.form.estimate.text())
    qtbot.mouseClick(dock.form.estimate_button, LEFT)
    qtbot.waitUntil(lambda: dock.controller.planner.estimating is None, timeout=SOON)
    assert dock.form.estimate_button.text() == "Estimate"
    assert "stopped" in dock.workspace.message


def test_the_panel_fits_a_laptop_and_everything_has_a_tip(opened, qtbot, finished):
    _, session, dock = opened
    label(session)
    take_over(session, dock, qtbot, finished)
    judged_run(session, wins=True)
    dock.controller.refresh()
    qtbot.waitUntil(lambda: dock.list.topLevelItemCount() == 2, timeout=SOON)
    dock.controller.select(dock.controller.runs[0])
    qtbot.waitUntil(lambda: dock.gate.table.topLevelItemCount() > 0, timeout=SOON)
    dock.parent().setFixedWidth(320)
    settle(qtbot, 600)
    assert dock.minimumSizeHint().width() <= 320
    area = dock.form.parentWidget()
    while area is not None and not hasattr(area, "verticalScrollBar"):
        area = area.parentWidget()
    assert area.widget().minimumSizeHint().height() <= 900
    assert area.widget().minimumSizeHint().width() <= area.viewport().width()
    for tab in range(dock.tabs.count()):
        dock.tabs.setCurrentIndex(tab)
        settle(qtbot, 20)
        for text in dock.findChildren(QLabel):
            if text.isVisible() and text.text():
                wide = text.fontMetrics().boundingRect(text.text()).width()
                assert text.wordWrap() or wide <= text.width() + 1, text.text()
        for kind in KINDS:
            for widget in dock.findChildren(kind):
                inner = widget.objectName().startswith("qt_")
                owned = isinstance(widget.parent(), QComboBox | QTabBar | QSpinBox)
                if widget.isVisible() and not (inner or owned):
                    named = widget.accessibleName() and widget.toolTip()
                    assert named, (widget, widget.objectName())


def test_a_closed_panel_is_let_go_of_and_the_run_goes_on(
    make_napari_viewer, qtbot, tmp_path, monkeypatch
):
    importable(monkeypatch)
    viewer, session, dock = begin(make_napari_viewer, qtbot, tmp_path)
    run = start(session, dock, qtbot, steps=60, nap=0.05)
    qtbot.waitUntil(lambda: run.status.step > 2, timeout=SOON)
    reference, controller = weakref.ref(dock), dock.controller
    viewer.window.remove_dock_widget(dock)
    del dock
    settle(qtbot, 60)
    gc.collect()
    assert reference() is None
    assert run.status.state == "running"
    again = show(viewer, qtbot)
    assert again.controller is controller
    assert again.controller.selected.folder == run.folder
    run.stop()
    assert run.wait(60).state == "cancelled"


@pytest.mark.slow
def test_from_labels_to_an_adapter_that_answers(opened, qtbot):
    _, session, dock = opened
    session.prompts.model = "sesami-nano"
    label(session, 16)
    form, gate = dock.form, dock.gate
    qtbot.waitUntil(form.start_button.isEnabled, timeout=SOON)
    form.steps.setValue(10)
    press(qtbot, form.start_button)
    qtbot.waitUntil(lambda: bool(dock.controller.active), timeout=SOON)
    assert form.isHidden()
    qtbot.waitUntil(lambda: state(dock) == "finished", timeout=4 * SOON)
    qtbot.waitUntil(gate.use_button.isEnabled, timeout=SOON)
    assert dock.tabs.currentWidget() is gate
    assert dock.pictures.list.count() == 0  # nobody looked at that tab yet
    dock.tabs.setCurrentWidget(dock.pictures)
    assert dock.pictures.list.count() > 0
    dock.tabs.setCurrentWidget(gate)
    press(qtbot, gate.use_button)
    qtbot.waitUntil(lambda: session.adapters.active is not None, timeout=SOON)
    proposal = session.prompt(points=[(16, 18)])
    assert session.prompts.predictor.model.adapter.recipe == "sesami"
    assert proposal.mask.any()


def test_what_wins_is_used_and_taken_back_by_a_click(opened, qtbot):
    _, session, dock = opened
    run = judged_run(session, wins=True)
    dock.controller.refresh()
    dock.tabs.setCurrentWidget(dock.gate)
    table, use, back = dock.gate.table, dock.gate.use_button, dock.gate.back_button
    qtbot.waitUntil(use.isEnabled, timeout=SOON)
    assert use.text() == "Use it"
    assert not back.isEnabled()
    rows = [[table.topLevelItem(r).text(c) for c in range(4)] for r in range(3)]
    assert rows[0] == ["mean", "0.700", "0.775", "+0.075"]
    assert rows[2] == ["via", "0.800", "0.780", "−0.020"]
    colors = [table.topLevelItem(r).foreground(3).color() for r in range(3)]
    assert colors[1].green() > colors[1].red()
    assert colors[2].red() > colors[2].green()
    dock.gate.metric.setCurrentIndex(dock.gate.metric.count() - 1)
    dock.gate.metric.activated.emit(dock.gate.metric.currentIndex())
    assert table.topLevelItem(1).text(3) == "−1.0"
    better = table.topLevelItem(1).foreground(3).color()
    assert better.green() > better.red()  # fewer clicks are better
    press(qtbot, use)
    qtbot.waitUntil(lambda: session.adapters.active is not None, timeout=SOON)
    qtbot.waitUntil(back.isEnabled, timeout=SOON)
    assert not use.isEnabled()
    assert dock.list.topLevelItem(0).text(0).endswith("✓")
    assert "learned" in dock.status.label.text()
    assert session.runs.uses(run)
    press(qtbot, back)
    qtbot.waitUntil(lambda: session.adapters.active is None, timeout=SOON)
    qtbot.waitUntil(use.isEnabled, timeout=SOON)


def test_what_does_not_win_is_used_only_by_somebody_who_insists(opened, qtbot):
    _, session, dock = opened
    judged_run(session, wins=False)
    dock.controller.refresh()
    dock.tabs.setCurrentWidget(dock.gate)
    use = dock.gate.use_button
    qtbot.waitUntil(use.isEnabled, timeout=SOON)
    assert use.text() == "Use it anyway"
    assert "did not win" in use.toolTip()
    press(qtbot, use)
    qtbot.waitUntil(lambda: session.adapters.active is not None, timeout=SOON)


def test_adapters_are_switched_in_the_prompt_panel_without_reloading(opened, qtbot):
    viewer, session, dock = opened
    session.runs.adopt(judged_run(session, wins=True))
    _, prompt = viewer.window.add_plugin_dock_widget("napari-sesami", "Click prompts")
    session.classes.add("pad")
    names = prompt.adapter.names
    qtbot.waitUntil(lambda: names.count() == 2, timeout=SOON)
    assert names.currentIndex() == 1
    prompt.controller.use(Tool.CLICK)
    click(viewer, dock.workspace.binding.image, (16, 18))
    qtbot.waitUntil(lambda: bool(prompt.controller.draft.planes), timeout=SOON)
    qtbot.waitUntil(lambda: not prompt.controller.busy, timeout=SOON)
    model = session.prompts.predictor.model
    assert model.adapter is not None
    tuned = model.key
    names.setCurrentIndex(0)
    names.activated.emit(0)
    qtbot.waitUntil(lambda: session.adapters.active is None, timeout=SOON)
    assert session.prompts.predictor.model is model
    assert model.adapter is None
    assert model.key != tuned
    qtbot.waitUntil(lambda: "base model" in dock.workspace.message)


def test_the_model_leaves_the_graphics_card_to_a_run_and_comes_back(
    make_napari_viewer, qtbot, tmp_path, monkeypatch
):
    importable(monkeypatch)
    _, session, dock = begin(make_napari_viewer, qtbot, tmp_path)
    model = session.prompts.model = Movable()
    _ = session.prompts.predictor
    run = start(session, dock, qtbot, steps=40, nap=0.05, device="auto")
    qtbot.waitUntil(lambda: model.moves == ["cpu"], timeout=SOON)
    assert run.wait(120).state == "finished"
    qtbot.waitUntil(lambda: model.moves == ["cpu", "cuda"], timeout=SOON)
    qtbot.waitUntil(lambda: "back on the graphics card" in dock.workspace.message)


def test_words_are_as_rough_as_what_is_known():
    assert [said_time(s) for s in (0.2, 40, 350, 4800, 7200)] == [
        "1 s",
        "40 s",
        "6 min",
        "1 h 20 min",
        "2 h",
    ]
    assert [said_memory(n) for n in (640e6, 1.24e9)] == ["640 MB", "1.2 GB"]


def test_the_running_mean_leaves_gaps_out():
    values = np.array([1.0, np.nan, 3.0] + [3.0] * 97)
    mean = running_mean(values)
    assert mean[0] == 1
    assert mean[-1] == 3
    assert np.isnan(running_mean(np.full(5, np.nan))).all()
