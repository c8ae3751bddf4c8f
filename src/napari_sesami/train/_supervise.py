"""Runs seen from outside: started, watched, stopped; no Qt, no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from psygnal import Signal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_sesami.train._config import RunConfig

State = Literal[
    "queued", "starting", "running", "paused",
    "finished", "cancelled", "failed", "crashed",
]  # fmt: skip
OVER = ("finished", "cancelled", "failed", "crashed")


@dataclass(frozen=True)
class Status:
    """How a run stands; `sentence` is for people."""

    state: State
    step: int = 0
    steps: int = 0
    sentence: str = ""
    eta_seconds: float | None = None
    updated: float = 0.0


@dataclass(frozen=True)
class Estimate:
    """What a few trial steps cost."""

    seconds_per_step: float
    memory_bytes: int
    micro_batch: int
    sentence: str


class Run:
    """One training in its folder; `changed` is emitted from a background thread."""

    changed = Signal(object)  # Status

    def __init__(self, folder: Path) -> None:
        raise NotImplementedError

    folder: Path
    config: RunConfig
    name: str
    events: list[dict[str, Any]]

    @property
    def status(self) -> Status: ...
    @property
    def alive(self) -> bool: ...
    @property
    def responding(self) -> bool: ...
    @property
    def before(self) -> dict[str, Any]: ...
    @property
    def metrics(self) -> dict[str, Any]: ...
    @property
    def facts(self) -> dict[str, Any]: ...
    @property
    def pictures(self) -> list[Path]: ...
    def curve(self, key: str = "loss") -> tuple[list[int], list[float]]: ...
    def pause(self) -> None: ...
    def go_on(self) -> None: ...
    def stop(self) -> None: ...
    def cancel(self) -> None: ...
    def checkpoint_now(self) -> None: ...
    def evaluate_now(self) -> None: ...
    def resume(self) -> None: ...
    def wait(self, timeout: float | None = None) -> Status: ...
    def log_tail(self, n: int = 40) -> list[str]: ...
    def dry_step(self) -> Estimate: ...


class Runs:
    """The runs of a folder; those of one device go one after the other."""

    changed = Signal(object)  # Run

    def __init__(self, root: Path) -> None: ...
    def list(self) -> list[Run]: ...
    def start(
        self, config: RunConfig, data: Callable[[Path], Any] | None = None
    ) -> Run: ...
    def forget(self, run: Run) -> None: ...


def start_run(
    config: RunConfig,
    folder: Path,
    *,
    data: Callable[[Path], Any] | None = None,
    wait_for: Run | None = None,
) -> Run: ...


def estimate(
    config: RunConfig, data: Callable[[Path], Any] | None = None
) -> Estimate: ...
