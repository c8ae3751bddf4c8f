"""What a stacked memory was drawn with, bump by bump."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.lab.scenes.types import TruthValue
from napari_sesami.lab.scenes.volumes import parts as hp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_sesami.lab.scenes.volumes.parts import Tier
    from napari_sesami.lab.scenes.volumes.tomography import VolumePlan

FOOT = 1.025
"""A pillar's diameter at mid-height over that of the bump: its foot is 5 % wider."""


def dimensions(plan: VolumePlan) -> Iterator[TruthValue]:
    """List gaps, diameters, heights and misalignments of all tiers in a volume.

    Faults change what they touch: heights and diameters are those without them.
    """
    heights = plan.heights(0, plan.shape[0])
    for number, die, z0 in hp.tiers(plan.domain, plan.seed, heights[0], heights[-1]):
        tier = plan.tier(number, die, z0)
        middle = (plan.shape[1] / 2, plan.shape[2] / 2)
        low = _plane(plan, z0)
        yield TruthValue("gap", die.bond_line, "µm", (low, *middle))
        yield from _bumps(plan, tier)


def _bumps(plan: VolumePlan, tier: Tier) -> Iterator[TruthValue]:
    die = tier.die
    wide = np.square(tier.wave[:, :3]).sum(1) / 4  # waves add to the area
    for k, centre in enumerate(tier.centre):
        top = centre + tier.shift[k]
        solder = _plane(plan, tier.z0 + die.pad + die.solder / 2)
        pillar = _plane(plan, tier.z0 + die.bond_line - die.pillar / 2)
        body = die.bump * tier.scale[k] * (1 + wide[k])
        at = (pillar, *_pixel(plan, top))
        yield TruthValue("bump diameter", float(body * FOOT), "µm", at)
        middle = (solder, *_pixel(plan, centre + tier.shift[k] / 2))
        yield TruthValue("bump height", die.solder, "µm", middle)
        for zone, value in zip(("dy", "dx"), tier.shift[k], strict=True):
            yield TruthValue("misalignment", float(value), "µm", at, zone)
        if die.tsv:
            via = _plane(plan, tier.z0 + die.bond_line + die.thickness / 2)
            place = (via, *_pixel(plan, top))
            yield TruthValue("via diameter", die.tsv, "µm", place)
            yield TruthValue("via tilt", 0.0, "°", place)


def _plane(plan: VolumePlan, z: float) -> float:
    return float((z - plan.bottom) / plan.step[0] - 0.5)


def _pixel(plan: VolumePlan, at: np.ndarray) -> tuple[float, float]:
    y, x = (np.asarray(at) - plan.origin) / plan.step[1:] - 0.5
    return float(y), float(x)
