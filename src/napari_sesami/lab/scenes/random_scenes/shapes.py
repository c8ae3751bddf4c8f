"""Pattern families of the endless random scenes: which pixel belongs to what.

Every family is drawn in the coordinates of a :class:`SceneFrame` (turned and slightly
warped), so that one family gives tilted, rough and wavy variants for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import fft
from scipy import ndimage as ndi
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Rng = np.random.Generator


@dataclass
class Layout:
    """What a pattern draws: a kind per pixel, and a cell where kinds repeat."""

    kinds: NDArray[Any]  # int16, 0.. : which material
    cells: NDArray[
        Any
    ]  # int32: which individual; pixels of one kind and cell belong together


@dataclass
class SceneFrame:
    """Turned and warped pixel coordinates, the ground on which patterns are drawn."""

    u: NDArray[Any]
    v: NDArray[Any]
    size: float  # typical feature size in pixels
    scale: float = 1.0  # how much larger than usual the largest features may be

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the scene."""
        return self.u.shape[0], self.u.shape[1]


def loguniform(rng: Rng, lo: float, hi: float) -> float:
    """Draw a size so that every octave between the limits is equally likely."""
    return float(np.exp(rng.uniform(np.log(lo), np.log(hi))))


def smooth_field(
    rng: Rng, shape: tuple[int, int], scale: float, stretch: float = 1.0
) -> NDArray[Any]:
    """Make a random field of unit variance with features of about `scale` pixels."""
    noise = rng.standard_normal(shape, dtype=np.float32)
    fy = fft.fftfreq(shape[0]).astype(np.float32)[:, None] * stretch
    fx = fft.rfftfreq(shape[1]).astype(np.float32)[None]
    low = np.exp(-0.5 * (2 * np.pi * scale / 2) ** 2 * (fy**2 + fx**2))
    field: NDArray[Any] = fft.irfft2(fft.rfft2(noise) * low, s=shape)
    return field / max(float(field.std()), 1e-6)


def profile(rng: Rng, length: int, scale: float) -> NDArray[Any]:
    """Make a random curve of unit variance, for rough and wavy borders."""
    curve = ndi.gaussian_filter1d(rng.standard_normal(length), max(scale, 0.6))
    return curve / max(float(curve.std()), 1e-6)


def random_frame(rng: Rng, shape: tuple[int, int], scale: float = 1.0) -> SceneFrame:
    """Choose orientation, warp and feature size of a pattern."""
    angle = rng.choice([0.0, np.pi / 2]) + rng.normal(0, 0.04)
    if rng.random() < 0.35:
        angle = rng.uniform(0, np.pi)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    if rng.random() < 0.7:
        length = loguniform(rng, 8, 120 * scale)
        amount = length * rng.uniform(0, 0.12)
        y = y + amount * smooth_field(rng, shape, length)
        x = x + amount * smooth_field(rng, shape, length)
    if rng.random() < 0.4:
        y = y + rng.uniform(0.3, 1.2) * smooth_field(rng, shape, rng.uniform(2, 5))
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    size = loguniform(rng, 9, 90 * scale)
    return SceneFrame(c * x + s * y, c * y - s * x, size, scale)


def _alternate(rng: Rng, n: int, kinds: int) -> NDArray[Any]:
    """Give n neighbours in a row kinds such that no two neighbours are alike."""
    if rng.random() < 0.35:
        return (np.arange(n) % max(2, kinds)).astype(np.int16)
    row = [int(rng.integers(kinds))]
    while len(row) < n:
        row.append(int((row[-1] + rng.integers(1, max(2, kinds))) % max(2, kinds)))
    return np.array(row, np.int16)


def layers(rng: Rng, f: SceneFrame) -> Layout:
    """Stack thin and thick films with shared waviness and own roughness."""
    n = int(rng.integers(2, 12))
    lo, hi = float(f.v.min()), float(f.v.max())
    thin = rng.random(n) < rng.choice([0.15, 0.5, 0.85])
    most = 110 * f.scale
    thick = [loguniform(rng, 1.6, 8) if t else loguniform(rng, 8, most) for t in thin]
    edge = lo + rng.uniform(0.05, 0.5) * (hi - lo)
    where = np.clip(f.u - f.u.min(), 0, 2047).astype(np.int32)
    wave = profile(rng, 2048, loguniform(rng, 8, 150)) * rng.choice([0, 1, 4, 12])
    index = np.zeros(f.shape, np.int16)
    for t in thick:
        rough = profile(rng, 2048, rng.uniform(1, 12)) * rng.choice([0, 0.4, 1.2])
        wave = wave * rng.uniform(0.7, 1.05)
        index += f.v > edge + (wave + rough)[where]
        edge += t
    kinds = _alternate(rng, n + 1, int(rng.integers(2, 6)))
    return Layout(kinds[index], index.astype(np.int32))


