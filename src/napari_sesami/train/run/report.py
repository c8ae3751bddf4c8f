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
    keep
        Whether anything is written into the folder, or only printed.
    """

    def __init__(self, folder: RunFolder, *, first: bool, keep: bool = True) -> None:
        self._folder, self._first, self._keep = folder, first, keep
        self._log = EventLog(folder.events if keep else None) if first else None
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
        if self._log is not None:
            self._log.tell("beat", n=self._beats)
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
        if not (self._first and self._keep):
            return
        with self._lock:
            facts = {"updated": time.time(), "beats": self._beats}
            status = self._status | facts
            with suppress(OSError):  # a full disk; the next beat tries again
                self._folder.write_status(status)
