"""Nanosheet (gate-all-around) cross-sections, across and along the sheets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.lab.scenes.geometry import between, box, column, corner, join, steps

if TYPE_CHECKING:
    from napari_sesami.lab.scenes.geometry import Canvas, Grid, Window

MATERIALS = (
    "silicon", "oxide", "nitride", "high-k", "titanium nitride", "tungsten",
    "epitaxy", "cobalt", "void",
)  # fmt: skip
VIEWS = ("across", "along")
PIXEL_NM = (0.25, 0.42)


@dataclass(frozen=True)
class NanoSheet:
    """Dimensions of nanosheet transistors in nm.

    Attributes
    ----------
    sheets
        How many sheets are stacked (rounded to a whole number).
    sheet_width, sheet_height, sheet_gap
        Of one sheet, and the room between two.
    stack_pitch
        From one stack to the next.
    high_k, work_metal
        Thickness of the gate dielectric around each sheet and of the metal on it.
    sti_depth
        Depth of the isolation oxide.
    gate_pitch, gate_length, gate_height
        Of the gates (view "along"); the height is that above the top sheet.
    inner_spacer, spacer
        Nitride between sheets and beside the gate.
    cap, contact_width
        Nitride on the gate; width of the contacts.
    """

    sheets: float = between(2.6, 4.4)
    sheet_width: float = between(18, 42)
    sheet_height: float = between(4.5, 6.5)
    sheet_gap: float = between(8.5, 12)
    stack_pitch: float = between(55, 80)
    high_k: float = between(1.3, 2.0)
    work_metal: float = between(1.6, 3.2)
    sti_depth: float = between(35, 60)
    gate_pitch: float = between(44, 54)
    gate_length: float = between(12, 17)
    gate_height: float = between(28, 45)
    inner_spacer: float = between(4, 6)
    spacer: float = between(5, 7)
    cap: float = between(8, 16)
    contact_width: float = between(12, 16)


def across(canvas: Canvas, d: NanoSheet) -> None:
    """Draw stacks of sheets cut across, wrapped by the gate."""
    rng = canvas.rng
    count = max(1, round(d.sheets))
    stack = count * (d.sheet_height + d.sheet_gap)
    sti = 0.5 * canvas.height + 0.5 * stack + rng.uniform(-8, 8)
    top = sti - stack - rng.uniform(12, 25)
    canvas.fill("oxide")
    canvas.band("tungsten", top, sti + 3, 0.5)
    canvas.band("nitride", top - d.cap, top, 0.5)
    pitch = max(d.stack_pitch, d.sheet_width + 12)
    first = rng.uniform(-1, 0) * pitch
    for middle in steps(first - pitch, canvas.width + pitch, pitch):
        _stack(canvas, d, middle, pitch, sti, top, count)
    canvas.band("silicon", sti + d.sti_depth, 1e6)


def _stack(
    canvas: Canvas, d: NanoSheet, middle: float, pitch: float, sti: float,
    top: float, count: int,
) -> None:  # fmt: skip
    foot = sti + d.sti_depth
    window = canvas.window(top, foot + 10, middle - pitch / 2 - 0.5,
                           middle + pitch / 2 + 0.5)  # fmt: skip
    if window is None:
        return
    y, x = canvas.grid(window)
    half = 0.5 * d.sheet_width
    mesa = column(y, x, sti - 1, foot + 30, middle, half + 0.5, half + 5, radius=1.5)
    mesa = join(mesa, foot - y, 18.0) + canvas.rough(window)
    oxide = sti - y + 0.02 * np.abs(x - middle) - 0.4
    sheets = _sheets(canvas, d, window, (y, x), middle, sti, count)
    skin = np.minimum(join(mesa, oxide, 2.0), sheets)
    canvas.paint("titanium nitride", skin - d.high_k - d.work_metal, window)
    # between two sheets the work metal closes
    closed = box(y, x, (sti - 0.5 * count * (d.sheet_height + d.sheet_gap), middle),
                 (0.5 * count * (d.sheet_height + d.sheet_gap), half - 1))  # fmt: skip
    canvas.paint("titanium nitride", closed, window)
    canvas.paint("high-k", skin - d.high_k, window)
    canvas.paint("oxide", oxide, window)
    canvas.paint("silicon", np.minimum(mesa, sheets), window)


def _sheets(
    canvas: Canvas, d: NanoSheet, window: Window, grid: tuple[Grid, Grid],
    middle: float, sti: float, count: int,
) -> Grid:  # fmt: skip
    y, x = grid
    rng = canvas.rng
    step = d.sheet_height + d.sheet_gap
    # one box folded over the stack; its width grows a little from top to bottom
    down = sti - 0.5 * d.sheet_height - d.sheet_gap - y
    number = np.clip(np.round(down / step), 0, count - 1)
    local = down - number * step
    half = 0.5 * d.sheet_width - 0.5 * number
    thick = 0.5 * d.sheet_height * (1 + 0.04 * rng.standard_normal())
    radius = 0.8 * thick
    sheet = corner(np.abs(local) - thick, np.abs(x - middle) - half, radius)
    return (sheet + canvas.rough(window, 0.7)).astype(np.float32)


def along(canvas: Canvas, d: NanoSheet) -> None:
    """Draw sheets cut along their length: gates, inner spacers, sources and drains."""
    rng = canvas.rng
    count = max(1, round(d.sheets))
    step = d.sheet_height + d.sheet_gap
    base = canvas.height * rng.uniform(0.62, 0.72)
    first_sheet = base - count * step
    top = first_sheet - d.gate_height
    canvas.fill("oxide")
    canvas.band("silicon", base, 1e6)
    start = rng.uniform(-1, 0) * d.gate_pitch
    middles = steps(start - d.gate_pitch, canvas.width + d.gate_pitch, d.gate_pitch)
    metal = "cobalt" if rng.random() < 0.5 else "tungsten"
    for middle in middles:
        at = middle + 0.5 * d.gate_pitch
        _source(canvas, d, at, first_sheet, base)
        _contact(canvas, d, metal, at, first_sheet, top - d.cap)
    for middle in middles:
        _gate(canvas, d, middle, (top, first_sheet, base), count)


def _source(
    canvas: Canvas, d: NanoSheet, middle: float, top: float, base: float
) -> None:
    half = 0.5 * (d.gate_pitch - d.gate_length) - d.inner_spacer + 1
    window = canvas.window(top - 8, base + 26, middle - half - 6, middle + half + 6)
    if window is None:
        return
    y, x = canvas.grid(window)
    deep = canvas.rng.uniform(8, 20)
    body = column(y, x, top - 4, base + deep, middle, half, half - 1.5, radius=2.5,
                  bottom_radius=max(half - 3, 1.0))  # fmt: skip
    canvas.paint("epitaxy", body + canvas.rough(window), window)


def _contact(
    canvas: Canvas, d: NanoSheet, metal: str, middle: float, top: float, above: float
) -> None:
    half = 0.5 * d.contact_width
    landing = top + canvas.rng.uniform(0, 6)
    window = canvas.window(above - 4, landing + 4, middle - half - 4, middle + half + 4)
    if window is None:
        return
    y, x = canvas.grid(window)
    plug = column(y, x, above, landing, middle, half, 0.7 * half, radius=0.5,
                  bottom_radius=2.5) + canvas.rough(window)  # fmt: skip
    canvas.paint("titanium nitride", plug, window)
    canvas.paint(metal, corner(plug + 1.4, above - y, 0.0), window)


def _gate(
    canvas: Canvas, d: NanoSheet, middle: float, heights: tuple[float, float, float],
    count: int,
) -> None:  # fmt: skip
    top, first, base = heights
    half, above = 0.5 * d.gate_length, top - d.cap
    reach = half + d.spacer
    window = canvas.window(above - 4, base + 6, middle - reach - 4, middle + reach + 4)
    if window is None:
        return
    y, x = canvas.grid(window)
    outer = column(y, x, above, first + 1, middle, reach - 0.6, reach, radius=1.2)
    canvas.paint("nitride", outer + canvas.rough(window, 0.6), window)
    _channel(canvas, d, (y, x), window, middle, (first, base), count)
    walls = column(y, x, top - 20, first, middle, half + 0.4, half, bow=0.3,
                   bottom_radius=0.8) + canvas.rough(window, 0.5)  # fmt: skip
    canvas.paint("high-k", np.maximum(walls, top - y), window)
    canvas.paint("titanium nitride", np.maximum(walls + d.high_k, top - y), window)
    core = np.maximum(walls + d.high_k + d.work_metal, top - y)
    canvas.paint("tungsten", core, window)


def _channel(
    canvas: Canvas, d: NanoSheet, grid: tuple[Grid, Grid], window: Window,
    middle: float, span: tuple[float, float], count: int,
) -> None:  # fmt: skip
    y, x = grid
    first, base = span
    step = d.sheet_height + d.sheet_gap
    half = 0.5 * d.gate_length
    wide = half + d.inner_spacer
    block = box(y, x, (0.5 * (first + base), middle), (0.5 * (base - first), wide))
    canvas.paint("silicon", block + canvas.rough(window, 0.5), window)
    down = y - first - d.sheet_height - 0.5 * d.sheet_gap
    number = np.clip(np.round(down / step), 0, count - 1)
    local = np.abs(down - number * step) - 0.5 * d.sheet_gap
    across_x = np.abs(x - middle)
    inner = corner(local, across_x - wide, 0.6) + canvas.rough(window, 0.4)
    canvas.paint("nitride", inner.astype(np.float32), window)
    hole = corner(local, across_x - half, 1.2).astype(np.float32)
    canvas.paint("high-k", hole, window)
    canvas.paint("titanium nitride", hole + d.high_k, window)
