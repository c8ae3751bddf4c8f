"""Colour pictures of wire bonds, as optical inspection takes them, with exact truth."""

from __future__ import annotations

import colorsys
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy import ndimage

from napari_sesami.lab.scenes.types import SynthError, Synthetic, TruthValue
from napari_sesami.lab.scenes.wire_bonds import parts
from napari_sesami.lab.scenes.wire_bonds.canvas import BondCanvas, cloud
from napari_sesami.lab.scenes.wire_bonds.parts import Bond, BondLook, Box, Colour, Point
from napari_sesami.noise import ShotNoise
from napari_sesami.scan import ClassSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

WIRE_BOND_CLASSES = (
    ClassSpec(parts.WIRE, "wire", "#ffd23f"),
    ClassSpec(parts.BALL, "ball", "#ff7f11"),
    ClassSpec(parts.WEDGE, "wedge", "#e63bd0"),
    ClassSpec(parts.EPOXY, "epoxy", "#7fc24a"),
    ClassSpec(parts.DIE, "die", "#4da3ff"),
    ClassSpec(parts.PAD, "pad", "#3fc1c9"),
    ClassSpec(parts.FRAME, "lead frame", "#b0b0b0"),
    ClassSpec(parts.BOARD, "substrate", "#b5835a"),
)
_WIRES: tuple[Colour, ...] = (
    (0.80, 0.56, 0.20),
    (0.74, 0.40, 0.24),
    (0.62, 0.62, 0.63),
)
_FRAMES: tuple[Colour, ...] = (
    (0.50, 0.50, 0.48),
    (0.52, 0.33, 0.22),
    (0.56, 0.51, 0.38),
)
_BOARDS: tuple[Colour, ...] = (
    (0.035, 0.035, 0.04),
    (0.03, 0.09, 0.05),
    (0.12, 0.07, 0.04),
)
_GLUES: tuple[Colour, ...] = (
    (0.19, 0.19, 0.19),
    (0.26, 0.25, 0.23),
    (0.16, 0.11, 0.05),
)


def wire_bond(
    seed: int = 0,
    shape: tuple[int, int] = (512, 512),
    pixel_um: float = 2.5,
    noise: bool = True,
    saturation: float | None = None,
    wire_um: float = 25.0,
    pitch_um: float | None = None,
) -> Synthetic:
    """Draw a chip on its frame with ball-bonded wires, in colour, with its truth.

    Parameters
    ----------
    seed
        The same seed and numbers give the same pixels.
    shape
        (y, x).
    pixel_um
        Side of a pixel in µm.
    noise
        Whether the camera's shot noise is added.
    saturation
        1 is full colour, 0 is grey; None draws it: a third of the seeds is nearly grey.
    wire_um
        Diameter of the wires in µm; balls and wedges follow.
    pitch_um
        Distance of the pads; None draws 110 to 180 µm.
    """
    if len(shape) != 2 or min(shape) < 16 or seed < 0:
        raise SynthError(
            "A wire-bond picture needs a shape (y, x) of at least 16 pixels and a seed "
            f"of 0 or more, not {shape} and {seed}."
        )
    if not (0 < pixel_um <= 50 and 5 <= wire_um <= 500):
        raise SynthError(
            "Pixels must measure up to 50 µm and wires 5 to 500 µm, not "
            f"{pixel_um} and {wire_um}."
        )
    rng = np.random.default_rng((seed, 31))
    turn = float(rng.integers(4)) * np.pi / 2 + rng.normal(0, 0.035)
    canvas = BondCanvas.blank(shape, pixel_um, turn)
    look = _look(rng)
    pitch = pitch_um or float(rng.uniform(4.6, 7.2)) * wire_um
    bonds, pads = _draw_scene(canvas, look, wire_um, pitch, rng)
    own = np.random.default_rng((seed, 32))
    chroma = _saturation(own) if saturation is None else saturation
    picture = _photograph(canvas, chroma, noise, seed, rng)
    return Synthetic(
        image=picture,
        labels=canvas.labels,
        classes=WIRE_BOND_CLASSES,
        pixel_size=(pixel_um, pixel_um),
        unit="µm",
        modality="AOI",
        name=f"wire_bond-{seed}",
        info={
            "seed": seed,
            "wires": len(bonds),
            "wire_um": wire_um,
            "pitch_um": pitch,
            "saturation": chroma,
            "licence": "CC0-1.0",
        },
        truth=tuple(_dimensions(canvas, bonds, pads)),
    )


