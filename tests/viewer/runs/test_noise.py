"""The tab "Noise" in a real window: fitted by a click, looked at, used, refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from qtpy.QtCore import Qt
from tests.fakes.hands import settle

from napari_sesami import Session, noise
from napari_sesami.scan import Scan
from napari_sesami.viewer import attach

pytestmark = pytest.mark.gui
LEFT = Qt.MouseButton.LeftButton


def scene(electrons: float = 500.0, after: tuple = ()) -> np.ndarray:
    """Bars and pads of a few tones, counted with this dose."""
    grey = np.full((256, 256), 0.25, np.float32)
    grey[20:90, 20:230] = 0.85
    grey[120:240, 30:110] = 0.6
    grey[120:240, 140:220] = 0.45
    chain = noise.Chain(
        (noise.ShotNoise(electrons), noise.ReadOut(8.0, electrons), *after)
    )
    made = chain(torch.from_numpy(grey)[None, None], torch.Generator().manual_seed(0))
    return (made.image[0, 0].numpy() * 255).round().astype(np.uint8)


def test_noise_like_mine_is_fitted_shown_used_and_refused(
    make_napari_viewer, qtbot, tmp_path
):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1200, 940)
    scan = Scan.from_array(scene(), pixel_size=0.5, units="nm", name="wafer")
    session = Session(scan, project=tmp_path / "lab.sesami")
    attach(viewer, session)
    _, dock = viewer.window.add_plugin_dock_widget("napari-sesami", "Runs")
    qtbot.waitUntil(lambda: dock._docked)
    dock.fold.setChecked(False)
    dock.tabs.setCurrentWidget(dock.noise)
    settle(qtbot, 50)
    box = dock.noise
    assert not box.use_button.isEnabled()

    qtbot.mouseClick(box.scan_button, LEFT)
    qtbot.waitUntil(lambda: dock.controller.noise.found is not None, timeout=30_000)
    settle(qtbot, 50)
    assert "electrons per white pixel" in box.words.text()
    assert all(label.isVisible() for label in box.pictures)
    sizes = [label.pixmap().toImage() for label in box.pictures]
    assert len({image.width() for image in sizes}) == 1
    # three pictures that differ from each other
    assert sizes[0] != sizes[1] != sizes[2] != sizes[0]
    found = dock.controller.noise.found
    assert found.electrons.value == pytest.approx(
        500 * scan.normalisation.hi / 255, rel=0.2
    )
    qtbot.mouseClick(box.use_button, LEFT)
    assert session.noise.fitted == found
    assert (tmp_path / "lab.sesami" / "noise" / "fit.json").is_file()
    assert "In use by runs" in box.words.text()

    qtbot.mouseClick(box.list_button, LEFT)  # there is no work list yet
    assert session.noise.fitted == found
    assert not dock.controller.noise.busy
    qtbot.mouseClick(box.forget_button, LEFT)
    assert session.noise.fitted is None
    assert not (tmp_path / "lab.sesami" / "noise" / "fit.json").exists()

    # a scan without noise is refused in a sentence
    plain = Scan.from_array(np.full((256, 256), 90, np.uint8), name="plain")
    attach(viewer, Session(plain))
    settle(qtbot, 50)
    qtbot.mouseClick(box.scan_button, LEFT)
    qtbot.waitUntil(lambda: bool(dock.controller.noise.refusal), timeout=30_000)
    assert "one grey value" in box.words.text()
    # noise that was smoothed gives no dose, and says so
    soft = Scan.from_array(scene(after=(noise.Scintillator(0.7),)), name="soft")
    attach(viewer, Session(soft))
    settle(qtbot, 50)
    qtbot.mouseClick(box.scan_button, LEFT)
    qtbot.waitUntil(lambda: dock.controller.noise.found is not None, timeout=30_000)
    assert "Dose and read-out are refused" in box.words.text()
    viewer.close()
