"""Strengths of effects, drawn at random."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Generator


class Dice:
    """Random strengths: `between` scales its lower end to nothing with `strength`."""

    def __init__(self, generator: Generator, strength: float) -> None:
        self._generator = generator
        self.strength = strength

    def _one(self) -> float:
        device = self._generator.device
        return float(torch.rand((), generator=self._generator, device=device))

    def chance(self, share: float) -> bool:
        """Tell yes in this share of all cases."""
        return self._one() < share

    def pick(self, low: float, high: float) -> float:
        """Draw a number that does not depend on the strength."""
        return low + (high - low) * self._one()

    def between(self, low: float, high: float) -> float:
        """Draw a number that grows with the strength."""
        return self.strength * self.pick(low, high)

    def dose(self, low: float, high: float) -> float:
        """Draw electrons a pixel, evenly on a log scale; noise grows with strength."""
        ratio = high / low
        return low * ratio ** self._one() / max(self.strength, 1e-3) ** 2
