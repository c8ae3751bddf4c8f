"""events.jsonl: one JSON object a line, written by one process, read by many."""

from __future__ import annotations

import json
import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict  # pydantic wants it before Python 3.12

from napari_sesami.common.checked import DamagedFile, checked
from napari_sesami.common.disk import write_all

if TYPE_CHECKING:
    from pathlib import Path

Event = dict[str, Any]
Step = Annotated[int, Field(ge=0)]


class _Named(TypedDict):
    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    event: str


class _EventRow(_Named, total=False):
    """What is read of an event; other keys may hold anything."""

    t: float
    step: Step
    back_to: Step
    path: str
    sentence: str
    metrics: dict[str, Any]


_MOST_WAITING = 10_000


class EventLog:
    """Writes events to their file; a full disk cannot stop the training.

    What it refuses is kept, and written as soon as there is space.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None
        self._good = 0
        self._waiting: list[bytes] = []
        self._lock = threading.Lock()

    def emit(self, event: str, **facts: Any) -> None:
        """Write one event."""
        head = {"t": round(time.time(), 3), "event": event}
        line = json.dumps(head | facts, default=plain).encode() + b"\n"
        with self._lock:
            self._waiting.append(line)
            del self._waiting[:-_MOST_WAITING]
            self._flush()

    def close(self) -> None:
        """Write the rest."""
        with self._lock:
            self._flush()
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None

    def _flush(self) -> None:
        """Write what waits; half a line would hide the ones after it."""
        try:
            fd = self._open() if self._fd is None else self._fd
            block = b"".join(self._waiting)
            write_all(fd, block)
            self._good += len(block)
            self._waiting.clear()
        except OSError:
            if self._fd is not None:
                os.ftruncate(self._fd, self._good)

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        self._fd = fd = os.open(self.path, flags, 0o666)
        self._good = os.fstat(fd).st_size
        if self._good:  # a process that was killed may have left half a line
            os.lseek(fd, self._good - 1, os.SEEK_SET)
            if os.read(fd, 1) != b"\n":
                self._waiting.insert(0, b"\n")
        return fd


def plain(value: Any) -> Any:
    """Turn NumPy's and torch's numbers and arrays, and paths, into JSON."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def read_events(path: Path, offset: int = 0) -> tuple[list[Event], int]:
    """Read the whole lines from `offset` on, and tell where the next one begins."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read()
    except OSError:  # not there yet, or a disk that does not answer just now
        return [], offset
    whole = data.rfind(b"\n") + 1
    events = []
    for line in data[:whole].splitlines():
        # half a line of a process that was killed, or of a stranger
        with suppress(DamagedFile):
            events.append(checked(_EventRow, line, str(path)))
    return events, offset + whole
