"""Defects on a patterned wafer: each changes the surface and marks where it did.

Every function gets the view (world coordinates, surface height distance, grey) and
changes it; the defect sits about the world origin, where line 0 of the pattern is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.lab.scenes.geometry import ellipse, join, noise_tile

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_sesami.lab.scenes.geometry import Grid

ALLOWED: dict[str, tuple[str, ...]] = {
    "none": ("lines", "vias", "logic", "pillars"),
    "particle": ("lines", "vias", "logic", "pillars"),
    "bridge": ("lines", "logic", "pillars"),
    "break": ("lines", "logic"),
    "missing_via": ("vias",),
    "scratch": ("lines", "vias", "logic", "pillars"),
    "residue": ("lines", "vias", "logic", "pillars"),
    "void": ("lines", "logic"),
    "collapse": ("lines", "pillars"),
}


@dataclass
class DefectView:
    """A surface at one magnification.

    Attributes
    ----------
    v, u
        World coordinates in nm.
    height
        Distance to the upper surface, negative on it.
    mask
        Where the defect is.
    over
        What lies on top: list of (distance, grey, rim brightness).
    shade
        Factor on the grey, 1 where nothing changes.
    """

    v: Grid
    u: Grid
    height: Grid
    mask: NDArray[np.bool_]
    over: list[tuple[Grid, float, float]]
    shade: Grid

    def blob(
        self,
        at: tuple[float, float],
        half: tuple[float, float],
        wobble: float,
        key: int,
    ) -> Grid:
        """Distance to an irregular round patch."""
        away = ellipse(self.v, self.u, at, half)
        tile = noise_tile(16.0)
        scale = 16 * 3.0 / max(min(half), 1.0)  # a few lobes around the rim
        rows = (np.floor(self.v * scale).astype(np.int32) + key) % tile.shape[0]
        columns = (np.floor(self.u * scale).astype(np.int32) + 5 * key) % tile.shape[0]
        return away + wobble * min(half) * tile[rows, columns]


Numbers = dict[str, Any]


def particle(view: DefectView, n: Numbers) -> None:
    """Put a lump on the surface, or a few."""
    for k in range(n["count"]):
        at = (n["at"][k][0] * n["size"], n["at"][k][1] * n["size"])
        half = (n["size"] * n["shape"][k], n["size"] / n["shape"][k])
        if k:
            half = (0.4 * half[0], 0.4 * half[1])
        body = view.blob(at, half, 0.10, n["key"] + 31 * k)
        # a charged lump darkens its surroundings
        view.shade *= 1 - n["halo"] * np.exp(-np.maximum(body, 0) / (0.5 * n["size"]))
        view.over.append((body, n["tone"], n["rim"]))
        view.mask |= body < 0


def bridge(view: DefectView, n: Numbers) -> None:
    """Join two neighbours."""
    pitch, width = n["pitch"], n["width"]
    gap = 0.5 * (pitch - width)
    if n["along_u"]:
        link = view.blob(
            (0.0, 0.5 * pitch), (n["size"], gap + 0.25 * width), 0.06, n["key"]
        )
    else:
        link = np.hypot(
            view.v, np.maximum(np.abs(view.u - 0.5 * pitch) - 0.3 * pitch, 0)
        )
        link = link - 0.28 * width
    if n["low"]:  # a bridge that does not reach the full height
        view.mask |= (link < 0) & (view.height > 0)
        view.over.append((np.maximum(link, -view.height), n["tone"], 0.05))
    else:
        before = view.height
        view.height = join(before, link, 0.25 * width)
        view.mask |= (view.height < 0) & (before > 0)


def gap(view: DefectView, n: Numbers) -> None:
    """Cut line 0."""
    half = (n["size"], 0.9 * n["width"])
    cut = np.maximum(np.abs(view.v) - half[0], np.abs(view.u) - half[1])
    cut = cut + 0.12 * n["size"] * np.sin(view.u * (2.5 / n["width"]) + n["key"])
    cut = cut.astype(np.float32)
    view.mask |= (cut < 0) & (view.height < 0)
    view.height = np.maximum(view.height, -cut)


def missing_via(view: DefectView, n: Numbers) -> None:
    """Close hole 0, all of it or leaving a dimple."""
    place = np.hypot(view.v, view.u) - 0.5 * n["width"]
    view.mask |= place < 0
    view.height = np.where(
        np.hypot(view.v, view.u) < 0.9 * n["width"], -1e3, view.height
    )
    if n["dimple"]:
        view.shade *= 1 - 0.2 * np.clip(0.5 - place / 6, 0, 1)


def scratch(view: DefectView, n: Numbers) -> None:
    """Plough a furrow through the pattern."""
    cos, sin = np.cos(n["angle"]), np.sin(n["angle"])
    s = view.v * cos + view.u * sin
    t = view.u * cos - view.v * sin
    t = t - n["bend"] * (s / n["length"]) ** 2 * n["length"]
    ends = np.abs(s) - n["length"]
    wide = n["size"] * (1 + 0.25 * np.sin(s / (3 * n["size"]) + n["key"]))
    furrow = np.maximum(
        np.abs(t) - wide * np.clip(-ends / (0.3 * n["length"]), 0, 1), ends
    )
    furrow = furrow.astype(np.float32)
    inside = np.clip(0.5 - furrow / 4, 0, 1)
    view.mask |= furrow < 0
    view.shade *= 1 - n["depth"] * inside
    view.shade += 0.45 * np.exp(-np.abs(furrow - 4) / 6)
    # the pattern is smeared flat in the furrow
    flat = np.where(view.height < 0, -12.0, 12.0)
    view.height = np.where(furrow < 0, 0.35 * view.height + 0.2 * flat, view.height)


def residue(view: DefectView, n: Numbers) -> None:
    """Leave a film, over all or only between the lines."""
    film = view.blob(
        (0.0, 0.3 * n["pitch"]), (n["size"] * n["long"], n["size"]), 0.22, n["key"]
    )
    if n["low"]:
        film = np.maximum(film, -view.height)
    soft = np.clip(0.5 - film / 8, 0, 1)
    view.mask |= film < 0
    view.shade *= 1 + n["change"] * soft


def void(view: DefectView, n: Numbers) -> None:
    """Open a hole in line 0."""
    half = (n["size"] * n["long"], n["size"])
    hole = view.blob((0.0, n["off"]), half, 0.08, n["key"])
    hole = np.maximum(hole, view.height + 0.12 * n["width"])
    view.mask |= hole < 0
    view.height = np.maximum(view.height, -hole)
    view.shade *= 1 - 0.55 * np.clip(0.5 - hole / 3, 0, 1)


def collapse(view: DefectView, n: Numbers) -> None:
    """Mark what leaned over; the pattern itself was bent before."""
    across = np.abs(view.u - 0.5 * n["pitch"]) / n["pitch"]
    view.mask |= (view.height < 0) & (np.abs(view.v) < n["reach"]) & (across < 0.98)
    near = (view.v / n["reach"]) ** 4 + across**4
    view.shade += 0.25 * (np.clip(0.5 - view.height / 3, 0, 1) * np.exp(-near))


APPLY: dict[str, Callable[[DefectView, Numbers], None]] = {
    "particle": particle,
    "bridge": bridge,
    "break": gap,
    "missing_via": missing_via,
    "scratch": scratch,
    "residue": residue,
    "void": void,
    "collapse": collapse,
}


def draw_numbers(
    defect: str, pattern: str, pitch: float, width: float, rng: np.random.Generator
) -> Numbers:
    """Draw size, shape and look of a defect on a pattern of that pitch and width."""
    sizes = {
        "particle": rng.uniform(0.45, 1.6) * pitch,
        "bridge": rng.uniform(0.2, 0.7) * pitch,
        "break": rng.uniform(0.15, 0.8) * pitch,
        "scratch": rng.uniform(0.12, 0.4) * pitch,
        "residue": rng.uniform(0.5, 1.3) * pitch,
        "void": rng.uniform(0.22, 0.38) * width,
    }
    low = bool(rng.random() < 0.4)
    # a film in dark trenches is only seen if it is bright
    change = (
        rng.uniform(0.5, 1.2) if low else rng.choice([-1, 1]) * rng.uniform(0.2, 0.4)
    )
    return {
        "pitch": pitch,
        "width": width,
        "size": float(sizes.get(defect, width)),
        "key": int(rng.integers(0, 600)),
        "count": int(rng.choice([1, 1, 1, 2, 4])),
        "at": np.vstack([[0, 0], rng.normal(0, 1.8, (3, 2))]).tolist(),
        "shape": rng.uniform(0.8, 1.3, 4).tolist(),
        "tone": float(
            rng.uniform(0.5, 0.85) if defect == "particle" else rng.uniform(0.3, 0.45)
        ),
        "rim": float(rng.uniform(0.1, 0.35)),
        "halo": float(rng.uniform(0.05, 0.35)),
        "low": low,
        "along_u": pattern != "pillars",
        "dimple": bool(rng.random() < 0.5),
        "angle": float(rng.uniform(0, np.pi)),
        "bend": float(rng.uniform(-0.12, 0.12)),
        "length": float(rng.uniform(2.0, 6.0) * pitch),
        "depth": float(rng.uniform(0.2, 0.5)),
        "change": float(change),
        "long": float(rng.uniform(1.0, 1.9)),
        "off": float(rng.normal(0, 0.06) * width),
    }
