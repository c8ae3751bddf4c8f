"""Orders to a worker: by a file in its folder, and by signals; and its heartbeat.

A thread looks for them, so that orders arrive while a step is computed; the engine
obeys between steps.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_sesami.train.run.folder import RunFolder

BEAT = 2.0
_POLL = 0.25


class Control:
    """What the user wants from this worker now.

    Attributes
    ----------
    stop
        Why to end: ``"cancelled"``, ``"orphan"``, or ``""`` to go on.
    paused, checkpoint, evaluate
        Whether to wait, to write a checkpoint, to measure.
    """

    def __init__(self) -> None:
        self.stop = ""
        self.paused = self.checkpoint = self.evaluate = False
        self._closed = threading.Event()

    def order(self, command: str) -> None:
        """Take one command."""
        match command.strip():
            case "stop":
                self.stop = self.stop or "cancelled"
            case "pause":
                self.paused = True
            case "resume":
                self.paused = False
            case "checkpoint":
                self.checkpoint = True
            case "evaluate":
                self.evaluate = True

    def stopping(self) -> bool:
        """Whether long work should end soon."""
        return bool(self.stop)

    @property
    def attention(self) -> bool:
        """Whether there is an order that all processes of the run must follow."""
        return bool(self.stop) or self.paused

    def on_signals(self) -> None:
        """Take a friendly signal to end as an order to stop."""
        for name in ("SIGTERM", "SIGINT", "SIGBREAK"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), lambda *_: self.order("stop"))

    def end_with_parent(self) -> None:
        """Stop when stdin ends: then the process that started us is gone."""
        threading.Thread(target=self._wait_for_parent, daemon=True).start()

    def _wait_for_parent(self) -> None:
        # not sys.stdin: its lock, held here, would trouble the interpreter's end
        with suppress(OSError):
            while os.read(sys.stdin.fileno(), 4096):
                pass
        self.stop = self.stop or "orphan"

    def watch(self, folder: RunFolder, beat: Callable[[], None]) -> None:
        """Take orders from the folder, those that wait there first, and beat."""
        args = (folder.commands, beat)
        threading.Thread(target=self._watch, args=args, daemon=True).start()

    def _watch(self, commands: Path, beat: Callable[[], None]) -> None:
        offset, last = 0, float("-inf")
        while True:
            try:
                data = commands.read_bytes()[offset:]
            except OSError:
                data = b""  # nobody has left one yet
            whole = data.rfind(b"\n") + 1
            for line in data[:whole].splitlines():
                self.order(line.decode(errors="replace"))
            offset += whole
            if time.monotonic() - last >= BEAT:
                last = time.monotonic()
                beat()
            if self._closed.wait(_POLL):
                return

    def close(self) -> None:
        """Beat no more."""
        self._closed.set()
