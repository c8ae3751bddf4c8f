"""Run: one training, as scripts, docks and the command line see it."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psygnal import EmitLoopError, Signal

from napari_sesami.common.inside import OutsideError, inside
from napari_sesami.train.errors import TrainError
from napari_sesami.train.foreign import check_agreed
from napari_sesami.train.run.folder import RunFolder
from napari_sesami.train.run.launch import launch
from napari_sesami.train.run.monitor import RunMonitor
from napari_sesami.train.run.state import RunState, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sesami.train.run.events import Event

_log = logging.getLogger(__name__)


class Run:
    """One training: its folder, its state, and a monitor that follows the folder.

    Parameters
    ----------
    folder
        A run folder.

    Attributes
    ----------
    folder, config, name
        Where it is, what it does, what to call it.
    status
        State, step, a sentence for people, and the time that is left.
    monitor
        Starts and follows its worker.
    starter
        What `resume` calls; a queue puts itself here.
    """

    changed = Signal(object)
    """its Status; emitted from a background thread"""

    def __init__(self, folder: Path | RunFolder) -> None:
        home = folder if isinstance(folder, RunFolder) else RunFolder.open(folder)
        self.folder, self.config = home.path, home.config
        self.name = self.config.name or self.folder.name
        self._home, self._state = home, RunState(self.config.steps)
        self.monitor = RunMonitor(home, self._state, self._on_news)
        self.starter: Callable[[], None] = self.monitor.launch
        self.monitor.watch()

    def __repr__(self) -> str:
        status = self.status
        return f"<Run {self.name}: {status.state}, step {status.step}/{status.steps}>"

    def _on_news(self) -> None:
        try:
            self.changed.emit(self.status)
        except EmitLoopError:  # must not end the thread that follows
            _log.exception("A listener of the run %s failed", self.name)

    # ------------------------------------------------------------------- how it stands
    @property
    def status(self) -> Status:
        """How it stands now."""
        with self.monitor.lock:
            status = self._state.status()
        silence = self.monitor.silence
        return replace(status, sentence=silence) if silence else status

    @property
    def alive(self) -> bool:
        """Whether a process works on it."""
        return self.monitor.alive

    @property
    def responding(self) -> bool:
        """Whether its heart beats, as far as it should."""
        return not self.monitor.silence

    @property
    def events(self) -> list[Event]:
        """All that happened, except heartbeats."""
        with self.monitor.lock:
            return list(self._state.events)

    @property
    def before(self) -> dict[str, Any]:
        """Metrics before the first step."""
        return dict(self._state.before)

    @property
    def metrics(self) -> dict[str, Any]:
        """The newest metrics; after the end, those of the result."""
        return dict(self._state.newest)

    @property
    def facts(self) -> dict[str, Any]:
        """What the recipe says of its result, when it is finished."""
        return dict(self._state.facts)

    @property
    def pictures(self) -> list[Path]:
        """Pictures of what it predicts, the oldest first."""
        with self.monitor.lock:
            told = list(self._state.pictures)
        found = []
        for path in told:
            with suppress(OutsideError):
                found.append(inside(self.folder, *Path(path).parts))
        return found

    @property
    def logged(self) -> list[str]:
        """Keys that `curve` knows."""
        with self.monitor.lock:
            return list(self._state.curves)

    def curve(self, key: str = "loss") -> tuple[list[int], list[float]]:
        """Steps and values of one logged number."""
        with self.monitor.lock:
            points = self._state.curves.get(key, {})
            return list(points), list(points.values())

    def log_tail(self, n: int = 40) -> list[str]:
        """Last lines of what the worker printed."""
        return self._home.log_tail(n)

    def wait(self, timeout: float | None = None) -> Status:
        """Wait until it is over, or for so many seconds; tell how it stands."""
        self.monitor.over.wait(timeout)
        return self.status

    # ------------------------------------------------------------------------- orders
    def pause(self) -> None:
        """Let it wait after a checkpoint, until `go_on`."""
        self.monitor.order("pause")

    def go_on(self) -> None:
        """Let a paused run continue."""
        self.monitor.order("resume")

    def checkpoint_now(self) -> None:
        """Let it write a checkpoint."""
        self.monitor.order("checkpoint")

    def stop(self) -> None:
        """End it after a checkpoint; a run that does not answer is ended by force.

        It returns at once; `wait` waits for the end.
        """
        if self.alive:
            self.monitor.stop()
        elif self._state.state == "queued":
            self.monitor.settle("cancelled", "It was taken out of the queue.")

    cancel = stop

    def resume(self, *, trust: bool = False) -> None:
        """Go on with a run that was stopped, failed or crashed, where it stood.

        Raises
        ------
        ForeignRecipe
            It needs code of somebody else; `trust` agrees to run that.
        """
        if self.alive:
            raise TrainError(
                f"{self.name} is still running; there is nothing to resume."
            )
        if self._state.state == "finished":
            raise TrainError(f"{self.name} is finished; start a new run to train more.")
        check_agreed(self.config, trust=trust)
        self.starter()

    def detach(self, *, trust: bool = False) -> None:
        """Start a worker that outlives us; `trust` as in `resume`."""
        check_agreed(self.config, trust=trust)
        launch(self._home, detach=True).returncode = 0  # it is not ours to wait for
