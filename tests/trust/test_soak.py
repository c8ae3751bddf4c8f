"""Work that goes on for hours holds no more memory and no more handles."""

from __future__ import annotations

import pytest


@pytest.mark.slow
@pytest.mark.timeout(8 * 3600)
def test_memory_and_handles_stay_flat() -> None:
    from tests.trust import soak

    marks = soak.main(2000)
    settled = marks[len(marks) // 4 :]
    first, last = settled[0], settled[-1]
    assert last.memory < first.memory + 60  # MB
    assert last.handles <= first.handles + 2
    assert last.threads <= first.threads + 1


@pytest.mark.slow
@pytest.mark.gui
@pytest.mark.timeout(3600)
def test_docks_that_open_and_close_leave_nothing(make_napari_viewer) -> None:
    """The panels of the workbench, opened and closed a hundred times."""
    import numpy as np

    from napari_sesami.session import Session
    from napari_sesami.viewer import attach
    from napari_sesami.viewer.app.pages import PAGES
    from tests.trust import soak

    viewer = make_napari_viewer()
    attach(viewer, Session(np.zeros((64, 64), np.uint8)))
    marks = []
    for number in range(100):
        page = PAGES[number % len(PAGES)]
        dock, widget = viewer.window.add_plugin_dock_widget("napari-sesami", page.dock)
        viewer.window.remove_dock_widget(dock)
        del widget
        if number % 20 == 19:
            marks.append(soak.mark(number))
    assert marks[-1].handles <= marks[1].handles + 4
    assert marks[-1].memory < marks[1].memory + 100