def fins(rng: Rng, f: SceneFrame) -> Layout:
    """Draw periodic fins, trenches or lines on a substrate, with liners and caps."""
    pitch, duty = f.size * rng.uniform(0.7, 1.6), rng.uniform(0.25, 0.75)
    lo, hi = float(f.v.min()), float(f.v.max())
    top = lo + rng.uniform(-0.1, 0.4) * (hi - lo)
    foot = top + rng.uniform(0.2, 1.0) * (hi - lo)
    depth = np.clip((f.v - top) / (foot - top), 0, 1)
    column = np.floor(f.u / pitch).astype(np.int32)
    wobble = rng.normal(0, rng.choice([0, 0.03, 0.1]), 4096)[column & 4095]
    taper = rng.uniform(-0.1, 0.3)
    half = (duty + wobble + taper * (depth - 0.5)) / 2
    inside = (np.abs(f.u / pitch - column - 0.5) < half) & (f.v > top)
    substrate = f.v > foot
    kinds = np.zeros(f.shape, np.int16)
    solid = inside | substrate
    if rng.random() < 0.5:
        _coat(rng, kinds, solid, first=3)
    kinds[inside] = 1
    kinds[substrate] = rng.choice([1, 2])
    if rng.random() < 0.4:
        cap = inside & (f.v < top + rng.uniform(0.05, 0.3) * (foot - top))
        kinds[cap] = 6
    return Layout(kinds, np.where(inside & ~substrate, column, 0))


def _coat(rng: Rng, kinds: NDArray[Any], solid: NDArray[Any], first: int) -> None:
    """Lay one to three conformal films around a shape."""
    distance = ndi.distance_transform_edt(~solid)
    edges = np.cumsum([loguniform(rng, 1.6, 9) for _ in range(rng.integers(1, 4))])
    for i, edge in reversed(list(enumerate(edges))):
        kinds[(distance > 0) & (distance <= edge)] = first + i


def holes(rng: Rng, f: SceneFrame) -> Layout:
    """Draw arrays of holes, vias, pillars or channel rings on a lattice."""
    pitch, aspect = (
        f.size * rng.uniform(0.8, 2),
        rng.choice([1, 1, rng.uniform(0.6, 2)]),
    )
    row = np.floor(f.v / (pitch * aspect)).astype(np.int32)
    shift = rng.choice([0, 0.5]) * (row & 1)
    column = np.floor(f.u / pitch + shift).astype(np.int32)
    cell = (row & 63) * 64 + (column & 63)
    jitter = rng.normal(0, rng.choice([0, 0.02, 0.08]), (2, 4096))
    a = np.abs(f.u / pitch + shift - column - 0.5 + jitter[0][cell])
    b = np.abs(f.v / (pitch * aspect) - row - 0.5 + jitter[1][cell]) * aspect
    power = rng.choice([2, 2, 4, 8])
    size = rng.uniform(0.18, 0.47) * (1 + rng.normal(0, rng.choice([0, 0.06]), 4096))
    d = (a**power + b**power) ** (1 / power) / size[cell].astype(np.float32)
    rings = int(rng.choice([1, 1, 2, 3, 4]))
    limits = np.sort(rng.uniform(0.25, 1, rings))
    limits[-1] = 1
    kinds = np.zeros(f.shape, np.int16)
    for i, limit in enumerate(limits[::-1]):
        kinds[d < limit] = i + 1
    gone = rng.random(4096) < rng.choice([0, 0.05, 0.3])
    kinds[gone[cell]] = 0
    return Layout(kinds, np.where(kinds > 0, cell + 1, 0))


def nearest_seeds(
    rng: Rng, f: SceneFrame, size: float, regular: bool
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Assign pixels to random seeds; also give the half distance to the next seed."""
    step = max(size, 4.0)
    u = np.arange(f.u.min() - step, f.u.max() + step, step)
    v = np.arange(f.v.min() - step, f.v.max() + step, step)
    seeds = np.stack(np.meshgrid(u, v), -1).reshape(-1, 2)
    seeds += rng.uniform(-0.5, 0.5, seeds.shape) * step * (0.7 if regular else 1.8)
    pixels = np.stack([f.u.ravel(), f.v.ravel()], 1)
    distance, index = cKDTree(seeds, balanced_tree=False).query(pixels, k=2)
    gap = (distance[:, 1] - distance[:, 0]) / 2
    return index[:, 0].reshape(f.shape), gap.reshape(f.shape)


def grains(rng: Rng, f: SceneFrame) -> Layout:
    """Tile the plane with polycrystal grains, with or without visible borders."""
    stretch = np.float32(rng.choice([1, 1, rng.uniform(0.3, 1)]))
    index, gap = nearest_seeds(rng, SceneFrame(f.u, f.v * stretch, 0), f.size, True)
    some = int(rng.choice([1, 1, 2, 3]))
    kinds = (rng.integers(0, some, index.max() + 1)[index] + 1).astype(np.int16)
    if rng.random() < 0.5:
        border = gap < rng.uniform(0.5, 2.5)
        kinds[border], index = 0, np.where(border, 0, index + 1)
    return Layout(kinds, index.astype(np.int32) + 1)


def bicontinuous(rng: Rng, f: SceneFrame) -> Layout:
    """Cut a smooth random field at one to three levels: spinodal, pores, islands."""
    field = smooth_field(rng, f.shape, f.size * 0.7, rng.choice([1, 1, 3]))
    if rng.random() < 0.4:
        field += 0.4 * smooth_field(rng, f.shape, f.size * 0.15)
    cuts = np.sort(rng.normal(0.4, 0.7, int(rng.integers(1, 4))))
    kinds = np.digitize(field, cuts).astype(np.int16)
    return Layout(kinds, np.zeros(f.shape, np.int32))


FIRST: dict[str, Callable[[Rng, SceneFrame], Layout]] = {
    "layers": layers,
    "fins": fins,
    "holes": holes,
    "grains": grains,
    "bicontinuous": bicontinuous,
}
