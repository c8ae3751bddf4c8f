"""Calls something once, a moment after the last of many requests."""

from __future__ import annotations

import weakref
from contextlib import suppress
from typing import TYPE_CHECKING

from qtpy.QtCore import QCoreApplication, QTimer

if TYPE_CHECKING:
    from collections.abc import Callable


class Later:
    """Debounces a bound method, which is held weakly.

    Without a Qt application, as in a script with a `ViewerModel`, it calls at once.
    """

    def __init__(self, method: Callable[[], None], wait: int) -> None:
        self._method = weakref.WeakMethod(method)
        self._timer: QTimer | None = None
        self._wait = wait

    def soon(self) -> None:
        """Ask for a call; a pending one is put off."""
        if QCoreApplication.instance() is None:
            self._call()
            return
        if self._timer is None:
            self._timer = QTimer()
            self._timer.setSingleShot(True)
            self._timer.timeout.connect(self._call)
        self._timer.start(self._wait)

    def stop(self) -> None:
        """Drop a pending call."""
        if self._timer is not None:
            with suppress(RuntimeError):  # at the end Qt deletes timers before panels
                self._timer.stop()

    def _call(self) -> None:
        method = self._method()
        if method is not None:
            method()
