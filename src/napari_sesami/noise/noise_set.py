"""A set of noise for training: some of its effects on each image, never none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch

from napari_sesami.noise.base import Effect, compose, displace_labels, need, warp
from napari_sesami.noise.dice import Dice

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Generator, Tensor


class Augmented(NamedTuple):
    """Images with noise, with labels and masks that followed them.

    Attributes
    ----------
    images
        As given: (B, 1 or 3, H, W), float, in [0, 1].
    labels
        (B, H, W), moved as the images were; None if none were given.
    accepted
        Bool (B, H, W): the acceptance mask, moved, and False also below burnt-in
        marks and where pixels came from outside the picture.
    """

    images: Tensor
    labels: Tensor | None
    accepted: Tensor


@dataclass(frozen=True)
class SetPart:
    """One kind of effect in a set.

    Attributes
    ----------
    draw
        Draws the effect with its strengths.
    share
        Share of the images that meet it.
    least
        Each image meets it with a weight between this and 1.
    leads
        Whether an image that meets this one alone is noisy enough.
    cause
        "counts", "lines" or "curtains" where fitted noise takes its place.
    alike
        So many images of a batch at most share the numbers that are not weights
        (widths, angles, periods).
    """

    draw: Callable[[Dice], Effect]
    share: float = 0.5
    least: float = 0.5
    leads: bool = True
    cause: str = ""
    alike: int = 8


@dataclass(frozen=True)
class NoiseSet:
    """One stage of the noise of an instrument, as strong augmentation of a batch.

    Every image meets at least one of the parts that lead, and always those whose
    share is 1. Random fields and weights are drawn per image.

    Attributes
    ----------
    name
        "sample", "machine" or "post".
    parts
        In physical order.
    strength
        1 is an ordinary picture, 2 a bad one.
    """

    name: str
    parts: tuple[SetPart, ...]
    strength: float = 1.0

    def __call__(
        self,
        images: Tensor,
        labels: Tensor | None,
        accepted: Tensor | None,
        generator: Generator,
    ) -> Augmented:
        """Draw noise onto a batch; what is given stays as it is.

        Parameters
        ----------
        images
            (B, 1, H, W) or, in colour, (B, 3, H, W), float, in [0, 1].
        labels
            (B, H, W), whole numbers, or None.
        accepted
            Bool (B, H, W), or None for all True.
        generator
            Source of all chance, on any device. One number is drawn from it; the
            fields come from a generator on the device of the images.
        """
        _check(images, labels, accepted)
        seed = torch.randint(
            2**62, (), generator=generator, device=generator.device
        ).item()
        own = torch.Generator().manual_seed(int(seed))
        there = torch.Generator(images.device).manual_seed(int(seed) + 1)
        grey = images.float().mean(1, keepdim=True)
        start, shift, ignore = grey, None, None
        for part, on in zip(self.parts, self._who(len(images), own), strict=True):
            who = on.nonzero()[:, 0]
            for first in range(0, len(who), part.alike):
                some = who[first : first + part.alike]
                effect = part.draw(Dice(own, self.strength))
                weight = part.least + (1 - part.least) * torch.rand(
                    len(some), generator=own
                )
                every = len(some) == len(images)
                some, weight = some.to(grey.device), weight.to(grey.device)
                before = grey if every else grey[some]
                made = effect(before, there)
                if made.displacement is not None:
                    moved = made.displacement * weight.view(-1, 1, 1, 1)
                    after = warp(before, moved)
                    whole = moved if every else _spread(moved, some, len(images))
                    shift = compose(shift, whole)
                    if ignore is not None:
                        ignore = displace_labels(ignore, whole)
                else:
                    after = torch.lerp(before, made.image, weight.view(-1, 1, 1, 1))
                if made.ignore is not None:
                    marks = made.ignore[:, 0]
                    marks = marks if every else _spread(marks, some, len(images))
                    ignore = marks if ignore is None else ignore | marks
                grey = after if every else grey.index_copy(0, some, after)
        out = grey
        if images.shape[1] == 3:
            base = images.float()
            if shift is not None:
                base, start = warp(base, shift), warp(start, shift)
            cast = 1 + 0.3 * self.strength * (
                torch.rand(len(images), 3, generator=own) - 0.5
            )
            if self.name == "machine":
                base = base * cast.to(base)[:, :, None, None]
            out = (base + grey - start).clamp(0, 1)
        mask = torch.ones_like(grey[:, 0], dtype=torch.bool)
        if accepted is not None:
            mask &= displace_labels(accepted, shift)
        if shift is not None:
            mask &= _inside(shift)
            labels = None if labels is None else displace_labels(labels, shift)
        if ignore is not None:
            mask &= ~ignore
        return Augmented(out.to(images.dtype), labels, mask)

    def _who(self, batch: int, own: Generator) -> list[Tensor]:
        """Draw which images meet which part; every image has one that leads."""
        on = [torch.rand(batch, generator=own) < part.share for part in self.parts]
        leaders = [n for n, part in enumerate(self.parts) if part.leads]
        chosen = torch.randint(len(leaders), (batch,), generator=own)
        for at, n in enumerate(leaders):
            on[n] = on[n] | (chosen == at)
        return on


def _spread(some: Tensor, where: Tensor, batch: int) -> Tensor:
    whole = some.new_zeros((batch, *some.shape[1:]))
    return whole.index_copy(0, where, some)


def _inside(shift: Tensor) -> Tensor:
    # False where a pixel shows what lay outside of the picture
    height, width = shift.shape[-2:]
    y = torch.arange(height, device=shift.device)[:, None] + shift[:, 0]
    x = torch.arange(width, device=shift.device)[None, :] + shift[:, 1]
    in_y = (y > -0.5) & (y < height - 0.5)
    return in_y & (x > -0.5) & (x < width - 0.5)


def _check(images: Tensor, labels: Tensor | None, accepted: Tensor | None) -> None:
    need(
        images.ndim == 4
        and images.shape[1] in (1, 3)
        and images.is_floating_point()
        and min(images.shape) > 0,
        "A noise set needs float images (B, 1, H, W) or (B, 3, H, W) in [0, 1]; these "
        f"are {images.dtype} of shape {tuple(images.shape)}.",
    )
    need(
        min(images.shape[-2:]) >= 32,
        "A noise set needs images of 32 × 32 pixels or more; these have "
        f"{images.shape[-2]} × {images.shape[-1]}.",
    )
    want = (images.shape[0], *images.shape[-2:])
    for name, given in (("labels", labels), ("acceptance masks", accepted)):
        need(
            given is None or tuple(given.shape) == want,
            f"The {name} must have the shape {want} of the images"
            + ("." if given is None else f", not {tuple(given.shape)}."),
        )
    need(
        accepted is None or accepted.dtype == torch.bool,
        "Acceptance masks must be bool.",
    )
