"""What each process does: ask about the scenes of one seed."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import torch

from napari_sesami.lab.judge.questions import collect
from napari_sesami.models import Nano
from napari_sesami.prompt import Predictor

if TYPE_CHECKING:
    from pathlib import Path


@cache
def nano_of(weights: Path | None) -> Nano:
    """Load weights of sesami-nano, the bundled ones by default, for one thread."""
    torch.set_num_threads(1)
    return Nano.from_file(weights) if weights else Nano.bundled()


def ask_about(
    name: str, family: str, seed: int, path: Path, each: int, weights: Path | None
) -> str:
    """Ask about objects of one scene, and write the questions."""
    predictor = Predictor(nano_of(weights), plain=True)
    some = collect(predictor, family, seed, path, each, net_alone=name == "net")
    return f"{path.stem}: {len(some)} questions"
