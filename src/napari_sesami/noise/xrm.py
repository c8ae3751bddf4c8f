"""What an X-ray microscope does to a slice: rings, hardening, shot noise and drift.

Image-domain forms, cheap enough to train on. `Tomograph` of `tomograph.py` goes
the honest way through projections.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch.nn import functional as F

from napari_sesami.noise.base import (
    Effect,
    Noised,
    gaussian_blur,
    need,
    normal,
    uniform,
)

if TYPE_CHECKING:
    from torch import Generator, Tensor

RotationAxis = Literal["normal", "y", "x"]
"""Where the axis points: out of the slice (an axial cut), or along its y or x."""


@dataclass(frozen=True)
class Rings(Effect):
    """Detector columns of unequal sensitivity, seen as rings about the rotation axis.

    In a cut along the axis the same rings are straight lines parallel to it.

    Parameters
    ----------
    strength
        Standard deviation of the fine rings, as a share of full scale.
    strong
        Height of the few strong rings, as a share of full scale.
    density
        Share of radii that carry a strong ring.
    width
        Width (sigma) of a strong ring, pixels.
    partial
        Share of the strong rings that cover only an arc (axial cuts).
    axis
        Direction of the rotation axis as seen from the slice.
    centre
        Where the axis meets or passes the slice, as shares of height and width; it
        may lie outside. A property of the scan: not drawn at random.
    offset
        Distance of the slice from the axis in pixels, for cuts along the axis.
    """

    strength: float = 0.008
    strong: float = 0.05
    density: float = 0.02
    width: float = 1.0
    partial: float = 0.3
    axis: RotationAxis = "normal"
    centre: tuple[float, float] = (0.5, 0.5)
    offset: float = 0.0

    def __post_init__(self) -> None:
        """Refuse numbers without a meaning."""
        need(self.axis in ("normal", "y", "x"), _axis_sentence(self.axis))
        need(
            min(self.strength, self.strong, self.width) >= 0,
            "Ring strength and width must be 0 or more.",
        )
        need(
            0 <= self.density <= 1 and 0 <= self.partial <= 1,
            "Ring density and the share of partial rings must lie in [0, 1].",
        )

    def apply(self, image: Tensor, generator: Generator) -> Noised:
        """Draw a ring profile per slice and add it."""
        return Noised(image + self.field(image, self.profile(image, generator)))

    def profile(
        self, image: Tensor, generator: Generator, radii: int | None = None
    ) -> Tensor:
        """Draw heights (B, 3, radii): full rings, rings cut to an arc, its angle."""
        batch, count = image.shape[0], radii or self.radii(image)
        fine = self.strength * normal((batch, 1, count), image, generator)
        where = uniform((batch, 1, count), image, generator) < self.density
        height = self.strong * normal((batch, 1, count), image, generator)
        arc = uniform((batch, 1, count), image, generator) < self.partial
        peaks = torch.where(where, height, torch.zeros_like(height))
        wide = gaussian_blur(
            torch.cat([peaks * ~arc, peaks * arc], 1)[:, :, None], 0.0, self.width
        )[:, :, 0]
        wide = wide * max(1.0, math.sqrt(2 * math.pi) * self.width)
        turn = uniform((batch, 1, 1), image, generator, 0, 2 * math.pi)
        full = wide[:, :1] + fine
        return torch.cat([full, wide[:, 1:], turn.expand(-1, -1, count)], 1)

    def radii(self, image: Tensor) -> int:
        """Tell how many radii a profile needs to reach the farthest corner."""
        return math.ceil(float(radius_map(image, self).max())) + 2

    def field(self, image: Tensor, profile: Tensor) -> Tensor:
        """Spread a profile over the slice, (B, 1, H, W)."""
        rho = radius_map(image, self)
        low = rho.floor().long()
        part = (rho - low).to(image.dtype)
        rings = profile[:, :2, low] * (1 - part) + profile[:, :2, low + 1] * part
        if self.axis != "normal":
            return rings.sum(1, keepdim=True)
        # a constant detector error weighs more near the axis, where few rays overlap
        rings = rings * (0.6 + 8 / (rho + 8))
        arc = _arc(image, self.centre, profile[:, 2, 0])
        return rings[:, :1] + rings[:, 1:] * arc


@dataclass(frozen=True)
class BeamHardening(Effect):
    """Soft X-rays are absorbed first: cupping, and dark bands between metal parts.

    Parameters
    ----------
    cupping
        Loss of grey at the axis against the rim, a share of the grey itself.
    bands
        Depth of the dark bands on lines through much metal, share of full scale.
    metal
        Grey above which matter counts as metal.
    reach
        Length over which metal parts darken each other, share of the longer side.
    axis, centre
        The rotation axis, as in `Rings`. In a cut along the axis, rays run across it.
    """

    cupping: float = 0.06
    bands: float = 0.08
    metal: float = 0.4
    reach: float = 0.4
    axis: RotationAxis = "normal"
    centre: tuple[float, float] = (0.5, 0.5)

    def __post_init__(self) -> None:
        """Refuse numbers without a meaning."""
        need(self.axis in ("normal", "y", "x"), _axis_sentence(self.axis))
        need(
            0 <= self.cupping < 1 and 0 <= self.bands < 1 and 0 < self.reach <= 1,
            "Cupping and bands must lie in [0, 1), the reach in (0, 1].",
        )

    def apply(self, image: Tensor, generator: Generator) -> Noised:
        """Darken the middle and the lines between metal parts; no chance involved."""
        rho = radius_map(image, self)
        cup = self.cupping * (1 - (rho / rho.max().clamp(min=1)) ** 2)
        dark = self.bands * self._bands(image)
        return Noised(image * (1 - cup) - dark)

    def _bands(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        step = max(1, min(4, height // 32, width // 32))
        metal = ((image - self.metal) / 0.15).clamp(0, 1)
        small = F.avg_pool2d(metal, step) if step > 1 else metal
        length = max(3, int(self.reach * max(small.shape[-2:])) // 2)
        lines = _line_kernels(length, self.axis, image)
        seen = F.conv2d(F.pad(small, (length,) * 4), lines)
        # a ray is hardened where it has met metal before and meets metal again
        crossed = seen[:, ::2] * seen[:, 1::2]
        streaks = crossed.sum(1, keepdim=True)
        free = (streaks * (1 - small)).flatten(1)
        spread = free.amax(1).clamp(min=1e-6).view(-1, 1, 1, 1)
        streaks = (streaks / spread).clamp(max=1.5)
        share = metal.mean((1, 2, 3), keepdim=True).sqrt().clamp(max=0.6) / 0.6
        return F.interpolate(
            streaks * share,
            (height, width),
            mode="bilinear",
            align_corners=False,
        )


@dataclass(frozen=True)
class CountingNoise(Effect):
    """Shot noise of the projections as it looks after filtered back-projection.

    The variance follows from Beer and Lambert and the ramp filter:
    var = pi² / 12n * (W / opacity)² * exp(opacity * mean) / N in grey units.

    Parameters
    ----------
    photons
        Photons N per detector pixel and projection without a sample.
    projections
        Number of projections n.
    opacity
        Attenuation of a white slice along its whole width W.
    grain
        Correlation of the noise (sigma in pixels) through the filter's window.
    """

    photons: float = 5000.0
    projections: int = 1200
    opacity: float = 4.0
    grain: float = 0.6

    def __post_init__(self) -> None:
        """Refuse numbers without a meaning."""
        need(
            self.photons > 0 and self.projections > 0 and self.opacity > 0,
            "Photons, projections and opacity must be above 0.",
        )
        need(self.grain >= 0, "The grain must be 0 px or more.")

    def apply(self, image: Tensor, generator: Generator) -> Noised:
        """Add coloured noise of the strength that the dose gives."""
        grain = self.texture(normal(image.shape, image, generator))
        sigma = self.sigma(image)
        params = {"sigma": [float(s) for s in sigma.flatten()]}
        return Noised(image + sigma * grain, params=params)

    def sigma(self, image: Tensor) -> Tensor:
        """Standard deviation in grey units per slice, (B, 1, 1, 1)."""
        path = self.opacity * image.mean((1, 2, 3), keepdim=True)
        ramp = math.pi / math.sqrt(12 * self.projections)
        return (
            ramp * image.shape[-1] / self.opacity * (path.exp() / self.photons).sqrt()
        )

    def texture(self, white: Tensor) -> Tensor:
        """Colour white noise (B, 1, H, W), keeping its variance at 1."""
        if self.grain <= 0.05:
            return white
        soft = gaussian_blur(white, self.grain, self.grain)
        return soft / blur_gain(self.grain) ** 2


@dataclass(frozen=True)
class SourceDrift(Effect):
    """The source wanders and fades: grey levels wave and tilt from slice to slice.

    The images of a batch are neighbouring slices.

    Parameters
    ----------
    wave
        Height of the wave, a share of the grey.
    period
        Its length in slices.
    fade
        Linear change over the batch, a share of the grey.
    tilt
        Change of brightness across the slice, a share of full scale.
    first, total
        Number of the batch's first slice, and how many there are in the volume, when
        a volume is worked on in batches; `total` 0 means the batch is all.
    """

    wave: float = 0.01
    period: float = 50.0
    fade: float = 0.02
    tilt: float = 0.01
    first: int = 0
    total: int = 0

    def __post_init__(self) -> None:
        """Refuse numbers without a meaning."""
        need(self.period > 0, "The period of a drift must be above 0 slices.")

    def apply(self, image: Tensor, generator: Generator) -> Noised:
        """Scale slice by slice and add a tilted plane in one random direction."""
        batch, _, height, width = image.shape
        phase, way = uniform((2,), image, generator, 0, 2 * math.pi)
        index = self.first + torch.arange(batch, device=image.device, dtype=image.dtype)
        wave = self.wave * torch.sin(2 * math.pi * index / self.period + phase)
        gain = 1 + wave - self.fade * index / max((self.total or batch) - 1, 1)
        y = torch.linspace(-1, 1, height, device=image.device, dtype=image.dtype)
        x = torch.linspace(-1, 1, width, device=image.device, dtype=image.dtype)
        plane = y[:, None] * torch.sin(way) + x[None, :] * torch.cos(way)
        params: dict[str, Any] = {"gain": [float(g) for g in gain]}
        drifted = image * gain.view(-1, 1, 1, 1) + 0.5 * self.tilt * plane
        return Noised(drifted, params=params)


def radius_map(image: Tensor, effect: Rings | BeamHardening) -> Tensor:
    """Distance of every pixel of a slice from the rotation axis, (H, W), pixels."""
    y, x = _offsets(image, effect.centre)
    lift = float(getattr(effect, "offset", 0.0))
    if effect.axis == "normal":
        return torch.hypot(y, x)
    across = x if effect.axis == "y" else y
    return torch.hypot(across, torch.full_like(across, lift)).expand(image.shape[-2:])


def _offsets(image: Tensor, centre: tuple[float, float]) -> tuple[Tensor, Tensor]:
    height, width = image.shape[-2:]
    y = torch.arange(height, device=image.device, dtype=torch.float32)
    x = torch.arange(width, device=image.device, dtype=torch.float32)
    return (
        (y - centre[0] * (height - 1))[:, None],
        (x - centre[1] * (width - 1))[None, :],
    )


def _arc(image: Tensor, centre: tuple[float, float], turn: Tensor) -> Tensor:
    y, x = _offsets(image, centre)
    angle = torch.atan2(y.expand(image.shape[-2:]), x.expand(image.shape[-2:]))
    return torch.sigmoid(6 * torch.cos(angle - turn.view(-1, 1, 1, 1)))


def _line_kernels(length: int, axis: RotationAxis, like: Tensor) -> Tensor:
    """Averages along both halves of lines through a pixel, near parts first."""
    angles = {"normal": [math.pi * k / 12 for k in range(12)], "y": [0.0]}.get(
        axis, [math.pi / 2]
    )
    at = torch.arange(-length, length + 1, device=like.device, dtype=like.dtype)
    y, x = at[:, None], at[None, :]
    kernels = []
    for angle in angles:
        side = y * math.cos(angle) - x * math.sin(angle)
        ahead = y * math.sin(angle) + x * math.cos(angle)
        for way in (ahead, -ahead):
            near = (1 - way / (length + 1)).clamp(min=0) ** 3 * (way > 0)
            kernel = (1 - side.abs()).clamp(min=0) * near
            kernels.append(kernel / kernel.sum())
    return torch.stack(kernels)[:, None]


def blur_gain(sigma: float) -> float:
    """Standard deviation that white noise keeps after a blur along one axis."""
    at = torch.arange(-math.ceil(3 * sigma), math.ceil(3 * sigma) + 1).double()
    kernel = torch.exp(-0.5 * (at / sigma) ** 2)
    return float((kernel / kernel.sum()).square().sum().sqrt())


def _axis_sentence(axis: str) -> str:
    return f'The rotation axis must be "normal", "y" or "x", not "{axis}".'
