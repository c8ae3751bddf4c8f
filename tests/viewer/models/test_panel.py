"""The catalog in a window: what is there, import, refusal, removal."""

from __future__ import annotations

import pytest
import torch
from qtpy.QtCore import Qt

from napari_sesami.models import build_tiny_sam, catalog
from napari_sesami.retrieve import token_folder

pytestmark = pytest.mark.gui


@pytest.fixture
def dock(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    _, widget = viewer.window.add_plugin_dock_widget("napari-sesami", "Models")
    qtbot.waitUntil(widget.isVisible)
    return widget


def names(dock) -> list[str]:
    return [
        dock.list.topLevelItem(i).text(0) for i in range(dock.list.topLevelItemCount())
    ]


def test_the_bundled_model_is_there_and_cannot_be_removed(dock):
    assert names(dock)[0] == "sesami-nano"
    assert dock.selected == "sesami-nano"
    assert "SHA-256" in dock.card.toPlainText()
    assert dock.use_button.isEnabled()
    assert not dock.remove_button.isEnabled()
    assert not dock.fetch_button.isEnabled()


def test_everything_fits_and_says_what_it_does(dock):
    assert dock.minimumSizeHint().width() <= 320
    assert dock.minimumSizeHint().height() <= 900
    for button in (dock.use_button, dock.import_button, dock.fetch_button):
        assert button.toolTip() and button.accessibleName()
        assert button.width() >= button.minimumSizeHint().width()


def test_a_file_is_imported_used_and_removed(dock, qtbot, tmp_path, monkeypatch):
    path = tmp_path / "lab_sam.pth"
    torch.save(build_tiny_sam().sam.state_dict(), path)
    dock.import_file(path)
    qtbot.waitUntil(lambda: "lab_sam" in names(dock), timeout=20_000)
    assert dock.selected == "lab_sam"
    monkeypatch.setattr(dock, "_agreed", lambda *_: True)
    qtbot.mouseClick(dock.remove_button, Qt.MouseButton.LeftButton)
    assert "lab_sam" not in names(dock)
    assert [e.name for e in catalog.entries()] == ["sesami-nano"]


def test_kept_tokens_are_counted_and_deleted(dock, qtbot):
    assert not dock.empty_button.isEnabled()
    path = token_folder() / "key" / "0.npy"
    path.parent.mkdir(parents=True)
    path.write_bytes(bytes(3_000_000))
    dock.refresh()
    assert dock.kept.text().endswith(": 3 MB")
    qtbot.mouseClick(dock.empty_button, Qt.MouseButton.LeftButton)
    assert not path.exists()
    assert dock.kept.text().endswith(": 0 MB")


def test_a_foreign_file_is_refused_in_a_sentence(dock, qtbot, tmp_path):
    path = tmp_path / "holiday.pth"
    path.write_bytes(b"not weights")
    dock.import_file(path)
    qtbot.waitUntil(lambda: "holiday" in dock.status.label.text(), timeout=10_000)
    assert names(dock)[0] == "sesami-nano"


def test_nothing_is_downloaded_without_a_yes(dock, qtbot, monkeypatch):
    asked = []
    monkeypatch.setattr(dock, "_agreed", lambda *text: asked.append(text) or False)
    monkeypatch.setattr(catalog, "download", lambda *_: pytest.fail("downloaded"))
    item = dock.list.topLevelItem(names(dock).index("sam-vit-b"))
    dock.list.setCurrentItem(item)
    qtbot.mouseClick(dock.fetch_button, Qt.MouseButton.LeftButton)
    assert "Apache-2.0" in asked[0][1]
