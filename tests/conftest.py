"""Fixtures for all tests; they stay away from the user's own settings and caches."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

# napari reads it later; keeps the tests off the user's settings.
os.environ["NAPARI_CONFIG"] = ""
# Before torch is imported: on tiny tensors waiting for a second thread costs most.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The fast tests have no window, but some have timers of Qt, which wants a screen.
if sys.platform == "linux" and not (
    os.environ.get("DISPLAY")
    or os.environ.get("WAYLAND_DISPLAY")
    or shutil.which("Xvfb")
):
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

ROOT = Path(__file__).parents[1]


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that opens a napari window."""
    for item in items:
        if "make_napari_viewer" in getattr(item, "fixturenames", ()):
            item.add_marker("gui")


@pytest.fixture
def shared_data() -> Path:
    """Real instrument files and labelled images, where they lie beside the checkout."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the real images of shared/data beside the checkout")
    return folder


@pytest.fixture(autouse=True)
def own_cache(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Send every cache and every user folder of the package to a temporary place."""
    monkeypatch.setenv("SESAMI_HOME", str(tmp_path_factory.mktemp("sesami_home")))
