"""Open napari's window for a script that draws it: its size, its theme, its folder."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import napari
from napari.settings import get_settings
from qtpy.QtWidgets import QApplication


def open_window(name: str, size: str) -> tuple[napari.Viewer, Path, str]:
    """Open a window as the command line says: [FOLDER] [WIDTHxHEIGHT] [light].

    Gives the viewer, the folder (`name` by default, made if it is not there) and the
    size as text.
    """
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else name)
    size = sys.argv[2] if len(sys.argv) > 2 else size
    folder.mkdir(parents=True, exist_ok=True)
    width, height = (int(part) for part in size.split("x"))
    get_settings().appearance.theme = "light" if "light" in sys.argv else "dark"
    viewer = napari.Viewer(title="Sesami")
    viewer.window._qt_window.setGeometry(0, 0, width, height)
    return viewer, folder, size


def pump(rounds: int) -> None:
    """Let the window draw itself."""
    for _ in range(rounds):
        QApplication.processEvents()
        time.sleep(0.01)