def _dimensions(
    canvas: BondCanvas, bonds: list[Bond], pads: list[Point]
) -> Iterator[TruthValue]:
    """What balls and wires were drawn with, offsets as the picture shows them."""
    cos, sin = np.cos(canvas.angle), np.sin(canvas.angle)
    turn = np.array([[cos, sin], [-sin, cos]])
    middle = (np.array(canvas.labels.shape) - 1) / 2
    t = np.linspace(0, 1, 401)
    for bond, pad in zip(bonds, pads, strict=True):
        y, x = turn @ np.array(bond.ball) / canvas.step + middle
        place = (float(y), float(x))
        dy, dx = turn @ (np.array(bond.ball) - np.array(pad))
        chord = float(np.hypot(*(np.array(bond.wedge) - np.array(bond.ball))))
        sway = np.abs(bond.sway * np.sin(np.pi * t) * (1 + 0.4 * np.cos(np.pi * t)))
        yield TruthValue("ball", bond.ball_diameter, "µm", place)
        yield TruthValue("ball offset", float(dy), "µm", place, "dy")
        yield TruthValue("ball offset", float(dx), "µm", place, "dx")
        yield TruthValue("wire sweep", 100 * float(sway.max()) / chord, "%", place)


def _look(rng: np.random.Generator) -> BondLook:
    """Draw materials: gold, copper or aluminium wire on silver, copper or pale gold."""
    wire = _WIRES[int(rng.choice(3, p=(0.6, 0.2, 0.2)))]
    hue, value = rng.uniform(0, 1), rng.uniform(0.10, 0.26)
    die = colorsys.hsv_to_rgb(hue, rng.uniform(0.1, 0.55), value)
    way = rng.uniform(0, 2 * np.pi)
    bright = rng.uniform(0.85, 1.15)
    return BondLook(
        wire=wire,
        frame=_scaled(_FRAMES[int(rng.integers(3))], bright),
        board=_BOARDS[int(rng.integers(3))],
        epoxy=_scaled(_GLUES[int(rng.integers(3))], rng.uniform(0.7, 1.3)),
        die=die,
        pad=_scaled((0.66, 0.66, 0.64), rng.uniform(0.8, 1.1)),
        light=(float(np.sin(way)), float(np.cos(way))),
        ring=float(rng.uniform(0.35, 1.0)),
    )


def _scaled(colour: Colour, factor: float) -> Colour:
    return colour[0] * factor, colour[1] * factor, colour[2] * factor


def _saturation(rng: np.random.Generator) -> float:
    return float(
        rng.uniform(0.03, 0.12) if rng.random() < 0.33 else rng.uniform(0.7, 1.0)
    )


def _draw_scene(
    canvas: BondCanvas,
    look: BondLook,
    wire: float,
    pitch: float,
    rng: np.random.Generator,
) -> tuple[list[Bond], list[Point]]:
    """Paint from the ground up; the die fills a side or a corner of the picture."""
    half_y, half_x = (n * canvas.step / 2 for n in canvas.labels.shape)
    unit = min(half_y, half_x)
    edge = float(rng.uniform(-0.25, 0.15)) * unit
    corner = rng.random() < 0.4
    right = float(rng.uniform(0.05, 0.35)) * unit if corner else 3 * canvas.reach
    die: Box = (-3 * canvas.reach, -3 * canvas.reach, edge, right)
    fillet = float(rng.uniform(1.2, 3.2)) * wire
    rim = fillet + float(rng.uniform(2.0, 5.0)) * wire
    gap = float(rng.uniform(2.0, 5.0)) * wire
    paddle: Box = (die[0], die[1], edge + rim, right + rim)
    bonds, leads = _bonds(canvas, edge, rim + gap, wire, pitch, rng, right)
    if corner:
        more, extra = _bonds(canvas, right, rim + gap, wire, pitch, rng, edge)
        bonds += [_swap(bond) for bond in more]
        leads += [(b[1], b[0], b[3], b[2]) for b in extra]
    parts.draw_board(canvas, look, rng)
    parts.draw_frame(canvas, [paddle, *leads], look, rng)
    parts.draw_epoxy(canvas, die, fillet, look, rng)
    parts.draw_die(canvas, die, look, rng)
    for bond in bonds:
        parts.draw_pad(canvas, bond.ball, 1.35 * bond.ball_diameter, look, rng)
    placed = _draw_bonds(canvas, bonds, look, rng)
    return placed, [bond.ball for bond in bonds]


def _draw_bonds(
    canvas: BondCanvas, bonds: list[Bond], look: BondLook, rng: np.random.Generator
) -> list[Bond]:
    placed = [_off_centre(bond, rng) for bond in bonds]
    for bond in placed:
        parts.draw_shadow(canvas, bond, look)
    for bond in placed:
        parts.draw_wedge(canvas, bond, look, rng)
        parts.draw_ball(canvas, bond, look, rng)
    for bond in placed:
        parts.draw_wire(canvas, bond, look, rng)
    return placed


