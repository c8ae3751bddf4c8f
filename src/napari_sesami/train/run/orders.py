"""Orders to a worker: by stdin, by a file in its folder, by signals; and its heartbeat.

A thread listens, so that orders arrive while a step is computed; the engine looks at
them between steps.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

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
            case "checkpoint" | "checkpoint_now":
                self.checkpoint = True
            case "evaluate" | "eval_now":
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
                signal.signal(getattr(signal, name), self._signalled)

    def _signalled(self, *_: Any) -> None:
        self.order("stop")

    def listen(self) -> None:
        """Take commands from stdin; its end means that who started us is gone."""
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        # not sys.stdin: its lock, held here, would trouble the interpreter's end
        rest = b""
        while data := _read(sys.stdin.fileno()):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self.order(line.decode(errors="replace"))
        self.stop = self.stop or "orphan"

    def watch(self, folder: RunFolder, beat: Callable[[], None]) -> None:
        """Take commands from the folder, and beat."""
        offset = _size(folder)
        args = (folder, offset, beat)
        threading.Thread(target=self._watch, args=args, daemon=True).start()

    def _watch(self, folder: RunFolder, offset: int, beat: Callable[[], None]) -> None:
        last = float("-inf")
        while not self._closed.wait(_POLL):
            offset += self._follow(folder, offset)
            if time.monotonic() - last >= BEAT:
                last = time.monotonic()
                beat()

    def _follow(self, folder: RunFolder, offset: int) -> int:
        """Take the commands that are new; tell how long they were."""
        try:
            data = folder.commands.read_bytes()[offset:]
        except OSError:
            return 0  # nobody has left one yet
        whole = data.rfind(b"\n") + 1
        for line in data[:whole].splitlines():
            self.order(line.decode(errors="replace"))
        return whole

    def close(self) -> None:
        """Beat no more."""
        self._closed.set()


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 4096)
    except OSError:
        return b""


def _size(folder: RunFolder) -> int:
    try:
        return folder.commands.stat().st_size
    except OSError:
        return 0
