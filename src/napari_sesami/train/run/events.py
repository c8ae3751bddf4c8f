"""events.jsonl: one JSON object a line, written by one process, read by many."""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from napari_sesami.common.disk import write_all

if TYPE_CHECKING:
    from pathlib import Path

Event = dict[str, Any]
_MOST_WAITING = 10_000


class EventLog:
    """Writes events to the file and to stdout; neither can stop the training.

    What a full disk refuses is kept and written as soon as there is space. A reader of
    stdout that hangs or has died holds up a thread of its own, nothing else.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._fd: int | None = None
        self._good = 0
        self._waiting: list[bytes] = []
        self._lock = threading.Lock()
        self._lines: queue.Queue[bytes | None] = queue.Queue(_MOST_WAITING)
        self._printer = threading.Thread(target=self._print, daemon=True)
        self._printer.start()

    def emit(self, event: str, **facts: Any) -> None:
        """Write one event."""
        self.tell(event, **facts)
        with self._lock:
            self._waiting.append(_line(event, facts))
            del self._waiting[:-_MOST_WAITING]
            self._flush()

    def tell(self, event: str, **facts: Any) -> None:
        """Print one event without keeping it."""
        try:
            self._lines.put_nowait(_line(event, facts))
        except queue.Full:
            return  # nobody has read for long; the file has it all

    def close(self) -> None:
        """Write and print the rest; a reader that hangs is not waited for."""
        with self._lock:
            self._flush()
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None
        try:
            self._lines.put_nowait(None)
        except queue.Full:
            return
        self._printer.join(2)

    def _flush(self) -> None:
        """Write what waits; half a line would hide the ones after it."""
        if self.path is None:
            return
        try:
            if self._fd is None:
                self._open(self.path)
            if self._fd is not None:
                block = b"".join(self._waiting)
                write_all(self._fd, block)
                self._good += len(block)
                self._waiting.clear()
        except OSError:
            if self._fd is not None:
                os.ftruncate(self._fd, self._good)

    def _open(self, path: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        self._fd = os.open(path, flags, 0o666)
        self._good = os.fstat(self._fd).st_size
        if self._good:  # a process that was killed may have left half a line
            os.lseek(self._fd, self._good - 1, os.SEEK_SET)
            if os.read(self._fd, 1) != b"\n":
                self._waiting.insert(0, b"\n")

    def _print(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                write_all(sys.stdout.fileno(), line)
            except (OSError, ValueError):
                return  # nobody reads any more


def _line(event: str, facts: dict[str, Any]) -> bytes:
    head = {"t": round(time.time(), 3), "event": event}
    return json.dumps(head | facts, default=plain).encode() + b"\n"


def plain(value: Any) -> Any:
    """Turn NumPy's and torch's numbers and arrays, and paths, into JSON."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def parse(line: bytes | str) -> Event | None:
    """Read one line; None for half a line, or for what is no event."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None


def read_events(path: Path, offset: int = 0) -> tuple[list[Event], int]:
    """Read the whole lines from `offset` on, and tell where the next one begins."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read()
    except FileNotFoundError:
        return [], offset
    whole = data.rfind(b"\n") + 1
    events = (parse(line) for line in data[:whole].splitlines())
    return [event for event in events if event is not None], offset + whole
