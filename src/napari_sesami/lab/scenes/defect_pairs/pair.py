"""SEM defect review: pairs of a low and a high magnification of the same place."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

from napari_sesami.lab.scenes.cross_sections.section import image_with
from napari_sesami.lab.scenes.defect_pairs.defects import (
    ALLOWED,
    APPLY,
    DefectView,
    Numbers,
    draw_numbers,
)
from napari_sesami.lab.scenes.defect_pairs.patterns import (
    PATTERNS,
    Dots,
    Lines,
    Pattern,
    Roughness,
)
from napari_sesami.lab.scenes.geometry import crop, noise_tile
from napari_sesami.lab.scenes.types import SemPair, SynthError, Synthetic
from napari_sesami.scan import ClassSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sesami.lab.scenes.geometry import Grid

DEFECTS = (
    "none", "particle", "bridge", "break", "missing_via", "scratch", "residue", "void",
    "collapse",
)  # fmt: skip
"""The defect classes of SEM pairs; "none" is a place without a defect."""

_COLORS = (
    "#4da3ff", "#a0cbe8", "#e15759", "#f28e2b", "#edc948", "#5fcf5a", "#b07aa1",
    "#c99a7c", "#ff9da7", "#76b7b2",
)  # fmt: skip
CLASSES = tuple(
    ClassSpec(number, name, color)
    for number, (name, color) in enumerate(
        zip(("lower surface", "upper surface", *DEFECTS[1:]), _COLORS, strict=True),
        start=1,
    )
)


@dataclass(frozen=True)
class _Look:
    """Grey values and beam of one session at the microscope."""

    top: float
    floor: float
    rim: float
    shadow: float
    rim_nm: float
    beam_nm: float
    texture: float


def sem_pair(
    defect: str = "particle",
    seed: int = 0,
    shape: tuple[int, int] = (512, 512),
    pixel_size_nm: float | None = None,
    noise: bool | float = True,
    *,
    pattern: str | None = None,
    zoom: float = 4.0,
    marks: bool = True,
    template: bool = False,
) -> SemPair:
    """Draw one place of a patterned wafer at low and at high magnification.

    Both pictures come from the same geometry; each has its own noise.

    Parameters
    ----------
    defect
        One of `DEFECTS`.
    seed
        Same seed and parameters, same pictures.
    shape
        Rows and columns of both pictures.
    pixel_size_nm
        Of the low magnification; drawn between 3 and 5 nm if not given.
    noise
        False, True or a strength (1 is ordinary).
    pattern
        "lines", "vias", "logic" or "pillars"; drawn from those that the defect can
        occur on if not given.
    zoom
        How many times smaller a pixel of the high magnification is.
    marks
        Whether noise may burn in a data bar or a scale bar.
    template
        Draw the same place of a good die at high magnification, too; the stage stops
        a few pixels beside it.

    Returns
    -------
    SemPair
        Labels mark the lower and upper surface and the defect.
    """
    _check(defect, pattern, shape, zoom, pixel_size_nm)
    rng = np.random.default_rng([seed, *defect.encode()])
    pattern = pattern or str(rng.choice(ALLOWED[defect]))
    surface = PATTERNS[pattern](rng)
    n = draw_numbers(defect, pattern, surface.pitch, surface.width, rng)
    good = surface
    if defect == "collapse":
        surface, n = _lean(surface, n, rng)
    rough = Roughness(
        float(rng.uniform(0.8, 2.2)), (int(rng.integers(768)), int(rng.integers(768)))
    )
    look = _Look(
        top=float(rng.uniform(0.38, 0.6)), floor=float(rng.uniform(0.1, 0.28)),
        rim=float(rng.uniform(0.15, 0.45)), shadow=float(rng.uniform(0.1, 0.5)),
        rim_nm=float(rng.uniform(3, 7)), beam_nm=float(rng.uniform(0.8, 2.0)),
        texture=float(rng.uniform(0.005, 0.02)),
    )  # fmt: skip
    low_nm = pixel_size_nm or float(rng.uniform(3, 5) * 512 / max(shape))
    turn = float(rng.choice([0, 90]) + rng.normal(0, 0.5))
    # the defect is off the middle at low, nearly in it at high magnification
    room = 0.5 - 0.6 / zoom
    off = rng.uniform(-room, room, 2) * shape * 0.6
    jitter = rng.uniform(-0.08, 0.08, 2) * shape
    pair = []
    for nm, shift in ((low_nm, off), (low_nm / zoom, jitter)):
        grey, labels = _render(
            surface, defect, n, rough, look, shape, nm, turn, shift, rng
        )
        pair.append((nm, grey, labels))
    info = {"seed": seed, "defect": defect, "pattern": pattern, "turn_deg": turn,
            "pitch_nm": surface.pitch, "width_nm": surface.width}  # fmt: skip
    seeds = [int(s) for s in rng.integers(2**62, size=2)]
    low, high = (
        _finish(item, noise, marks, f"sem_{defect}_{mag}_{seed}", key, info)
        for item, mag, key in zip(pair, ("low", "high"), seeds, strict=True)
    )
    middle = off - jitter / zoom
    center = (float(0.5 * shape[0] + middle[0]), float(0.5 * shape[1] + middle[1]))
    other = None
    if template:  # its own numbers, so that pairs are the same with and without
        own = np.random.default_rng([seed, 1, *defect.encode()])
        beside = jitter + own.normal(0, 1.5, 2)
        nm = low_nm / zoom
        grey, labels = _render(
            good, "none", n, rough, look, shape, nm, turn, beside, own
        )
        key = int(own.integers(2**62))
        name = f"sem_{defect}_template_{seed}"
        other = _finish((nm, grey, labels), noise, marks, name, key, info)
    return SemPair(low, high, defect, zoom, center, info, other)


def _lean(
    surface: Pattern, n: Numbers, rng: np.random.Generator
) -> tuple[Pattern, Numbers]:
    touch = 0.5 * (surface.pitch - surface.width) * float(rng.uniform(0.9, 1.1))
    if isinstance(surface, Lines):
        length = float(rng.uniform(2, 5)) * surface.pitch
        # where the lean has fallen to an eighth, a line counts as upright
        bent = replace(surface, pinch=touch, length=length)
        return bent, {**n, "reach": 1.2 * length}
    if not isinstance(surface, Dots):
        raise SynthError("Only lines and pillars can collapse.")
    shifts = surface.shifts.copy()
    middle = shifts.shape[1] // 2
    shifts[1][middle, middle] += touch
    shifts[1][middle, middle + 1] -= touch
    return replace(surface, shifts=shifts), {**n, "reach": 0.55 * surface.pitch}


def _render(
    surface: Pattern, defect: str, n: Numbers, rough: Roughness, look: _Look,
    shape: tuple[int, int], nm: float, turn: float, shift: NDArray[np.float64],
    rng: np.random.Generator,
) -> tuple[Grid, NDArray[np.uint8]]:  # fmt: skip
    v, u = _world(shape, nm, turn, shift)
    height = (surface.height(v, u) + rough.at(v, u)).astype(np.float32)
    view = DefectView(
        v, u, height, np.zeros(shape, bool), [], np.ones(shape, np.float32)
    )
    if defect != "none":
        APPLY[defect](view, n)
    grey = _secondary(view, look, nm)
    grey += look.texture * crop(noise_tile(2.0), shape, rng)
    grey = gaussian_filter(grey, max(look.beam_nm / nm, 0.35)).astype(np.float32)
    labels = np.where(view.height < 0, 2, 1).astype(np.uint8)
    if defect != "none":
        labels[view.mask] = 2 + DEFECTS.index(defect)
    return grey, labels


def _world(
    shape: tuple[int, int], nm: float, turn: float, shift: NDArray[np.float64]
) -> tuple[Grid, Grid]:
    y = (np.arange(shape[0], dtype=np.float32) + 0.5 - 0.5 * shape[0] - shift[0]) * nm
    x = (np.arange(shape[1], dtype=np.float32) + 0.5 - 0.5 * shape[1] - shift[1]) * nm
    cos, sin = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
    v = (y * cos)[:, None] - (x * sin)[None, :]
    u = (y * sin)[:, None] + (x * cos)[None, :]
    return v.astype(np.float32), u.astype(np.float32)


def _secondary(view: DefectView, look: _Look, nm: float) -> Grid:
    # secondary electrons: material, bright rims where the surface ends, dark corners
    height, shade = view.height, view.shade
    top = np.clip(0.5 - height / max(nm, 1.0), 0, 1)
    corner = look.shadow * np.exp(-np.maximum(height, 0) / 14)
    grey = look.floor * (1 - corner) + top * (look.top - look.floor * (1 - corner))
    reach = np.where(height < 0, look.rim_nm, 0.5 * look.rim_nm)
    grey = (grey + look.rim * np.exp(-np.abs(height) / reach)) * shade
    for distance, tone, rim in view.over:
        cover = np.clip(0.5 - distance / max(nm, 1.0), 0, 1)
        glow = rim * np.exp(-np.abs(distance) / (1.5 * look.rim_nm))
        lump = tone + 0.4 * rim * np.clip(1 + distance / 30, 0, 1)
        grey = grey + cover * (lump - grey) + glow
    return np.clip(grey, 0, 1).astype(np.float32)


def _finish(
    item: tuple[float, Grid, NDArray[np.uint8]], noise: bool | float, marks: bool,
    name: str, seed: int, info: dict[str, object],
) -> Synthetic:  # fmt: skip
    nm, grey, labels = item
    ignore, own = None, dict(info)
    if noise is not False:
        strength = 1.0 if noise is True else float(noise)
        grey, labels, ignore, own["noise"] = image_with(
            grey, labels, "sem", strength, nm, seed, marks
        )
    image = (np.clip(grey, 0, 1) * 255 + 0.5).astype(np.uint8)
    return Synthetic(image, labels, CLASSES, (nm, nm), "nm", "SEM", name, ignore, own)


def _check(
    defect: str, pattern: str | None, shape: tuple[int, int], zoom: float,
    pixel_size_nm: float | None,
) -> None:  # fmt: skip
    if defect not in ALLOWED:
        raise SynthError(f'There is no defect "{defect}"; take {", ".join(DEFECTS)}.')
    if pattern is not None and pattern not in ALLOWED[defect]:
        names = ", ".join(ALLOWED[defect])
        raise SynthError(f'{defect} does not occur on "{pattern}"; take {names}.')
    if len(shape) != 2 or min(shape) < 32:
        raise SynthError(f"shape must be two numbers of 32 or more, not {shape}.")
    if not 1.5 <= zoom <= 20:
        raise SynthError(f"zoom must be 1.5 to 20, not {zoom}.")
    if pixel_size_nm is not None and not 0.1 <= pixel_size_nm <= 20:
        raise SynthError(f"pixel_size_nm must be 0.1 to 20, not {pixel_size_nm}.")
