"""What preparation does to a lamella: curtains, wedge, dirt, bending."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch.nn import functional as F

from napari_sesami.noise.base import (
    Effect,
    Group,
    Noised,
    gaussian_blur,
    need,
    normal,
    smooth_field,
    uniform,
    warp,
)

if TYPE_CHECKING:
    from torch import Generator, Tensor

Contrast = Literal["haadf", "bf"]
"""In "haadf" brightness grows with thickness, in "bf" (bright field) it falls."""


@dataclass(frozen=True)
class Curtaining(Effect):
    """Streaks of uneven thickness that the ion beam leaves, mostly below hard objects.

    Relative thickness is 1 + q: brightness becomes I (1 + q) in "haadf" and
    I^(1 + q) in "bf". q varies across the milling direction only, is strongest
    right below the lower edge of bright (hard) objects and fades on the way down.

    Attributes
    ----------
    strength
        Standard deviation of q right below an object, 0 to 0.3.
    width_px
        Width of a streak.
    angle_deg
        Milling direction against vertical; rocking polish gives e.g. -1 and 7.
    fade_px
        Way on which a curtain fades.
    everywhere
        Share of the strength that is there from the top on.
    contrast
        "haadf" or "bf".
    """

    group: ClassVar[Group] = "sample"
    strength: float = 0.08
    width_px: float = 3.0
    angle_deg: float = 0.0
    fade_px: float = 200.0
    everywhere: float = 0.3
    contrast: Contrast = "haadf"

    def apply(self, image: Tensor, generator: Generator) -> Noised:
        """Change the thickness."""
        need(self.width_px > 0, "Curtaining needs width_px > 0.")
        batch, _, height, width = image.shape
        reach = 2 * math.ceil(math.hypot(height, width) / 2) + 1
        streaks = normal((batch, 1, 1, reach), image, generator)
        streaks = gaussian_blur(streaks, 0, self.width_px)
        streaks = streaks / streaks.std(-1, keepdim=True).clamp(min=1e-6)
        across, along = _turned(image, self.angle_deg)
        q = _look_up(streaks, across, torch.zeros_like(across), reach)
        share = self.everywhere + (1 - self.everywhere) * self._below(
            image, across, along
        )
        return Noised(_thicker(image, self.strength * share * q, self.contrast))

    def _below(self, image: Tensor, across: Tensor, along: Tensor) -> Tensor:
        # decayed running maximum of "a hard object ends here" down the beam
        height, width = image.shape[-2:]
        reach = 2 * math.ceil(math.hypot(height, width) / 2) + 1
        span = torch.arange(reach, device=image.device, dtype=image.dtype) - reach // 2
        turn = math.radians(self.angle_deg)
        x = span[None, :] * math.cos(turn) + span[:, None] * math.sin(turn)
        y = span[:, None] * math.cos(turn) - span[None, :] * math.sin(turn)
        hard = _hardness(image)
        beam = _look_up(hard, x, y, width, height)
        ends = (beam[:, :, :-1] - beam[:, :, 1:]).clamp(min=1e-4)
        ends = F.pad(ends, (0, 0, 1, 0), value=1e-4)
        way = torch.arange(reach, device=image.device, dtype=image.dtype)[:, None]
        level = (ends.log() + way / self.fade_px).cummax(2).values - way / self.fade_px
        below = (4 * level.exp()).clamp(max=1)
        return _look_up(below, across, along, reach, reach)


@dataclass(frozen=True)
class ThicknessWedge(Effect):
    """A lamella thicker on one side.

    Attributes
    ----------
    strength
        Relative thickness difference from one side to the other, up to 0.3.
    direction_deg
        Where it gets thicker, against x; None draws one per image.
    contrast
        "haadf" or "bf".
    """

    group: ClassVar[Group] = "sample"
    strength: float = 0.15
    direction_deg: float | None = None
    contrast: Contrast = "haadf"

    def apply(self, image: Tensor, generator: Generator) -> Noised:
        """Change the thickness."""
        batch, _, height, width = image.shape
        angle = uniform((batch, 1, 1, 1), image, generator, 0, 2 * math.pi)
        if self.direction_deg is not None:
            angle = torch.full_like(angle, math.radians(self.direction_deg))
        y = torch.linspace(-0.5, 0.5, height, device=image.device, dtype=image.dtype)
        x = torch.linspace(-0.5, 0.5, width, device=image.device, dtype=image.dtype)
        ramp = y[:, None] * angle.sin() + x[None, :] * angle.cos()
        return Noised(_thicker(image, self.strength * ramp, self.contrast))


@dataclass(frozen=True)
class Contamination(Effect):
    """Patches of redeposited material or carbon on the lamella, with a darker rim.

    The specimen is still seen through them, so labels stay and nothing is ignored.

    Attributes
    ----------
    area
        Share of the picture that is covered, 0.005 to 0.1.
    tone
        Brightness added in a patch; negative is darker, metal is bright.
    size_px
        Typical size of a patch.
    """

    group: ClassVar[Group] = "sample"
    area: float = 0.03
    tone: float = 0.12
    size_px: float = 25.0

    def apply(self, image: Tensor, generator: Generator) -> Noised:
        """Add patches."""
        need(0 <= self.area < 1, "Contamination needs 0 ≤ area < 1.")
        height, width = image.shape[-2:]
        cells = (
            max(2, round(height / self.size_px)),
            max(2, round(width / self.size_px)),
        )
        hills = smooth_field(image, generator, cells)
        ordered = hills.flatten(1).sort(1).values
        index = min(int((1 - self.area) * ordered.shape[1]), ordered.shape[1] - 1)
        above = hills - ordered[:, index].view(-1, 1, 1, 1)
        cover = (above * 6).clamp(0, 1)
        rim = torch.exp(-((above * 8) ** 2)) * (above > -0.3)
        thick = 0.6 + 0.4 * (above * 2).clamp(0, 1)
        tone = abs(self.tone)
        return Noised(image + self.tone * cover * thick - 0.4 * tone * rim)


@dataclass(frozen=True)
class Deformation(Effect):
    """Bending of the lamella: a smooth shift of pixels that labels follow.

    Attributes
    ----------
    amplitude_px
        Standard deviation of the shift, up to 1 or 2 % of the width.
    cells
        About this many bends across the picture.
    """

    group: ClassVar[Group] = "sample"
    amplitude_px: float = 3.0
    cells: int = 3

    def apply(self, image: Tensor, generator: Generator) -> Noised:
        """Shift pixels."""
        bends = smooth_field(image, generator, (self.cells, self.cells), channels=2)
        shift = bends * self.amplitude_px
        return Noised(warp(image, shift), shift)


def _thicker(image: Tensor, q: Tensor, contrast: Contrast) -> Tensor:
    if contrast == "haadf":
        return image * (1 + q)
    return image.clamp(min=1e-4) ** (1 + q)


def _hardness(image: Tensor) -> Tensor:
    calm = gaussian_blur(image, 1.5, 1.5)
    low, high = calm.amin((2, 3), keepdim=True), calm.amax((2, 3), keepdim=True)
    level = (calm - low) / (high - low).clamp(min=1e-3)
    return torch.sigmoid((level - 0.6) * 20)


def _turned(image: Tensor, angle_deg: float) -> tuple[Tensor, Tensor]:
    # coordinates of every pixel in the milling frame: across and along the beam
    height, width = image.shape[-2:]
    y = torch.arange(height, device=image.device, dtype=image.dtype) - (height - 1) / 2
    x = torch.arange(width, device=image.device, dtype=image.dtype) - (width - 1) / 2
    turn = math.radians(angle_deg)
    across = x[None, :] * math.cos(turn) - y[:, None] * math.sin(turn)
    along = x[None, :] * math.sin(turn) + y[:, None] * math.cos(turn)
    return across, along


def _look_up(
    image: Tensor, x: Tensor, y: Tensor, width: int, height: int = 1
) -> Tensor:
    # sample at offsets (x, y) from the middle of an image of that size
    grid = torch.stack([2 * x / width, 2 * y / height], dim=-1)
    grid = grid[None].expand(image.shape[0], -1, -1, -1)
    return F.grid_sample(image, grid, padding_mode="border", align_corners=False)
