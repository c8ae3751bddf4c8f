"""3D NAND: channel holes through a stack of word lines, upright and in plan view."""

from __future__ import annotations

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
    from napari_sesami.lab.scenes.geometry import Canvas, Grid, Window

MATERIALS = (
    "oxide", "tungsten", "titanium nitride", "alumina", "nitride", "polysilicon",
    "silicon", "void",
)  # fmt: skip
VIEWS = ("upright", "plan")
PIXEL_NM = (0.7, 1.25)


@dataclass(frozen=True)
class ChannelHole:
    """Dimensions of 3D NAND in nm.

    Attributes
    ----------
    level_pitch, word_line
        From one word line to the next, and the height of its tungsten.
    hole_width, hole_pitch
        Of the channel holes; the width is that at the top.
    taper, bow
        By how much a hole is narrower at the bottom of the picture, and wider in
        its middle.
    blocking, trap, tunnel, channel
        Thickness of blocking oxide, trap nitride, tunnel oxide and poly channel.
    alumina, barrier
        Alumina and titanium nitride around the tungsten.
    """

    level_pitch: float = between(44, 58)
    word_line: float = between(24, 32)
    hole_width: float = between(85, 115)
    hole_pitch: float = between(140, 175)
    taper: float = between(0, 14)
    bow: float = between(0, 3)
    blocking: float = between(5, 8)
    trap: float = between(4.5, 7)
    tunnel: float = between(4, 6)
    channel: float = between(6, 10)
    alumina: float = between(1.8, 3.2)
    barrier: float = between(1.8, 3)


def upright(canvas: Canvas, d: ChannelHole) -> None:
    """Draw holes cut along their depth."""
    rng = canvas.rng
    top, bottom = -100.0, canvas.height + 100
    if rng.random() < 0.45:
        top = canvas.height * rng.uniform(0.12, 0.3)
    elif rng.random() < 0.6:
        bottom = canvas.height * rng.uniform(0.72, 0.88)
    canvas.fill("oxide")
    if bottom < canvas.height:
        canvas.band("polysilicon", bottom, bottom + rng.uniform(70, 110))
        canvas.band("silicon", bottom + 130, 1e6)
    first = rng.uniform(-0.5, 0.5) * d.hole_pitch
    middles = steps(first, canvas.width + d.hole_pitch, d.hole_pitch)
    _word_lines(canvas, d, top, bottom, middles)
    for middle in middles:
        _hole(canvas, d, middle, top, bottom)


def _word_lines(
    canvas: Canvas, d: ChannelHole, top: float, bottom: float,
    holes: list[float],
) -> None:  # fmt: skip
    window = canvas.window(top, bottom - 5)
    if window is None:
        return
    y, _ = canvas.grid(window)
    start = top + 20 if top > 0 else canvas.rng.uniform(-1, 0) * d.level_pitch
    level = np.round((y - start) / d.level_pitch - 0.5)
    away = np.abs(y - start - (level + 0.5) * d.level_pitch)
    film = away - 0.5 * d.word_line - d.alumina - d.barrier + canvas.rough(window, 0.7)
    inside = np.maximum(top + 8 - y, y - bottom + 12)
    film = np.maximum(film, inside).astype(np.float32)
    canvas.paint("alumina", film, window)
    canvas.paint("titanium nitride", film + d.alumina, window)
    canvas.paint("tungsten", film + d.alumina + d.barrier, window)
    _seams(canvas, d, start, (top, bottom), holes)


def _seams(
    canvas: Canvas, d: ChannelHole, start: float, span: tuple[float, float],
    holes: list[float],
) -> None:  # fmt: skip
    # tungsten grows from above and below and may leave a seam or a void half-way
    rng = canvas.rng
    lines = steps(start + 0.5 * d.level_pitch, canvas.height, d.level_pitch)
    for height in lines:
        if not span[0] + 20 < height < span[1] - 20:
            continue
        for hole in holes:
            if rng.random() > 0.12:
                continue
            middle = hole + 0.5 * d.hole_pitch
            at = (height + rng.normal(0, 1), middle + rng.normal(0, 8))
            size = (rng.uniform(1.2, 3.5), rng.uniform(4, 14))
            window = canvas.window(at[0] - 8, at[0] + 8, at[1] - 20, at[1] + 20)
            if window is not None:
                y, x = canvas.grid(window)
                canvas.paint("void", ellipse(y, x, at, size), window)


