"""Commands of the palette work in a real window, with or without the panel open."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sesami.viewer.app.workspace import show_panel, workspace_of
from napari_sesami.viewer.label.panel import LabelPanel
from napari_sesami.viewer.widgets.key_help import KeyCards

pytestmark = pytest.mark.gui


def execute(name: str) -> None:
    """Run a command as the palette does."""
    from napari._app_model import get_app_model

    get_app_model().commands.execute_command(f"napari-sesami.{name}").result()


def panels(viewer) -> list[LabelPanel]:
    """Every such panel of the window, as a dock or as a page of the workbench."""
    return viewer.window._qt_window.findChildren(LabelPanel)


def test_commands_open_one_panel_and_act_on_it(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    execute("undo")
    assert len(panels(viewer)) == 1
    assert "no scan to label yet" in workspace_of(viewer).message
    workspace_of(viewer).adopt(
        viewer.add_image(np.zeros((40, 50), np.uint8), name="wafer")
    )
    session = workspace_of(viewer).session
    session.classes.add("oxide")
    execute("undo")
    assert len(session.classes) == 0
    execute("redo")
    assert session.classes.names == ("oxide",)
    execute("paint")
    assert workspace_of(viewer).binding.painting
    execute("toggle_labels")
    assert not workspace_of(viewer).binding.strokes.visible
    execute("show_keys")
    assert workspace_of(viewer).get(KeyCards).card.isVisible()
    assert show_panel(viewer, "scan", own_dock=True) is panels(viewer)[0]
    assert len(panels(viewer)) == 1


def test_an_image_that_was_labelled_before_is_gone_back_to(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    first = viewer.add_image(np.zeros((40, 50), np.uint8), name="first")
    second = viewer.add_image(np.zeros((60, 50), np.uint8), name="second")
    workspace = workspace_of(viewer)
    workspace.adopt(first)
    workspace.session.classes.add("oxide")
    workspace.adopt(second)
    assert len(workspace.session.classes) == 0
    workspace.adopt(first)
    assert workspace.session.classes.names == ("oxide",)
    assert viewer.layers.selection.active is workspace.binding.strokes
    workspace.close()
