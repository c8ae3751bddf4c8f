"""How a high-bandwidth memory's parts become greys, and what the machine adds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from scipy import ndimage

from napari_sesami.lab.scenes.types import Synthetic
from napari_sesami.lab.scenes.volumes import parts as hp
from napari_sesami.noise import (
    BeamHardening,
    CountingNoise,
    Rings,
    SourceDrift,
    blur_gain,
)
from napari_sesami.scan import ClassSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sesami.lab.scenes.volumes.parts import Domain

VolumeAxis = Literal["z", "y", "x"]

HBM_CLASSES = (
    ClassSpec(hp.PILLAR, "Cu pillar", "#d9822b"),
    ClassSpec(hp.SOLDER, "solder", "#f2d544"),
    ClassSpec(hp.PAD, "Cu pad", "#e0605c"),
    ClassSpec(hp.TSV, "TSV", "#3fa7a0"),
    ClassSpec(hp.VOID, "void", "#e63bd0"),
    ClassSpec(hp.CRACK, "crack", "#ff2b2b"),
    ClassSpec(hp.SILICON, "silicon", "#4da3ff"),
    ClassSpec(hp.UNDERFILL, "underfill", "#7fc24a"),
)
_TRUTH = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, hp.SILICON], np.uint8)
VOXEL_UM = {"logic": 1.5, "memory": 1.0, "stack": 2.0}
BLUR_UM = {"logic": 1.9, "memory": 1.0, "stack": 1.6}
_FULL_SCALE = 60000
_RING_PLANES = 6


@dataclass(frozen=True)
class VolumePlan:
    """Everything that fixes a volume; slabs of any thickness are cut from it."""

    seed: int
    shape: tuple[int, int, int]
    domain: Domain
    step: tuple[float, float, float]
    bottom: float
    origin: tuple[float, float]
    faults: hp.Faults
    noise: bool
    axis: VolumeAxis
    centre: tuple[float, float, float]

    @cached_property
    def tiers(self) -> dict[int, hp.Tier]:
        """Tiers made so far, by number; slabs share them."""
        return {}

    @property
    def area(self) -> tuple[float, float, float, float]:
        """Top, left, bottom and right of a slice, in µm."""
        y, x = self.origin
        return y, x, y + self.shape[1] * self.step[1], x + self.shape[2] * self.step[2]

    @property
    def blur(self) -> tuple[float, float, float]:
        """Width of the blur per axis, in voxels."""
        z, y, x = (BLUR_UM[self.domain] / s for s in self.step)
        return z, y, x

    @property
    def slice_axis(self) -> dict[str, Any]:
        """The rotation axis as a slice (y, x) sees it."""
        names: dict[str, Any] = {"z": "normal", "y": "y", "x": "x"}
        return {"axis": names[self.axis], "centre": self.centre[1:]}

    def heights(self, start: int, stop: int) -> NDArray[np.float64]:
        """Heights of the middles of some slices, in µm."""
        planes = np.arange(start, stop, dtype=np.float64)
        return self.bottom + (planes + 0.5) * self.step[0]

    def tier(self, number: int, die: hp.Die, z0: float) -> hp.Tier:
        """Return a tier; make it the first time it is asked for."""
        if number not in self.tiers:
            self.tiers[number] = hp.make_tier(
                die, z0, self.area, (self.seed, number), self.faults
            )
        return self.tiers[number]


def cut(
    plan: VolumePlan, start: int, stop: int, name: str, side: int | None = None
) -> Synthetic:
    """Draw planes start to stop; with `side`, only the row `side` of each of them."""
    halo = int(np.ceil(3 * plan.blur[0])) + 1
    parts, grey = _matter(plan, start - halo, stop + halo)
    grey = ndimage.gaussian_filter(grey, plan.blur, truncate=3.0, mode="nearest")
    rows = slice(None) if side is None else slice(side, side + 1)
    grey, parts = grey[halo:-halo, rows], parts[halo:-halo, rows]
    if plan.noise:
        flat = side is not None
        grey = _measure_side(plan, grey) if flat else _measure(plan, grey, start)
    return Synthetic(
        image=np.round(grey.clip(0, 1) * _FULL_SCALE).astype(np.uint16),
        labels=_TRUTH[parts],
        classes=HBM_CLASSES,
        pixel_size=plan.step,
        unit="µm",
        modality="XRM",
        name=name,
        info={
            "seed": plan.seed,
            "domain": plan.domain,
            "first_plane": start,
            "bottom_um": plan.bottom,
            "rotation_axis": plan.axis,
            "rotation_centre": plan.centre,
            "licence": "CC0-1.0",
        },
    )


def _matter(
    plan: VolumePlan, start: int, stop: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Parts and greys of planes start to stop, before the microscope."""
    z = plan.heights(start, stop)
    shape = (stop - start, *plan.shape[1:])
    parts = np.full(shape, hp.SILICON, np.uint8)
    parts[(z > -2.5) & (z < 0)] = hp.WIRING
    table = hp.MEMORY.greys if plan.domain == "memory" else hp.LOGIC.greys
    greys = np.tile(np.asarray(table, np.float32), (len(z), 1))
    voxels = hp.Voxels(z, plan.origin, plan.step)
    for number, die, z0 in hp.tiers(plan.domain, plan.seed, z[0], z[-1]):
        hp.fill(parts, plan.tier(number, die, z0), voxels)
        greys[(z >= z0) & (z < z0 + die.height)] = die.greys
    grey = np.empty(shape, np.float32)
    for k in range(len(z)):
        grey[k] = greys[k][parts[k]] + _mottle(plan, start + k, parts[k])
    return parts, grey


