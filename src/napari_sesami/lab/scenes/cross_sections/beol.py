"""Back end of line: copper dual damascene lines and vias with liners and caps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_sesami.lab.scenes.geometry import between, column, corner, ellipse, join

if TYPE_CHECKING:
    from napari_sesami.lab.scenes.geometry import Canvas, Grid, Window

MATERIALS = ("low-k", "nitride", "tantalum", "copper", "cobalt", "void")
VIEWS = ("cut", "levels")
PIXEL_NM = (0.5, 1.0)


@dataclass(frozen=True)
class Damascene:
    """Dimensions of copper interconnects in nm.

    Attributes
    ----------
    pitch, line_width, line_height
        Of the lines on the lowest level; the width is that at their top.
    growth
        Factor by which everything grows from a level to the next.
    taper
        By how much a line is narrower at its foot, as a share of its width.
    via_height
        Dielectric between two levels of lines.
    liner, cap
        Thickness of the tantalum barrier and of the nitride cap over a level.
    metal_cap
        Thickness of the cobalt on the copper.
    via_chance, void_chance
        How many lines have a via below, and a void in them.
    """

    pitch: float = between(40, 80)
    line_width: float = between(20, 38)
    line_height: float = between(45, 75)
    growth: float = between(1.0, 1.6)
    taper: float = between(0.12, 0.3)
    via_height: float = between(35, 60)
    liner: float = between(1.8, 3.2)
    cap: float = between(4, 9)
    metal_cap: float = between(1.2, 2.4)
    via_chance: float = between(0.15, 0.5)
    void_chance: float = between(0.02, 0.15)


def cut(canvas: Canvas, d: Damascene) -> None:
    """Draw levels whose lines are all cut across."""
    _stack(canvas, d, crossing=False)


def levels(canvas: Canvas, d: Damascene) -> None:
    """Draw levels that run across and along the picture in turn."""
    _stack(canvas, d, crossing=True)


def _stack(canvas: Canvas, d: Damascene, crossing: bool) -> None:
    rng = canvas.rng
    canvas.fill("low-k")
    across = bool(rng.random() < 0.5) or not crossing
    size, roof = 1.0, canvas.height + rng.uniform(0, 0.5) * d.line_height
    below = _Level(roof + 60, [])
    while roof > -200 * size:
        top = roof - size * d.line_height
        draw = _lines if across else _long_line
        below = draw(canvas, d, size, (top, roof), below)
        cap = size**0.5 * d.cap
        canvas.band("nitride", top - cap, top, 0.5)
        roof = top - cap - size * d.via_height
        size *= d.growth if rng.random() < 0.7 else 1.0
        across = not across if crossing else True


class _Level(NamedTuple):
    """Where the metal of a level may be landed on: its top, and spans along x."""

    top: float
    spans: list[tuple[float, float]]


def _lines(
    canvas: Canvas, d: Damascene, size: float, span: tuple[float, float], below: _Level
) -> _Level:
    rng = canvas.rng
    width = size * min(d.line_width, 0.7 * d.pitch)
    pitch, at = size * d.pitch, rng.uniform(-1, 0) * size * d.pitch
    level = _Level(span[0], [])
    while at < canvas.width + pitch:
        half = 0.5 * width * (rng.uniform(2, 3.2) if rng.random() < 0.12 else 1)
        middle = at + half - 0.5 * width + rng.normal(0, 0.4)
        if rng.random() < 0.93:
            level.spans.append((middle - half, middle + half))
            _line(canvas, d, size, (middle, half), span, below)
        at += pitch + 2 * half - width
    return level


def _landing(
    canvas: Canvas, d: Damascene, size: float, left: float, right: float, below: _Level
) -> float | None:
    # a via comes down where the line overlaps enough metal of the level below
    need = 0.6 * size * d.line_width
    options = [(max(a, left), min(b, right)) for a, b in below.spans]
    options = [(a, b) for a, b in options if b - a > need]
    if not options:
        return None
    a, b = options[int(canvas.rng.integers(len(options)))]
    return float(canvas.rng.uniform(a + 0.5 * need, b - 0.5 * need))


def _via(
    canvas: Canvas, d: Damascene, size: float, window: Window, at: float,
    span: tuple[float, float],
) -> Grid:  # fmt: skip
    y, x = canvas.grid(window)
    half = size * d.line_width * canvas.rng.uniform(0.33, 0.42)
    return column(y, x, span[0] - 6, span[1] + 1.5, at, half, 0.8 * half, radius=0.5,
                  bottom_radius=0.25 * half)  # fmt: skip


def _line(
    canvas: Canvas, d: Damascene, size: float, across: tuple[float, float],
    span: tuple[float, float], below: _Level,
) -> None:  # fmt: skip
    rng = canvas.rng
    middle, half = across
    top, foot = span[0], span[1] + rng.normal(0, 0.8)
    via = None
    if rng.random() < d.via_chance:
        via = _landing(canvas, d, size, middle - half, middle + half, below)
    low = foot if via is None else below.top
    window = canvas.window(top - 8, low + 8, middle - half - 8, middle + half + 8)
    if window is None:
        return
    y, x = canvas.grid(window)
    narrow = 0.5 * d.taper * size * d.line_width
    line = column(y, x, top - 20, foot, middle, half + 1, half - narrow,
                  bottom_radius=0.14 * half)  # fmt: skip
    if via is not None:
        line = join(line, _via(canvas, d, size, window, via, (foot, low)), 3.0)
    walls = line + canvas.rough(window)
    _metal(canvas, d, walls, window, y - top)
    if rng.random() < d.void_chance:
        _void(canvas, middle, half, top, low, np.maximum(walls, top - y), window)


def _long_line(
    canvas: Canvas, d: Damascene, size: float, span: tuple[float, float], below: _Level
) -> _Level:
    rng = canvas.rng
    top, foot = span
    left, right = -1e3, canvas.width + 1e3
    if rng.random() < 0.5:  # the line ends in the picture
        end = rng.uniform(0.2, 0.8) * canvas.width
        left, right = (left, end) if rng.random() < 0.5 else (end, right)
    window = canvas.window(top - 8, below.top + 8)
    if window is None:
        return _Level(top, [(left, right)])
    y, x = canvas.grid(window)
    bar = corner(np.maximum(top - 20 - y, y - foot), np.maximum(left - x, x - right), 4)
    for _ in range(int(rng.integers(1, 5))):
        at = _landing(canvas, d, size, left, right, below)
        if at is not None:
            via = _via(canvas, d, size, window, at, (foot, below.top))
            bar = join(bar, via, 3.0)
    _metal(canvas, d, bar + canvas.rough(window), window, y - top)
    return _Level(top, [(left, right)])


def _metal(
    canvas: Canvas, d: Damascene, walls: Grid, window: Window, deep: Grid
) -> None:
    # the barrier lines walls and floor but not the polished top
    tone = 0.015 * canvas.rng.standard_normal()
    canvas.paint("tantalum", np.maximum(walls, -deep), window)
    core = np.maximum(walls + d.liner, -deep)
    canvas.paint("copper", core, window, tone)
    canvas.paint("cobalt", np.maximum(core, deep - d.metal_cap), window)


def _void(
    canvas: Canvas, middle: float, half: float, top: float, low: float,
    trench: Grid, window: Window,
) -> None:  # fmt: skip
    rng = canvas.rng
    y, x = canvas.grid(window)
    size = half * rng.uniform(0.2, 0.6)
    at = (rng.uniform(top + size, low - size), middle + rng.normal(0, 0.4) * half)
    hole = ellipse(y, x, at, (size * rng.uniform(0.7, 1.6), size))
    canvas.paint("void", np.maximum(hole + canvas.rough(window), trench + 1), window)
