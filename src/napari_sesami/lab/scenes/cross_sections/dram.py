"""DRAM capacitors: upright cut through the pillars and plan view."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.lab.scenes.geometry import (
    between,
    box,
    column,
    corner,
    ellipse,
    honeycomb,
    steps,
)

if TYPE_CHECKING:
    from napari_sesami.lab.scenes.geometry import Canvas, Grid

MATERIALS = (
    "silicon germanium", "titanium nitride", "high-k", "nitride", "oxide", "tungsten",
    "polysilicon", "void",
)  # fmt: skip
VIEWS = ("upright", "plan")
PIXEL_NM = (0.45, 0.85)


@dataclass(frozen=True)
class Capacitor:
    """Dimensions of DRAM storage capacitors in nm.

    Attributes
    ----------
    pitch
        From one capacitor to the next.
    width
        Outer width of the lower electrode at its top.
    taper
        By how much it is narrower at its foot.
    lower, dielectric, upper
        Thickness of the lower electrode (of a cylinder), of the high-k film and of
        the upper electrode.
    support
        Height of a nitride support.
    support_pitch
        From one support to the next.
    pad_width, pad_height
        Of the tungsten landing pads.
    """

    pitch: float = between(36, 48)
    width: float = between(19, 25)
    taper: float = between(2, 7)
    lower: float = between(3.5, 6)
    dielectric: float = between(3.2, 5.5)
    upper: float = between(2.2, 4)
    support: float = between(10, 20)
    support_pitch: float = between(110, 170)
    pad_width: float = between(22, 30)
    pad_height: float = between(25, 45)


def upright(canvas: Canvas, d: Capacitor) -> None:
    """Draw capacitors cut along their height, with supports and landing pads."""
    rng = canvas.rng
    foot = canvas.height * rng.uniform(0.74, 0.86)
    top = canvas.height * rng.uniform(0.08, 0.2) if rng.random() < 0.6 else -200.0
    pillar = rng.random() < 0.5
    canvas.fill("silicon germanium")
    canvas.band("tungsten", -1e6, top - rng.uniform(25, 40))
    _ground(canvas, d, foot)
    supports = steps(max(top, -60.0) + 0.5 * d.support, foot - 60, d.support_pitch)
    first = rng.uniform(-1, 0) * d.pitch
    middles = steps(first - d.pitch, canvas.width + d.pitch, d.pitch)
    tied = rng.random((len(middles) + 1, len(supports))) < 0.6
    for number, middle in enumerate(middles):
        sides = [(h, side) for side in (-1, 1)
                 for h, is_tied in zip(supports, tied[number + (side > 0)], strict=True)
                 if is_tied]  # fmt: skip
        _cell(canvas, d, middle, (top, foot), sides, pillar)


def _cell(
    canvas: Canvas, d: Capacitor, middle: float, span: tuple[float, float],
    supports: list[tuple[float, int]], pillar: bool,
) -> None:  # fmt: skip
    rng = canvas.rng
    top, foot = span
    half = 0.5 * d.width * (1 + 0.03 * rng.standard_normal())
    window = canvas.window(top - 15, foot + 12, middle - 0.5 * d.pitch,
                           middle + 0.5 * d.pitch)  # fmt: skip
    if window is None:
        return
    y, x = canvas.grid(window)
    lean = rng.normal(0, 0.012) * (foot - y)  # tall pillars lean
    at = x - middle - lean
    body = column(
        y,
        at,
        top,
        foot,
        0.0,
        half,
        half - 0.5 * d.taper,
        bow=0.8,
        radius=0.35 * half,
        bottom_radius=2.0,
    ) + canvas.rough(window)
    bars = _bars(y, x, middle, d, supports)
    above = corner(np.minimum(body, bars), y - foot, 0.0)
    canvas.paint("titanium nitride", above - d.dielectric - d.upper, window)
    film = above - d.dielectric + canvas.rough(window, 0.3)
    canvas.paint("high-k", np.maximum(film, y - foot - 1), window)
    if supports:
        canvas.paint("nitride", np.maximum(bars, y - foot), window)
    canvas.paint("titanium nitride", body, window)
    if pillar:
        if rng.random() < 0.15:
            _void(canvas, d, middle, span)
        return
    inside = corner(body + d.lower, top + 0.5 * d.lower - y, 0.0)
    canvas.paint("high-k", inside, window)
    canvas.paint("titanium nitride", inside + d.dielectric, window)
    canvas.paint("silicon germanium", inside + d.dielectric + d.upper, window)


def _bars(
    y: Grid, x: Grid, middle: float, d: Capacitor, supports: list[tuple[float, int]]
) -> Grid:
    far = np.full_like(y, 1e6)
    for height, side in supports:
        bar = box(y, x, (height, middle + side * 0.5 * d.pitch),
                  (0.5 * d.support, 0.5 * d.pitch), 1.0)  # fmt: skip
        far = np.minimum(far, bar)
    return far


def _void(
    canvas: Canvas, d: Capacitor, middle: float, span: tuple[float, float]
) -> None:
    at = canvas.rng.uniform(max(span[0], 0) + 15, span[1] - 15)
    window = canvas.window(at - 30, at + 30, middle - 8, middle + 8)
    if window is not None:
        y, x = canvas.grid(window)
        size = (canvas.rng.uniform(6, 22), canvas.rng.uniform(1.2, 2.4))
        canvas.paint("void", ellipse(y, x, (at, middle), size), window)


def _ground(canvas: Canvas, d: Capacitor, foot: float) -> None:
    rng = canvas.rng
    stop = rng.uniform(10, 18)
    canvas.band("oxide", foot - 1, 1e6)
    canvas.band("nitride", foot - 0.6 * stop, foot + 0.4 * stop, 0.6)
    pad = foot + 0.4 * stop
    first = rng.uniform(-1, 0) * d.pitch
    for middle in steps(first, canvas.width + d.pitch, d.pitch):
        window = canvas.window(foot - 2, pad + d.pad_height + 60,
                               middle - d.pitch, middle + d.pitch)  # fmt: skip
        if window is None:
            continue
        y, x = canvas.grid(window)
        half = 0.5 * d.pad_width
        plug = column(y, x, pad + d.pad_height - 4, pad + d.pad_height + 90, middle,
                      0.62 * half, 0.5 * half) + canvas.rough(window)  # fmt: skip
        canvas.paint("polysilicon", plug, window)
        metal = column(y, x, foot + 1, pad + d.pad_height, middle, half - 1, half - 3,
                       radius=2) + canvas.rough(window)  # fmt: skip
        canvas.paint("titanium nitride", metal, window)
        canvas.paint("tungsten", metal + 2.2, window)


def plan(canvas: Canvas, d: Capacitor) -> None:
    """Draw the honeycomb of capacitors seen from above."""
    rng = canvas.rng
    canvas.fill("silicon germanium")
    pillar = rng.random() < 0.4
    supported = rng.random() < 0.4
    places = honeycomb(canvas, d.pitch)
    stretch = 1 + 0.06 * rng.standard_normal()
    if supported:
        canvas.fill("nitride")
        for y, x, number in places:
            if number % 2:
                _opening(canvas, d, y, x)
    for y, x, _ in places:
        _ring(canvas, d, (y, x), stretch, pillar, supported)


def _opening(canvas: Canvas, d: Capacitor, at_y: float, at_x: float) -> None:
    # the support plate has round windows between three neighbours
    row = 0.5 * d.pitch * math.sqrt(3)
    middle, size = (at_y + row / 3, at_x + d.pitch / 2), 0.46 * d.pitch
    window = canvas.window(middle[0] - size - 4, middle[0] + size + 4,
                           middle[1] - size - 4, middle[1] + size + 4)  # fmt: skip
    if window is None:
        return
    y, x = canvas.grid(window)
    hole = ellipse(y, x, middle, (size, size)) + canvas.rough(window)
    for up, right in ((0.0, 0.0), (0.0, d.pitch), (row, d.pitch / 2)):
        away = np.hypot(y - at_y - up, x - at_x - right) - 0.5 * d.width
        hole = np.maximum(hole, -away)
    canvas.paint("high-k", hole, window)
    canvas.paint("titanium nitride", hole + d.dielectric, window)
    canvas.paint("silicon germanium", hole + d.dielectric + d.upper, window)


def _ring(
    canvas: Canvas, d: Capacitor, middle: tuple[float, float], stretch: float,
    pillar: bool, supported: bool,
) -> None:  # fmt: skip
    rng = canvas.rng
    at = (
        middle[0] + 0.4 * rng.standard_normal(),
        middle[1] + 0.4 * rng.standard_normal(),
    )
    half = 0.5 * d.width * (1 + 0.03 * rng.standard_normal())
    reach = half * 1.2 + d.dielectric + d.upper + 3
    window = canvas.window(at[0] - reach, at[0] + reach, at[1] - reach, at[1] + reach)
    if window is None:
        return
    y, x = canvas.grid(window)
    wall = ellipse(y, x, at, (half * stretch, half / stretch)) + canvas.rough(window)
    if not supported:
        canvas.paint("titanium nitride", wall - d.dielectric - d.upper, window)
        canvas.paint("high-k", wall - d.dielectric, window)
    canvas.paint("titanium nitride", wall, window)
    if not pillar:
        inside = wall + d.lower
        canvas.paint("high-k", inside, window)
        canvas.paint("titanium nitride", inside + d.dielectric, window)
        canvas.paint("silicon germanium", inside + d.dielectric + d.upper, window)
    elif rng.random() < 0.06:
        canvas.paint("void", wall + 0.75 * half, window)
