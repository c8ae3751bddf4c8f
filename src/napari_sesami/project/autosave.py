"""A thread that looks after a project's journals and saves, without Qt."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_sesami.project.project import Project


class Ticker:
    """Calls ``project.tick()`` about every second until stopped or collected."""

    def __init__(self, project: Project, every: float) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=_run,
            args=(weakref.ref(project), self._stop, every),
            name="sesami-autosave",
            daemon=True,
        )
        weakref.finalize(self, self._stop.set)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; a save in progress is finished first."""
        self._stop.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()


def _run(reference: weakref.ref[Project], stop: threading.Event, every: float) -> None:
    while not stop.wait(every):
        project = reference()
        if project is None:
            return
        project.tick()
        del project
