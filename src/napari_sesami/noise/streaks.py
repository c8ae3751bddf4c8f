"""Lines across a reconstructed slice: too few views, and dense parts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from napari_sesami.noise.base import Effect, Noised, need, normal, uniform

if TYPE_CHECKING:
    from torch import Generator, Tensor


@dataclass(frozen=True)
class Streaks(Effect):
    """Thin bright and dark lines that run from dense parts over the whole slice.

    Attributes
    ----------
    strength
        Typical height, as a share of full scale, 0.02 to 0.15.
    lines
        How many.
    width_px
        Width (sigma) of a line in pixels.
    """

    strength: float = 0.06
    lines: int = 6
    width_px: float = 1.2

    def apply(self, image: Tensor, generator: Generator) -> Noised:
        """Add lines through the brightest parts."""
        need(
            self.lines >= 1 and self.width_px > 0,
            "Streaks needs lines ≥ 1 and width_px > 0.",
        )
        batch, _, height, width = image.shape
        # of a few places drawn at random, each line takes the densest
        many = (batch, self.lines, 5)
        rows = (uniform(many, image, generator) * height).long().clamp(max=height - 1)
        columns = (uniform(many, image, generator) * width).long().clamp(max=width - 1)
        found = image.reshape(batch, -1).gather(
            1, (rows * width + columns).reshape(batch, -1)
        )
        best = found.reshape(many).argmax(2, keepdim=True)
        y0 = rows.gather(2, best).to(image.dtype)
        x0 = columns.gather(2, best).to(image.dtype)
        turn = uniform((batch, self.lines, 1), image, generator, 0, math.pi)
        size = self.strength * normal((batch, self.lines, 1), image, generator)
        y = torch.arange(height, device=image.device, dtype=image.dtype)
        x = torch.arange(width, device=image.device, dtype=image.dtype)
        out = image.clone()
        for line in range(self.lines):
            sine, cosine = turn[:, line].sin(), turn[:, line].cos()
            down, across = (y - y0[:, line]) * cosine, (x - x0[:, line]) * sine
            off = (down[:, :, None] - across[:, None, :]) / self.width_px
            out += (size[:, line, :, None] * torch.exp(-0.5 * off.square()))[:, None]
        return Noised(out)
