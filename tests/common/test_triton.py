"""Models and a software-rendered canvas live in one process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from napari_sesami.common import triton as guard

SCRIPT = """
import napari, napari_sesami.viewer
viewer = napari.Viewer(show=True)
viewer.add_image(__import__("numpy").eye(8))
viewer.screenshot(canvas_only=True, flash=False)
import torchvision
print("alive")
viewer.close()
"""


@pytest.mark.gui
def test_torchvision_can_be_imported_after_a_canvas_was_drawn(qapp):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "alive" in done.stdout


@pytest.fixture
def machine(tmp_path, monkeypatch):
    monkeypatch.setattr(guard, "DEVICES", tmp_path)
    monkeypatch.setattr(guard, "MAPS", tmp_path / "maps")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delitem(sys.modules, "triton", raising=False)
    (tmp_path / "maps").write_text("7f /usr/lib/libGLX_nvidia.so")
    yield tmp_path
    sys.modules.pop("triton", None)


def test_without_a_card_triton_is_kept_out(machine):
    assert guard.keep_triton_out()
    with pytest.raises(ImportError):
        import triton  # noqa: F401


def test_with_a_card_and_its_own_driver_triton_stays(machine):
    (machine / "nvidia0").touch()
    assert not guard.keep_triton_out()


def test_with_a_card_but_mesa_on_the_canvas_triton_is_kept_out(machine):
    (machine / "nvidia0").touch()
    (machine / "maps").write_text("7f /usr/lib/libLLVM-15.so.1")
    assert guard.keep_triton_out()


def test_what_is_loaded_already_is_left_alone(machine, monkeypatch):
    monkeypatch.setitem(sys.modules, "triton", sys)
    assert not guard.keep_triton_out()
