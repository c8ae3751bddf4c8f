"""How a run stands, told by its events one after the other."""

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


class Story:
    """What the events of a run add up to.

    Attributes
    ----------
    events
        All of them in order, except heartbeats.
    before, newest
        Metrics before the first step, and the newest ones.
    """

    def __init__(self, steps: int) -> None:
        self.state: State = "queued"
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
        self._curves: dict[str, dict[int, float]] = {}

    def take(self, event: Event) -> None:
        """Go on with the next event."""
        if event["event"] == "beat":
            return
        self.events.append(event)
        self.updated = float(event.get("t", self.updated))
        tell = getattr(self, f"_{event['event']}", None)
        if tell is not None:
            tell(event)

    def curve(self, key: str) -> tuple[list[int], list[float]]:
        """Steps and values of one logged number."""
        points = self._curves.get(key, {})
        return list(points), list(points.values())

    @property
    def keys(self) -> list[str]:
        """Which numbers were logged."""
        return list(self._curves)

    def status(self) -> Status:
        """Sum it up."""
        left = self.steps - self.step
        eta = None if self.seconds is None or self.state != "running" else left * (
            self.seconds
        )  # fmt: skip
        return Status(
            self.state, self.step, self.steps, self.sentence, eta, self.updated
        )

    def _started(self, event: Event) -> None:
        self.state = "running"
        self.sentence = ""
        self._rewind(int(event.get("step", 0)))

    def _rewind(self, step: int) -> None:
        """Forget what will be repeated."""
        self.step = self.checkpoint = step
        for key, points in self._curves.items():
            self._curves[key] = {s: v for s, v in points.items() if s <= step}

    def _step(self, event: Event) -> None:
        self.step = int(event.get("step", self.step))
        seconds = event.get("seconds")
        if isinstance(seconds, int | float):
            self.seconds = 0.9 * (self.seconds or seconds) + 0.1 * seconds
        for key, value in event.items():
            if key not in ("t", "step") and isinstance(value, int | float):
                self._curves.setdefault(key, {})[self.step] = float(value)

    def _metrics(self, event: Event) -> None:
        metrics = event.get("metrics")
        if isinstance(metrics, dict):
            if event.get("when") == "before":
                self.before = metrics
            self.newest = metrics

    def _picture(self, event: Event) -> None:
        self.pictures.append(str(event.get("path", "")))

    def _checkpoint(self, event: Event) -> None:
        self.checkpoint = int(event.get("step", self.checkpoint))

    def _paused(self, event: Event) -> None:
        self.state = "paused"

    def _resumed(self, event: Event) -> None:
        self.state = "running"

    def _note(self, event: Event) -> None:
        self.sentence = str(event.get("sentence", ""))

    def _oom(self, event: Event) -> None:
        self.state = "starting"
        self._note(event)

    def _nan(self, event: Event) -> None:
        self._note(event)
        self._rewind(int(event.get("back_to", 0)))

    def _refused(self, event: Event) -> None:
        self.state = "failed"
        self._note(event)

    def _ended(self, event: Event) -> None:
        self.state = ENDINGS.get(str(event.get("reason")), "failed")
        self._note(event)
        facts = event.get("facts")
        self.facts = facts if isinstance(facts, dict) else {}
