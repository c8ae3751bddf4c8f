"""The contract of noise effects: image in; image, shift, ignore mask, numbers out."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch.nn import functional as F

from napari_sesami.common.errors import SesamiError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Generator, Tensor

Group = Literal["sample", "machine", "post"]


class NoiseError(SesamiError):
    """A noise effect was given numbers or images it cannot work with."""


@dataclass(frozen=True, eq=False)
class Noised:
    """What an effect gives back.

    Attributes
    ----------
    image
        (B, 1, H, W), float, in [0, 1].
    displacement
        (B, 2, H, W) in pixels, (dy, dx), or None if nothing moved. The output
        pixel at p shows what the input had at p + displacement(p); labels follow
        with `displace_labels`.
    ignore
        Bool (B, 1, H, W), True where the picture no longer shows the specimen, or
        None.
    params
        The numbers used, plain Python values or one list entry per image.
    """

    image: Tensor
    displacement: Tensor | None = None
    ignore: Tensor | None = None
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Effect(ABC):
    """One thing that a microscope, a preparation or a program does to an image.

    Subclasses are small frozen dataclasses whose fields are physical numbers. All
    chance comes from the generator handed over in the call. Random numbers are
    drawn on the generator's device, so with a CPU generator the result on CPU and
    GPU agrees within rounding.
    """

    group: ClassVar[Group] = "machine"

    def __call__(self, image: Tensor, generator: Generator) -> Noised:
        """Apply the effect to a batch of images.

        Parameters
        ----------
        image
            (B, 1, H, W), float, in [0, 1].
        generator
            Source of all chance; the same state gives the same result.
        """
        _check_image(image)
        result = self.apply(image, generator)
        params = {**asdict(self), **result.params}
        return Noised(
            result.image.clamp(0, 1), result.displacement, result.ignore, params
        )

    @abstractmethod
    def apply(self, image: Tensor, generator: Generator) -> Noised:
        """Do the work; the caller has checked the image and clips the result."""


@dataclass(frozen=True)
class Chain(Effect):
    """Several effects one after the other, with shifts and ignore masks added up.

    The order is the user's; physical order is sample, optics, shot noise, detector,
    quantisation, burnt-in marks.
    """

    effects: Sequence[Effect] = ()

    def __call__(self, image: Tensor, generator: Generator) -> Noised:
        """Apply all effects in order; `params` has one entry per effect."""
        _check_image(image)
        return self.apply(image, generator)

    def apply(self, image: Tensor, generator: Generator) -> Noised:
        """Run the chain."""
        shift: Tensor | None = None
        ignore: Tensor | None = None
        params: dict[str, Any] = {}
        for effect in self.effects:
            step = effect(image, generator)
            image = step.image
            if step.displacement is not None:
                shift = compose(shift, step.displacement)
                ignore = _move_mask(ignore, step.displacement)
            if step.ignore is not None:
                ignore = step.ignore if ignore is None else ignore | step.ignore
            params[_free_name(type(effect).__name__, params)] = step.params
        return Noised(image, shift, ignore, params)


def warp(image: Tensor, displacement: Tensor) -> Tensor:
    """Resample images (B, C, H, W) bilinearly at p + displacement(p)."""
    height, width = image.shape[-2:]
    y = torch.arange(height, device=image.device, dtype=image.dtype)[:, None]
    x = torch.arange(width, device=image.device, dtype=image.dtype)[None, :]
    to_y = (2 * (y + displacement[:, 0]) + 1) / height - 1
    to_x = (2 * (x + displacement[:, 1]) + 1) / width - 1
    grid = torch.stack([to_x, to_y], dim=-1)
    return F.grid_sample(image, grid, padding_mode="border", align_corners=False)


def displace_labels(labels: Tensor, displacement: Tensor | None) -> Tensor:
    """Move labels (B, H, W) as the image was moved, by nearest neighbour."""
    if displacement is None:
        return labels
    if labels.shape != displacement.shape[:1] + displacement.shape[2:]:
        raise NoiseError(
            f"Labels of shape {tuple(labels.shape)} cannot follow a displacement of "
            f"shape {tuple(displacement.shape)}; give (B, H, W) and (B, 2, H, W)."
        )
    batch, height, width = labels.shape
    y = torch.arange(height, device=labels.device)[:, None] + displacement[:, 0]
    x = torch.arange(width, device=labels.device)[None, :] + displacement[:, 1]
    y_from = y.round().long().clamp(0, height - 1)
    x_from = x.round().long().clamp(0, width - 1)
    which = torch.arange(batch, device=labels.device)[:, None, None]
    return labels[which, y_from, x_from]


def compose(first: Tensor | None, then: Tensor) -> Tensor:
    """Give the one displacement that equals moving by `first` and then by `then`."""
    if first is None:
        return then
    return then + warp(first, then)


def normal(shape: Sequence[int], like: Tensor, generator: Generator) -> Tensor:
    """Draw standard normal numbers on the generator's device."""
    drawn = torch.randn(tuple(shape), generator=generator, device=generator.device)
    return drawn.to(device=like.device, dtype=like.dtype)


