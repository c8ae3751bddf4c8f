"""Run: one training, as scripts, docks and the command line see it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from napari_sesami.train.errors import TrainError
from napari_sesami.train.run.monitor import Watch

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sesami.train.run.events import Event
    from napari_sesami.train.run.runs import Estimate


class Run(Watch):
    """One training in its folder; `changed` is emitted from a background thread.

    Attributes
    ----------
    folder, config, name
        Where it is, what it does, what to call it.
    status
        State, step, a sentence for people, and the time that is left.
    patience
        Seconds given to a run that is to stop: until it is asked by the system, and
        until it is ended by force.
    """

    def __repr__(self) -> str:
        status = self.status
        return f"<Run {self.name}: {status.state}, step {status.step}/{status.steps}>"

    # ------------------------------------------------------------------- how it stands
    @property
    def events(self) -> list[Event]:
        """All that happened, except heartbeats."""
        with self._lock:
            return list(self._story.events)

    @property
    def before(self) -> dict[str, Any]:
        """Metrics before the first step."""
        return dict(self._story.before)

    @property
    def metrics(self) -> dict[str, Any]:
        """The newest metrics; after the end, those of the result."""
        return dict(self._story.newest)

    @property
    def facts(self) -> dict[str, Any]:
        """What the recipe says of its result, when it is finished."""
        return dict(self._story.facts)

    @property
    def pictures(self) -> list[Path]:
        """Pictures of what it predicts, the oldest first."""
        with self._lock:
            return [self.folder / path for path in self._story.pictures]

    @property
    def logged(self) -> list[str]:
        """Keys that `curve` knows."""
        with self._lock:
            return self._story.keys

    def curve(self, key: str = "loss") -> tuple[list[int], list[float]]:
        """Steps and values of one logged number."""
        with self._lock:
            return self._story.curve(key)

    def log_tail(self, n: int = 40) -> list[str]:
        """Last lines of what the worker complained about."""
        try:
            with self._home.log.open("rb") as file:
                file.seek(max(0, self._home.log.stat().st_size - 400 * n))
                return file.read().decode(errors="replace").splitlines()[-n:]
        except OSError:
            return []

    # ------------------------------------------------------------------------- orders
    def pause(self) -> None:
        """Let it wait after a checkpoint, until `go_on`."""
        self._tell("pause")

    def go_on(self) -> None:
        """Let a paused run continue."""
        self._tell("resume")

    def checkpoint_now(self) -> None:
        """Let it write a checkpoint."""
        self._tell("checkpoint")

    def evaluate_now(self) -> None:
        """Let it measure."""
        self._tell("evaluate")

    def stop(self) -> None:
        """End it after a checkpoint; a run that does not answer is ended by force.

        It returns at once; `wait` waits for the end.
        """
        if self._story.state == "queued" and not self.alive:
            self._settle("cancelled", "It was taken out of the queue.")
            return
        if self.alive:
            self._tell("stop")
            threading.Thread(target=self._insist, daemon=True).start()

    def cancel(self) -> None:
        """End it after a checkpoint, as `stop` does."""
        self.stop()

    def resume(self) -> None:
        """Go on with a run that was stopped, failed or crashed, where it stood."""
        if self.alive:
            raise TrainError(
                f"{self.name} is still running; there is nothing to resume."
            )
        if self._story.state == "finished":
            raise TrainError(f"{self.name} is finished; start a new run to train more.")
        self._starter(self)

    def dry_step(self) -> Estimate:
        """Try a few steps and tell what they cost; it takes seconds."""
        from napari_sesami.train.run.runs import dry_step

        return dry_step(self._home)