def _mottle(
    plan: VolumePlan, plane: int, parts: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Filler grains of the underfill and wiring of the dies, seen as faint texture."""
    rng = np.random.default_rng((plan.seed, 3, plane + 4096))
    grain = rng.standard_normal(parts.shape, np.float32) * 0.045
    stripes = np.random.default_rng((plan.seed, 4)).standard_normal(parts.shape[1])
    lines = np.repeat(stripes, 4)[: parts.shape[1]].astype(np.float32) * 0.02
    grain[(parts != hp.UNDERFILL)] *= 0.12
    return np.asarray(
        grain + np.where(parts == hp.WIRING, lines[None, :], 0), np.float32
    )


def _effects(
    plan: VolumePlan,
) -> tuple[BeamHardening, CountingNoise, Rings, SourceDrift]:
    """Draw the strengths of a scan's effects; memory scans are sharper and noisier."""
    rng = np.random.default_rng((plan.seed, 6))
    dose = {"logic": 14000.0, "memory": 6000.0, "stack": 9000.0}[plan.domain]
    return (
        BeamHardening(
            rng.uniform(0.04, 0.1), rng.uniform(0.05, 0.1), **plan.slice_axis
        ),
        CountingNoise(dose * rng.uniform(0.7, 1.4), 1600, 4.5 * _width(plan) / 256),
        Rings(rng.uniform(0.003, 0.008), rng.uniform(0.015, 0.04), **plan.slice_axis),
        SourceDrift(0.006, rng.uniform(30, 80), 0.015, rng.uniform(0, 0.02)),
    )


def _width(plan: VolumePlan) -> int:
    """Pixels across the scan; a wider field has more matter in the beam."""
    return min(plan.shape[2], 512)


def _measure(
    plan: VolumePlan, grey: NDArray[np.float32], start: int
) -> NDArray[np.float32]:
    """Measure planes (z, y, x) as the machine would; the same for any slab."""
    harden, count, rings, drift = _effects(plan)
    image = torch.from_numpy(np.ascontiguousarray(grey))[:, None]
    image = harden(image, _generator(plan, 0)).image
    drift = replace(drift, first=start, total=plan.shape[0])
    image = drift(image, _generator(plan, 1)).image
    image = image + count.sigma(image) * _grain(plan, count, image, start)
    _add_rings(plan, rings, image, start)
    return image[:, 0].numpy()


def _grain(
    plan: VolumePlan, count: CountingNoise, image: torch.Tensor, start: int
) -> torch.Tensor:
    """Noise of unit variance, correlated in all three directions."""
    halo = 2
    planes = range(start - halo, start + len(image) + halo)
    white = torch.stack(
        [
            torch.randn(image.shape[1:], generator=_generator(plan, 8192 + k))
            for k in planes
        ]
    )
    soft = count.texture(white).numpy()
    soft = ndimage.gaussian_filter1d(soft, count.grain, 0, truncate=halo / count.grain)
    return torch.from_numpy(soft[halo:-halo]) / blur_gain(count.grain)


def _add_rings(plan: VolumePlan, rings: Rings, image: torch.Tensor, start: int) -> None:
    """Add every plane's rings; about z they change slowly from plane to plane."""
    one = image[:1]
    if plan.axis != "z":
        longest = int(np.hypot(max(plan.shape), plan.shape[0])) + 3
        profile = rings.profile(one, _generator(plan, 2), longest)
        for k in range(len(image)):
            off = start + k - plan.centre[0] * (plan.shape[0] - 1)
            image[k : k + 1] += replace(rings, offset=off).field(one, profile)
        return
    fields: dict[int, torch.Tensor] = {}
    for k in range(len(image)):
        knot, part = divmod(start + k, _RING_PLANES)
        for number in (knot, knot + 1):
            if number not in fields:
                profile = rings.profile(one, _generator(plan, 16 + number))
                fields[number] = rings.field(one, profile)
        share = part / _RING_PLANES
        image[k : k + 1] += torch.lerp(fields[knot], fields[knot + 1], share)


def _measure_side(plan: VolumePlan, grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Measure a side view (z, 1, x): the axis runs along z, across the picture's y."""
    harden, count, rings, _ = _effects(plan)
    image = torch.from_numpy(np.ascontiguousarray(grey[:, 0]))[None, None]
    seen: dict[str, Any] = {"axis": "y", "centre": plan.centre[:2]}
    for number, effect in enumerate(
        (replace(harden, **seen), count, replace(rings, offset=9.0, **seen))
    ):
        image = effect(image, _generator(plan, 3 + number)).image
    return image[0, 0].numpy()[:, None]


def _generator(plan: VolumePlan, number: int) -> torch.Generator:
    state = np.random.SeedSequence((plan.seed, number + 10)).generate_state(1)
    return torch.Generator().manual_seed(int(state[0]))
