"""How a run stands: its state, reduced from its events one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from napari_sesami.train.run.events import Event

State = Literal[
    "queued", "starting", "running", "paused",
    "finished", "cancelled", "failed", "crashed",
]  # fmt: skip
OVER = ("finished", "cancelled", "failed", "crashed")
ENDINGS: dict[str, State] = {
    "finished": "finished",
    "cancelled": "cancelled",
    "orphan": "cancelled",
}
"""Reason of the last event → state; every other reason is a failure."""


@dataclass(frozen=True)
class Ending:
    """How a worker ended: the reason for programs, the sentence for people."""

    reason: str
    sentence: str


@dataclass(frozen=True)
class Status:
    """How a run stands; `sentence` is for people, `updated` is the time of the news."""

    state: State
    step: int = 0
    steps: int = 0
    sentence: str = ""
    eta_seconds: float | None = None
    updated: float = 0.0

    @property
    def over(self) -> bool:
        """Whether nothing more will come unless it is resumed."""
        return self.state in OVER


class RunState:
    """State of a run, reduced from its events.

    Attributes
    ----------
    state
        Where it stands. It is over only when its process has ended, which `RunMonitor`
        finds out.
    ending
        The state that the worker said it ends with; None before it did.
    checkpoint
        The step that a resumed run would go on from.
    events
        All of them in order, except heartbeats.
    before, newest
        Metrics before the first step, and the newest ones.
    curves
        Logged numbers: key → step → value.
    """

    def __init__(self, steps: int) -> None:
        self.state: State = "queued"
        self.ending: State | None = None
        self.step, self.steps = 0, steps
        self.sentence = ""
        self.updated = 0.0
        self.checkpoint = 0
        self.seconds: float | None = None  # per step
        self.events: list[Event] = []
        self.before: dict[str, Any] = {}
        self.newest: dict[str, Any] = {}
        self.facts: dict[str, Any] = {}
        self.pictures: list[str] = []
        self.curves: dict[str, dict[int, float]] = {}

    def take(self, event: Event) -> None:
        """Go on with the next event."""
        kind = event["event"]
        if kind == "beat":  # of older versions
            return
        self.events.append(event)
        self.updated = float(event.get("t", self.updated))
        if kind in ("note", "oom", "nan", "refused", "ended"):
            self.sentence = str(event.get("sentence", ""))
        match kind:
            case "started":
                self.begin("running")
                self._rewind(int(event.get("step", 0)))
            case "step":
                self._log(event)
            case "metrics" if isinstance(event.get("metrics"), dict):
                self.newest = event["metrics"]
                if event.get("when") == "before":
                    self.before = self.newest
            case "picture":
                self.pictures.append(str(event.get("path", "")))
            case "checkpoint":
                self.checkpoint = int(event.get("step", self.checkpoint))
            case "paused":
                self.state = "paused"
            case "resumed":
                self.state = "running"
            case "oom":
                self.state = "starting"
            case "nan":
                self._rewind(int(event.get("back_to", 0)))
            case "refused":
                self.ending = "failed"
            case "ended":
                self.ending = ENDINGS.get(str(event.get("reason")), "failed")
                facts = event.get("facts")
                self.facts = facts if isinstance(facts, dict) else {}

    def begin(self, state: State) -> None:
        """Wait, start or run again, whatever was said before."""
        self.state, self.ending, self.sentence = state, None, ""

    def status(self) -> Status:
        """Sum it up."""
        eta = None
        if self.state == "running" and self.seconds is not None:
            eta = (self.steps - self.step) * self.seconds
        return Status(
            self.state, self.step, self.steps, self.sentence, eta, self.updated
        )

    def _log(self, event: Event) -> None:
        self.step = int(event.get("step", self.step))
        seconds = event.get("seconds")
        if isinstance(seconds, int | float):
            self.seconds = 0.9 * (self.seconds or seconds) + 0.1 * seconds
        for key, value in event.items():
            if key not in ("t", "step") and isinstance(value, int | float):
                self.curves.setdefault(key, {})[self.step] = float(value)

    def _rewind(self, step: int) -> None:
        """Forget what will be repeated."""
        self.step = self.checkpoint = step
        for key, points in self.curves.items():
            self.curves[key] = {s: v for s, v in points.items() if s <= step}
