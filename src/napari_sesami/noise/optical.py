"""What the light of an optical inspection does: glare, shadow, colour."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from napari_sesami.noise.base import Effect, Noised, need, uniform

if TYPE_CHECKING:
    from torch import Generator, Tensor


@dataclass(frozen=True)
class Glare(Effect):
    """Lamps mirrored by the surface: soft spots that wash out what lies below.

    Attributes
    ----------
    strength
        Brightness added in the middle of a spot, 0.1 to 0.7; shiny (bright) parts
        gain more.
    size
        Width (sigma) of a spot, as a share of the shorter side.
    spots
        How many.
    """

    strength: float = 0.35
    size: float = 0.12
    spots: int = 2

    def apply(self, image: Tensor, generator: Generator) -> Noised:
        """Add light."""
        need(self.size > 0 and self.spots >= 1, "Glare needs size > 0, spots ≥ 1.")
        y, x = _shares(image)
        light = torch.zeros_like(image)
        longer = max(image.shape[-2:]) / min(image.shape[-2:])
        tall = image.shape[-2] / min(image.shape[-2:])
        wide = image.shape[-1] / min(image.shape[-2:])
        for _ in range(self.spots):
            at = uniform((len(image), 2, 1, 1, 1), image, generator, 0.05, 0.95)
            stretch = uniform((len(image), 1, 1, 1), image, generator, 1, 1 + longer)
            from_y, from_x = (y - at[:, 0]) * tall, (x - at[:, 1]) * wide
            away = (from_y / self.size) ** 2 + (from_x / (self.size * stretch)) ** 2
            light = light + torch.exp(-0.5 * away)
        return Noised(image + self.strength * light * (0.5 + 0.5 * image))


@dataclass(frozen=True)
class Shadow(Effect):
    """Something stands in the light: one side of a soft line is darker.

    Attributes
    ----------
    strength
        Share of the light that is lost, 0.1 to 0.6.
    softness
        Width of the border, as a share of the picture's diagonal.
    """

    strength: float = 0.3
    softness: float = 0.05

    def apply(self, image: Tensor, generator: Generator) -> Noised:
        """Take light away."""
        need(self.softness > 0, "Shadow needs softness > 0.")
        y, x = _shares(image)
        turn = uniform((len(image), 1, 1, 1), image, generator, 0, 2 * math.pi)
        where = uniform((len(image), 1, 1, 1), image, generator, -0.3, 0.3)
        side = (y - 0.5) * turn.sin() + (x - 0.5) * turn.cos() - where
        dark = torch.sigmoid(side / (self.softness * 0.5))
        return Noised(image * (1 - self.strength * dark))


@dataclass(frozen=True)
class ColourCast(Effect):
    """White balance off: materials of other colours move against each other in grey.

    In a grey picture a cast is a bent, still rising tone curve: some tones gain,
    others lose. Pictures of three channels get a gain for each from `NoiseSet`.

    Attributes
    ----------
    strength
        Largest change of a tone's slope, 0 to 0.9.
    waves
        How often the curve changes sides from black to white, 1 to 3.
    """

    strength: float = 0.4
    waves: float = 1.5

    def apply(self, image: Tensor, generator: Generator) -> Noised:
        """Bend the tone curve."""
        need(
            0 <= self.strength < 1 and self.waves > 0,
            "ColourCast needs 0 ≤ strength < 1 and waves > 0.",
        )
        phase = uniform((len(image), 1, 1, 1), image, generator, 0, 2 * math.pi)
        turn = math.pi * self.waves
        bend = torch.sin(turn * image + phase) - torch.sin(phase)
        return Noised(image + self.strength / turn * bend)


def _shares(image: Tensor) -> tuple[Tensor, Tensor]:
    # places of rows and columns as shares of the height and width
    height, width = image.shape[-2:]
    y = torch.linspace(0, 1, height, device=image.device, dtype=image.dtype)
    x = torch.linspace(0, 1, width, device=image.device, dtype=image.dtype)
    return y[:, None], x[None, :]
