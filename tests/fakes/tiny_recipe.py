"""A real little training for the tests of the engine: a net with dropout learns XOR."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from napari_sesami.train import Recipe, Stop, TrainError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class TinyConfig:
    examples: int = 10
    width: int = 16
    nap: float = 0.0
    most: int = 0
    poison: int = -1
    always: bool = False
    kind: Literal["xor", "and"] = "xor"
    plain: bool = False
    stumble: int = -1
    enough: int = 0
    rest: int = 0
    sizes: tuple[int, ...] = (2,)
    note: str | None = None


class Tiny(Recipe):
    name = "tiny"
    Config = TinyConfig

    def prepare(self, device: torch.device) -> nn.Module:
        o = self.config.recipe_options
        if o.note == "no data":
            raise TrainError("There are no labels; paint some first.")
        self.frozen = nn.Linear(2, o.width).requires_grad_(False)
        norm = nn.Identity() if o.plain else nn.BatchNorm1d(o.width)
        drop = nn.Dropout(0.0 if o.plain else 0.3)
        self.head = nn.Sequential(norm, nn.ReLU(), drop, nn.Linear(o.width, 1))
        self.net = nn.Sequential(self.frozen, self.head).to(device)
        self.seen = 0.0
        return self.net

    @property
    def n_examples(self) -> int:
        return self.config.recipe_options.examples

    def example(self, index: int, rng: np.random.Generator) -> dict[str, Tensor]:
        corner = np.array([index % 2, index // 2 % 2], np.float32)
        noisy = corner + rng.normal(0, 0.1, 2).astype(np.float32)
        return {
            "x": torch.from_numpy(noisy),
            "y": torch.tensor(float(corner.sum() == 1)),
        }

    def loss(
        self, batch: dict[str, Tensor], generator: torch.Generator
    ) -> dict[str, Tensor]:
        o = self.config.recipe_options
        if o.nap:
            time.sleep(o.nap)
        if o.most and len(batch["x"]) > o.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")
        if o.stumble == int(os.environ.get("RANK", "0")):
            raise ZeroDivisionError("of the recipe")
        jitter = torch.randn(batch["x"].shape, generator=generator) * (not o.plain)
        logits = self.net(batch["x"] + 0.05 * jitter)[:, 0]
        loss = nn.functional.binary_cross_entropy_with_logits(logits, batch["y"])
        if o.poison >= 0 and self._poisoned(o):
            loss = loss * float("nan")
        right = ((logits > 0) == (batch["y"] > 0.5)).float().mean()
        return {"loss": loss, "right": right}

    def _poisoned(self, o: TinyConfig) -> bool:
        flag = self.folder / "poisoned"
        self.calls = getattr(self, "calls", -1) + 1
        if self.calls < o.poison or (flag.exists() and not o.always):
            return False
        flag.touch()
        return True

    def after_step(self, step: int) -> None:
        self.seen += 0.5

    def enough(self, step: int) -> bool:
        if step == self.config.recipe_options.rest:
            raise Stop("cancelled")
        return step == self.config.recipe_options.enough

    def state(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def load_state(self, state: dict[str, Any]) -> None:
        self.seen = state["seen"]

    def evaluate(self) -> dict[str, Any]:
        self.net.eval()
        x = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]])
        y = torch.tensor([0.0, 1, 1, 0])
        logits = self.net(x)[:, 0]
        torch.rand(3)  # what an evaluation draws must not reach the training
        loss = nn.functional.binary_cross_entropy_with_logits(logits, y)
        return {"score": -float(loss), "classes": {"xor": float(loss)}}

    def pictures(self, folder: Path) -> list[Path]:
        path = folder / "answer.png"
        path.write_bytes(b"\x89PNG")
        return [path]

    def finish(self, folder: Path) -> dict[str, Any]:
        (folder / "adapter.json").write_text(
            json.dumps({k: v.tolist() for k, v in self.head.state_dict().items()})
        )
        windows = {"napari", "qtpy", "vispy", "superqt", "magicgui", "pyqtgraph"}
        return {
            "adapter": "adapter.json",
            "seen": self.seen,
            "pid": os.getpid(),
            "windows": sorted(windows & set(sys.modules)),
        }


class Idle(Tiny):
    """Nothing to train."""

    def prepare(self, device: torch.device) -> nn.Module:
        return super().prepare(device).requires_grad_(False)
