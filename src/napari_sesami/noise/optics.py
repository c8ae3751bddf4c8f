"""What the column does: focus, astigmatism, scanning in time, slow shading."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from napari_sesami.noise.base import (
    Effect,
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


@dataclass(frozen=True)
class Blur(Effect):
    """Point spread of the beam: an elliptic Gaussian (defocus with astigmatism).

    Attributes
    ----------
    sigma_px
        Geometric mean of both widths in pixels, 0.3 to 3.
    astigmatism
        Ratio of the long to the short width, 1 is round.
    angle_deg
        Direction of the long axis against x; None draws one per call.
    """

    sigma_px: float = 0.8
    astigmatism: float = 1.0
    angle_deg: float | None = None

    def apply(self, image: Tensor, generator: Generator) -> Noised:
        """Blur."""
        need(self.astigmatism >= 1, "Blur needs astigmatism ≥ 1 (long over short).")
        angle = self.angle_deg
        if angle is None:
            angle = float(uniform((1,), image, generator)[0]) * 180
        if self.astigmatism < 1.01:
            return Noised(gaussian_blur(image, self.sigma_px, self.sigma_px))
        kernel = _ellipse(self.sigma_px, self.astigmatism, math.radians(angle), image)
        radius = kernel.shape[-1] // 2
        padded = F.pad(image, (radius,) * 4, mode="replicate")
        return Noised(F.conv2d(padded, kernel), params={"angle_deg": angle})


@dataclass(frozen=True)
class ScanJitter(Effect):
    """Vibration while the beam scans: rows wave against each other; labels move.

    d(t) = sum of sines, t = row (W dwell + flyback) + column dwell.

    Attributes
    ----------
    amplitude_px
        Root mean square of the shift in pixels, 0.1 to 1.5.
    low_hz, high_hz
        Band of the vibrations; amplitudes fall as 1/sqrt(f).
    dwell_us, flyback_us
        Time per pixel and pause per row.
    components
        How many sines.
    """

    amplitude_px: float = 0.5
    low_hz: float = 30.0
    high_hz: float = 400.0
    dwell_us: float = 1.0
    flyback_us: float = 100.0
    components: int = 6

    def apply(self, image: Tensor, generator: Generator) -> Noised:
        """Shift pixels."""
        need(0 < self.low_hz < self.high_hz, "ScanJitter needs 0 < low_hz < high_hz.")
        batch, _, height, width = image.shape
        many = (batch, 2, self.components, 1)
        turn = 2 * math.pi * uniform(many, image, generator, self.low_hz, self.high_hz)
        phase = uniform(many, image, generator, 0, 2 * math.pi)
        size = normal(many, image, generator) / turn.sqrt()
        size = size / size.square().sum(2, keepdim=True).sqrt().clamp(min=1e-9)
        # sin(a + b) of a row's and a pixel's time, as two small matrix products
        row_us = width * self.dwell_us + self.flyback_us
        row = turn * _times(height, row_us, image) + phase
        pixel = turn * _times(width, self.dwell_us, image)
        sines = (size * row.sin()).mT @ pixel.cos() + (
            size * row.cos()
        ).mT @ pixel.sin()
        shift = sines * (self.amplitude_px * math.sqrt(2))
        return Noised(warp(image, shift), shift)


@dataclass(frozen=True)
class Drift(Effect):
    """Stage drift during the frame: a shear and stretch that grows from row to row.

    Attributes
    ----------
    amount_px
        Way of the stage during the frame in pixels, 0.5 to 5.
    wander
        Share of a slow, uneven part.
    direction_deg
        Against x; None draws one per image.
    """

    amount_px: float = 2.0
    wander: float = 0.2
    direction_deg: float | None = None

    def apply(self, image: Tensor, generator: Generator) -> Noised:
        """Shift rows."""
        batch, _, height, width = image.shape
        angle = uniform((batch,), image, generator, 0, 2 * math.pi)
        if self.direction_deg is not None:
            angle = torch.full_like(angle, math.radians(self.direction_deg))
        time = torch.linspace(-0.5, 0.5, height, device=image.device, dtype=image.dtype)
        phase = uniform((batch, 1), image, generator, 0, 2 * math.pi)
        slow = self.wander * 0.25 * torch.sin(2 * math.pi * time[None] + phase)
        way = (time[None] + slow) * self.amount_px
        toward = torch.stack([angle.sin(), angle.cos()], 1)[:, :, None]
        shift = (toward * way[:, None])[..., None].expand(-1, -1, -1, width)
        return Noised(
            warp(image, shift), shift, params={"direction_deg": _degrees(angle)}
        )


@dataclass(frozen=True)
class LineBanding(Effect):
    """Rows of different brightness: beam current ripple and line noise.

    Attributes
    ----------
    strength
        Relative height of the bands, 0.01 to 0.09.
    period_rows
        Period of the ripple, 20 to 70 rows.
    white
        Share of noise that is independent from row to row.
    """

    strength: float = 0.03
    period_rows: float = 40.0
    white: float = 0.4

    def apply(self, image: Tensor, generator: Generator) -> Noised:
        """Multiply rows."""
        batch, _, height, _ = image.shape
        phase = uniform((batch, 1), image, generator, 0, 2 * math.pi)
        rows = torch.arange(height, device=image.device, dtype=image.dtype)[None]
        wave = torch.sin(2 * math.pi * rows / self.period_rows + phase)
        grain = normal((batch, height), image, generator)
        band = (1 - self.white) * wave + self.white * grain
        return Noised(image * (1 + self.strength * band)[:, None, :, None])


@dataclass(frozen=True)
class Background(Effect):
    """Slow shading across the picture.

    Attributes
    ----------
    strength
        Relative height, 0.03 to 0.14.
    cells
        Coarseness: about this many hills across the picture.
    """

    strength: float = 0.06
    cells: int = 4

    def apply(self, image: Tensor, generator: Generator) -> Noised:
        """Multiply."""
        hills = smooth_field(image, generator, (self.cells, self.cells))
        return Noised(image * (1 + self.strength * hills))


@dataclass(frozen=True)
class Charging(Effect):
    """Insulators that charge: a brightness ramp, tails after bright objects, a halo.

    Attributes
    ----------
    ramp
        Relative brightness difference across the picture, 0.03 to 0.1.
    tail
        How much darker it is right behind a bright object in scan direction (x).
    decay_px
        Length of that tail.
    halo, halo_px
        Darkening around bright objects and its width.
    coarse
        Works out tail and halo on every so many pixels, for speed.
    """

    ramp: float = 0.05
    tail: float = 0.15
    decay_px: float = 40.0
    halo: float = 0.1
    halo_px: float = 20.0
    coarse: int = 1

    def apply(self, image: Tensor, generator: Generator) -> Noised:
        """Charge."""
        batch, _, height, width = image.shape
        angle = uniform((batch, 1, 1, 1), image, generator, 0, 2 * math.pi)
        y = torch.linspace(-0.5, 0.5, height, device=image.device, dtype=image.dtype)
        x = torch.linspace(-0.5, 0.5, width, device=image.device, dtype=image.dtype)
        slope = y[:, None] * angle.sin() + x[None, :] * angle.cos()
        bright = (image - image.mean((2, 3), keepdim=True)).clamp(min=0)
        near = self.halo_px / self.coarse
        if self.coarse > 1:
            bright = F.avg_pool2d(bright, self.coarse, ceil_mode=True)
        loss = self.tail * _trail(bright, self.decay_px / self.coarse)
        loss = loss + self.halo * gaussian_blur(bright, near, near)
        if self.coarse > 1:
            loss = F.interpolate(loss, (height, width), mode="bilinear")
        return Noised(image * (1 + self.ramp * slope) * (1 - loss).clamp(min=0))


@dataclass(frozen=True)
class EdgeBloom(Effect):
    """Bright rims: secondary electrons leave more easily at edges.

    Attributes
    ----------
    strength
        Brightness added right at an edge, 0.05 to 0.4.
    decay_px
        How far it reaches, 2 to 10 pixels.
    """

    strength: float = 0.15
    decay_px: float = 4.0

    def apply(self, image: Tensor, generator: Generator) -> Noised:
        """Brighten edges."""
        calm = gaussian_blur(image, 1.0, 1.0)
        edge = 4 * (calm - gaussian_blur(image, 2.0, 2.0)).abs()
        near = gaussian_blur(edge, 0.5 * self.decay_px, 0.5 * self.decay_px)
        far = gaussian_blur(edge, 1.5 * self.decay_px, 1.5 * self.decay_px)
        glow = 1 - torch.exp(-self.decay_px * (near + far))
        return Noised(image + self.strength * glow)


def _times(count: int, step_us: float, like: Tensor) -> Tensor:
    at = torch.arange(count, device=like.device, dtype=like.dtype)
    return at * (step_us * 1e-6)


def _ellipse(sigma: float, ratio: float, angle: float, like: Tensor) -> Tensor:
    long, short = sigma * math.sqrt(ratio), sigma / math.sqrt(ratio)
    radius = max(1, math.ceil(3 * long))
    at = torch.arange(-radius, radius + 1, device=like.device, dtype=like.dtype)
    y, x = at[:, None], at[None, :]
    along = x * math.cos(angle) + y * math.sin(angle)
    across = y * math.cos(angle) - x * math.sin(angle)
    kernel = torch.exp(-0.5 * ((along / long) ** 2 + (across / short) ** 2))
    return (kernel / kernel.sum())[None, None]


def _trail(bright: Tensor, decay: float) -> Tensor:
    # a causal exponential mean along x, normalised to its length
    length = min(bright.shape[-1] - 1, math.ceil(4 * decay))
    if length < 1:
        return bright
    at = torch.arange(length, -1, -1, device=bright.device, dtype=bright.dtype)
    kernel = torch.exp(-at / decay)
    kernel[-1] = 0  # a pixel does not darken itself
    rows = bright.reshape(-1, 1, bright.shape[-1])
    tail = F.conv1d(F.pad(rows, (length, 0)), (kernel / kernel.sum())[None, None])
    return tail.reshape(bright.shape)


def _degrees(angle: Tensor) -> list[float]:
    return [round(float(a), 3) for a in torch.rad2deg(angle).cpu()]
