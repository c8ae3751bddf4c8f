"""Scenes with the truth of every dimension, in pixels, feature by feature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import gaussian_filter

from napari_sesami.lab.metrology.drawn import Drawn, Shape, draw
from napari_sesami.measure import palasantzas, sem_profile

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Values = NDArray[np.float64]

GREYS = {"oxide": 60.0, "silicon": 120.0, "film": 170.0, "metal": 230.0}


def half_plane(seed: int, degrees: float, sigma: float, side: int = 72) -> Drawn:
    """Draw one straight edge through the picture, turned, at any phase."""
    rng = np.random.default_rng(seed)
    offset = float(rng.uniform(-0.5, 0.5))
    turn = np.deg2rad(degrees)
    ny, nx = np.sin(turn), np.cos(turn)
    middle = (side - 1) / 2

    def distance(y: Values, x: Values) -> Values:
        return (y - middle) * ny + (x - middle) * nx - offset

    shapes = [Shape("oxide", 60.0, distance), Shape("silicon", 110.0, distance)]
    truth = {"offset": offset, "normal": (ny, nx), "middle": (middle, middle)}
    return draw((side, side), shapes, sigma=sigma, truth=truth)


def trapezoid(
    middle: float, top: float, bottom: float, wide_top: float, wide_bottom: float
) -> Callable[[Values, Values], Values]:
    """Distance to an upright trapezoid with sharp corners (exact at its sides)."""
    slope = (wide_bottom - wide_top) / 2 / (bottom - top)
    stretch = 1 / np.hypot(1, slope)

    def distance(y: Values, x: Values) -> Values:
        half = wide_top / 2 + (y - top) * slope
        sides = (np.abs(x - middle) - half) * stretch
        return np.maximum(np.maximum(sides, top - y), y - bottom)

    return distance


def fins(
    seed: int = 0,
    *,
    count: int = 5,
    sigma: float = 1.0,
    walk: float = 0.0,
    rows: int = 90,
    height: float = 56.0,
    pitch: float = 44.0,
) -> Drawn:
    """Draw tapered fins in oxide; truth: cd (n, 3) at 10, 50, 90 %, height, angle."""
    rng = np.random.default_rng(seed)
    shapes = [Shape("oxide", GREYS["oxide"], lambda y, x: y)]
    truth: dict[str, Any] = {"cd": [], "height": [], "angle": [], "middle": []}
    for k in range(count):
        top = 17 + float(rng.uniform(-0.5, 0.5))
        tall = height + float(rng.uniform(-0.5, 0.5))
        wide_top = float(rng.uniform(15, 20))
        wide_bottom = wide_top + float(rng.uniform(0, 8))
        at = 30 + k * pitch + float(rng.uniform(-0.5, 0.5))
        at += walk / 4 * (1 if k % 2 else -1)
        form = trapezoid(at, top, top + tall, wide_top, wide_bottom)
        shapes.append(Shape("silicon", GREYS["silicon"], form))
        grow = wide_bottom - wide_top
        truth["cd"].append([wide_top + q * grow for q in (0.1, 0.5, 0.9)])
        truth["height"].append(tall)
        truth["angle"].append(90 - np.degrees(np.arctan(grow / 2 / tall)))
        truth["middle"].append(at)
    truth = {name: np.array(v) for name, v in truth.items()}
    columns = int(60 + (count - 1) * pitch)
    return draw((rows, columns), shapes, sigma=sigma, truth=truth)


def planar_films(
    seed: int, thick: float, *, sigma: float = 1.0, columns: int = 48, tilt: float = 1.0
) -> Drawn:
    """Draw a film of known thickness between two other materials, slightly tilted."""
    rng = np.random.default_rng(seed)
    turn = np.deg2rad(float(rng.uniform(-tilt, tilt)))
    at = 24 + float(rng.uniform(-0.5, 0.5))

    def below(y: Values, x: Values) -> Values:
        return at - ((y * np.cos(turn)) + (x - columns / 2) * np.sin(turn))

    shapes = [
        Shape("metal", GREYS["metal"] - 110, below),
        Shape("film", GREYS["film"], lambda y, x: below(y, x) - thick),
        Shape("silicon", 60.0, below),
    ]
    rows = int(48 + thick)
    drawn = draw((rows, columns), shapes, sigma=sigma, truth={"thickness": thick})
    return drawn


def nanosheets(
    seed: int = 0,
    *,
    sigma: float = 0.8,
    film: float = 5.5,
    count: int = 3,
    floor: int = 0,
) -> Drawn:
    """Draw rounded sheets with a conformal film in metal; truth: thickness, height.

    `floor` adds that many rows, and a level oxide in them.
    """
    rng = np.random.default_rng(seed)
    shapes = [Shape("metal", GREYS["metal"], lambda y, x: y)]
    heights = []
    for k in range(count):
        middle = np.array([34 + 46 * k, 68]) + rng.uniform(-0.5, 0.5, 2)
        half = np.array([9.0, 34.0]) + rng.uniform(-0.5, 0.5, 2)
        form = rounded_box(middle, half, 6.0)

        def coat(y: Values, x: Values, form: Any = form) -> Values:
            return form(y, x) - film

        shapes.append(Shape("film", GREYS["film"], coat))
        shapes.append(Shape("silicon", 100.0, form))
        heights.append(2 * half[0])
    truth = {"thickness": film, "height": np.array(heights)}
    rows = 46 * count + 24
    if floor:
        shapes.append(Shape("oxide", GREYS["oxide"], lambda y, x: rows - y))
    return draw((rows + floor, 136), shapes, sigma=sigma, truth=truth)


def rounded_box(
    middle: Values, half: Values, radius: float
) -> Callable[[Values, Values], Values]:
    """Exact distance to a box with rounded corners."""

    def distance(y: Values, x: Values) -> Values:
        a = np.abs(y - middle[0]) - half[0] + radius
        b = np.abs(x - middle[1]) - half[1] + radius
        outside = np.hypot(np.maximum(a, 0), np.maximum(b, 0))
        return np.minimum(np.maximum(a, b), 0) + outside - radius

    return distance


def holes(
    seed: int = 0,
    radius: float = 12.0,
    ratio: float = 1.0,
    *,
    sigma: float = 1.0,
    count: int = 3,
    spread: float = 0.0,
) -> Drawn:
    """Draw count² elliptic holes of one area and axis ratio; truth: diameter, ratio."""
    rng = np.random.default_rng(seed)
    step = 2 * radius * np.sqrt(ratio) + 22
    shapes = [Shape("oxide", GREYS["oxide"], lambda y, x: y)]
    diameters = []
    for row in range(count):
        for column in range(count):
            at = step * (np.array([row, column]) + 0.5) + rng.uniform(-0.5, 0.5, 2)
            own = radius + spread * float(rng.standard_normal())
            turn = float(rng.uniform(0, np.pi))
            shapes.append(Shape("hole", 140.0, _ellipse(at, own, ratio, turn)))
            diameters.append(2 * own)
    side = int(np.ceil(step * count))
    truth = {"diameter": np.array(diameters), "ratio": ratio}
    return draw((side, side), shapes, sigma=sigma, truth=truth)


def _ellipse(
    at: Values, radius: float, ratio: float, turn: float
) -> Callable[[Values, Values], Values]:
    major, minor = radius * np.sqrt(ratio), radius / np.sqrt(ratio)
    cos, sin = np.cos(turn), np.sin(turn)

    def distance(y: Values, x: Values) -> Values:
        v = (y - at[0]) * cos + (x - at[1]) * sin
        u = -(y - at[0]) * sin + (x - at[1]) * cos
        r = np.hypot(u / major, v / minor)
        steep = np.hypot(u / major**2, v / minor**2)
        return np.asarray(r * (r - 1) / np.maximum(steep, 1e-9))

    return distance


def rough_edges(
    seed: int,
    lines: int,
    length: int,
    sigma: float,
    xi: float,
    hurst: float,
    rho: float = 0.0,
) -> tuple[Values, Values]:
    """Draw left and right edges (lines, length) with a given spectrum, by their FFT.

    They are cut from lines four times as long, so that they do not close on
    themselves; `rho` is the correlation of the two edges of a line.
    """  # fmt: skip
    rng = np.random.default_rng(seed)
    whole = 4 * length
    f = np.asarray(np.fft.rfftfreq(whole), float)
    power = palasantzas(f, sigma, xi, hurst)
    for k in (1, 2):
        power = power + palasantzas(f + k, sigma, xi, hurst)
        power = power + palasantzas(f - k, sigma, xi, hurst)
    both = []
    for _ in range(2):
        white = rng.standard_normal((lines, whole))
        shaped = np.fft.irfft(
            np.fft.rfft(white, axis=1) * np.sqrt(power), whole, axis=1
        )
        both.append(shaped[:, :length])
    left = both[0]
    right = rho * both[0] + np.sqrt(1 - rho**2) * both[1]
    return left, right


def lines_with_psd(
    seed: int = 0,
    *,
    lines: int = 6,
    length: int = 400,
    roughness: float = 1.0,
    xi: float = 12.0,
    hurst: float = 0.7,
    rho: float = 0.0,
    sigma: float = 1.0,
    width: float = 18.0,
    pitch: float = 40.0,
) -> Drawn:
    """Draw upright lines whose edges have a given spectrum; truth: both edges."""
    left, right = rough_edges(seed, lines, length + 40, roughness, xi, hurst, rho)
    middles = 24 + pitch * np.arange(lines)
    x_left, x_right = middles[:, None] - width / 2 + left, middles[:, None] + width / 2
    x_right = x_right + right
    columns = int(48 + pitch * (lines - 1))
    cover = np.zeros((length + 40, columns))
    for a, b in zip(x_left, x_right, strict=True):
        x = np.arange(columns)
        cover += np.clip(b[:, None] - x + 0.5, 0, 1) - np.clip(
            a[:, None] - x + 0.5, 0, 1
        )
    image = 60 + 60 * gaussian_filter(cover, sigma, mode="nearest")
    inner = slice(20, 20 + length)
    truth = {
        "left": x_left[:, inner],
        "right": x_right[:, inner],
        "roughness": roughness,
        "xi": xi,
        "hurst": hurst,
    }
    labels = (1 + (cover[inner] > 0.5)).astype(np.uint8)
    total = float(np.sqrt(sigma**2 + 1 / 12))
    classes = {"floor": 1, "line": 2}
    return Drawn(image[inner].astype(np.float32), labels, classes, truth, total)


def sem_lines(
    seed: int = 0, *, lines: int = 4, length: int = 160, width: float = 22.0
) -> Drawn:
    """Draw straight lines as a SEM shows them: rims, shadows, beam; truth: cd."""
    rng = np.random.default_rng(seed)
    look = [
        0.0, float(rng.uniform(90, 120)), float(rng.uniform(40, 60)),
        float(rng.uniform(30, 90)), np.log(float(rng.uniform(2.0, 4.5))), 0.0,
        float(rng.uniform(0.1, 0.4)), np.log(9.0), np.log(float(rng.uniform(0.8, 1.6))),
    ]  # fmt: skip
    own = np.random.default_rng(
        seed + 1
    )  # outside, rims and shadows reach as they like
    look[5] = look[4] + np.log(float(own.uniform(0.3, 0.75)))
    look[7] = np.log(float(own.uniform(6, 13)))
    columns = int(40 + 52 * (lines - 1) + 40)
    image = np.full((length, columns), look[2])
    labels = np.ones((length, columns), np.uint8)
    x = np.arange(columns, dtype=float)
    widths = []
    for k in range(lines):
        wide = width + float(rng.uniform(-1.5, 1.5))
        middle = 40 + 52 * k + float(rng.uniform(-0.5, 0.5))
        away = np.abs(x - middle) - wide / 2
        profile = sem_profile(away, np.array(look))
        near = np.abs(x - middle) <= 26
        image[:, near] = profile[near]
        labels[:, away < 0] = 2
        widths.append(wide)
    truth = {"cd": np.array(widths), "look": look}
    classes = {"floor": 1, "line": 2}
    return Drawn(image.astype(np.float32), labels, classes, truth)


def spheres(
    seed: int, radius: float, *, sigma: float = 1.0, count: int = 6
) -> tuple[NDArray[np.float32], NDArray[np.uint8], float]:
    """Draw a row of spherical voids in solder: voxels, labels, the volume of one."""
    rng = np.random.default_rng(seed)
    side = int(2 * radius + 24)
    fine = 4
    n = side * fine
    at = (np.arange(n) + 0.5) / fine - 0.5
    voxels, labels = [], []
    for _ in range(count):
        middle = (side - 1) / 2 + rng.uniform(-0.5, 0.5, 3)
        z, y, x = np.meshgrid(*(at - m for m in middle), indexing="ij", sparse=True)
        inside = (z * z + y * y + x * x < radius**2).astype(np.float32)
        share = inside.reshape(side, fine, side, fine, side, fine).mean((1, 3, 5))
        voxels.append(200 - 150 * gaussian_filter(share, sigma))
        labels.append((share > 0.5).astype(np.uint8) + 1)
    volume = 4 / 3 * np.pi * radius**3
    return (
        np.concatenate(voxels, axis=2).astype(np.float32),
        np.concatenate(labels, axis=2),
        float(volume),
    )


MADE: dict[str, Callable[[int], Drawn]] = {
    "fins": fins,
    "nanosheets": nanosheets,
    "holes": holes,
    "lines": lines_with_psd,
}
"""Scenes by name, drawn by a seed."""
