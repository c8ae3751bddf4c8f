"""How a run is followed from outside: by its lines, or by the files in its folder."""

from __future__ import annotations

import logging
import signal
import threading
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from psygnal import EmitLoopError, Signal

from napari_sesami.common import process as _process
from napari_sesami.train.run.events import parse, read_events
from napari_sesami.train.run.folder import RunFolder
from napari_sesami.train.run.launch import launch
from napari_sesami.train.run.state import OVER, State, Status, Story

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from psygnal import SignalInstance

    from napari_sesami.train.run.events import Event

_log = logging.getLogger(__name__)
_POLL = 0.25
_SILENCE = 30.0
"""Seconds without a heartbeat after which a run counts as not answering."""


class Watch:
    """Starts and follows the processes of one run.

    A worker of ours is heard by its lines; one that somebody else has started, or
    that has outlived us, by the files that it writes. `changed` is emitted from the
    thread that follows.
    """

    changed = Signal(object)  # Status
    _final: State | None = None

    def __init__(self, folder: Path) -> None:
        self._home = RunFolder.open(folder)
        self.folder, self.config = self._home.path, self._home.config
        self.name = self.config.name or self.folder.name
        self.patience = (30.0, 10.0)
        self._story = Story(self.config.steps)
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = threading.Event()
        self._lock = threading.RLock()
        self._heard = time.monotonic()
        self._forced = False
        self._starter: Callable[[Any], None] = Watch._launch
        self._when_over: list[Callable[[Any], None]] = []
        self._read()

    @property
    def status(self) -> Status:
        """How it stands now."""
        with self._lock:
            status = self._story.status()
        if not self.responding:
            silent = time.monotonic() - self._heard
            return replace(status, sentence=f"No sign of life for {silent:.0f} s.")
        return status

    @property
    def alive(self) -> bool:
        """Whether a process works on it."""
        process = self._process
        if process is not None and process.poll() is None:
            return True
        return self._home.owner() is not None

    @property
    def responding(self) -> bool:
        """Whether its heart beats, as far as it should."""
        if self._story.state not in ("starting", "running", "paused"):
            return True
        return time.monotonic() - self._heard < _SILENCE

    def wait(self, timeout: float | None = None) -> Status:
        """Wait until it is over, or for so many seconds; tell how it stands."""
        self._ended.wait(timeout)
        return self.status

    def _tell(self, command: str) -> None:
        process = self._process
        if process is not None and process.stdin is not None:
            with suppress(OSError, ValueError):  # it has ended meanwhile
                process.stdin.write(f"{command}\n".encode())
                process.stdin.flush()
        elif self.alive:
            self._home.order(command)

    def _insist(self) -> None:
        """Climb the ladder of a stop."""
        asked, forced = self.patience
        if self._ended.wait(asked):
            return
        process = self._process
        top = self._home.owner() if process is None else _process.who(process.pid)
        if top is None:
            return
        self._forced = True
        _process.end_tree(top, hard=False)
        if not self._ended.wait(forced):
            _process.end_tree(top, hard=True)

    def _launch(self) -> None:
        """Start a worker and listen to it."""
        try:
            with self._lock:
                self._begin("starting")
                self._process = launch(self._home)
        except OSError as error:
            self._settle("failed", f"The run could not be started ({error}).")
            return
        listener = threading.Thread(
            target=self._listen, args=(self._process,), daemon=True
        )
        listener.start()
        self._emit()

    def _queue(self) -> None:
        """Wait for a place."""
        with self._lock:
            self._begin("queued")
        self._emit()

    def _begin(self, state: State) -> None:
        self._ended.clear()
        self._forced = False
        self._story.state, self._story.sentence = state, ""
        self._heard = time.monotonic()
        self._note(state)

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        """Read a worker's lines until it ends."""
        assert process.stdin is not None and process.stdout is not None
        for line in process.stdout:
            event = parse(line)
            if event is not None:
                self._hear(event)
        code = process.wait()
        process.stdout.close()
        with suppress(OSError):
            process.stdin.close()
        self._process = None
        self._close_story(_why(code))

    def _read(self) -> None:
        """Learn what the folder tells, and follow a worker that is at work."""
        events, offset = read_events(self._home.events)
        for event in events:
            self._story.take(event)
        if self._at_work():
            if self._story.state in OVER:
                self._story.state = "starting"
            args = (offset,)
            threading.Thread(target=self._follow, args=args, daemon=True).start()
            return
        state = self._home.status().get("state")
        if state is not None and self._story.state not in OVER:
            self._close_story(
                "It waited in the queue when the program ended" if state == "queued"
                else "The run was cut off"
            )  # fmt: skip
        elif self._story.state in OVER:
            self._ended.set()

    def _at_work(self) -> bool:
        """Whether a worker is at it, or a living program is about to start one."""
        if self._home.owner() is not None:
            return True
        status = self._home.status()
        if status.get("state") not in ("queued", "starting"):
            return False
        return _process.lives(status.get("by") or {})

    @property
    def _withdrawn(self) -> bool:
        """Whether it was deleted or cancelled by somebody else while it waited."""
        gone = not self._home.exists()
        return gone or self._home.status().get("state") == "cancelled"

    def _follow(self, offset: int) -> None:
        """Watch the folder of a worker that somebody else has started."""
        beats: Any = None
        lives = True
        while lives:
            lives = self._at_work()  # before reading: then all is there
            events, offset = read_events(self._home.events, offset)
            for event in events:
                self._hear(event)
            status = self._home.status()
            if status.get("beats") != beats or status.get("state") == "queued":
                beats, self._heard = status.get("beats"), time.monotonic()
            if lives:
                time.sleep(_POLL)
        if self._process is None:  # else it was resumed here meanwhile
            self._close_story("The run was cut off")

    def _hear(self, event: Event) -> None:
        self._heard = time.monotonic()
        if event["event"] == "beat":
            return
        with self._lock:
            before = self._story.state
            self._story.take(event)
            if self._story.state in OVER and before not in OVER:
                # the process itself ends in a moment; only then it is over
                self._final, self._story.state = self._story.state, before
        self._emit()

    def _close_story(self, why: str) -> None:
        """Settle how it ended, now that no process works on it."""
        with self._lock:
            story, final, self._final = self._story, self._final, None
        if final is not None or story.state in OVER:
            self._settle(final or story.state, story.sentence)
            return
        said = self._home.status()
        if said.get("state") in OVER:  # by who started it, who knows more
            self._settle(said["state"], str(said.get("sentence", "")))
            return
        if self._forced:
            why = "The run did not answer and was ended by force"
        words = f"{why}; it can be resumed from step {story.checkpoint}."
        self._settle("cancelled" if self._forced else "crashed", words)

    def _settle(self, state: State, sentence: str) -> None:
        """Make it over, and tell all who wait for that."""
        with self._lock:
            self._story.state, self._story.sentence = state, sentence
            self._story.updated = time.time()
            self._note(state)
        self._ended.set()
        self._emit()
        for call in tuple(self._when_over):
            call(self)

    def _note(self, state: State) -> None:
        """Leave the state in the folder, for whoever looks at it later."""
        with suppress(OSError):  # a full disk, or a folder that was deleted
            news = {
                "state": state,
                "sentence": self._story.sentence,
                "updated": time.time(),
                "by": _process.me(),
            }
            self._home.write_status(self._home.status() | news)

    def _emit(self) -> None:
        tell(self.changed, self.status, self.name)


def tell(signal: SignalInstance, news: object, name: str) -> None:
    """Emit; a listener that fails must not end the thread that follows a run."""
    try:
        signal.emit(news)
    except EmitLoopError:
        _log.exception("A listener of the run %s failed", name)


def _why(code: int) -> str:
    """Say what an exit code means."""
    if code == -signal.Signals.SIGTERM:
        return "The run was ended from outside"
    if hasattr(signal, "SIGKILL") and code == -signal.Signals.SIGKILL:
        return (
            "The run was killed from outside, maybe because the machine ran out of "
            "memory"
        )
    if code < 0:
        name = signal.Signals(-code).name
        return f"The process of the run crashed ({name}), and its log may say why"
    return f"The process of the run ended without a word (exit code {code})"
