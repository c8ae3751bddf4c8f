"""The noise of somebody's instrument, in numbers; it draws and travels as JSON."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import torch
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from napari_sesami.noise.base import (
    Effect,
    Noised,
    NoiseError,
    gaussian_blur,
    need,
    normal,
)
from napari_sesami.noise.sample import Curtaining
from napari_sesami.noise.xrm import blur_gain

if TYPE_CHECKING:
    from torch import Generator, Tensor

VERSION = 1
Number = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Place = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


@dataclass(frozen=True)
class Spread:
    """A number with the range that it had over pictures, or parts of one.

    Attributes
    ----------
    value
        What fits all of it.
    low, high
        10 and 90 % of the parts.
    """

    value: Number
    low: Number
    high: Number

    __pydantic_config__ = ConfigDict(extra="forbid")

    def draw(self, chance: float) -> float:
        """Choose from the range, evenly on a log scale where that is possible."""
        if self.low <= 0:
            return self.low + (self.high - self.low) * chance
        return float(self.low * (self.high / self.low) ** chance)


@dataclass(frozen=True)
class NoiseFit:
    """What the noise of some scans is like. Brightness 0 and 1 are a scan's ends.

    Attributes
    ----------
    growth
        How much the variance of the noise grows from brightness 0 to 1.
    floor
        Standard deviation of the noise at brightness 0.
    grain
        Width (sigma, pixels) over which neighbours share noise; 0 is white.
    lines
        Relative difference in brightness from one scan line to the next.
    curtains
        Relative height of streaks along y.
    angle_deg
        Direction of the streaks against y.
    electrons
        Counted electrons (photons) of a pixel of brightness 1; None if not told.
    read_out
        Standard deviation of the read-out in electrons; None if not told.
    step
        Between two grey levels; 0 if they are dense.
    black, white
        Share of the pixels at the ends of the grey scale.
    scans
        How many were looked at.
    notes
        Sentences: what was refused, and why.
    """

    growth: Spread
    floor: Spread
    grain: Spread
    lines: Spread
    curtains: Spread
    angle_deg: Place = 0.0
    electrons: Spread | None = None
    read_out: Spread | None = None
    step: Share = 0.0
    black: Share = 0.0
    white: Share = 0.0
    scans: Annotated[int, Field(ge=1, le=10**9)] = 1
    notes: tuple[Annotated[str, Field(max_length=500)], ...] = ()

    __pydantic_config__ = ConfigDict(extra="forbid")

    @property
    def told(self) -> bool:
        """Whether dose could be told."""
        return self.electrons is not None

    def draw(self, clean: Tensor, generator: Generator) -> Tensor:
        """Put noise like this onto clean images.

        Parameters
        ----------
        clean
            (B, 1, H, W), float, brightness in [0, 1].
        generator
            Source of all chance. Each image has strengths of its own, from the range
            over the scans.
        """
        return FittedNoise(self)(clean, generator).image

    def sentences(self) -> list[str]:
        """Say what was found, and what was refused."""
        said = []
        if self.electrons is not None:
            said.append(f"Dose: {_ranged(self.electrons)} electrons per white pixel.")
        if self.read_out is not None:
            said.append(f"Read-out noise: {_ranged(self.read_out)} electrons.")
        dark, bright = self.floor.value, self.level(1.0)
        said.append(
            f"Noise: {100 * dark:.2g} % of the grey range in black, "
            f"{100 * bright:.2g} % in white."
        )
        if self.grain.value > 0:
            said.append(
                f"Grain: neighbours share noise over {self.grain.value:.1f} pixels."
            )
        if self.lines.value > 0:
            said.append(f"Scan lines differ by {100 * self.lines.value:.1f} %.")
        if self.curtains.value > 0:
            said.append(
                f"Curtains of {100 * self.curtains.value:.1f} % at "
                f"{self.angle_deg:.0f}° from vertical."
            )
        if self.black + self.white > 0.002:
            said.append(
                f"{100 * self.black:.1f} % of the pixels are black, "
                f"{100 * self.white:.1f} % white: the grey scale is cut off there."
            )
        return [*said, *self.notes]

    def level(self, brightness: float) -> float:
        """Standard deviation of the noise at a brightness."""
        return math.sqrt(self.floor.value**2 + self.growth.value * brightness)

    def to_json(self) -> str:
        """Write as text that `from_json` reads."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a file."""
        return {"version": VERSION, **asdict(self), "notes": list(self.notes)}

    @classmethod
    def from_json(cls, text: str) -> NoiseFit:
        """Read what `to_json` wrote; a `NoiseError` says what does not fit."""
        try:
            stored = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise NoiseError(f"This is no fitted noise: {error}.") from error
        return cls.from_dict(stored)

    @classmethod
    def from_dict(cls, stored: Any) -> NoiseFit:
        """Take back what `to_dict` gave."""
        need(
            isinstance(stored, dict) and stored.get("version") == VERSION,
            f"This is no fitted noise of version {VERSION}; fit it again.",
        )
        values = {k: v for k, v in stored.items() if k != "version"}
        try:
            found = TypeAdapter(cls).validate_json(json.dumps(values), strict=True)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where, why = ".".join(map(str, first["loc"])), str(first["msg"]).lower()
        except (ValueError, TypeError, RecursionError) as error:
            where, why = "?", str(error)
        else:
            return found
        raise NoiseError(
            f"The fitted noise is damaged at “{where}” ({why}); fit it again."
        )


@dataclass(frozen=True)
class FittedNoise(Effect):
    """Noise as it was fitted to scans: counts and read-out, grain, lines, curtains.

    Attributes
    ----------
    fit
        What was found.
    strength
        Factor on the standard deviation.
    """

    fit: NoiseFit
    strength: float = 1.0

    def apply(self, image: Tensor, generator: Generator) -> Noised:
        """Draw it, with strengths of its own for each image."""
        fit, many = self.fit, len(image)
        chance = torch.rand((many, 4), generator=generator, device=generator.device)
        rows = chance.tolist()

        def drawn(spread: Spread, which: int) -> Tensor:
            values = [spread.draw(row[which]) for row in rows]
            return image.new_tensor(values).view(-1, 1, 1, 1)

        size = fit.grain.value
        white = normal(image.shape, image, generator)
        if size > 0.05:
            white = gaussian_blur(white, size, size) / blur_gain(size) ** 2
        if fit.curtains.value > 0:
            streaks = Curtaining(
                self.strength * fit.curtains.value,
                width_px=1.5,
                angle_deg=fit.angle_deg,
                everywhere=1.0,
            )
            image = streaks(image, generator).image
        if fit.lines.value > 0:
            grain = normal((*image.shape[:3], 1), image, generator)
            image = image * (1 + self.strength * drawn(fit.lines, 2) * grain)
        growth, floor = drawn(fit.growth, 0), drawn(fit.floor, 1)
        level = (floor.square() + growth * image.clamp(min=0)).sqrt()
        # counting noise leans towards bright; read-out does not
        lean = growth * (white.square() - 1) / 6 * (1 if size == 0 else 0)
        out = image + self.strength * (level * white + lean)
        if fit.step > 0:
            out = (out / fit.step).round() * fit.step
        return Noised(out)


def _ranged(spread: Spread) -> str:
    digits = [f"{float(f'{v:.2g}'):g}" for v in (spread.value, spread.low, spread.high)]
    return f"about {digits[0]} ({digits[1]} to {digits[2]})"
