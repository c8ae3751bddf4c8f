"""A segmenter in a real window: planned, watched by class, shown, used, undone."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from tests.fakes.engine_help import work
from tests.fakes.hands import settle
from tests.fakes.semi_help import CLASSES, begin, options, picture

from napari_sesami import Session
from napari_sesami.scan import Scan
from napari_sesami.viewer import attach
from napari_sesami.viewer.runs.layers import SegmentedLayers

pytestmark = pytest.mark.gui
LEFT = Qt.MouseButton.LeftButton
SOON = 60_000


def test_scans_like_these_are_segmented(make_napari_viewer, qtbot, tmp_path):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1200, 940)
    pixels = (picture(0).grey >> 8).astype(np.uint8)
    scan = Scan.from_array(pixels, pixel_size=1.0, units="nm", name="wafer")
    session = Session(scan, project=tmp_path / "lab.sesami")
    for name in CLASSES.values():
        session.classes.add(name)
    session.document.labels.write(picture(0).classes)
    run = begin(session.runs.root / "20261120-101010-semi", options(warm_up=0.0))
    run.write_status({"state": "running"})
    assert work(run).reason == "finished"
    run.write_status(run.status() | {"state": "finished"})
    attach(viewer, session)
    _, dock = viewer.window.add_plugin_dock_widget("napari-sesami", "Runs")
    qtbot.waitUntil(lambda: dock._docked)
    settle(qtbot, 50)

    # the form: labelled scans teach, a folder is the pool
    form = dock.form
    form.recipe.setCurrentIndex(form.recipe.findData("semi"))
    form.recipe.activated.emit(form.recipe.currentIndex())
    qtbot.waitUntil(lambda: "labelled scan" in form.words.text(), timeout=SOON)
    assert form.preset.isVisibleTo(form) and not form.rank.isVisibleTo(form)
    assert not form.start_button.isEnabled(), "the pool is missing"
    form.choose_pool(tmp_path)
    assert form.start_button.isEnabled()
    assert form.plan.options["unlabelled"] == tmp_path
    form.preset.setCurrentIndex(form.preset.findData("supervised+noise"))
    form.choose_pool(None)
    assert form.start_button.isEnabled() and not form.pool_button.isVisibleTo(form)

    # the run: verdict and table by class, a curve for each, its labels as a layer
    dock.controller.refresh()
    qtbot.waitUntil(lambda: dock.controller.selected is not None, timeout=SOON)
    chosen = dock.controller.selected
    qtbot.waitUntil(lambda: dock.curves.plots is not None, timeout=SOON)
    dock.tabs.setCurrentWidget(dock.curves)
    dock.refresh()
    assert set(dock.curves.plots._lines) >= {"metal", "nothing"}
    dock.tabs.setCurrentWidget(dock.gate)
    qtbot.waitUntil(lambda: dock.gate.use_button.isEnabled(), timeout=SOON)
    rows = [dock.gate.table.topLevelItem(i).text(0)
            for i in range(dock.gate.table.topLevelItemCount())]  # fmt: skip
    assert set(rows) >= {"metal", "void"}
    assert dock.gate.worst.isVisibleTo(dock.gate)
    qtbot.mouseClick(dock.gate.label_button, LEFT)
    layers = dock.workspace.get(SegmentedLayers)
    qtbot.waitUntil(lambda: layers.layer is not None, timeout=SOON)
    shown = np.asarray(layers.layer.data[...])
    assert shown.shape == (64, 64) and set(np.unique(shown)) <= {0, 1, 2}

    # used, and taken back
    qtbot.mouseClick(dock.gate.use_button, LEFT)
    qtbot.waitUntil(lambda: session.segmenters.active is not None, timeout=SOON)
    qtbot.waitUntil(lambda: dock.gate.back_button.isEnabled(), timeout=SOON)
    assert session.runs.uses(chosen) and session.queue.source is not None
    settle(qtbot, 50)
    qtbot.mouseClick(dock.gate.back_button, LEFT)
    qtbot.waitUntil(lambda: session.segmenters.active is None, timeout=SOON)
