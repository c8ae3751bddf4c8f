"""Sharp-edged matter on top of a sample: metal on a lamella, dust on a wafer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch.nn import functional as F

from napari_sesami.noise.base import Effect, Group, Noised, need, uniform

if TYPE_CHECKING:
    from torch import Generator, Tensor


@dataclass(frozen=True)
class Specks(Effect):
    """Redeposited metal: opaque specks with sharp, angular edges.

    The labels below stay: a net shall learn to look past them.

    Attributes
    ----------
    density
        Specks per 100 × 100 pixels, 0.5 to 6; every image gets at least one.
    tone
        Brightness added, 0.2 to 0.6; negative for bright field, where metal is dark.
    size_px
        Typical width of a speck, 3 to 30.
    """

    group: ClassVar[Group] = "sample"
    density: float = 2.0
    tone: float = 0.4
    size_px: float = 8.0

    def apply(self, image: Tensor, generator: Generator) -> Noised:
        """Put them on."""
        need(
            self.density > 0 and self.size_px >= 1,
            "Specks needs density > 0 and size_px ≥ 1.",
        )
        batch, _, height, width = image.shape
        cell = self.size_px
        # a turned lattice of seeds; a speck is where their bilinear hills are high
        side = math.ceil(math.hypot(height, width) / cell) + 3
        share = min(1.0, self.density * (cell / 100) ** 2)
        seeds = uniform((batch, 1, side, side), image, generator)
        heights = uniform((batch, 1, side, side), image, generator, 0.55, 1.6)
        spot = uniform((batch, 2), image, generator, -0.3, 0.3)
        first = _nearest_seed(spot, (height, width), cell, side)
        seeds.view(batch, -1).scatter_(1, first, 0.0)
        heights.view(batch, -1).scatter_(1, first, 1.2)
        hills = torch.where(seeds < share, heights, torch.zeros_like(heights))
        angle = uniform((batch, 1, 1), image, generator, 0, math.pi / 2)
        y = torch.arange(height, device=image.device, dtype=image.dtype)
        x = torch.arange(width, device=image.device, dtype=image.dtype)
        y, x = (y - (height - 1) / 2)[:, None], (x - (width - 1) / 2)[None, :]
        turned_y = y * angle.cos() + x * angle.sin()
        turned_x = x * angle.cos() - y * angle.sin()
        grid = torch.stack([turned_x, turned_y], -1) * (2 / (cell * (side - 1)))
        field = F.grid_sample(hills, grid, align_corners=True)
        cover = ((field - 0.5) * cell).clamp(0, 1)
        return Noised(image + self.tone * cover)


def _nearest_seed(
    spot: Tensor, shape: tuple[int, int], cell: float, side: int
) -> Tensor:
    # a seed near the middle of the picture, whichever way the lattice is turned
    reach = 0.7 * min(shape) / cell
    at = (spot * reach + (side - 1) / 2).round().long().clamp(0, side - 1)
    return at[:, :1] * side + at[:, 1:]
