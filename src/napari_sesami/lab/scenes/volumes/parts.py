"""The parts of a high-bandwidth memory in micrometres, and how they fill voxels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

Domain = Literal["logic", "memory", "stack"]

PILLAR, SOLDER, PAD, TSV, VOID, CRACK, SILICON, UNDERFILL = range(1, 9)
WIRING = 9  # drawn a little brighter, silicon in the truth


@dataclass(frozen=True)
class Die:
    """One die and the bumps below it; all lengths in µm, greys in [0, 1].

    Attributes
    ----------
    pitch
        Distance of bumps along y and x; every second row is shifted if `staggered`.
    bump
        Diameter of the copper pillar.
    pillar, solder, pad
        Heights, from the upper die down: together the bond line.
    bulge
        How far the solder swells beyond the pillar.
    tsv
        Diameter of the through-silicon vias; 0 for none.
    thickness
        Of the die above the bond line.
    greys
        Grey of every part, by its number; what the scan's contrast gives.
    """

    pitch: tuple[float, float]
    staggered: bool
    bump: float
    pillar: float
    solder: float
    pad: float
    bulge: float
    tsv: float
    thickness: float
    greys: tuple[float, ...]

    @property
    def bond_line(self) -> float:
        """Height between two dies."""
        return self.pad + self.solder + self.pillar

    @property
    def height(self) -> float:
        """Height of bond line and die."""
        return self.bond_line + self.thickness


#                nothing pillar solder pad  tsv  void crack silicon underfill wiring
_LOGIC_GREYS = (0.05, 0.56, 0.90, 0.58, 0.52, 0.06, 0.06, 0.20, 0.145, 0.235)
_MEMORY_GREYS = (0.05, 0.50, 0.70, 0.46, 0.44, 0.08, 0.08, 0.235, 0.19, 0.26)

LOGIC = Die((96.0, 96.0), True, 44.0, 20.0, 17.0, 7.0, 4.5, 10.0, 42.0, _LOGIC_GREYS)
MEMORY = Die((55.0, 55.0), False, 25.0, 9.0, 9.0, 4.0, 2.2, 6.0, 34.0, _MEMORY_GREYS)


@dataclass(frozen=True)
class Faults:
    """How often something goes wrong: shares of bumps, and of TSVs for `tsv_void`."""

    void: float
    crack: float
    tsv_void: float


@dataclass(frozen=True)
class Tier:
    """A bond line with the die above it, from `z0` (µm) upwards, and all its bumps.

    The arrays have one row per bump: `centre` (y, x) at the pad, `shift` from pad to
    pillar, `scale` of the diameter, `bulge` in µm, `wave` amplitudes and phases of the
    outline, `voids` (bump, z, y, x, rz, ry, rx) and `cracks` (bump, reach, tilt_y,
    tilt_x, gap), all in µm.
    """

    die: Die
    z0: float
    centre: NDArray[np.float64]
    shift: NDArray[np.float64]
    scale: NDArray[np.float64]
    bulge: NDArray[np.float64]
    wave: NDArray[np.float64]
    voids: NDArray[np.float64]
    cracks: NDArray[np.float64]


def tiers(
    domain: Domain, seed: int, bottom: float, top: float
) -> Iterator[tuple[int, Die, float]]:
    """List (number, die, z of its bond line) of all tiers between two heights, in µm.

    A stack has one logic die at the bottom; otherwise dies of one kind repeat.
    """
    first = MEMORY if domain == "memory" else LOGIC
    number, z = 0, 0.0
    while z < top:
        die = first if number == 0 or domain != "stack" else MEMORY
        if z + die.height > bottom:
            yield number, die, z
        number, z = number + 1, z + die.height


def make_tier(
    die: Die,
    z0: float,
    area: tuple[float, float, float, float],
    seed: tuple[int, ...],
    faults: Faults,
) -> Tier:
    """Place the bumps of a tier over an area (y0, x0, y1, x1) in µm, with faults.

    `seed` is (scene, tier): all dies of a kind share the scene's grid, as TSVs must
    meet bumps.
    """
    rng = np.random.default_rng(seed)
    centre = _grid(die, area, np.random.default_rng((seed[0], int(die.pitch[0]))))
    n = len(centre)
    centre += rng.normal(0, 0.004 * die.bump, (n, 2))
    shift = rng.normal(0, 0.03 * die.bump, 2) + rng.normal(0, 0.012 * die.bump, (n, 2))
    wave = np.concatenate(
        [rng.normal(0, [0.012, 0.008, 0.006], (n, 3)), rng.uniform(0, 6.3, (n, 3))], 1
    )
    return Tier(
        die,
        z0,
        centre,
        shift,
        rng.normal(1.0, 0.02, n),
        die.bulge * rng.uniform(0.55, 1.35, n),
        wave,
        _voids(die, n, faults, rng),
        _cracks(die, n, faults, rng),
    )


def _grid(
    die: Die, area: tuple[float, float, float, float], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Centres (n, 2) in µm of all bumps that touch the area."""
    start = rng.random(2)
    low, high = np.asarray(area[:2]) - die.bump, np.asarray(area[2:]) + die.bump
    step = np.array([die.pitch[0] * (0.5 if die.staggered else 1.0), die.pitch[1]])
    first = np.floor(low / step - start).astype(int) - 1
    last = np.ceil(high / step - start).astype(int) + 1
    r, c = np.meshgrid(
        *(np.arange(*span) for span in zip(first, last, strict=True)), indexing="ij"
    )
    x = c + start[1] + (0.5 * (r % 2) if die.staggered else 0.0)
    grid = np.stack([((r + start[0]) * step[0]).ravel(), (x * step[1]).ravel()], 1)
    return grid[(grid > low).all(1) & (grid < high).all(1)]


