"""What a worker tells the world: events and status.json."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from napari_sesami.train.run.events import EventLog

if TYPE_CHECKING:
    from napari_sesami.train.run.folder import RunFolder


class Report:
    """Events and status of one worker; nothing here can fail a run.

    Parameters
    ----------
    folder
        The run.
    first
        Whether this is the process that speaks; the others of torchrun are silent.
    """

    def __init__(self, folder: RunFolder, *, first: bool) -> None:
        self._folder = folder
        self._log = EventLog(folder.events) if first else None
        self._lock = threading.Lock()
        self._status: dict[str, Any] = folder.status()
        self._beats = 0

    def say(self, event: str, **facts: Any) -> None:
        """Tell what happened."""
        if self._log is not None:
            self._log.emit(event, **facts)

    def status(self, **facts: Any) -> None:
        """Change what status.json says."""
        with self._lock:
            self._status |= facts
        self._write()

    def beat(self) -> None:
        """Show that the worker lives."""
        self._beats += 1
        self._write()

    def step(self, step: int, seconds: float) -> None:
        """Note the step for the next beat."""
        with self._lock:
            self._status |= {"step": step, "seconds_per_step": seconds}

    def __getitem__(self, key: str) -> Any:
        """What status.json says about `key`; None if nothing."""
        return self._status.get(key)

    def close(self) -> None:
        """Bring everything out."""
        self._write()
        if self._log is not None:
            self._log.close()

    def _write(self) -> None:
        if self._log is None:
            return
        with self._lock:
            facts = {"updated": time.time(), "beats": self._beats}
            status = self._status | facts
            with suppress(OSError):  # a full disk; the next beat tries again
                self._folder.write_status(status)
