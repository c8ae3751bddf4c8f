"""Two scans of one viewer: one unit, one at work, nothing lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.fakes.hands import drag, settle

from napari_sesami.scan import Scan, load_sample
from napari_sesami.viewer.app import recovery
from napari_sesami.viewer.app.workspace import workspace_of
from napari_sesami.viewer.layers.camera import cursor

if TYPE_CHECKING:
    from napari_sesami.viewer.app.workspace import Workspace

pytestmark = pytest.mark.gui
SOON = 20_000


@pytest.fixture
def window(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    _, panel = viewer.window.add_plugin_dock_widget("napari-sesami", "Scan and classes")
    qtbot.waitUntil(lambda: panel._docked)
    return viewer, panel


def open_samples(viewer, qtbot, *keys: str) -> Workspace:
    for key in keys:
        viewer.open_sample("napari-sesami", key)
        settle(qtbot)
    return workspace_of(viewer)


def paint(viewer, workspace, qtbot) -> None:
    """Paint a stroke of the first class in the middle of the canvas."""
    binding = workspace.binding
    first = next(iter(binding.session.classes)).id
    binding.pick(first)
    h, w = binding.session.scan.plane_shape
    drag(viewer, binding.strokes, [(h // 2, w // 3), (h // 2, w // 2)])
    qtbot.waitUntil(lambda: binding.session.history.can_undo, timeout=SOON)


def test_a_sample_in_another_unit_is_taken_shown_and_painted(window, qtbot):
    viewer, _ = window
    workspace = open_samples(viewer, qtbot, "tem", "xrm")
    assert "memory" in workspace.session.scan.name
    lengths = {str(u) for layer in viewer.layers for u in layer.units}
    assert len(lengths) == 1  # napari and we agree on every place
    binding = workspace.binding
    size = np.array(workspace.session.scan.pixel_size)
    place = np.array(binding.image.data_to_world((1, 1, 1)))
    place -= binding.image.data_to_world((0, 0, 0))
    np.testing.assert_allclose(place / place[-1], size / size[-1])
    assert binding.plane == workspace.session.scan.n_planes // 2
    paint(viewer, workspace, qtbot)
    painted = np.argwhere(workspace.session.strokes.plane(binding.plane))
    h, w = workspace.session.scan.plane_shape
    assert np.abs(painted[:, 0] - h // 2).max() <= binding.strokes.brush_size
    assert painted[:, 1].min() < w // 3 + 3 and painted[:, 1].max() > w // 2 - 3
    y, x = cursor(viewer, binding.strokes)
    assert abs(y - h // 2) <= 2 and abs(x - w // 2) <= 2


def test_what_is_untouched_makes_room_and_what_was_done_stays_behind(window, qtbot):
    viewer, panel = window
    workspace = open_samples(viewer, qtbot, "tem", "aoi")
    assert not workspace.behind  # nothing had been done on the first
    assert not any(
        "nanosheets" in layer.name and layer.visible for layer in viewer.layers
    )
    paint(viewer, workspace, qtbot)
    aoi = workspace.binding
    open_samples(viewer, qtbot, "xrm")
    assert workspace.behind == (aoi,)
    assert not any(layer.visible or layer.editable for layer in aoi.layers[1:])
    assert panel.open_scans.isVisible()
    workspace.adopt(aoi.image)
    assert workspace.binding is aoi and aoi.strokes.visible and aoi.strokes.editable
    assert aoi.session.strokes.plane(0).any()


def test_a_fresh_sample_has_nothing_to_undo(window, qtbot):
    viewer, panel = window
    workspace = open_samples(viewer, qtbot, "tem")
    assert viewer.canvas.overlays.scale_bar.visible
    assert workspace.session.document.home is None  # nothing to keep
    assert len(workspace.session.classes) > 3
    assert not workspace.session.history.can_undo and not panel.undo_button.isEnabled()


def test_work_of_no_project_is_kept_and_brought_back(window, qtbot):
    viewer, panel = window
    workspace = open_samples(viewer, qtbot, "tem")
    paint(viewer, workspace, qtbot)
    document = workspace.session.document
    qtbot.waitUntil(lambda: document.home is not None, timeout=SOON)
    assert workspace.session.document.project is None
    qtbot.waitUntil(lambda: "A crash loses nothing" in workspace.saver.state)
    assert recovery.lost_work() == []  # somebody works on it
    painted = workspace.session.strokes.plane(0).copy()
    viewer.layers.clear()
    (lost,) = recovery.lost_work()
    qtbot.waitUntil(panel.open_scans.isVisible)
    workspace.saver.open_lost(lost.project)
    qtbot.waitUntil(lambda: workspace.session is not None, timeout=SOON)
    np.testing.assert_array_equal(workspace.session.strokes.plane(0), painted)
    assert workspace.session.scan.name == "TEM nanosheets"
    assert workspace.session.scan.modality == "TEM"
    assert workspace.session.document.project is None and recovery.lost_work() == []


def test_saving_in_a_project_ends_the_recovery(window, qtbot, tmp_path):
    viewer, _ = window
    workspace = open_samples(viewer, qtbot, "tem")
    paint(viewer, workspace, qtbot)
    document = workspace.session.document
    qtbot.waitUntil(lambda: document.home is not None, timeout=SOON)
    place = document.home.path
    workspace.saver.save_as(tmp_path / "mine.sesami")
    qtbot.waitUntil(lambda: workspace.saver.folder is not None, timeout=SOON)
    qtbot.waitUntil(lambda: not place.exists(), timeout=SOON)
    assert workspace.session.document.project.path == tmp_path / "mine.sesami"


def test_a_scan_without_a_size_stands_beside_one_with(window, qtbot):
    viewer, _ = window
    workspace = open_samples(viewer, qtbot, "tem")
    rng = np.random.default_rng(0)
    workspace.start(Scan.from_array(rng.random((60, 80)), name="bare"))
    workspace.session.classes.add("metal")
    paint(viewer, workspace, qtbot)
    assert workspace.session.strokes.plane(0)[30, 30]
    assert load_sample("tem").scan.pixel_size[0] != 1
