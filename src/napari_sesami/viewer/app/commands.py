"""The commands of the palette and the menus: each opens the panel and acts on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sesami.viewer.app.keys import Action
from napari_sesami.viewer.app.panels import show_panel
from napari_sesami.viewer.app.workspace import workspace_of

if TYPE_CHECKING:
    import napari.viewer

    from napari_sesami.viewer.label.panel import SesamiDock


def show_dock(viewer: napari.viewer.Viewer) -> SesamiDock:
    """Open the panel, or bring the open one forward."""
    panel: SesamiDock = show_panel(viewer, "scan", own_dock=True)
    return panel


def open_file(viewer: napari.viewer.Viewer) -> None:
    """Ask for a file and open it as a scan."""
    show_panel(viewer, "scan").picker.file_button.click()


def open_folder(viewer: napari.viewer.Viewer) -> None:
    """Ask for a folder and open it as a scan."""
    show_panel(viewer, "scan").picker.folder_button.click()


def paint(viewer: napari.viewer.Viewer) -> None:
    """Turn the brush on, or off."""
    _act(viewer, Action.PAINT)


def pick_class(viewer: napari.viewer.Viewer) -> None:
    """Ask by name for the class to paint."""
    from qtpy.QtWidgets import QInputDialog

    dock = show_panel(viewer, "scan")
    session = workspace_of(viewer).session
    names = list(session.classes.names) if session is not None else []
    if not names:
        _act(viewer, Action.PICK_CLASS, 1)  # says what is missing
        return
    name, agreed = QInputDialog.getItem(
        dock, "Pick a class", "Class to paint", names, 0, False
    )
    if agreed:
        _act(viewer, Action.PICK_CLASS, names.index(name) + 1)


def new_class(viewer: napari.viewer.Viewer) -> None:
    """Put the cursor where a new class is named."""
    _act(viewer, Action.NEW_CLASS)


def undo(viewer: napari.viewer.Viewer) -> None:
    """Take back the last stroke, mask or class edit."""
    _act(viewer, Action.UNDO)


def redo(viewer: napari.viewer.Viewer) -> None:
    """Do again what was taken back."""
    _act(viewer, Action.REDO)


def toggle_labels(viewer: napari.viewer.Viewer) -> None:
    """Hide or show strokes and labels."""
    _act(viewer, Action.TOGGLE_LABELS)


def save(viewer: napari.viewer.Viewer) -> None:
    """Save the project."""
    _act(viewer, Action.SAVE)


def show_keys(viewer: napari.viewer.Viewer) -> None:
    """Show the list of keys."""
    _act(viewer, Action.SHOW_KEYS)


def _act(viewer: napari.viewer.Viewer, action: Action, argument: int = 0) -> None:
    show_panel(viewer, "scan")
    workspace_of(viewer).act(action, argument)
