"""A step of realistic size for the benchmark of the engine, some 50-100 ms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from napari_sesami.train import Recipe


@dataclass(frozen=True)
class ConvConfig:
    side: int = 96


class Conv(Recipe):
    """A small convolutional net learns to find bright squares."""

    name = "conv"
    Config = ConvConfig
    n_examples = 50

    def prepare(self, device: torch.device) -> nn.Module:
        layers: list[nn.Module] = [nn.Conv2d(1, 32, 3, padding=1), nn.ReLU()]
        for _ in range(3):
            layers += [nn.Conv2d(32, 32, 3, padding=1), nn.ReLU()]
        self.net = nn.Sequential(*layers, nn.Conv2d(32, 1, 1)).to(device)
        return self.net

    def rng(self, step: int, index: int) -> np.random.Generator:
        return np.random.default_rng([step, index])

    def example(self, index: int, rng: np.random.Generator) -> dict[str, Tensor]:
        side = self.config.recipe_options.side
        image = rng.normal(0, 0.3, (1, side, side)).astype(np.float32)
        truth = np.zeros_like(image)
        y, x = rng.integers(0, side - 20, 2)
        truth[:, y : y + 20, x : x + 20] = 1
        return {"x": torch.from_numpy(image + truth), "y": torch.from_numpy(truth)}

    def loss(
        self, batch: dict[str, Tensor], generator: torch.Generator
    ) -> dict[str, Tensor]:
        logits = self.net(batch["x"])
        loss = nn.functional.binary_cross_entropy_with_logits(logits, batch["y"])
        return {"loss": loss}
