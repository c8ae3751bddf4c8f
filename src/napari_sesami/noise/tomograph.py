"""An X-ray slice measured the honest way: projections, counts and back-projection."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from napari_sesami.noise.base import Effect, Noised, need, normal

if TYPE_CHECKING:
    from torch import Generator, Tensor

_SPECTRUM = ((0.3, 1.0), (0.4, 0.0), (0.3, -0.6))
"""Weight of an energy, and how far its attenuation lies from the mean's."""


@dataclass(frozen=True)
class Tomograph(Effect):
    """Measure an axial slice in parallel projections and reconstruct it.

    Shot noise (Beer and Lambert), beam hardening with its cupping and dark bands,
    rings, source drift and sparse views all follow from the counts. Slow: seconds
    for 512² pixels; the effects of `xrm.py` are the cheap forms.

    Parameters
    ----------
    photons
        Photons per detector pixel and projection without a sample.
    projections
        Number of projections over half a turn.
    opacity
        Attenuation of a white slice along its whole width.
    hardening
        Spread of the attenuation over the spectrum; 0 is a single energy.
    rings
        Standard deviation of the detector's column sensitivity.
    drift
        Height of a wave of the source's brightness over the projections.
    centre
        Rotation axis, as shares of height and width.
    """

    photons: float = 20000.0
    projections: int = 360
    opacity: float = 4.0
    hardening: float = 0.5
    rings: float = 0.003
    drift: float = 0.0
    centre: tuple[float, float] = (0.5, 0.5)

    def __post_init__(self) -> None:
        """Refuse numbers without a meaning."""
        need(
            self.photons > 0 and self.projections > 0 and self.opacity > 0,
            "Photons, projections and opacity must be above 0.",
        )
        need(
            0 <= self.hardening <= 1 and self.rings >= 0 and 0 <= self.drift < 1,
            "Hardening must lie in [0, 1], drift in [0, 1), rings must be 0 or more.",
        )

    def apply(self, image: Tensor, generator: Generator) -> Noised:
        """Project, count, take the logarithm, filter and back-project."""
        scale = self.opacity / image.shape[-1]
        rays = project(image, self.projections, self.centre) * scale
        measured = self._count(rays, generator)
        slices = back_project(measured, image.shape[-2:], self.centre)
        return Noised(slices / scale)

    def _count(self, rays: Tensor, generator: Generator) -> Tensor:
        """Turn ray sums (B, angles, columns) into measured ones."""
        weights = [(w, max(0.05, 1 + self.hardening * d)) for w, d in _SPECTRUM]
        mean = sum(w * a for w, a in weights)
        passed = torch.stack([w * torch.exp(-a / mean * rays) for w, a in weights])
        turn = torch.arange(rays.shape[1], device=rays.device, dtype=rays.dtype)
        flux = 1 + self.drift * torch.sin(2 * math.pi * turn / 50)
        expected = self.photons * passed.sum(0) * flux.view(1, -1, 1)
        # the normal law is Poisson's within a percent for more than 30 counts
        counts = expected + expected.sqrt() * normal(rays.shape, rays, generator)
        columns = 1 + self.rings * normal(
            (len(rays), 1, rays.shape[2]), rays, generator
        )
        return -torch.log((counts * columns).clamp(min=1) / self.photons)


def project(image: Tensor, angles: int, centre: tuple[float, float]) -> Tensor:
    """Sum images (B, 1, H, W) along rays: (B, angles, columns), columns 1 px apart."""
    reach = _reach(image.shape[-2:], centre)
    at = torch.arange(-reach, reach + 1, device=image.device, dtype=image.dtype)
    across, along = at[None, :], at[:, None]
    rows = []
    for k in range(angles):
        sin, cos = math.sin(math.pi * k / angles), math.cos(math.pi * k / angles)
        y, x = across * sin + along * cos, across * cos - along * sin
        rows.append(_sample(image, y, x, centre).sum(2)[:, 0])
    return torch.stack(rows, 1)


def back_project(
    rays: Tensor, shape: tuple[int, ...], centre: tuple[float, float]
) -> Tensor:
    """Reconstruct slices (B, 1, H, W) from ray sums by filtered back-projection."""
    batch, angles, columns = rays.shape
    filtered = _ramp(rays)
    height, width = shape
    y = torch.arange(height, device=rays.device) - centre[0] * (height - 1)
    x = torch.arange(width, device=rays.device) - centre[1] * (width - 1)
    result = rays.new_zeros((batch, height, width))
    for k in range(angles):
        sin, cos = math.sin(math.pi * k / angles), math.cos(math.pi * k / angles)
        at = x[None, :] * cos + y[:, None] * sin + (columns - 1) / 2
        low = at.floor().long().clamp(0, columns - 2)
        part = (at - low).to(rays.dtype)
        row = filtered[:, k]
        result += row[:, low] * (1 - part) + row[:, low + 1] * part
    return (result * math.pi / angles)[:, None]


def _ramp(rays: Tensor) -> Tensor:
    """Apply the band-limited ramp with a Hann window along the last axis."""
    columns = rays.shape[-1]
    size = 2 ** math.ceil(math.log2(2 * columns))
    at = torch.fft.fftfreq(size, 1 / size, device=rays.device)
    odd = at.abs() % 2 == 1
    fall = -1 / (math.pi * torch.where(odd, at, torch.ones_like(at))) ** 2
    kernel = torch.where(odd, fall, torch.zeros_like(at))
    kernel[0] = 0.25
    window = 0.5 + 0.5 * torch.cos(2 * math.pi * torch.fft.rfftfreq(size))
    response = torch.fft.rfft(kernel).real * window.to(rays.device)
    spectrum = torch.fft.rfft(rays, size) * response.to(rays.dtype)
    return torch.fft.irfft(spectrum, size)[..., :columns]


def _reach(shape: tuple[int, ...], centre: tuple[float, float]) -> int:
    """Distance of the farthest corner from the axis, pixels."""
    y, x = (max(c, 1 - c) * (n - 1) for c, n in zip(centre, shape, strict=True))
    return math.ceil(math.hypot(y, x)) + 1


def _sample(image: Tensor, y: Tensor, x: Tensor, centre: tuple[float, float]) -> Tensor:
    """Read images bilinearly at offsets from the axis, zero outside."""
    height, width = image.shape[-2:]
    to_y = (2 * (y + centre[0] * (height - 1)) + 1) / height - 1
    to_x = (2 * (x + centre[1] * (width - 1)) + 1) / width - 1
    grid = torch.stack([to_x, to_y], -1).expand(len(image), -1, -1, -1)
    return F.grid_sample(image, grid, padding_mode="zeros", align_corners=False)
