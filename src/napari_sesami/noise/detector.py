"""Detector noise: counting, camera and scintillator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from napari_sesami.noise.base import (
    Effect,
    Noised,
    gaussian_blur,
    need,
    normal,
    uniform,
)
from napari_sesami.noise.random import poisson, poisson_level

if TYPE_CHECKING:
    from torch import Generator, Tensor


@dataclass(frozen=True)
class ShotNoise(Effect):
    """Counting noise: y = Poisson(N T) / N, so variance = mean / N.

    Attributes
    ----------
    electrons
        N, electrons (or photons) that a pixel of brightness 1 receives. Low dose is
        under 300, ordinary TEM 200 to 2500.
    """

    electrons: float = 600.0

    def apply(self, image: Tensor, generator: Generator) -> Noised:
        """Count."""
        need(self.electrons > 0, "ShotNoise needs electrons > 0 per pixel.")
        return Noised(poisson(image * self.electrons, generator) / self.electrons)


@dataclass(frozen=True)
class CompoundPoisson(Effect):
    """SEM signal noise: every incident electron frees a random number of others.

    Variance = mean (1 + yield) in units of detected electrons, more than Poisson.

    Attributes
    ----------
    electrons
        Incident electrons per pixel (dose), e.g. 20 to 300.
    se_yield
        Mean number of detected secondaries per incident electron, 0.2 to 2.
    """

    electrons: float = 80.0
    se_yield: float = 0.6

    def apply(self, image: Tensor, generator: Generator) -> Noised:
        """Count twice."""
        need(
            self.electrons > 0 and self.se_yield > 0,
            "CompoundPoisson needs electrons > 0 and se_yield > 0.",
        )
        incident = poisson(image * self.electrons, generator)
        detected = poisson(incident * self.se_yield, generator)
        return Noised(detected / (self.electrons * self.se_yield))


@dataclass(frozen=True)
class Scintillator(Effect):
    """Light spread behind the counting: put it after ShotNoise to colour the noise.

    Attributes
    ----------
    sigma_px
        Width of the point spread in pixels, 0.5 to 1.5.
    """

    sigma_px: float = 0.7

    def apply(self, image: Tensor, generator: Generator) -> Noised:
        """Blur image and noise together."""
        return Noised(gaussian_blur(image, self.sigma_px, self.sigma_px))


@dataclass(frozen=True)
class DarkCurrent(Effect):
    """Thermal electrons: their mean is subtracted by the camera, their noise stays.

    Attributes
    ----------
    electrons
        Dark electrons per pixel in the exposure, 0 to 20.
    full_scale
        Electrons of a pixel of brightness 1.
    """

    electrons: float = 5.0
    full_scale: float = 600.0

    def apply(self, image: Tensor, generator: Generator) -> Noised:
        """Add counted dark electrons less their mean."""
        need(
            self.full_scale > 0 and self.electrons >= 0,
            "DarkCurrent needs full_scale > 0 and electrons ≥ 0.",
        )
        dark = poisson_level(self.electrons, image, generator)
        return Noised(image + (dark - self.electrons) / self.full_scale)


@dataclass(frozen=True)
class ReadOut(Effect):
    """Amplifier noise, normal and independent of the signal.

    Attributes
    ----------
    electrons
        Standard deviation in electrons, 1 to 10.
    full_scale
        Electrons of a pixel of brightness 1.
    """

    electrons: float = 4.0
    full_scale: float = 600.0

    def apply(self, image: Tensor, generator: Generator) -> Noised:
        """Add it."""
        need(self.full_scale > 0, "ReadOut needs full_scale > 0 electrons.")
        noise = normal(image.shape, image, generator)
        return Noised(image + noise * (self.electrons / self.full_scale))


@dataclass(frozen=True)
class Gain(Effect):
    """Flat field left over: pixels and columns of different sensitivity.

    The pattern belongs to the detector, so every image of a batch and every call
    with the same `detector` has the same one.

    Attributes
    ----------
    pixel_sigma, column_sigma
        Relative spread of the sensitivity of pixels and of columns, 0.005 to 0.05.
    detector
        Number of the detector.
    """

    pixel_sigma: float = 0.02
    column_sigma: float = 0.005
    detector: int = 0

    def apply(self, image: Tensor, generator: Generator) -> Noised:
        """Multiply by the sensitivity."""
        own = torch.Generator().manual_seed(self.detector)
        pixels = normal((1, 1, *image.shape[-2:]), image, own)
        columns = normal((1, 1, 1, image.shape[-1]), image, own)
        gain = 1 + self.pixel_sigma * pixels + self.column_sigma * columns
        return Noised(image * gain)


@dataclass(frozen=True)
class HotPixels(Effect):
    """Single pixels that are stuck bright or dark, some of them with a neighbour.

    Attributes
    ----------
    hot, dead
        Fractions of all pixels.
    clustered
        Fraction of hot pixels that saturate the pixels below and beside (X-rays).
    """

    hot: float = 3e-4
    dead: float = 1e-4
    clustered: float = 0.2

    def apply(self, image: Tensor, generator: Generator) -> Noised:
        """Replace them; which is per image."""
        draw = uniform(image.shape, image, generator)
        bright = draw < self.hot
        spread = draw < self.hot * self.clustered
        for axis in (2, 3):
            moved = spread.roll(1, axis)
            moved.select(axis, 0).fill_(False)
            bright |= moved
        image = image.masked_fill(bright, 1.0)
        return Noised(image.masked_fill(draw > 1 - self.dead, 0.0))