def _voids(
    die: Die, n: int, faults: Faults, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw voids in the solder, most of them near the pillar, and slim ones in TSVs."""
    rows: list[list[float]] = []
    radius = die.bump / 2
    for bump in range(n):
        for _ in range(int(rng.integers(1, 4)) if rng.random() < faults.void else 0):
            size = die.solder * rng.uniform(0.10, 0.26)
            rest = max(die.solder / 2 - size, 0.0)
            z = die.pad + die.solder / 2 + rest * (1 - 2 * rng.beta(1.2, 2.5))
            way, far = rng.uniform(0, 6.3), radius * 0.75 * np.sqrt(rng.random())
            stretch = rng.uniform(0.8, 1.5, 3)
            rows.append(
                [bump, z, far * np.sin(way), far * np.cos(way), *(size * stretch)]
            )
        if die.tsv and rng.random() < faults.tsv_void:
            z = die.bond_line + die.thickness * rng.uniform(0.2, 0.8)
            slim = die.tsv * rng.uniform(0.22, 0.34)
            rows.append([bump, z, 0.0, 0.0, slim * rng.uniform(2, 5), slim, slim])
    return np.asarray(rows, float).reshape(-1, 7)


def _cracks(
    die: Die, n: int, faults: Faults, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw thin gaps between solder and pillar that run in from one side."""
    hit = np.flatnonzero(rng.random(n) < faults.crack)
    reach = rng.uniform(0.5, 1.6, len(hit)) * die.bump / 2
    way = rng.uniform(0, 6.3, len(hit))
    gap = rng.uniform(0.06, 0.13, len(hit)) * die.solder
    return np.stack([hit, reach, np.sin(way), np.cos(way), gap], 1).astype(float)


@dataclass(frozen=True)
class Voxels:
    """Heights of planes `z`, first pixel `origin`, voxel sides `step` (z, y, x); µm."""

    z: NDArray[np.float64]
    origin: tuple[float, float]
    step: tuple[float, float, float]


def fill(parts: NDArray[np.uint8], tier: Tier, voxels: Voxels) -> None:
    """Write the tier's parts into a slab (z, y, x)."""
    up = voxels.z - tier.z0
    _fill_layers(parts, tier.die, up)
    for bump in range(len(tier.centre)):
        _fill_bump(parts, tier, bump, up, voxels)


def _fill_layers(parts: NDArray[np.uint8], die: Die, up: NDArray[np.float64]) -> None:
    """Underfill in the bond line, silicon above, wiring on both faces of the die."""
    above = up - die.bond_line
    wired = ((above >= 0) & (above < 2.5)) | (
        (above >= die.thickness - 1.5) & (above < die.thickness)
    )
    parts[(up >= 0) & (above < 0)] = UNDERFILL
    parts[(above >= 0) & (above < die.thickness)] = SILICON
    parts[wired] = WIRING


def _fill_bump(
    parts: NDArray[np.uint8],
    tier: Tier,
    bump: int,
    up: NDArray[np.float64],
    voxels: Voxels,
) -> None:
    die = tier.die
    planes = np.flatnonzero((up >= 0) & (up < die.height))
    cy, cx = tier.centre[bump] - np.asarray(voxels.origin)
    reach = die.bump * 0.62 + die.bulge * 1.4 + 3
    ys = _window(cy, reach, voxels.step[1], parts.shape[1])
    xs = _window(cx, reach, voxels.step[2], parts.shape[2])
    if not len(planes) or ys.start >= ys.stop or xs.start >= xs.stop:
        return
    box = parts[planes[0] : planes[-1] + 1, ys, xs]
    u = up[planes][:, None, None]
    t = np.clip((u - die.pad) / die.solder, 0, 1)
    y = (np.arange(ys.start, ys.stop) + 0.5)[None, :, None] * voxels.step[1] - cy
    x = (np.arange(xs.start, xs.stop) + 0.5)[None, None, :] * voxels.step[2] - cx
    y, x = y - t * tier.shift[bump, 0], x - t * tier.shift[bump, 1]
    _draw_column(box, tier, bump, u, t, y, x)
    _draw_faults(box, tier, bump, u, y, x, voxels.step[0])


def _draw_column(
    box: NDArray[np.uint8],
    tier: Tier,
    bump: int,
    u: NDArray[np.float64],
    t: NDArray[np.float64],
    y: NDArray[np.float64],
    x: NDArray[np.float64],
) -> None:
    """Draw pad, solder cap, pillar and TSV of one bump, from the axis outwards."""
    die = tier.die
    r, angle = np.hypot(y, x), np.arctan2(y, x)
    wave = tier.wave[bump]
    outline = 1 + sum(wave[k] * np.cos((k + 2) * angle + wave[k + 3]) for k in range(3))
    radius = die.bump / 2 * tier.scale[bump] * outline
    above = u - die.bond_line
    swell = tier.bulge[bump] * np.power(np.clip(4 * t * (1 - t), 0, 1), 0.8)
    in_pad, in_solder = u < die.pad, (u >= die.pad) & (u < die.pad + die.solder)
    in_pillar = (u >= die.pad + die.solder) & (above < 0)
    foot = 1.0 + 0.05 * np.clip(above / die.pillar + 1, 0, 1)
    box[in_pad & (r < radius * 1.06)] = PAD
    box[in_solder & (r < radius * (1.03 - 0.03 * t) + swell)] = SOLDER
    box[in_pillar & (r < radius * foot)] = PILLAR
    # some solder climbs the pillar's foot
    climb = 0.5 * tier.bulge[bump] * np.clip(-2 * above / die.pillar - 1, 0, 1) ** 2
    box[in_pillar & (r >= radius * foot) & (r < radius * foot + climb)] = SOLDER
    landing = (above >= 0) & (above < 0.35 * die.pad)
    box[landing & (r < radius * 1.02)] = PAD
    if die.tsv:
        in_tsv = (above >= 0.35 * die.pad) & (above < die.thickness)
        box[in_tsv & (r < die.tsv / 2 * (1 + 0.04 * (outline - 1)))] = TSV


def _draw_faults(
    box: NDArray[np.uint8],
    tier: Tier,
    bump: int,
    u: NDArray[np.float64],
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    rise: float,
) -> None:
    die = tier.die
    for _, z, vy, vx, rz, ry, rx in tier.voids[tier.voids[:, 0] == bump]:
        near = ((u - z) / rz) ** 2 + ((y - vy) / ry) ** 2 + ((x - vx) / rx) ** 2 < 1
        host = (box == SOLDER) if z < die.bond_line else (box == TSV)
        box[near & host] = VOID
    for _, reach, tilt_y, tilt_x, gap in tier.cracks[tier.cracks[:, 0] == bump]:
        run = y * tilt_y + x * tilt_x
        ripple = 0.25 * gap * np.sin(0.9 * y + 0.7 * x)
        mid = die.pad + die.solder - 0.6 * gap + ripple
        opened = gap * np.clip((run - die.bump / 2 + reach) / reach, 0, 1)
        thick = np.maximum(opened, rise)  # never thinner than one plane
        near = (np.abs(u - mid) <= 0.5 * thick) & (opened > 0.25 * gap)
        box[near & (box == SOLDER)] = CRACK


def _window(centre: float, reach: float, step: float, size: int) -> slice:
    low = int(np.floor((centre - reach) / step))
    high = int(np.ceil((centre + reach) / step)) + 1
    return slice(max(low, 0), min(high, size))
