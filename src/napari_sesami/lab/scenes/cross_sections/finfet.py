"""FinFET cross-sections: across the fins (along the gate) and along a fin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.lab.scenes.geometry import between, box, column, corner, join, steps

if TYPE_CHECKING:
    from napari_sesami.lab.scenes.geometry import Canvas

MATERIALS = (
    "silicon", "oxide", "nitride", "high-k", "titanium nitride", "tungsten",
    "epitaxy", "cobalt", "void",
)  # fmt: skip
VIEWS = ("across", "along")
PIXEL_NM = (0.28, 0.5)


@dataclass(frozen=True)
class FinFet:
    """Dimensions of FinFETs in nm.

    Attributes
    ----------
    fin_pitch, fin_width, fin_height
        Of the fins; the width is that at the top, the height that above the oxide.
    fin_taper
        By how much a fin is wider at the oxide than at its top.
    sti_depth
        Depth of the isolation oxide between fins.
    gate_pitch, gate_length, gate_height
        Of the gates (view "along"); the height is that above the fin.
    high_k, work_metal
        Thickness of the conformal gate dielectric and of the titanium nitride.
    spacer
        Width of the nitride beside the gate.
    cap
        Height of the nitride on the gate.
    contact_width
        Width of the source and drain contacts at their top.
    epi_depth
        How deep the source and drain reach into the fin.
    """

    fin_pitch: float = between(24, 36)
    fin_width: float = between(4.5, 7)
    fin_height: float = between(40, 55)
    fin_taper: float = between(1.5, 4.5)
    sti_depth: float = between(50, 80)
    gate_pitch: float = between(48, 60)
    gate_length: float = between(15, 20)
    gate_height: float = between(50, 70)
    high_k: float = between(1.3, 2.2)
    work_metal: float = between(2.0, 4.5)
    spacer: float = between(5, 8)
    cap: float = between(12, 22)
    contact_width: float = between(14, 19)
    epi_depth: float = between(28, 42)


def across(canvas: Canvas, d: FinFet) -> None:
    """Draw fins cut across, wrapped by the gate."""
    rng = canvas.rng
    sti = canvas.height * rng.uniform(0.42, 0.58)
    foot = sti + d.sti_depth
    gate_top = sti - d.fin_height - rng.uniform(14, 30)
    canvas.fill("oxide")
    canvas.band("tungsten", gate_top, sti + 2, 0.5)
    canvas.band("nitride", gate_top - d.cap, gate_top, 0.5)
    first = rng.uniform(-1, 0) * d.fin_pitch
    middles = steps(first - d.fin_pitch, canvas.width + d.fin_pitch, d.fin_pitch)
    for middle in middles:
        _fin_cell(canvas, d, middle, sti, foot, gate_top)
    if rng.random() < 0.35:
        between_fins = float(rng.choice(middles)) + 0.5 * d.fin_pitch
        _gate_cut(canvas, d, between_fins, gate_top, sti)
    canvas.band("silicon", foot, 1e6)


def _fin_cell(
    canvas: Canvas, d: FinFet, middle: float, sti: float, foot: float, gate_top: float
) -> None:
    rng = canvas.rng
    half_pitch = 0.5 * d.fin_pitch
    window = canvas.window(
        gate_top, foot + 12, middle - half_pitch - 0.5, middle + half_pitch + 0.5
    )
    if window is None:
        return
    y, x = canvas.grid(window)
    at = middle + 0.25 * rng.standard_normal()
    width = d.fin_width * (1 + 0.05 * rng.standard_normal())
    top = sti - d.fin_height + 0.5 * rng.standard_normal()
    slope = d.fin_taper / (2 * d.fin_height)
    half_foot = 0.5 * width + slope * (foot - top)
    fin = column(y, x, top, foot + 30, at, 0.5 * width, half_foot + slope * 30,
                 radius=0.45 * width)  # fmt: skip
    # the trench bottom is round: the fin widens towards the substrate
    fin = join(fin, foot - y, 0.6 * d.fin_pitch) + canvas.rough(window)
    dish = 0.03 * np.abs(x - at) - 0.6
    oxide = sti - y + dish
    skin = join(fin, oxide, 3.0)
    canvas.paint("titanium nitride", skin - d.high_k - d.work_metal, window)
    canvas.paint("high-k", skin - d.high_k + canvas.rough(window, 0.2), window)
    canvas.paint("oxide", oxide, window)
    canvas.paint("silicon", fin, window)


def _gate_cut(canvas: Canvas, d: FinFet, at: float, top: float, sti: float) -> None:
    # the gate is cut between two fins and filled with nitride
    window = canvas.window(top - d.cap, sti + 12, at - 20, at + 20)
    if window is not None:
        y, x = canvas.grid(window)
        half = 0.22 * d.fin_pitch
        cut = column(y, x, top - d.cap, sti + 8, at, half, 0.7 * half, radius=2)
        canvas.paint("nitride", cut + canvas.rough(window), window)


def along(canvas: Canvas, d: FinFet) -> None:
    """Draw a fin cut along its length, with gates, spacers, sources and drains."""
    rng = canvas.rng
    channel = canvas.height * rng.uniform(0.5, 0.62)
    top = channel - d.gate_height
    canvas.fill("oxide")
    canvas.band("silicon", channel, 1e6)
    first = rng.uniform(-1, 0) * d.gate_pitch
    middles = steps(first - d.gate_pitch, canvas.width + d.gate_pitch, d.gate_pitch)
    metal = "cobalt" if rng.random() < 0.5 else "tungsten"
    for middle in middles:
        source(canvas, middle + 0.5 * d.gate_pitch, channel, d)
    for middle in middles:
        contact(canvas, metal, middle + 0.5 * d.gate_pitch, channel, top - d.cap, d)
        gate(canvas, middle, channel, top, d)


def source(canvas: Canvas, middle: float, channel: float, d: FinFet) -> None:
    """Draw the raised epitaxy between two gates."""
    half = 0.5 * (d.gate_pitch - d.gate_length) - 0.55 * d.spacer
    window = canvas.window(channel - 20, channel + d.epi_depth + 12,
                           middle - half - 8, middle + half + 8)  # fmt: skip
    if window is None:
        return
    y, x = canvas.grid(window)
    body = column(y, x, channel - 4, channel + d.epi_depth, middle, half, half - 3,
                  bow=1.5, radius=2.5, bottom_radius=min(half - 3.5, 10))  # fmt: skip
    canvas.paint("epitaxy", body + canvas.rough(window), window,
                 0.01 * canvas.rng.standard_normal())  # fmt: skip


def contact(
    canvas: Canvas, metal: str, middle: float, channel: float, top: float, d: FinFet
) -> None:
    """Draw the contact that lands on the epitaxy, with its liner."""
    rng = canvas.rng
    if rng.random() < 0.08:
        return
    half = 0.5 * d.contact_width
    landing = channel + rng.uniform(0, 5)
    above = top - rng.uniform(0, 2)
    window = canvas.window(above - 4, landing + 4, middle - half - 6, middle + half + 6)
    if window is None:
        return
    y, x = canvas.grid(window)
    at = middle + 0.6 * rng.standard_normal()
    plug = column(y, x, above, landing, at, half, 0.68 * half, radius=0.5,
                  bottom_radius=3.0) + canvas.rough(window)  # fmt: skip
    canvas.paint("titanium nitride", plug, window)
    canvas.paint(metal, corner(plug + 1.6, above - y, 0.0), window)


def gate(canvas: Canvas, middle: float, channel: float, top: float, d: FinFet) -> None:
    """Draw a gate: spacers, and high-k, work metal and tungsten in the trench."""
    rng = canvas.rng
    half = 0.5 * d.gate_length * (1 + 0.03 * rng.standard_normal())
    reach = half + d.spacer
    window = canvas.window(top - d.cap - 4, channel + 6,
                           middle - reach - 4, middle + reach + 4)  # fmt: skip
    if window is None:
        return
    y, x = canvas.grid(window)
    above = top - d.cap
    outer = column(y, x, above, channel, middle, reach - 0.8, reach, radius=1.5,
                   bottom_radius=0.3)  # fmt: skip
    canvas.paint("nitride", outer + canvas.rough(window, 0.7), window)
    rough = canvas.rough(window, 0.6)
    # films line walls and floor; the polished top cuts through them
    walls = column(y, x, top - 20, channel + 0.8, middle, half + 0.5, half - 0.3,
                   bow=0.3, bottom_radius=1.5) + rough  # fmt: skip
    depth = 0.0
    for material, thick in (("high-k", d.high_k), ("titanium nitride", d.work_metal),
                            ("tungsten", 0.0)):  # fmt: skip
        core = np.maximum(walls + depth, top - y)
        canvas.paint(material, core, window)
        depth += thick
    if rng.random() < 0.06:
        seam = box(y, x, (top + rng.uniform(0.2, 0.6) * d.gate_height, middle),
                   (rng.uniform(4, 11), rng.uniform(0.8, 1.6)), 0.8)  # fmt: skip
        canvas.paint("void", np.maximum(seam, core + 0.5), window)