def _hole(
    canvas: Canvas, d: ChannelHole, middle: float, top: float, bottom: float
) -> None:
    rng = canvas.rng
    half = 0.5 * d.hole_width * (1 + 0.02 * rng.standard_normal())
    floor = bottom + rng.uniform(15, 40)
    window = canvas.window(top - 60, floor + 6, middle - half - 16, middle + half + 16)
    if window is None:
        return
    y, x = canvas.grid(window)
    lean = rng.normal(0, 0.006) * (y - top)
    head = top - rng.uniform(0, 8)
    wall = column(y, x - lean, head, floor, middle, half, half - 0.5 * d.taper,
                  bow=d.bow, bottom_radius=10.0) + canvas.rough(window)  # fmt: skip
    # the deposition stops at the top, so layers are open there
    inner = fill(canvas, d, wall, window, head - y)
    if inner is not None and top > 0:
        plug = box(
            y, x - lean, (head + 22, middle), (24, half - d.blocking - d.trap - 4)
        )
        canvas.paint("polysilicon", corner(plug, head - y, 0.0), window)


def fill(
    canvas: Canvas, d: ChannelHole, wall: Grid, window: Window, open_top: Grid | float
) -> Grid | None:
    """Fill a hole from its wall inwards; give the distance to the oxide core."""
    depth = 0.0
    rng = canvas.rng
    for material, thick in (
        ("oxide", d.blocking),
        ("nitride", d.trap),
        ("oxide", d.tunnel),
        ("polysilicon", d.channel),
    ):
        wobble = canvas.rough(window, 0.35) if depth else 0.0
        canvas.paint(material, np.maximum(wall + depth + wobble, open_top), window)
        depth += thick
    core = np.maximum(wall + depth + canvas.rough(window, 0.5), open_top)
    canvas.paint("oxide", core, window)
    if rng.random() < 0.35:
        room = float(-wall.min()) - depth
        seam = wall + depth + room * rng.uniform(0.75, 0.93)
        canvas.paint("void", (seam + canvas.rough(window)).astype(np.float32), window)
    return core


def plan(canvas: Canvas, d: ChannelHole) -> None:
    """Draw the staggered holes in the plane of one word line."""
    rng = canvas.rng
    in_metal = rng.random() < 0.7
    canvas.fill("tungsten" if in_metal else "oxide")
    stretch = 1 + 0.04 * rng.standard_normal()
    slit = rng.uniform(0.15, 0.85) * canvas.height if rng.random() < 0.4 else None
    for y, x, _ in honeycomb(canvas, d.hole_pitch):
        if slit is None or abs(y - slit) > 0.7 * d.hole_pitch:
            _circle(canvas, d, (y, x), stretch, in_metal)
    if slit is not None:
        _slit(canvas, d, slit, in_metal)


def _circle(
    canvas: Canvas, d: ChannelHole, middle: tuple[float, float], stretch: float,
    in_metal: bool,
) -> None:  # fmt: skip
    rng = canvas.rng
    at = (middle[0] + rng.standard_normal(), middle[1] + rng.standard_normal())
    half = 0.5 * d.hole_width * (1 + 0.02 * rng.standard_normal())
    reach = 1.12 * half + d.alumina + d.barrier + 4
    window = canvas.window(at[0] - reach, at[0] + reach, at[1] - reach, at[1] + reach)
    if window is None:
        return
    y, x = canvas.grid(window)
    wall = ellipse(y, x, at, (half * stretch, half / stretch))
    turn = np.arctan2(y - at[0], x - at[1])
    lobes, phase = int(rng.integers(2, 6)), rng.uniform(0, 2 * np.pi)
    wall = wall + 0.8 * np.sin(lobes * turn + phase) + canvas.rough(window)
    wall = wall.astype(np.float32)
    if in_metal:
        canvas.paint("titanium nitride", wall - d.alumina - d.barrier, window)
        canvas.paint("alumina", wall - d.alumina, window)
    fill(canvas, d, wall, window, -1e6)


def _slit(canvas: Canvas, d: ChannelHole, middle: float, in_metal: bool) -> None:
    half = 0.45 * d.hole_pitch
    window = canvas.window(middle - half - 20, middle + half + 20)
    if window is None:
        return
    y, _ = canvas.grid(window)
    wall = np.abs(y - middle) - half + canvas.rough(window, 2.0)
    if in_metal:
        canvas.paint("titanium nitride", wall - d.barrier, window)
    canvas.paint("oxide", wall, window)
    canvas.paint("polysilicon", wall + 0.35 * half, window)
