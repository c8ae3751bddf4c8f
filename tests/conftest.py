"""Fixtures for all tests; they stay away from the user's own settings and caches."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# napari reads it later; keeps the tests off the user's settings.
os.environ["NAPARI_CONFIG"] = ""
# Before torch is imported: on tiny tensors waiting for a second thread costs most.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).parents[1]


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
