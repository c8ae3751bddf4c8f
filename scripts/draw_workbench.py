"""Draw the workbench: open it by napari's menu, go through its pages by mouse.

    python scripts/draw_workbench.py [FOLDER] [WIDTHxHEIGHT] [light]
    python scripts/draw_workbench.py pages [PAGE …]

The first fills FOLDER with a picture of the whole screen for each page, and the two
pictures of docs/viewer.md. The second draws the pages at work, each as large as a
screen of 1600 × 1000 and of 1280 × 800, for docs/pages.md. On a machine without a
screen:

    xvfb-run -a -s "-screen 0 1600x1000x24" python scripts/draw_workbench.py pages
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtGui import QPainter, QPixmap
from qtpy.QtTest import QTest

from draw_window import open_window, pump
from napari_sesami.viewer.app.pages import PAGES
from napari_sesami.viewer.app.workspace import workspace_of

if TYPE_CHECKING:
    from pathlib import Path

    from qtpy.QtWidgets import QMenu

LEFT = Qt.MouseButton.LeftButton


def main() -> None:
    """Draw all pages, and say how long each took to open and where the window is."""
    viewer, folder, size = open_window("workbench", "1280x800")
    window = viewer.window._qt_window
    viewer.open_sample("napari-sesami", "tem")
    pump(30)
    before = window.geometry()
    began = time.perf_counter()
    open_by_menu(window)
    seconds = time.perf_counter() - began
    print(f"workbench: {seconds:.2f} s, torch: {'torch' in sys.modules}")
    viewer.reset_view()
    workbench = workspace_of(viewer).panels.find("")
    pages = {}
    for shown in PAGES:
        began = time.perf_counter()
        QTest.mouseClick(workbench.buttons[shown.name], LEFT)
        print(f"{shown.name}: {time.perf_counter() - began:.2f} s", end=" ")
        pump(30)
        print(
            window.geometry() == before, window.geometry(), workbench.minimumSizeHint()
        )
        window.screen().grabWindow(0).save(str(folder / f"{size}_{shown.name}.png"))
        pages[shown.name] = workbench.parent().grab()
    beside([pages[name] for name in ("scan", "click", "next")], folder, "workbench")
    QTest.mouseClick(workbench.buttons["strokes"], LEFT)
    strokes = workspace_of(viewer).panels.find("strokes")
    QTest.mouseClick(workbench.own_dock_button, LEFT)
    pump(30)
    window.screen().grabWindow(0).save(str(folder / f"{size}_own_dock.png"))
    apart = [strokes.parent().grab(), workbench.parent().grab()]
    beside(apart, folder, "workbench_own_dock")
    viewer.close()


def beside(pictures: list[QPixmap], folder: Path, name: str) -> None:
    """Save pictures side by side, with a gap."""
    gap = 12
    width = sum(each.width() for each in pictures) + gap * (len(pictures) - 1)
    made = QPixmap(width, max(each.height() for each in pictures))
    made.fill(Qt.GlobalColor.white)
    painter, left = QPainter(made), 0
    for each in pictures:
        painter.drawPixmap(left, 0, each)
        left += each.width() + gap
    painter.end()
    made.save(str(folder / f"{name}.png"))


def open_by_menu(window) -> None:
    """Click Plugins, Sesami, and the first entry, as a newcomer does."""
    bar = window.menuBar()
    menu = next(a for a in bar.actions() if a.text().replace("&", "") == "Plugins")
    QTest.mouseClick(bar, LEFT, pos=bar.actionGeometry(menu).center())
    pump(10)
    popup: QMenu = menu.menu()
    sesami = next(a for a in popup.actions() if a.text().startswith("Sesami"))
    QTest.mouseClick(popup, LEFT, pos=popup.actionGeometry(sesami).center())
    pump(10)
    inner: QMenu = sesami.menu()
    print([action.text() for action in inner.actions()])
    entry = inner.actions()[0]
    QTest.mouseClick(inner, LEFT, pos=inner.actionGeometry(entry).center())
    pump(20)


if __name__ == "__main__":
    if sys.argv[1:2] == ["pages"]:
        import draw_pages

        draw_pages.main(sys.argv[2:])
    else:
        main()
