"""What the engine costs: its steps against a bare torch loop over the same work.

Run with ``pytest tests/benchmarks/bench_engine.py -m benchmark -s``.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

import pytest
import torch
from tests.fakes import bench_recipe
from torch import nn

from napari_sesami.train import RunConfig
from napari_sesami.train.engine.engine import Engine
from napari_sesami.train.run.folder import RunFolder
from napari_sesami.train.run.orders import Control
from napari_sesami.train.run.report import Report

if TYPE_CHECKING:
    from pathlib import Path

STEPS, BATCH = 60, 4


class Bare:
    """The shortest loop that learns the same."""

    def __init__(self, config: RunConfig, folder: Path) -> None:
        self.recipe = bench_recipe.Conv(config, folder)
        self.module = self.recipe.prepare(torch.device("cpu"))
        self.optimiser = self.recipe.optimiser(self.module)

    def step(self, step: int) -> None:
        recipe = self.recipe
        self.optimiser.zero_grad(set_to_none=True)
        rows = [recipe.example(i, recipe.rng(step, i)) for i in range(BATCH)]
        loss = recipe.loss(recipe.collate(rows), torch.Generator())["loss"]
        loss.backward()
        nn.utils.clip_grad_norm_(self.module.parameters(), 1.0)
        self.optimiser.step()
        loss.item()


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


@pytest.mark.benchmark
def test_a_step_of_the_engine_costs_no_more_than_a_bare_one(tmp_path: Path) -> None:
    """Steps of both in turn; processor time counts, others use the machine, too."""
    config = RunConfig(
        "tests.fakes.bench_recipe:Conv", steps=STEPS, batch=BATCH, device="cpu"
    )
    home = RunFolder.create(tmp_path / "r", config)
    report = Report(home, first=True)
    engine, bare = Engine(home, report, Control()), Bare(config, tmp_path)
    batches, wall, cpu = engine.batches(), [], []
    for step in range(STEPS):
        marks = [_now()]
        bare.step(step)
        marks.append(_now())
        engine.advance(batches)  # with orders, events and status
        marks.append(_now())
        (w0, c0), (w1, c1), (w2, c2) = marks
        if step >= 5:
            wall.append((w1 - w0, w2 - w1))
            cpu.append((c1 - c0, c2 - c1))
    report.close()
    for name, pairs in (("wall", wall), ("processor", cpu)):
        mine, theirs = (statistics.median(p[i] for p in pairs) for i in (1, 0))
        print(
            f"{name} time a step: bare {1e3 * theirs:.1f}, engine {1e3 * mine:.1f} ms"
        )
    ratio = statistics.median(b / e for b, e in cpu)
    print(f"throughput of the engine against a bare loop: {ratio:.3f} (bar 0.95)")
    assert ratio >= 0.95