def uniform(
    shape: Sequence[int],
    like: Tensor,
    generator: Generator,
    low: float = 0.0,
    high: float = 1.0,
) -> Tensor:
    """Draw uniform numbers in [low, high) on the generator's device."""
    drawn = torch.rand(tuple(shape), generator=generator, device=generator.device)
    return low + (high - low) * drawn.to(device=like.device, dtype=like.dtype)


def gaussian_blur(image: Tensor, sigma_y: float, sigma_x: float) -> Tensor:
    """Blur images (B, C, H, W) with a Gaussian of two widths in pixels."""
    for axis, sigma in ((2, sigma_y), (3, sigma_x)):
        if sigma > 0.05:
            image = _blur_axis(image, sigma, axis)
    return image


def smooth_field(
    like: Tensor, generator: Generator, cells: tuple[int, int], channels: int = 1
) -> Tensor:
    """Draw a smooth random field (B, channels, H, W), about N(0, 1), `cells` coarse."""
    batch, _, height, width = like.shape
    coarse = normal((batch, channels, cells[0] + 2, cells[1] + 2), like, generator)
    return F.interpolate(coarse, (height, width), mode="bicubic", align_corners=True)


def need(condition: bool, sentence: str) -> None:
    """Raise NoiseError with the sentence unless the condition holds."""
    if not condition:
        raise NoiseError(sentence)


def _blur_axis(image: Tensor, sigma: float, axis: int) -> Tensor:
    length = image.shape[axis]
    radius = max(1, min(math.ceil(3 * sigma), length - 1))
    if length == 1:
        return image
    at = torch.arange(-radius, radius + 1, device=image.device, dtype=image.dtype)
    kernel = torch.exp(-0.5 * (at / sigma) ** 2)
    kernel = (kernel / kernel.sum()).view(1, 1, -1)
    rows = image.movedim(axis, -1)
    flat = F.pad(rows.reshape(-1, 1, length), (radius, radius), mode="reflect")
    return F.conv1d(flat, kernel).reshape(rows.shape).movedim(-1, axis)


def _check_image(image: Tensor) -> None:
    if image.ndim != 4 or image.shape[1] != 1 or not image.is_floating_point():
        raise NoiseError(
            f"An effect needs a float image batch of shape (B, 1, H, W) in [0, 1]; "
            f"this one is {image.dtype} of shape {tuple(image.shape)}."
        )


def _move_mask(mask: Tensor | None, displacement: Tensor) -> Tensor | None:
    return None if mask is None else displace_labels(mask[:, 0], displacement)[:, None]


def _free_name(name: str, taken: dict[str, Any]) -> str:
    number = 1 + sum(key.split("#")[0] == name for key in taken)
    return name if number == 1 else f"{name}#{number}"