def _bonds(
    canvas: BondCanvas,
    edge: float,
    lead_at: float,
    wire: float,
    pitch: float,
    rng: np.random.Generator,
    stop: float,
) -> tuple[list[Bond], list[Box]]:
    """Place pads along the die's edge y = `edge`, and a lead opposite each of them."""
    inset = float(rng.uniform(3.4, 5.0)) * wire
    ball = float(rng.uniform(2.3, 3.0)) * wire
    fan = float(rng.uniform(1.05, 1.5))
    staggered = rng.random() < 0.3
    last = min(canvas.reach, stop - inset - 0.7 * pitch)
    phase = rng.uniform(-0.5, 0.5) * pitch
    columns = np.arange(-int(canvas.reach / pitch) - 1, int(canvas.reach / pitch) + 2)
    lean = rng.normal(0, 0.5) * pitch
    bonds, leads = [], []
    for k in columns:
        x = float(k * pitch + phase)
        lead_x = x * fan + lean
        near = edge + lead_at
        leads.append(
            (
                near,
                lead_x - 0.36 * pitch * fan,
                near + 9 * canvas.reach,
                lead_x + 0.36 * pitch * fan,
            )
        )
        if x > last:
            if lead_x + 0.8 * pitch * fan > stop + lead_at:
                break
            continue
        depth = inset + (1.5 * ball if staggered and k % 2 else 0.0)
        end: Point = (
            near + float(rng.uniform(2.2, 3.4)) * wire,
            lead_x + float(rng.normal(0, 0.06)) * pitch,
        )
        bonds.append(
            Bond(
                (edge - depth, x),
                end,
                ball * float(rng.normal(1, 0.03)),
                wire,
                float(rng.normal(0, 0.35)) * wire,
                float(rng.uniform(4, 8)) * wire,
            )
        )
    return bonds, leads


def _swap(bond: Bond) -> Bond:
    return Bond(
        bond.ball[::-1],
        bond.wedge[::-1],
        bond.ball_diameter,
        bond.wire_diameter,
        bond.sway,
        bond.height,
    )


def _off_centre(bond: Bond, rng: np.random.Generator) -> Bond:
    y, x = np.asarray(bond.ball) + rng.normal(0, 0.05 * bond.ball_diameter, 2)
    return Bond(
        (float(y), float(x)),
        bond.wedge,
        bond.ball_diameter,
        bond.wire_diameter,
        bond.sway,
        bond.height,
    )


def _photograph(
    canvas: BondCanvas,
    saturation: float,
    noise: bool,
    seed: int,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Light the scene unevenly, let it glare, blur it slightly and count photons."""
    height, width = canvas.labels.shape
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    ty, tx = rng.normal(0, 0.13, 2)
    even = 1 + ty * y + tx * x - rng.uniform(0.03, 0.16) * (y**2 + x**2)
    light = canvas.rgb * (even * rng.uniform(1.0, 1.25))[..., None]
    light *= 1 + rng.normal(0, 0.03, 3).astype(np.float32)
    light += _glints(canvas, rng)[..., None]
    glare = ndimage.gaussian_filter(np.clip(light - 0.9, 0, 1), (4, 4, 0))
    focus = rng.uniform(0.55, 1.1)
    light = ndimage.gaussian_filter(light + 0.5 * glare, (focus, focus, 0))
    grey = light @ np.array([0.3, 0.59, 0.11], np.float32)
    light = grey[..., None] + saturation * (light - grey[..., None])
    seen = np.clip(light, 0, 1) ** (1 / 1.8)
    if noise:
        seen = _camera(seen, seed)
    return np.round(np.clip(seen, 0, 1) * 255).astype(np.uint8)


def _glints(canvas: BondCanvas, rng: np.random.Generator) -> NDArray[np.float32]:
    """Specular spots where bare metal or glue happens to face the light."""
    field = cloud(canvas.labels.shape, 1.6, rng)
    rare = np.zeros(9, np.float32)
    rare[[parts.WIRE, parts.BALL, parts.WEDGE, parts.EPOXY, parts.FRAME]] = (
        2.9,
        2.4,
        2.3,
        3.1,
        3.4,
    )
    limit = np.where(rare > 0, rare, 99.0)[canvas.labels]
    return np.asarray(np.clip(field - limit, 0, 0.7) * 1.6, np.float32)


def _camera(seen: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    generator = torch.Generator().manual_seed(seed * 2654435761 % 2**31)
    image = torch.from_numpy(np.ascontiguousarray(seen.transpose(2, 0, 1), np.float32))
    noised: Any = ShotNoise(3000.0)(image[:, None].clamp(0, 1), generator)
    return np.asarray(noised.image[:, 0].numpy().transpose(1, 2, 0))
