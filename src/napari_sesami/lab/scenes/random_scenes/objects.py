"""Families made of single objects: precipitates, particles, cracks, pools, wires."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi

from napari_sesami.lab.scenes.random_scenes.shapes import (
    Layout,
    SceneFrame,
    loguniform,
    nearest_seeds,
    profile,
    smooth_field,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Rng = np.random.Generator


def outline(rng: Rng, style: str) -> Callable[[NDArray[Any], NDArray[Any]], Any]:
    """Choose a shape: a function of (angle, distance / radius) that is < 1 inside."""
    turn, flat = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1)
    order = np.arange(2, 8)
    bumps = (
        rng.normal(0, 0.32, 6) / order if style == "lobed" else rng.normal(0, 0.03, 6)
    )
    phases, corners = rng.uniform(0, 2 * np.pi, 6), int(rng.integers(3, 8))
    square = rng.choice([3, 5])

    def inside(angle: NDArray[Any], distance: NDArray[Any]) -> Any:
        a = angle - turn
        if style == "polygon":
            wedge = 2 * np.pi / corners
            return distance * np.cos((a % wedge) - wedge / 2) / np.cos(wedge / 2)
        c, s = np.cos(a), np.sin(a) / flat
        if style == "cuboid":
            return distance * (np.abs(c) ** square + np.abs(s) ** square) ** (
                1 / square
            )
        edge = 1 + (
            bumps[:, None, None]
            * np.cos(order[:, None, None] * a + phases[:, None, None])
        ).sum(0)
        return distance * np.hypot(c, s) / np.clip(edge, 0.3, 2)

    return inside


def place(
    rng: Rng, shape: tuple[int, int], radii: list[float], gap: float
) -> list[tuple[float, float, float]]:
    """Throw discs that keep their distance; those that find no room are left out."""
    found = np.empty((0, 3))
    for radius in radii:
        tries = np.column_stack(
            [rng.uniform(-radius / 2, side + radius / 2, 12) for side in shape]
        )
        away = np.hypot(
            tries[:, None, 0] - found[None, :, 0], tries[:, None, 1] - found[None, :, 1]
        )
        free = np.nonzero((away > found[None, :, 2] + radius + gap).all(1))[0]
        if free.size:
            found = np.vstack([found, [*tries[free[0]], radius]])
    return [(float(y), float(x), float(r)) for y, x, r in found]


def stamp(
    rng: Rng, out: NDArray[Any], discs: list[tuple[float, float, float]], style: str
) -> None:
    """Write shapes into an id map, the later over the earlier."""
    for number, (y, x, radius) in enumerate(discs, start=int(out.max()) + 1):
        reach = int(radius * 2.1) + 2
        y0, x0 = max(0, int(y) - reach), max(0, int(x) - reach)
        part = out[y0 : max(0, int(y) + reach), x0 : max(0, int(x) + reach)]
        if not part.size:
            continue
        yy, xx = np.mgrid[: part.shape[0], : part.shape[1]]
        dy, dx = yy + y0 - y, xx + x0 - x
        angle, distance = np.arctan2(dy, dx), np.hypot(dy, dx) / radius
        part[outline(rng, style)(angle, distance) < 1] = number


def precipitates(rng: Rng, f: SceneFrame) -> Layout:
    """Fill a matrix with large precipitates and, between them, many small ones."""
    cells = np.zeros(f.shape, np.int32)
    size = f.size * 1.2
    if rng.random() < 0.5:
        index, gap = nearest_seeds(rng, f, size, False)
        rough = rng.uniform(0, 0.15) * size * smooth_field(rng, f.shape, size * 0.3)
        merged = rng.integers(0, index.max() + 1, index.max() + 1)
        merged = np.where(
            rng.random(merged.size) < 0.25, merged, np.arange(merged.size)
        )
        body = gap + rough > rng.uniform(0.08, 0.25) * size
        cells[body] = merged[index][body] + 1
    else:
        radii = sorted(
            (size * rng.lognormal(-0.7, 0.4, 200)).clip(3, 90 * f.scale), reverse=True
        )
        style = str(rng.choice(["lobed", "lobed", "cuboid", "round"]))
        stamp(rng, cells, place(rng, f.shape, radii, rng.uniform(-3, 6)), style)
    kinds = (cells > 0).astype(np.int16)
    if rng.random() < 0.75:
        _small_ones(rng, kinds, cells, min(0.3 * size, 7))
    return Layout(kinds, cells)


def _small_ones(rng: Rng, kinds: NDArray[Any], cells: NDArray[Any], top: float) -> None:
    """Put a second, fine population where the matrix is wide enough."""
    shape = (kinds.shape[0], kinds.shape[1])
    room = ndi.distance_transform_edt(kinds == 0)
    radius = loguniform(rng, 1.6, max(top, 2.0))
    radii = list((radius * rng.lognormal(0, 0.25, 350)).clip(1.3, 9))
    small = np.zeros(shape, np.int32)
    discs = place(rng, shape, radii, rng.uniform(-0.5, 2))
    near = smooth_field(rng, shape, 40) > rng.uniform(-1.5, 0.6)
    keep = [
        d for d in discs
        if 0 <= d[0] < shape[0] and 0 <= d[1] < shape[1]
        and room[int(d[0]), int(d[1])] > d[2] + 1 and near[int(d[0]), int(d[1])]
    ]  # fmt: skip
    stamp(rng, small, keep, "round")
    new = (small > 0) & (kinds == 0)
    kinds[new] = 2
    cells[new] = small[new] + int(cells.max()) + 1


def particles(rng: Rng, f: SceneFrame) -> Layout:
    """Scatter overlapping particles, flakes or polygons on a ground."""
    cells = np.zeros(f.shape, np.int32)
    count = int(min(250, rng.uniform(0.05, 0.8) * f.u.size / f.size**2)) + 3
    radii = list((f.size * rng.lognormal(-0.6, 0.35, count)).clip(2, 80 * f.scale))
    gap = rng.choice([-1e3, 1.0])
    style = str(rng.choice(["polygon", "round", "lobed", "cuboid"]))
    stamp(rng, cells, place(rng, f.shape, radii, gap), style)
    kinds = rng.integers(1, int(rng.choice([2, 2, 3, 4])), int(cells.max()) + 1)[cells]
    return Layout(np.where(cells > 0, kinds, 0).astype(np.int16), cells)


def pools(rng: Rng, f: SceneFrame) -> Layout:
    """Lay rows of overlapping melt pools whose borders are weak arcs."""
    cells, size = np.zeros(f.shape, np.int32), max(f.size, 22) * 1.3
    border = np.zeros(f.shape, bool)
    rows = np.arange(f.v.max() + size, f.v.min() - size, -size * rng.uniform(0.35, 0.7))
    for row in rows:
        for u in np.arange(
            f.u.min() - size, f.u.max() + size, size * rng.uniform(0.8, 1.6)
        ):
            cu, cv = u + rng.normal(0, 0.15) * size, row + rng.normal(0, 0.1) * size
            r = size * rng.uniform(0.6, 1.1)
            d = np.hypot((f.u - cu) / r, (f.v - cv) / (r * rng.uniform(0.6, 1)))
            inside = (d < 1) & (f.v > cv - 0.2 * r)
            cells[inside] = int(cells.max()) + 1
            rim = inside & (d > 1 - rng.uniform(0.8, 2.5) / r)
            border[inside] = rim[inside]
    kinds = np.ones(f.shape, np.int16)
    if rng.random() < 0.6:
        kinds[border] = 0
    return Layout(kinds, np.where(kinds > 0, cells, 0))


def blocks(rng: Rng, f: SceneFrame) -> Layout:
    """Lay out lines, pads and vias in Manhattan style, on one or two levels."""
    kinds, cells = np.zeros(f.shape, np.int16), np.zeros(f.shape, np.int32)
    grid = max(f.size * 0.5, 5.0)
    for number in range(1, int(rng.integers(8, 60))):
        a = rng.uniform(f.u.min(), f.u.max()), rng.uniform(f.v.min(), f.v.max())
        wide, long = grid * rng.uniform(0.4, 1.2), grid * loguniform(rng, 1, 15)
        w, h = (long, wide) if rng.random() < 0.5 else (wide, long)
        cu, cv = np.round(a[0] / grid) * grid, np.round(a[1] / grid) * grid
        inside = (np.abs(f.u - cu) < w / 2) & (np.abs(f.v - cv) < h / 2)
        kinds[inside], cells[inside] = 1 + number % int(rng.integers(1, 4)), 0
    return Layout(kinds, cells)


def bumps(rng: Rng, f: SceneFrame) -> Layout:
    """Draw solder balls between pads, with voids inside some of them."""
    pitch = max(f.size * 2, 30)
    column = np.floor(f.u / pitch).astype(np.int32)
    u = f.u - (column + 0.5) * pitch
    middle = 0.5 * (f.v.min() + f.v.max()) + rng.uniform(-60, 60)
    v = f.v - middle
    r, h = pitch * rng.uniform(0.3, 0.48), pitch * rng.uniform(0.2, 0.5)
    ball = (np.hypot(u, v * rng.uniform(0.7, 1.2)) < r) & (np.abs(v) < h)
    pad = (np.abs(u) < r * rng.uniform(0.5, 0.9)) & (
        np.abs(np.abs(v) - h) < loguniform(rng, 2, 9)
    )
    kinds = np.where(np.abs(v) > h, rng.choice([0, 4]), 0).astype(np.int16)
    kinds[ball], kinds[pad & (np.abs(v) >= h * 0.98)] = 1, 2
    voids = np.zeros(f.shape, np.int32)
    stamp(rng, voids, place(rng, f.shape, list(rng.uniform(2, 9, 40)), 2), "round")
    if rng.random() < 0.6:
        kinds[(voids > 0) & ball & (np.hypot(u, v) < r * 0.85)] = 3
    return Layout(
        kinds, np.where(kinds > 0, column * 1000 + np.where(kinds == 3, voids, 0), 0)
    )


def path(rng: Rng, shape: tuple[int, int], bend: float) -> NDArray[Any]:
    """Walk across the scene with some inertia; rows of (y, x)."""
    side = rng.integers(4)
    start = np.array([rng.uniform(0, shape[0]), rng.uniform(0, shape[1])])
    heading = rng.uniform(0, 2 * np.pi)
    if side < 3:
        start[0], heading = 0.0, np.pi / 2 + rng.normal(0, 0.4)
    steps = int(rng.uniform(0.3, 1.3) * max(shape))
    turns = (
        heading
        + bend * profile(rng, steps, rng.uniform(2, 25))
        + np.cumsum(rng.normal(0, 0.02, steps))
    )
    return start + np.cumsum(np.stack([np.sin(turns), np.cos(turns)], 1), 0)


def strands(
    rng: Rng,
    shape: tuple[int, int],
    count: int,
    width: float,
    broken: bool,
    bend: float,
) -> NDArray[Any]:
    """Draw cracks or wires, crooked bands of varying width; their ids, else 0."""
    ids, radius = np.zeros(shape, np.int32), np.zeros(shape, np.float32)
    for number in range(1, count + 1):
        walk = path(rng, shape, bend)
        if rng.random() < 0.5:
            walk = walk[:, ::1] if shape[0] > shape[1] else walk * [1, 1]
        thick = width * np.exp(0.35 * profile(rng, len(walk), 12))
        keep = profile(rng, len(walk), 15) > (-0.6 if broken else -9)
        at = walk.astype(int)
        keep &= ((at >= 0) & (at < shape)).all(1)
        ids[tuple(at[keep].T)], radius[tuple(at[keep].T)] = number, thick[keep] / 2
    if not ids.any():
        return ids
    distance, near = ndi.distance_transform_edt(ids == 0, return_indices=True)
    return np.where(distance <= radius[tuple(near)], ids[tuple(near)], 0)


def cracks(rng: Rng, f: SceneFrame) -> Layout:
    """Break a ground with thin crooked cracks, some of them interrupted."""
    width, bend = loguniform(rng, 1.6, 9), rng.uniform(0.2, 0.9)
    ids = strands(
        rng, f.shape, int(rng.integers(1, 7)), width, rng.random() < 0.5, bend
    )
    return Layout((ids > 0).astype(np.int16), np.zeros(f.shape, np.int32))


def wires(rng: Rng, f: SceneFrame) -> Layout:
    """Span smooth thick wires with balls over a ground."""
    width = loguniform(rng, 3, 22)
    ids = strands(
        rng, f.shape, int(rng.integers(1, 9)), width, False, rng.uniform(0, 0.25)
    )
    kinds = (ids > 0).astype(np.int16)
    if rng.random() < 0.5:
        balls = np.zeros(f.shape, np.int32)
        stamp(
            rng,
            balls,
            place(rng, f.shape, list(rng.uniform(1, 2.5, 8) * width), 2),
            "round",
        )
        kinds[balls > 0] = 2
    return Layout(kinds, np.where(kinds == 1, ids, 0))


SECOND: dict[str, Callable[[Rng, SceneFrame], Layout]] = {
    "precipitates": precipitates,
    "particles": particles,
    "pools": pools,
    "blocks": blocks,
    "bumps": bumps,
    "cracks": cracks,
    "wires": wires,
}
