"""Short ways to make and work on tiny runs, in this process or in one of their own."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from napari_sesami.train import RunConfig
from napari_sesami.train.engine.engine import Again, Engine
from napari_sesami.train.run.events import read_events
from napari_sesami.train.run.folder import RunFolder
from napari_sesami.train.run.orders import Control
from napari_sesami.train.run.report import Report
from tests.fakes import tiny_recipe  # noqa: F401  a recipe of our own is imported first

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sesami.train.run.state import Ending

STEPS = 12
os.environ["OMP_NUM_THREADS"] = "1"  # for workers; sums depend on the number of threads


def config(more: str = "", tiny: str = "", recipe: str = "Tiny") -> RunConfig:
    """A run of 12 steps: 10 examples, batches of 4, so epochs end inside batches."""
    return RunConfig.from_toml(
        f'[run]\nrecipe = "tests.fakes.tiny_recipe:{recipe}"\n'
        f"steps = {STEPS}\nrate = 0.05\n"
        f'device = "cpu"\n{more}\n[tiny]\n{tiny}\n'
    )


class StopAt(Report):
    """A report that gives an order when a step is done."""

    def __init__(
        self, folder: RunFolder, orders: dict[int, Callable[[], None]]
    ) -> None:
        super().__init__(folder, first=True)
        self.orders = orders

    def step(self, step: int, seconds: float) -> None:
        super().step(step, seconds)
        self.orders.pop(step, lambda: None)()


def work(folder: RunFolder, **orders: str) -> Ending:
    """Train here, with orders such as ``at7="stop"``, and start again when asked."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _work(folder, orders)
    finally:
        torch.set_num_threads(threads)


def _work(folder: RunFolder, orders: dict[str, str]) -> Ending:
    control = Control()
    calls = {
        int(at[2:]): lambda order=order: control.order(order)
        for at, order in orders.items()
    }
    while True:
        report = StopAt(folder, calls)
        try:
            return Engine(folder, report, control).run()
        except Again:
            continue
        finally:
            report.close()


def begin(
    path: Path, more: str = "", tiny: str = "", recipe: str = "Tiny"
) -> RunFolder:
    return RunFolder.create(path, config(more, tiny, recipe))


def events(folder: RunFolder, kind: str) -> list[dict[str, Any]]:
    found, _ = read_events(folder.events)
    return [event for event in found if event["event"] == kind]


def losses(folder: RunFolder) -> dict[int, float]:
    """Loss by step; what was repeated counts as it was the last time."""
    return {event["step"]: event["loss"] for event in events(folder, "step")}


def result(folder: RunFolder | Path) -> dict[str, Any]:
    """The weights that a run ended with."""
    path = folder if isinstance(folder, Path) else folder.path
    return json.loads((path / "adapter" / "adapter.json").read_text())


def until(true: Callable[[], Any], seconds: float = 120) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError("it did not happen")
        time.sleep(0.02)
