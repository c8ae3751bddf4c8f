"""Patterned wafers seen from above, as signed distances in world coordinates (nm).

A pattern is evaluated at any magnification from the same numbers, so pictures of
different magnification show the same edges. Lines run along v, u is across them;
distances are negative on the upper surface and positive on the lower one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from napari_sesami.lab.scenes.geometry import noise_tile

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sesami.lab.scenes.geometry import Grid

REACH = 4000.0  # nm around the site that tables cover


class Pattern(Protocol):
    """What a defect needs to know of a pattern."""

    pitch: float
    width: float

    def height(self, v: Grid, u: Grid) -> Grid:
        """Distance to the upper surface, negative on it."""


@dataclass
class Roughness:
    """Edge roughness that is the same at every magnification."""

    sigma_nm: float
    offset: tuple[int, int]

    def at(self, v: Grid, u: Grid) -> Grid:
        """Give the edge shift in nm at world coordinates."""
        tile = noise_tile(8.0)  # one sample per nm
        size = tile.shape[0]
        rows = (np.floor(v).astype(np.int32) + self.offset[0]) % size
        columns = (np.floor(u).astype(np.int32) + self.offset[1]) % size
        return self.sigma_nm * tile[rows, columns]


@dataclass
class Lines:
    """Parallel lines; `pinch` nm of lines 0 and 1 lean together over `length` nm."""

    pitch: float
    width: float
    pinch: float = 0.0
    length: float = 1.0

    def height(self, v: Grid, u: Grid) -> Grid:
        """Distance to the lines."""
        number = np.round(u / self.pitch)
        local = u - number * self.pitch
        if self.pinch:
            lean = self.pinch * np.exp(-((v / self.length) ** 4))
            pair = [np.abs(u - lean), np.abs(u - self.pitch + lean)]
            local = np.where((number == 0) | (number == 1), 1e3, local)
            local = np.minimum(np.abs(local), np.minimum(*pair))
        return np.abs(local) - 0.5 * self.width


@dataclass
class Routing:
    """Logic-like wiring: pieces of lines on tracks, joined by short bridges."""

    pitch: float
    width: float
    along: Grid  # (tracks, nm) signed distance along v to the pieces of a track
    across: Grid  # (tracks, nm) the same for the joints between a track and the next

    def height(self, v: Grid, u: Grid) -> Grid:
        """Distance to the wiring."""
        half = len(self.along) // 2
        nm = np.clip(v + REACH, 0, self.along.shape[1] - 1).astype(np.int32)
        track = np.round(u / self.pitch)
        index = np.clip(track + half, 0, 2 * half - 1).astype(np.int32)
        side = np.abs(u - track * self.pitch) - 0.5 * self.width
        end = self.along[index, nm]
        outside = np.hypot(np.maximum(side, 0), np.maximum(end, 0))
        wire = np.minimum(np.maximum(side, end), 0) + outside
        gap = np.clip(np.floor(u / self.pitch) + half, 0, 2 * half - 1)
        return np.minimum(wire, self.across[gap.astype(np.int32), nm])


@dataclass
class Dots:
    """A lattice of round holes (vias) or pillars, each with its own size and place."""

    pitch: float
    width: float
    raised: bool
    stagger: bool
    sizes: Grid  # (n, n) radius of every dot
    shifts: Grid  # (2, n, n) offset of every dot

    def distance(self, v: Grid, u: Grid) -> Grid:
        """Distance to the rims, negative inside a dot."""
        far = np.full(v.shape, 1e6, np.float32)
        row = self.pitch * (0.866 if self.stagger else 1.0)
        middle = self.sizes.shape[0] // 2
        k0 = np.round(v / row)
        # in a staggered lattice the nearest dot may be in a row above or below
        for step in (-1, 0, 1) if self.stagger else (0,):
            k = k0 + step
            slide = 0.5 * self.pitch * (k % 2) if self.stagger else 0.0
            n = np.round((u - slide) / self.pitch)
            i = np.clip(k + middle, 0, 2 * middle - 1).astype(np.int32)
            j = np.clip(n + middle, 0, 2 * middle - 1).astype(np.int32)
            at_v = k * row + self.shifts[0][i, j]
            at_u = n * self.pitch + slide + self.shifts[1][i, j]
            away = np.hypot(v - at_v, u - at_u) - self.sizes[i, j]
            far = np.minimum(far, away)
        return far

    def height(self, v: Grid, u: Grid) -> Grid:
        """Distance to the upper surface."""
        away = self.distance(v, u)
        return away if self.raised else -away


def lines(rng: np.random.Generator) -> Lines:
    """Draw lines and spaces."""
    pitch = float(rng.uniform(60, 110))
    return Lines(pitch, pitch * float(rng.uniform(0.4, 0.6)))


def vias(rng: np.random.Generator) -> Dots:
    """Draw an array of contact holes."""
    return _dots(rng, raised=False, share=float(rng.uniform(0.24, 0.33)))


def pillars(rng: np.random.Generator) -> Dots:
    """Draw an array of pillars, as storage nodes are."""
    return _dots(rng, raised=True, share=float(rng.uniform(0.26, 0.34)))


def _dots(rng: np.random.Generator, raised: bool, share: float) -> Dots:
    pitch = float(rng.uniform(70, 120))
    radius = share * pitch
    sizes = radius * (1 + 0.03 * rng.standard_normal((160, 160)))
    shifts = 0.012 * pitch * rng.standard_normal((2, 160, 160))
    return Dots(
        pitch, 2 * radius, raised, bool(rng.random() < 0.5),
        sizes.astype(np.float32), shifts.astype(np.float32),
    )  # fmt: skip


def routing(rng: np.random.Generator) -> Routing:
    """Draw wiring; tracks 0 and 1 are uninterrupted near the origin."""
    pitch = float(rng.uniform(65, 110))
    width = pitch * float(rng.uniform(0.42, 0.55))
    tracks, length = 160, int(2 * REACH)
    along = np.empty((tracks, length), np.float32)
    across = np.full((tracks, length), 1e6, np.float32)
    at = np.arange(length, dtype=np.float32) - REACH
    keep = 4 * pitch
    for track in range(tracks):
        pieces = _pieces(rng, pitch)
        if track - tracks // 2 in (-1, 0, 1, 2):
            # whole where defects may sit, but of uneven length
            low, high = -keep * rng.uniform(1, 4), keep * rng.uniform(1, 4)
            room = 0.8 * pitch
            pieces = [p for p in pieces if p[1] < low - room or p[0] > high + room]
            pieces.append((float(low), float(high)))
        along[track] = _interval_distance(at, pieces)
        joints = rng.uniform(-REACH, REACH, int(rng.integers(2, 9)))
        if track - tracks // 2 in (-1, 0, 1):
            joints = joints[np.abs(joints) > keep]
        held = [j for j in joints.tolist() if _covered(pieces, j)]
        ends = [(j - 0.5 * width, j + 0.5 * width) for j in held]
        across[track] = _interval_distance(at, ends)
    return Routing(pitch, width, along, across)


def _pieces(rng: np.random.Generator, pitch: float) -> list[tuple[float, float]]:
    at, pieces = -REACH - float(rng.uniform(0, 10)) * pitch, []
    while at < REACH:
        long = float(rng.choice([3, 6, 12, 24])) * pitch * float(rng.uniform(0.6, 1.4))
        pieces.append((at, at + long))
        at += long + float(rng.choice([0.6, 0.8, 2.0, 4.0])) * pitch
    return pieces


def _covered(pieces: list[tuple[float, float]], at: float) -> bool:
    return any(a + 10 < at < b - 10 for a, b in pieces)


def _interval_distance(at: Grid, spans: list[tuple[float, float]]) -> Grid:
    away = np.full(at.shape, 1e6, np.float32)
    for a, b in spans:
        away = np.minimum(away, np.abs(at - 0.5 * (a + b)) - 0.5 * (b - a))
    return away


PATTERNS: dict[str, Callable[[np.random.Generator], Pattern]] = {
    "lines": lines,
    "vias": vias,
    "logic": routing,
    "pillars": pillars,
}
