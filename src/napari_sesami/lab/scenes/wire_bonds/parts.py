"""The parts of a wire-bonded chip, each painted onto a canvas with its label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_sesami.lab.scenes.wire_bonds.canvas import (
    BondCanvas,
    box_distance,
    brushed,
    cloud,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIRE, BALL, WEDGE, EPOXY, DIE, PAD, FRAME, BOARD = range(1, 9)

Colour = tuple[float, float, float]
Point = tuple[float, float]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class BondLook:
    """Colours of the materials in linear light, and where the light comes from.

    `light` is the direction (y, x) towards the ring light's bright side; `ring` is
    the share of oblique light against light through the lens.
    """

    wire: Colour
    frame: Colour
    board: Colour
    epoxy: Colour
    die: Colour
    pad: Colour
    light: Point
    ring: float


@dataclass(frozen=True)
class Bond:
    """One wire from a ball on a pad to a wedge on a lead, in scene µm."""

    ball: Point
    wedge: Point
    ball_diameter: float
    wire_diameter: float
    sway: float
    height: float


def tint(
    colour: Colour, field: NDArray[np.float32], amount: float
) -> NDArray[np.float32]:
    """Give a colour a texture: (h, w, 3)."""
    return np.asarray(colour, np.float32) * (1 + amount * field)[..., None]


def draw_board(canvas: BondCanvas, look: BondLook, rng: np.random.Generator) -> None:
    """Cover everything with the ground between the leads."""
    grain = cloud(canvas.labels.shape, 2.0, rng) + cloud(canvas.labels.shape, 25.0, rng)
    full = np.ones(canvas.labels.shape, np.float32)
    canvas.paint(canvas.whole, full, tint(look.board, grain, 0.12), BOARD)


def draw_frame(
    canvas: BondCanvas, boxes: list[Box], look: BondLook, rng: np.random.Generator
) -> None:
    """Draw the paddle or the leads: rolled metal with rounded, darker edges."""
    shape = canvas.labels.shape
    texture = brushed(shape, 9.0, rng.random() < 0.5, rng) * 0.6
    texture += cloud(shape, 3.0, rng) * 0.5 + cloud(shape, 60.0, rng) * 0.7
    for box in boxes:
        corner = 0.3 * min(box[2] - box[0], box[3] - box[1], 120.0)
        corners = [(box[i], box[j]) for i in (0, 2) for j in (1, 3)]
        window = canvas.window(corners, 30.0)
        if window is None:
            continue
        d = box_distance(canvas.y[window], canvas.x[window], box, corner)
        canvas.shade(window, 1 - 0.5 * np.exp(-np.clip(d, 0, None) / 12.0))
        level = 1 + rng.normal(0, 0.04)
        colour = tint(look.frame, texture[window], 0.09) * level
        edge = 1 - 0.55 * np.exp(-np.clip(-d, 0, None) / 6.0)
        canvas.paint(window, canvas.cover(d), colour * edge[..., None], FRAME)


def draw_epoxy(
    canvas: BondCanvas, die: Box, width: float, look: BondLook, rng: np.random.Generator
) -> None:
    """Draw the fillet of die-attach glue: a glossy slope with an uneven outline."""
    shape = canvas.labels.shape
    d = box_distance(canvas.y, canvas.x, die, 0.4 * width)
    edge = width * (1 + 0.22 * cloud(shape, 45.0, rng) + 0.07 * cloud(shape, 9.0, rng))
    outside = (d - np.maximum(edge, 0.25 * width)).astype(np.float32)
    slope = np.clip(d / np.maximum(edge, 1.0), 0, 1)
    gy, gx = np.gradient(ndimage.gaussian_filter(d, 3.0))
    norm = np.hypot(gy, gx) + 1e-6
    cos, sin = np.cos(canvas.angle), np.sin(canvas.angle)
    ly, lx = (
        look.light[0] * cos + look.light[1] * sin,
        (look.light[1] * cos - look.light[0] * sin),
    )
    facing = np.clip((gy * ly + gx * lx) / norm, -1, 1)
    glaze = np.exp(-(((slope - 0.55) / 0.14) ** 2)) * (
        0.25 + 0.75 * np.clip(facing, 0, 1)
    )
    light = 0.75 + 0.35 * slope + 0.2 * facing + 0.9 * look.ring * glaze
    light *= 1 + 0.10 * cloud(shape, 1.3, rng) + 0.06 * cloud(shape, 14.0, rng)
    canvas.shade(canvas.whole, 1 - 0.3 * np.exp(-np.clip(outside, 0, None) / 10.0))
    colour = np.asarray(look.epoxy, np.float32) * light[..., None]
    canvas.paint(canvas.whole, canvas.cover(outside), colour, EPOXY)


def draw_die(
    canvas: BondCanvas, die: Box, look: BondLook, rng: np.random.Generator
) -> None:
    """Draw the chip: circuit blocks in interference colours, seal ring, sawn edge."""
    d = box_distance(canvas.y, canvas.x, die)
    base = np.empty((*canvas.labels.shape, 3), np.float32)
    base[:] = look.die
    _circuits(base, canvas, die, rng)
    base *= (1 + 0.03 * cloud(canvas.labels.shape, 1.5, rng))[..., None]
    inner = -d
    seal = np.exp(-(((inner - 24.0) / 3.5) ** 2)) + 0.6 * np.exp(
        -(((inner - 36.0) / 2.5) ** 2)
    )
    base = base * (1 + 0.7 * seal[..., None])
    street = (inner < 17) * 0.25
    base *= (1 - street)[..., None]
    chips = 3.0 * np.abs(cloud(canvas.labels.shape, 2.5, rng))
    base *= (1 - 0.75 * np.exp(-np.clip(inner - chips, 0, None) / 3.0))[..., None]
    canvas.paint(canvas.whole, canvas.cover(d), base, DIE)


def _circuits(
    base: NDArray[np.float32], canvas: BondCanvas, die: Box, rng: np.random.Generator
) -> None:
    far = canvas.reach
    y0, x0 = max(die[0] + 45, -far), max(die[1] + 45, -far)
    y1, x1 = min(die[2] - 45, far), min(die[3] - 45, far)
    for _ in range(int(rng.integers(24, 48))):
        cy, cx = rng.uniform(y0, y1), rng.uniform(x0, x1)
        h, w = 420 * rng.uniform(0.25, 1, 2) ** 2
        box = (max(cy - h, y0), max(cx - w, x0), min(cy + h, y1), min(cx + w, x1))
        window = canvas.window(
            [box[:2], box[2:], (box[0], box[3]), (box[2], box[1])], 2
        )
        if window is None:
            continue
        y, x = canvas.y[window], canvas.x[window]
        inside = canvas.cover(box_distance(y, x, box))[..., None]
        hue = 1 + rng.normal(0, 0.10, 3) + rng.normal(0, 0.08)
        period = rng.uniform(7, 26)
        wave = np.sin(2 * np.pi * (x if rng.random() < 0.5 else y) / period)
        if rng.random() < 0.35:
            wave = wave * np.sin(2 * np.pi * y / rng.uniform(9, 30))
        texture = 1 + rng.uniform(0.03, 0.13) * np.tanh(2.5 * wave)
        base[window] *= 1 + inside * (hue * texture[..., None] - 1)
    for _ in range(int(rng.integers(2, 7))):
        at, wide = rng.uniform(0, 1), rng.uniform(5, 18)
        line = (
            canvas.x - (x0 + at * (x1 - x0))
            if rng.random() < 0.5
            else (canvas.y - (y0 + at * (y1 - y0)))
        )
        base *= 1 + 0.28 * canvas.cover(np.abs(line) - wide)[..., None]


def draw_pad(
    canvas: BondCanvas, at: Point, side: float, look: BondLook, rng: np.random.Generator
) -> None:
    """Draw a bond pad: aluminium, a dark rim, here and there a probe mark."""
    window = canvas.window([at], side)
    if window is None:
        return
    y, x = canvas.y[window] - at[0], canvas.x[window] - at[1]
    half = side / 2
    d = box_distance(y, x, (-half, -half, half, half), 4.0)
    canvas.shade(window, 1 - 0.35 * np.exp(-(((d - 3.0) / 3.0) ** 2)))
    grain = cloud((y.shape[0], y.shape[1]), 1.2, rng)
    colour = tint(look.pad, grain, 0.07) * (1 + rng.normal(0, 0.03))
    if rng.random() < 0.6:
        my, mx = rng.uniform(-0.3, 0.3, 2) * side
        mark = np.hypot((y - my) / 14.0, (x - mx) / 5.0)
        colour = colour * (1 - 0.45 * np.exp(-(mark**2)))[..., None]
    rim = 1 - 0.35 * np.exp(-np.clip(-d, 0, None) / 2.5)
    canvas.paint(window, canvas.cover(d), colour * rim[..., None], PAD)


def draw_ball(
    canvas: BondCanvas, bond: Bond, look: BondLook, rng: np.random.Generator
) -> None:
    """Draw a squashed ball: bright flat rim, dark flanks, a shadow beside it."""
    radius = bond.ball_diameter / 2
    window = canvas.window([bond.ball], 2.2 * radius)
    if window is None:
        return
    y, x = canvas.y[window] - bond.ball[0], canvas.x[window] - bond.ball[1]
    angle = np.arctan2(y, x)
    r = np.hypot(y, x) / (1 + 0.025 * np.cos(2 * angle + rng.uniform(0, 6.3)))
    sy, sx = y + look.light[0] * 0.35 * radius, x + look.light[1] * 0.35 * radius
    fall = np.clip((np.hypot(sy, sx) - radius) / (0.35 * radius), 0, 1)
    canvas.shade(window, (0.45 + 0.55 * fall).astype(np.float32))
    t = r / radius
    facing = (y * look.light[0] + x * look.light[1]) / (r + 1e-6)
    flat = np.exp(-(((t - 0.72) / 0.13) ** 2))
    neck = np.exp(-((t / 0.42) ** 4))
    flank = np.clip((t - 0.84) / 0.16, 0, 1)
    light = 0.62 + 0.75 * flat - 0.42 * flank + 0.28 * facing * flank
    light += neck * (0.1 + 0.45 * facing * np.clip(t / 0.3, 0, 1))
    light *= 1 + 0.07 * cloud((y.shape[0], y.shape[1]), 1.5, rng)
    colour = np.asarray(look.wire, np.float32) * np.clip(light, 0.08, 2.2)[..., None]
    canvas.paint(window, canvas.cover((r - radius).astype(np.float32)), colour, BALL)


def _frame_of(bond: Bond) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    start, end = np.asarray(bond.ball), np.asarray(bond.wedge)
    length = float(np.hypot(*(end - start)))
    ahead = (end - start) / length
    return ahead, np.array([-ahead[1], ahead[0]]), length


def draw_shadow(canvas: BondCanvas, bond: Bond, look: BondLook) -> None:
    """Darken what lies under a wire, farther off and softer where the loop is high."""
    window = canvas.window([bond.ball, bond.wedge], bond.height)
    if window is None:
        return
    ahead, side, length = _frame_of(bond)
    y, x = canvas.y[window] - bond.ball[0], canvas.x[window] - bond.ball[1]
    s = (y * ahead[0] + x * ahead[1]) / length
    lift = bond.height * _loop(np.clip(s, 0, 1))
    off = -(look.light[0] * side[0] + look.light[1] * side[1]) * 0.5 * lift
    v = y * side[0] + x * side[1] - _sway(bond, s) - off
    soft = 0.5 * bond.wire_diameter + 0.12 * lift
    dark = 0.65 * look.ring * np.exp(-((v / soft) ** 2)) / (1 + 0.012 * lift)
    canvas.shade(window, (1 - dark * ((s > 0) & (s < 1))).astype(np.float32))


def draw_wire(
    canvas: BondCanvas, bond: Bond, look: BondLook, rng: np.random.Generator
) -> None:
    """Draw a round wire: dark flanks, a bright line where the loop lies level."""
    window = canvas.window([bond.ball, bond.wedge], 3 * bond.wire_diameter)
    if window is None:
        return
    ahead, side, length = _frame_of(bond)
    y, x = canvas.y[window] - bond.ball[0], canvas.x[window] - bond.ball[1]
    along = y * ahead[0] + x * ahead[1]
    s = along / length
    v = y * side[0] + x * side[1] - _sway(bond, s)
    radius = bond.wire_diameter / 2 * (1 + 0.1 * _loop(np.clip(s, 0, 1)))
    ends = np.maximum(-along - 0.2 * radius, along - length)
    d = np.maximum(np.abs(v) - radius, ends).astype(np.float32)
    c = np.clip(v / radius, -1, 1)
    tilt = np.gradient(_loop(np.linspace(0, 1, 65)), 1 / 64) * bond.height / length
    slope = np.interp(s.ravel(), np.linspace(0, 1, 65), tilt).reshape(s.shape)
    level = np.exp(-((slope / 0.22) ** 2))
    toward = look.light[0] * side[0] + look.light[1] * side[1]
    lens = np.exp(-((c / 0.38) ** 2)) * level
    ring = np.exp(-(((c - 0.55 * toward) / 0.3) ** 2))
    light = 0.30 + 0.38 * np.sqrt(1 - c**2) + 1.15 * lens + 0.55 * look.ring * ring
    light *= 1 + 0.05 * cloud((y.shape[0], y.shape[1]), 4.0, rng)
    colour = np.asarray(look.wire, np.float32) * light[..., None]
    glint = np.clip(lens - 0.6, 0, None)[..., None] * 0.9
    canvas.paint(window, canvas.cover(d), colour + glint, WIRE)


def draw_wedge(
    canvas: BondCanvas, bond: Bond, look: BondLook, rng: np.random.Generator
) -> None:
    """Draw the second bond: the wire squashed to a fish tail with the tool's print."""
    ahead, side, _ = _frame_of(bond)
    wide = bond.wire_diameter * rng.uniform(1.15, 1.45)
    long = bond.wire_diameter * rng.uniform(2.0, 2.8)
    window = canvas.window([bond.wedge], 2.0 * long)
    if window is None:
        return
    y, x = canvas.y[window] - bond.wedge[0], canvas.x[window] - bond.wedge[1]
    a = (y * ahead[0] + x * ahead[1]) / long
    v = y * side[0] + x * side[1]
    half = (
        bond.wire_diameter / 2
        + (wide - bond.wire_diameter / 2) * np.clip(a, 0, 1) ** 0.7
    )
    end = 1.0 - 0.1 * np.cos(np.clip(v / wide, -1, 1) * np.pi)
    d = np.maximum(np.abs(v) - half, np.maximum(-a, a - end) * long).astype(np.float32)
    canvas.shade(window, 1 - 0.3 * np.exp(-np.clip(d, 0, None) / 6.0))
    print_ = np.hypot(a - 1.15, v / long)
    groove = np.exp(-(((print_ - 0.55) / 0.07) ** 2))
    shine = np.exp(-(((print_ - 0.75) / 0.09) ** 2))
    light = (
        0.75 + 0.9 * shine - 0.3 * groove - 0.25 * np.clip(np.abs(v) / half, 0, 1) ** 3
    )
    light *= 1 + 0.08 * cloud((y.shape[0], y.shape[1]), 1.5, rng)
    colour = np.asarray(look.wire, np.float32) * np.clip(light, 0.1, 2)[..., None]
    canvas.paint(window, canvas.cover(d), colour, WEDGE)


def _loop(s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Height of a wire along its way: up steeply, level, then down slowly."""
    return np.asarray(np.minimum(np.tanh(s / 0.07), 1) * np.cos(np.pi / 2 * s**2.2))


def _sway(bond: Bond, s: NDArray[np.float64]) -> NDArray[np.float64]:
    t = np.clip(s, 0, 1)
    return np.asarray(bond.sway * np.sin(np.pi * t) * (1 + 0.4 * np.cos(np.pi * t)))
