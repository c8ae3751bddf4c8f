"""Windows of these tests are real; whatever a test opens, it must close."""

from __future__ import annotations

import gc
import threading
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a top-level widget of ours or a work thread behind.

    The usual cause is a strong reference to a widget: `viewer.bind_key`, a lambda or a
    `partial` connected to a napari event, or a test that keeps it in a variable.
    """
    yield
    if "qtbot" not in request.fixturenames:
        return
    from qtpy.QtCore import QCoreApplication, QEvent
    from qtpy.QtWidgets import QApplication

    def ours() -> list[object]:
        return [
            widget
            for widget in QApplication.topLevelWidgets()
            if type(widget).__module__.startswith("napari_sesami")
        ]

    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    gc.collect()
    left = [widget for widget in ours() if widget.isVisible()]
    threads = [t.name for t in threading.enumerate() if t.name == "sesami-work"]
    assert not left, f"left-over widgets: {left}"
    if "keeps_thread" not in request.keywords:
        assert not threads, "a background thread outlived its window"
