"""Weak families first: how often each is drawn follows from how well it is answered.

The overlap of the answers of every step, given before the step learnt from them, is
summed by family: that costs nothing. Each so many steps the means are noted in a file
of the run, from which the processes that draw examples read; a note counts from a few
steps later, so that what was drawn ahead does not depend on luck.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.distributed as dist

from napari_sesami.common.disk import write_atomic
from napari_sesami.lab.pretrain.shards import GROUPS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

FILE = "curriculum.json"
EVERY = 100
"""Steps between two notes."""
FEWEST = 6
"""Objects of a family without which it keeps its share."""
LIMITS = (0.5, 2.5)
"""How much more rarely or more often than usual a family is drawn at most."""


class Shares:
    """How often each family is drawn at a step, as the file of the run says."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen, self._notes = -1, []  # type: tuple[int, list[dict[str, Any]]]

    def at(self, step: int, families: Sequence[str]) -> NDArray[np.float64]:
        """Factors of the families: above 1 for those that are answered badly."""
        if not self.path.is_file():
            return np.ones(len(families))
        stamp = self.path.stat().st_mtime_ns
        if stamp != self._seen:
            self._notes = json.loads(self.path.read_text())
            self._seen = stamp
        valid = [note for note in self._notes if note["from"] <= step]
        return factors(valid[-1]["overlap"] if valid else {}, families)


def factors(overlap: dict[str, float], families: Sequence[str]) -> NDArray[np.float64]:
    """Share of what is still to be gained, compared with the mean of the families."""
    left = np.array([1.05 - overlap.get(name, np.nan) for name in families])
    if np.isnan(left).all():
        return np.ones(len(families))
    ratio = np.nan_to_num(left / np.nanmean(left), nan=1.0)
    return np.clip(ratio, *LIMITS)


class Curriculum:
    """Sums overlaps by family and notes their means; the same in all processes.

    Parameters
    ----------
    path
        The file of the run; written by the first process alone.
    ahead
        Steps after which a note counts: more than are drawn ahead.
    first
        Whether this is the first process.
    """

    def __init__(self, path: Path, ahead: int, first: bool) -> None:
        self.path, self.ahead, self.first = path, ahead, first
        self._sums = torch.zeros(2, len(GROUPS), dtype=torch.float64)
        self._step = torch.zeros_like(self._sums)
        self.notes: list[dict[str, Any]] = []

    def add(self, families: Tensor, overlap: Tensor) -> None:
        """Count the overlaps of objects, whose families are places in `GROUPS`."""
        families, overlap = families.cpu(), overlap.detach().double().cpu()
        self._step[0].index_add_(0, families, overlap)
        self._step[1].index_add_(0, families, torch.ones_like(overlap))

    def after_step(self, step: int) -> None:
        """Put all processes' counts together; note the means when it is time."""
        if dist.is_initialized():
            on = "cuda" if dist.get_backend() == "nccl" else "cpu"
            shared = self._step.to(on)
            dist.all_reduce(shared)
            self._step = shared.cpu()
        self._sums += self._step
        self._step = torch.zeros_like(self._sums)
        if (step + 1) % EVERY:
            return
        known = {
            name: round(float(total / count), 4)
            for name, total, count in zip(GROUPS, *self._sums.tolist(), strict=True)
            if count >= FEWEST
        }
        before = self.notes[-1]["overlap"] if self.notes else {}
        note = {"from": step + 1 + self.ahead, "overlap": {**before, **known}}
        self.notes.append(note)
        self._sums.zero_()
        self.write()

    def write(self) -> None:
        """Let the processes that draw know."""
        if self.first:
            write_atomic(self.path, json.dumps(self.notes).encode())

    def state(self) -> dict[str, Any]:
        """All that a resumed run needs."""
        return {"notes": self.notes, "sums": self._sums}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over what :meth:`state` gave, and forget what came after."""
        self.notes, self._sums = list(state["notes"]), state["sums"].clone()
        self._step = torch.zeros_like(self._sums)
        self.write()
