"""What programs do to a picture afterwards: tone, compression, burnt-in marks."""

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
    uniform,
)
from napari_sesami.noise.font import text_mask

if TYPE_CHECKING:
    from torch import Generator, Tensor


@dataclass(frozen=True)
class Gamma(Effect):
    """A bent tone curve: y = x^gamma.

    Attributes
    ----------
    gamma
        0.5 to 2; below 1 brightens.
    """

    group: ClassVar[Group] = "post"
    gamma: float = 1.2

    def apply(self, image: Tensor, generator: Generator) -> Noised:
        """Bend."""
        need(self.gamma > 0, "Gamma needs gamma > 0.")
        return Noised(image.clamp(min=1e-6) ** self.gamma)


@dataclass(frozen=True)
class Contrast(Effect):
    """Brightness and contrast knobs: y = (x - mean) contrast + mean + brightness.

    Attributes
    ----------
    contrast
        Factor, 0.5 to 1.5; high values clip.
    brightness
        Added, -0.2 to 0.2.
    """

    group: ClassVar[Group] = "post"
    contrast: float = 1.2
    brightness: float = 0.0

    def apply(self, image: Tensor, generator: Generator) -> Noised:
        """Turn the knobs."""
        mean = image.mean((2, 3), keepdim=True)
        return Noised((image - mean) * self.contrast + mean + self.brightness)


@dataclass(frozen=True)
class Sharpen(Effect):
    """Unsharp masking, with its halos.

    Attributes
    ----------
    amount
        0.3 to 2.
    sigma_px
        Width of the halo.
    """

    group: ClassVar[Group] = "post"
    amount: float = 0.8
    sigma_px: float = 1.5

    def apply(self, image: Tensor, generator: Generator) -> Noised:
        """Add what a blur takes away."""
        soft = gaussian_blur(image, self.sigma_px, self.sigma_px)
        return Noised(image + self.amount * (image - soft))


@dataclass(frozen=True)
class Quantise(Effect):
    """Rounding to a few grey levels.

    Attributes
    ----------
    bits
        Bits per pixel, 1 to 16.
    """

    group: ClassVar[Group] = "post"
    bits: int = 8

    def apply(self, image: Tensor, generator: Generator) -> Noised:
        """Round."""
        need(1 <= self.bits <= 16, "Quantise needs 1 to 16 bits.")
        top = 2**self.bits - 1
        return Noised((image * top).round() / top)


@dataclass(frozen=True)
class Compression(Effect):
    """JPEG-like block compression: 8 × 8 cosine coefficients rounded.

    Attributes
    ----------
    quality
        1 to 100 as in picture programs; 30 shows clear blocks.
    """

    group: ClassVar[Group] = "post"
    quality: int = 60

    def apply(self, image: Tensor, generator: Generator) -> Noised:
        """Round the coefficients."""
        need(1 <= self.quality <= 100, "Compression needs a quality of 1 to 100.")
        height, width = image.shape[-2:]
        room = (0, -width % 8, 0, -height % 8)
        padded = F.pad(image, room, mode="replicate") * 255 - 128
        blocks = padded.unfold(2, 8, 8).unfold(3, 8, 8)
        cosines = _cosines(image)
        steps = _steps(self.quality, image)
        rounded = ((cosines @ blocks @ cosines.T) / steps).round() * steps
        back = cosines.T @ rounded @ cosines
        full = back.transpose(3, 4).reshape(padded.shape)
        return Noised((full[..., :height, :width] + 128) / 255)


Corner = Literal["lower left", "lower right", "upper left", "upper right"]
_CORNERS: tuple[Corner, ...] = (
    "lower left",
    "lower right",
    "upper left",
    "upper right",
)


@dataclass(frozen=True)
class ScaleBar(Effect):
    """A burnt-in scale bar with its label, white on black or the other way round.

    Attributes
    ----------
    pixel_size_nm
        Picks a round length of about `fraction` of the width and writes it.
    fraction
        Share of the width, 0.05 to 0.25.
    corner
        Where; None draws one per call.
    boxed
        Whether it stands on a plain box.
    dark
        Whether the bar is black.
    """

    group: ClassVar[Group] = "post"
    pixel_size_nm: float = 1.0
    fraction: float = 0.18
    corner: Corner | None = None
    boxed: bool = False
    dark: bool = False

    def apply(self, image: Tensor, generator: Generator) -> Noised:
        """Draw it; the ignore mask covers the bar, its label and the box."""
        need(self.pixel_size_nm > 0, "ScaleBar needs pixel_size_nm > 0.")
        height, width = image.shape[-2:]
        need(min(height, width) >= 32, "ScaleBar needs an image of 32 × 32 or more.")
        pick = int(uniform((1,), image, generator)[0] * 4)
        corner = self.corner or _CORNERS[min(pick, 3)]
        length, label = _round_length(self.fraction * width, self.pixel_size_nm)
        ink, box = _bar_masks(height, width, length, label, corner)
        ink, box = ink.to(image.device), box.to(image.device)
        mask = box if self.boxed else ink
        image = (
            image.masked_fill(mask, 1.0 if self.dark else 0.0) if self.boxed else image
        )
        image = image.masked_fill(ink, 0.0 if self.dark else 1.0)
        ignore = mask.expand(image.shape[0], 1, -1, -1)
        return Noised(image, None, ignore, {"corner": corner, "label": label})


