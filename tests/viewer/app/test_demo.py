"""`sesami demo` with a screen: one real click on the sample gives a mask."""

from __future__ import annotations

import pytest
from qtpy.QtTest import QTest
from tests.fakes.hands import LEFT, NO_KEY, canvas, place

from napari_sesami.scan import load_sample
from napari_sesami.viewer.app.demo import open_demo
from napari_sesami.viewer.app.workspace import workspace_of
from napari_sesami.viewer.layers.mouse import Tool
from napari_sesami.viewer.prompt.controller import PromptController

pytestmark = pytest.mark.gui


def test_the_demonstration_is_ready_to_click(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1200, 800)
    open_demo(viewer, "tem")
    workspace = workspace_of(viewer)
    qtbot.waitUntil(
        lambda: (
            workspace.get(PromptController) is not None
            and workspace.get(PromptController).tool is Tool.CLICK
        ),
        timeout=20_000,
    )
    viewer.reset_view()
    qtbot.wait(200)
    image = workspace.binding.image
    truth = load_sample("tem").labels
    y, x = 545, 547  # the middle of a nanosheet
    QTest.mouseClick(canvas(viewer), LEFT, NO_KEY, place(viewer, image, (y, x)))
    clicks = workspace.get(PromptController)
    qtbot.waitUntil(lambda: clicks.mask is not None and not clicks.busy, timeout=30_000)
    found = clicks.mask.full
    assert found[y, x]
    assert (truth[found] == truth[y, x]).mean() > 0.7
    clicks.commit()
    assert len(workspace.session.objects) == 1
