"""RunMonitor: starts the worker of a run, follows its files, and ends it if it must."""

from __future__ import annotations

import shutil
import signal
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from napari_sesami.common.process import end_tree, lives, me, who
from napari_sesami.train.errors import TrainError
from napari_sesami.train.run.events import read_events
from napari_sesami.train.run.launch import REFUSED, launch
from napari_sesami.train.run.state import OVER

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from napari_sesami.train.run.folder import RunFolder
    from napari_sesami.train.run.state import RunState, State

_POLL = 0.25
_SILENCE = 30.0
"""Seconds without a heartbeat after which a run counts as not answering."""
_LITTLE = 1 << 20
"""Bytes; with less free space a silent worker is one that cannot write."""


class RunMonitor:
    """Follows the files of one run, whoever has started its worker.

    One thread reads from the start of a worker to its end: new lines of events.jsonl
    go into the state, status.json shows whether the heart beats.

    Parameters
    ----------
    home
        The run folder.
    state
        What the events are reduced to.
    changed
        Called when there is news, mostly from the thread that follows.

    Attributes
    ----------
    process
        The worker, or its torchrun, if it was started here and has not ended.
    patience
        Seconds given to a run that is to stop: until it is asked by the system, and
        until it is ended by force.
    lock
        Held while the state changes.
    over
        Set while no process works on the run and none is to.
    when_over
        Called when the run is over.
    """

    def __init__(
        self, home: RunFolder, state: RunState, changed: Callable[[], None]
    ) -> None:
        self.home, self.state, self._changed = home, state, changed
        self.process: subprocess.Popen[bytes] | None = None
        self.patience = (30.0, 10.0)
        self.lock = threading.RLock()
        self.over = threading.Event()
        self.when_over: list[Callable[[], None]] = []
        self._thread: threading.Thread | None = None
        self._offset = 0
        self._heard = time.monotonic()
        self._beats: Any = None
        self._stop_asked: float | None = None
        self._forced = False

    @property
    def alive(self) -> bool:
        """Whether a process works on it."""
        process = self.process
        if process is not None and process.poll() is None:
            return True
        return self.home.owner() is not None

    @property
    def silence(self) -> str:
        """A sentence if a worker that should give signs of life gives none."""
        silent = time.monotonic() - self._heard
        if self.state.state not in ("starting", "running", "paused"):
            return ""
        if silent < _SILENCE:
            return ""
        with suppress(OSError):
            if shutil.disk_usage(self.home.path).free < _LITTLE:
                return (
                    f"The disk with {self.home.path} is full; free some space, and the "
                    "run tells again how it stands."
                )
        return f"No sign of life for {silent:.0f} s."

    # ------------------------------------------------------------------ start and stop
    def launch(self) -> None:
        """Start a worker, and follow it."""
        with self.lock:
            self._begin("starting")
            try:
                self.home.forget_orders()
                self.process = launch(self.home)
            except OSError as error:
                why = f"The run could not be started ({error})."
            else:
                why = ""
                self._start_thread()
        if why:
            self.settle("failed", why)
        else:
            self._changed()

    def queue(self) -> None:
        """Wait for a place."""
        with self.lock:
            self._begin("queued")
        self._changed()

    def _begin(self, state: State) -> None:
        self.over.clear()
        self.state.begin(state)
        self._heard = time.monotonic()
        self._note()

    def order(self, command: str) -> None:
        """Leave an order for the worker, if there is one."""
        if not self.alive:
            return
        try:
            self.home.order(command)
        except OSError as error:
            raise TrainError(
                f"The order “{command}” could not be written to {self.home.path} "
                f"({error.strerror or error}); free some space, and try again."
            ) from error

    def stop(self) -> None:
        """Ask the worker to stop; terminate and then kill it if it does not."""
        now = time.monotonic()
        try:
            self.order("stop")
        except TrainError:  # then the system asks it, at once
            now -= self.patience[0]
        self.watch()
        self._stop_asked = self._stop_asked or now

    def _insist(self) -> None:
        """Terminate, and later kill, a worker that does not obey an order to stop."""
        if self._stop_asked is None:
            return
        waited = time.monotonic() - self._stop_asked
        asked, forced = self.patience
        hard = waited >= asked + forced
        if waited < asked or (self._forced and not hard):
            return
        process = self.process
        top = self.home.owner() if process is None else who(process.pid)
        if top is not None:
            self._forced = True
            end_tree(top, hard=hard)

    # --------------------------------------------------------------------------- follow
    def watch(self) -> None:
        """Read what the folder tells, and follow it while somebody works on it."""
        with self.lock:
            if self._thread is not None:
                return
            self._read()
            if self._at_work():
                if self.state.state in OVER or self.state.ending:
                    self.state.begin("starting")
                self.over.clear()
                self._start_thread()
                return
            state = self.state
            said = self.home.status().get("state")
            if state.ending is not None:
                state.state, state.ending = state.ending, None
            if state.state in OVER:
                self.over.set()
            elif said is not None:
                self._settle(
                    "It waited in the queue when the program ended"
                    if said == "queued" else "The run was cut off"
                )  # fmt: skip

    def _start_thread(self) -> None:
        if self._thread is None:
            self._stop_asked, self._forced = None, False
            self._thread = threading.Thread(target=self._follow, daemon=True)
            self._thread.start()

    def _follow(self) -> None:
        """Follow the folder until no process works on it."""
        while True:
            process = self.process
            working = self._at_work()  # before reading: then all is there
            if self._read():
                self._changed()
            if working:
                self._insist()
                time.sleep(_POLL)
                continue
            with self.lock:
                if self.process is not process:
                    continue  # it was started here meanwhile
                self._thread = self.process = None
                if self.over.is_set():
                    return  # it was taken out of the queue
                code = None if process is None else process.wait()
                if code == REFUSED and self.state.ending is None:
                    self._make_over("failed", "".join(self.home.log_tail(1)))
                else:
                    self._settle("The run was cut off" if code is None else _why(code))
            if process is not None and process.stdin is not None:
                with suppress(OSError):
                    process.stdin.close()
            self._tell_end()
            return

    def _read(self) -> bool:
        """Take the new events and the heartbeat; tell whether there were events."""
        events, self._offset = read_events(self.home.events, self._offset)
        with self.lock:
            for event in events:
                with suppress(TypeError, ValueError):  # written by somebody else
                    self.state.take(event)
        status = self.home.status()
        beats = status.get("beats")
        if events or beats != self._beats or status.get("state") == "queued":
            self._beats, self._heard = beats, time.monotonic()
        return bool(events)

    def _at_work(self) -> bool:
        """Whether a worker is at it, or a living program is about to start one."""
        if self.alive:
            return True
        if self.process is not None:
            return False  # it was started here, and has ended
        status = self.home.status()
        if status.get("state") not in ("queued", "starting"):
            return False
        return lives(status.get("by") or {})

    # -------------------------------------------------------------------------- the end
    def settle(self, state: State, sentence: str) -> None:
        """Make it over, and tell all who wait for that."""
        with self.lock:
            self._make_over(state, sentence)
        self._tell_end()

    def _settle(self, why: str) -> None:
        """Find out how it ended, now that no process works on it."""
        state, said = self.state, self.home.status()
        if state.ending is not None:
            self._make_over(state.ending, state.sentence)
        elif said.get("state") in OVER:  # by who started it, who knows more
            self._make_over(said["state"], str(said.get("sentence", "")))
        else:
            if self._forced:
                why = "The run did not answer and was ended by force"
            words = f"{why}; it can be resumed from step {state.checkpoint}."
            self._make_over("cancelled" if self._forced else "crashed", words)

    def _make_over(self, state: State, sentence: str) -> None:
        self.state.begin(state)
        self.state.sentence, self.state.updated = sentence, time.time()
        self._note()
        self.over.set()

    def _tell_end(self) -> None:
        self._changed()
        for call in tuple(self.when_over):
            call()

    def _note(self) -> None:
        """Leave the state in the folder, for whoever looks while no worker does."""
        news = {
            "state": self.state.state,
            "sentence": self.state.sentence,
            "updated": time.time(),
            "by": me(),
        }
        with suppress(OSError):  # a full disk, or a folder that was deleted
            self.home.write_status(self.home.status() | news)


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