@dataclass(frozen=True)
class DataBar(Effect):
    """The strip of text below a SEM picture.

    Attributes
    ----------
    fraction
        Height of the strip as a share of the picture, 0.05 to 0.12.
    pixel_size_nm
        For its scale bar.
    text
        What else it says.
    """

    group: ClassVar[Group] = "post"
    fraction: float = 0.07
    pixel_size_nm: float = 1.0
    text: str = "5.0kV x80k 4.0mm"

    def apply(self, image: Tensor, generator: Generator) -> Noised:
        """Replace the lowest rows; the ignore mask covers them."""
        need(0 < self.fraction < 1, "DataBar needs 0 < fraction < 1.")
        height, width = image.shape[-2:]
        rows = min(height, max(10, round(self.fraction * height)))
        strip = torch.zeros((rows, width), dtype=torch.bool)
        room = (width // 6) // (len(self.text) + 14)
        size = max(1, min((rows - 3) // 9, room))
        _paste(strip, text_mask(self.text, size), (rows - 7 * size) // 2, 4 * size)
        length, label = _round_length(0.12 * width, self.pixel_size_nm)
        words = text_mask(label, size)
        left = width - length - 4 * size
        strip[rows // 2 : rows // 2 + size, max(left, 0) : max(left, 0) + length] = True
        _paste(strip, words, (rows - 7 * size) // 2, left - words.shape[1] - 3 * size)
        out = image.clone()
        out[:, :, height - rows :] = strip.to(image)
        ignore = torch.zeros_like(image, dtype=torch.bool)
        ignore[:, :, height - rows :] = True
        return Noised(out, None, ignore, {"rows": rows})


def _round_length(pixels: float, pixel_size_nm: float) -> tuple[int, str]:
    # the round length (1, 2, 5 times a power of ten) that comes closest from below
    wanted = max(pixels, 1.0) * pixel_size_nm
    power = 10.0 ** math.floor(math.log10(wanted))
    value = next(m * power for m in (5, 2, 1) if m * power <= wanted * 1.0001)
    label = f"{value:g}nm" if value < 1000 else f"{value / 1000:g}µm"
    return max(1, round(value / pixel_size_nm)), label


def _bar_masks(
    height: int, width: int, length: int, label: str, corner: Corner
) -> tuple[Tensor, Tensor]:
    size = max(1, round(width / 320))
    words = text_mask(label, size)
    words = words[:, : width - 8 * size]
    gap, thick = 3 * size, 2 * size
    tall = words.shape[0] + gap + thick
    wide = max(length, words.shape[1])
    top = height - tall - 5 * size if "lower" in corner else 5 * size
    left = width - wide - 5 * size if "right" in corner else 5 * size
    top, left = max(top, 0), max(left, 0)
    ink = torch.zeros((height, width), dtype=torch.bool)
    _paste(ink, words, top, left + (wide - words.shape[1]) // 2)
    start = left + (wide - length) // 2
    low = top + words.shape[0] + gap
    ink[low : low + thick, start : start + length] = True
    box = torch.zeros_like(ink)
    edge = 3 * size
    box[
        max(top - edge, 0) : top + tall + edge, max(left - edge, 0) : left + wide + edge
    ] = True
    return ink, box


def _paste(target: Tensor, patch: Tensor, top: int, left: int) -> None:
    top, left = max(top, 0), max(left, 0)
    room = target[top : top + patch.shape[0], left : left + patch.shape[1]]
    room |= patch[: room.shape[0], : room.shape[1]]


def _cosines(like: Tensor) -> Tensor:
    k = torch.arange(8, device=like.device, dtype=like.dtype)
    table = torch.cos(math.pi * (2 * k[None, :] + 1) * k[:, None] / 16) / 2
    table[0] /= math.sqrt(2)
    return table


def _steps(quality: int, like: Tensor) -> Tensor:
    # coarser for fine detail, about as coarse as common luminance tables
    k = torch.arange(8, device=like.device, dtype=like.dtype)
    table = 10 + 6.5 * (k[:, None] + k[None, :])
    scale = 50 / quality if quality < 50 else 2 - quality / 50
    return (table * scale).clamp(min=1)
