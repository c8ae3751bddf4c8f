"""Stacked memory in a volume: vias, bumps, bond lines, misalignment, cracks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_sesami.measure.budget import ErrorBudget
from napari_sesami.measure.edge import NearPixels, fit_step, polynomial
from napari_sesami.measure.features import FoundFeature
from napari_sesami.measure.frame import MeasureFrame
from napari_sesami.measure.quantities.columns import (
    VoxelColumn,
    check_volume,
    find_columns,
    voxel_of,
)
from napari_sesami.measure.quantities.face_layer import layer_shift
from napari_sesami.measure.quantities.outline import ellipse_axes, outline
from napari_sesami.measure.site import Site, class_ids
from napari_sesami.measure.work import Reading, Work

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from napari_sesami.measure.recipe import Measurement, MeasureRecipe
    from napari_sesami.scan import Scan

    Points = NDArray[np.float64]
    Numbered = list[tuple[int, Reading]]
    Face = tuple[float, float, float]
    """Height in slices, its error, step over noise."""

MOST_SLICES = 16  # sections that one column is measured in
REACH = 6  # slices to each side of a face
PURE = 0.9  # share of a class in the slices beside a face that may be fitted
PIECES = 4  # of a column, whose means tell how far slices are alike
FLAT = 3.5  # the same at a die's face, whose wiring lies beneath
BESIDE_METAL = 0.1  # of the blur that reconstruction may move a face of thick metal by
TILES = 24  # places across that a bond line is read in, along the longer side
THINNED = 32_000_000  # voxels of labels that a bond line is found in


@dataclass(frozen=True)
class StackSection:
    """One fitted section of a column: diameter and middle in steps, with errors."""

    z: int
    diameter: float
    u: float
    model: float
    middle: tuple[float, float]
    edge: Points


class StackVolume:
    """A volume with labels and the blur that all its slices share."""

    def __init__(
        self, scan: Scan, labels: Any, classes: Any, recipe: MeasureRecipe, name: str
    ) -> None:
        check_volume(scan, name)
        self.scan, self.labels, self.recipe = scan, labels, recipe
        self.ids = class_ids(classes)
        self.unit, self.voxel = voxel_of(scan)
        step = float(np.sqrt(self.voxel[1] * self.voxel[2]))
        self.rise = self.voxel[0] / step
        self.spacing = np.array(self.voxel[1:]) / step
        self.first: Site | None = None

    def columns(self, *ids: int) -> list[VoxelColumn]:
        """What hangs together of some classes; crumbs are left out."""
        found = find_columns(self.labels, ids)
        least = 0.1 * max((c.voxels for c in found), default=0)
        return [c for c in found if c.voxels >= least]

    def class_of(self, feature: str) -> int:
        """Id of the class of a feature."""
        return self.ids[self.recipe.features[feature].class_]

    def site(self, plane: int) -> Site:
        """One slice; blur and noise are those of the first that was asked for."""
        site = Site(self.scan, self.labels, self.ids, plane, self.recipe.sigma_px)
        if self.first is None:
            self.first = site
        site.__dict__["_blur"] = self.first._blur
        site.__dict__["inflation"] = self.first.inflation
        return site

    def sections(
        self, wanted: Iterable[tuple[int, VoxelColumn, list[int]]], id_: int
    ) -> dict[int, list[StackSection]]:
        """Fit outlines of (number, column, slices), each slice read once."""
        by_plane: dict[int, list[tuple[int, VoxelColumn]]] = {}
        for number, column, planes in wanted:
            for z in planes:
                by_plane.setdefault(z, []).append((number, column))
        found: dict[int, list[StackSection]] = {}
        for z in sorted(by_plane):
            site = self.site(z)
            work = Work(site, self.recipe)
            for number, column in by_plane[z]:
                section = _section(work, column, z, id_, number)
                if section is not None:
                    found.setdefault(number, []).append(section)
        return found

    def faces(self, column: VoxelColumn, id_: int) -> list[Face | str]:
        """Fit both ends of a class along z in the middle of a column.

        Slices beyond the next class are left out.
        """
        inner = _core(column)
        zs, ys, xs = column.box
        first = max(0, zs.start - REACH - 2)
        last = min(int(self.labels.shape[0]), zs.stop + REACH + 2)
        labels = np.asarray(self.labels[first:last, ys, xs])[:, inner]
        usual = np.array([np.bincount(row).argmax() for row in labels])
        pure = (labels == usual[:, None]).mean(1)
        own = np.flatnonzero(usual == id_)
        if not own.size:
            return ["not_found"]
        turns = np.flatnonzero(np.diff(usual) != 0)  # the class changes after these
        grey = np.asarray(self.scan.data[first:last, ys, xs], np.float64)[:, inner]
        found: list[Face | str] = []
        for turn in (int(own[0]) - 1, int(own[-1])):
            others = turns[turns != turn]
            below = turn - max([-1, *others[others < turn].tolist()])
            above = min([len(usual) - 1, *others[others > turn].tolist()]) - turn
            if min(below, above) < 2 or turn < 0:
                found.append("too_thin")
                continue
            around = [k for k in range(turn - 2, turn + 4) if k not in (turn, turn + 1)]
            near = [k for k in around if 0 <= k < len(usual)]
            if min(pure[near]) < PURE:  # a void or a crack lies there
                found.append("ambiguous")
                continue
            low, high = max(0, turn + 1 - min(below, REACH)), turn + min(above, REACH)
            z = np.arange(low, high + 1) + 0.0
            across = np.repeat(z - turn - 0.5, inner.sum())
            along = np.tile(np.arange(int(inner.sum())) * 1.0, z.size)
            part = NearPixels(along, across, grey[low : high + 1].ravel())
            found.append(_step(self, part, first + turn + 0.5, float(inner.sum())))
        return found


def _core(column: VoxelColumn) -> NDArray[np.bool_]:
    """The inner half of a column's box, as seen along z."""
    _, ys, xs = column.box
    _, y, x = column.middle
    area = float(np.median([s[4] for s in column.slices.values()]))
    radius = max(1.5, 0.5 * float(np.sqrt(area / np.pi)))
    yy, xx = np.mgrid[ys, xs]
    return np.asarray(np.hypot(yy - y, xx - x) <= radius)


def _step(
    volume: StackVolume, pixels: NearPixels, z: float, length: float
) -> Face | str:
    last = int(volume.labels.shape[0]) - 1
    site = volume.first or volume.site(int(np.clip(z, 0, last)))
    fit = fit_step(
        pixels, polynomial(length, 0), sigma=max(0.5, site.sigma / volume.rise),
        free_sigma=True, inflation=site.inflation,
    )  # fmt: skip
    if fit is None:
        return "not_found"
    u = float(np.hypot(np.sqrt(max(fit.covariance[0, 0], 0.0)), fit.model_shift))
    if not np.isfinite(u) or u > 0.5 or fit.cnr < 0.5:
        return "low_contrast"
    if abs(float(fit.shape[0])) > 3:
        return "mismatch"
    return z + float(fit.shape[0]), u, fit.cnr


def _section(
    work: Work, column: VoxelColumn, z: int, id_: int, number: int
) -> StackSection | None:
    y0, x0, y1, x1 = column.slices[z][:4]
    parts, count = ndimage.label(work.site.labels[y0:y1, x0:x1] == id_)
    if not count:
        return None
    sizes = np.bincount(parts.ravel())[1:]
    mask = ndimage.binary_fill_holes(parts == int(sizes.argmax()) + 1)
    feature = FoundFeature(
        f"{number}-{z}", number, id_, (y0, x0, y1, x1), mask, (0.0, 0.0),
        float(mask.sum()) * work.site.spacing[0] * work.site.spacing[1], "ok",
        MeasureFrame(), work.site.spacing,
    )  # fmt: skip
    edge = outline(work, feature)
    if not edge.ok or edge.fit is None:
        return None
    points = edge.line(181)[:-1]
    middle, major, minor, _ = ellipse_axes(points)
    u = float(np.sqrt(max(edge.fit.covariance[0, 0], 0)))
    return StackSection(
        z, 2 * float(np.sqrt(major * minor)), 2 * u, 2 * edge.fit.model_shift,
        (float(middle[0]), float(middle[1])), work.site.to_data(points),
    )  # fmt: skip


def _inner(column: VoxelColumn, most: int = MOST_SLICES) -> list[int]:
    """Slices away from both ends, evenly spread."""
    planes = sorted(column.slices)
    margin = max(1, min(3, len(planes) // 6))
    inner = planes[margin:-margin] or planes
    at = np.linspace(0, len(inner) - 1, min(most, len(inner)))
    return [inner[round(k)] for k in at]


def _few(sections: list[StackSection] | None) -> Reading | None:
    return Reading(status="not_found") if not sections else None


def column_diameter(
    scan: Scan, labels: Any, classes: Any, recipe: MeasureRecipe, m: Measurement
) -> Numbered:
    """Measure equivalent diameters: mean over a column, or at mid-height of a bump."""
    assert m.feature is not None
    volume = StackVolume(scan, labels, classes, recipe, m.name)
    found = volume.columns(volume.class_of(m.feature))
    short = m.kind == "bump diameter"
    wanted, out = [], dict[int, Reading]()
    for number, column in enumerate(found, start=1):
        if column.cut_by(labels.shape):
            out[number] = Reading(status="cut_off")
        else:
            planes = _inner(column)
            middle = sorted(column.slices)[len(column.slices) // 2]
            if short:
                planes = [p for p in column.slices if abs(p - middle) <= 1]
            wanted.append((number, column, planes))
    fits = volume.sections(wanted, volume.class_of(m.feature))
    for number, _, _ in wanted:
        sections = fits.get(number)
        if not sections:
            out[number] = Reading(status="not_found")
            continue
        values = np.array([s.diameter for s in sections])
        budget = ErrorBudget.of(
            edge=_mean_error(sections, volume), model=max(s.model for s in sections)
        )
        if short:  # mid-height is known to half a slice; solder near it, and dark bands
            lean = float(np.ptp(values)) / max(1, len(values) - 1)
            blur = volume.site(sections[0].z).sigma
            budget = budget + ErrorBudget.of(
                segmentation=lean / np.sqrt(3), distortion=2 * BESIDE_METAL * blur
            )
        out[number] = Reading(
            value=float(values.mean()), n=len(values), budget=budget,
            edges=[sections[len(sections) // 2].edge],
            plane=sections[len(sections) // 2].z,
        )  # fmt: skip
    return sorted(out.items())


def _mean_error(
    sections: list[StackSection], volume: StackVolume
) -> tuple[float, float]:
    """Error of the mean diameter of sections, and its degrees of freedom.

    Noise and rings are alike in neighbouring slices: what is known of the noise in the
    plane counts beside the spread of four pieces of the column.
    """
    values = np.array([s.diameter for s in sections])
    n = len(values)
    alike = float(np.sqrt(volume.site(sections[0].z).inflation))
    own = float(np.mean([s.u**2 for s in sections])) / n * min(alike, n)
    if n < 8:
        spread = float(values.var(ddof=1)) / n if n > 2 else 0.0
        return float(np.sqrt(max(own, spread))), max(2.0, 10.0 * n)
    pieces = np.array([p.mean() for p in np.array_split(values, PIECES)])
    dof = PIECES - 1.0
    spread = float(pieces.var(ddof=1)) / PIECES
    return float(np.sqrt((dof * spread + 10 * own) / (dof + 10))), dof + 10


def column_tilt(
    scan: Scan, labels: Any, classes: Any, recipe: MeasureRecipe, m: Measurement
) -> Numbered:
    """Measure the lean of the line of middles against z."""
    assert m.feature is not None
    volume = StackVolume(scan, labels, classes, recipe, m.name)
    found = volume.columns(volume.class_of(m.feature))
    wanted, out = [], dict[int, Reading]()
    for number, column in enumerate(found, start=1):
        if column.cut_by(labels.shape):
            out[number] = Reading(status="cut_off", power=0)
        elif len(column.slices) < 6:
            out[number] = Reading(status="too_thin", power=0)
        else:
            wanted.append((number, column, _inner(column)))
    fits = volume.sections(wanted, volume.class_of(m.feature))
    for number, _, _ in wanted:
        sections = fits.get(number, [])
        if len(sections) < 4:
            out[number] = Reading(status="few", power=0)
            continue
        z = np.array([s.z for s in sections]) * volume.rise
        t = z - z.mean()
        middles = np.array([s.middle for s in sections])
        slope = t @ (middles - middles.mean(0)) / (t @ t)
        rest = middles - middles.mean(0) - t[:, None] * slope
        dof = 2.0 * len(t) - 4
        u = float(np.sqrt((rest**2).sum() / dof / (t @ t)))
        lean = float(np.hypot(*slope))
        # noise alone leans, too: a length of two parts is never zero
        value = float(np.sqrt(max(lean**2 - 2 * u * u, 0.0)))
        out[number] = Reading(
            value=float(np.degrees(np.arctan(value))), power=0, unit="°",
            budget=ErrorBudget.of(edge=(float(np.degrees(u)), dof)), n=len(t),
        )  # fmt: skip
    return sorted(out.items())


def bump_height(
    scan: Scan, labels: Any, classes: Any, recipe: MeasureRecipe, m: Measurement
) -> Numbered:
    """Measure the distance of the faces at both ends of each column, along z."""
    assert m.feature is not None
    volume = StackVolume(scan, labels, classes, recipe, m.name)
    out = []
    for number, column in enumerate(
        volume.columns(volume.class_of(m.feature)), start=1
    ):
        if column.cut_by(labels.shape, ends=True):
            out.append((number, Reading(status="cut_off")))
            continue
        faces = volume.faces(column, volume.class_of(m.feature))
        bad = next((f for f in faces if isinstance(f, str)), None)
        if bad is not None:
            out.append((number, Reading(status=bad)))
            continue
        (a, ua, ca), (b, ub, cb) = (f for f in faces if not isinstance(f, str))
        z, *middle = column.middle
        out.append((number, Reading(
            value=(b - a) * volume.rise, n=2, cnr=min(ca, cb), plane=round(z),
            lines=[np.array([middle, middle])],
            budget=ErrorBudget.of(edge=(float(np.hypot(ua, ub)) * volume.rise, 20.0)),
        )))  # fmt: skip
    return out


def misalignment(
    scan: Scan, labels: Any, classes: Any, recipe: MeasureRecipe, m: Measurement
) -> Numbered:
    """Measure middle of a pillar minus middle of the pad below it: dx, dy, length.

    For all of a scan together: translation, rotation and scale by least squares.
    """
    assert m.feature is not None and m.to is not None
    volume = StackVolume(scan, labels, classes, recipe, m.name)
    pillars, pads = (
        volume.columns(volume.class_of(name)) for name in (m.feature, m.to)
    )
    pairs = []
    out: Numbered = []
    for number, pillar in enumerate(pillars, start=1):
        under = [p for p in pads if p.middle[0] < pillar.middle[0] and _over(p, pillar)]
        if pillar.cut_by(labels.shape) or not under:
            status = "not_found" if not pillar.cut_by(labels.shape) else "cut_off"
            out.append((number, Reading(status=status, zone="length")))
            continue
        pad = max(under, key=lambda p: p.middle[0])
        if pad.cut_by(labels.shape):
            out.append((number, Reading(status="cut_off", zone="length")))
            continue
        pairs.append((number, pillar, pad))
    tops = volume.sections(
        [(n, p, _inner(p, 3)) for n, p, _ in pairs], volume.class_of(m.feature)
    )
    feet = volume.sections(
        [(n, p, _inner(p, 3)) for n, _, p in pairs], volume.class_of(m.to)
    )
    places, moves = [], []
    for number, *_ in pairs:
        if number not in tops or number not in feet:
            out.append((number, Reading(status="low_contrast", zone="length")))
            continue
        a, b = (
            np.mean([s.middle for s in part[number]], axis=0) for part in (tops, feet)
        )
        dy, dx = a - b
        u = float(np.hypot(*(
            np.sqrt(np.mean([s.u**2 for s in part[number]])) / 2 / np.sqrt(2)
            for part in (tops, feet)
        )))  # fmt: skip
        bar = ErrorBudget.of(edge=(u * float(np.sqrt(2)), 20.0))
        line = np.stack([b, a]) / volume.spacing
        plane = tops[number][0].z
        for zone, value in (("dx", dx), ("dy", dy), ("length", np.hypot(dy, dx))):
            out.append((number, Reading(
                value=float(value), zone=zone, budget=bar, lines=[line], plane=plane
            )))  # fmt: skip
        places.append(b)
        moves.append(a - b)
    if len(moves) >= 4:
        out += _rigid(np.array(places), np.array(moves))
    return sorted(out, key=lambda pair: pair[0] or 10**9)


def _rigid(places: Points, moves: Points) -> Numbered:
    """Fit translation, rotation and scale of a die to the moves of its bumps."""
    away = places - places.mean(0)
    y, x = away.T
    one, zero = np.ones(len(y)), np.zeros(len(y))
    system = np.concatenate([
        np.stack([one, zero, x, y], 1), np.stack([zero, one, -y, x], 1)
    ])  # fmt: skip
    target = np.concatenate([moves[:, 0], moves[:, 1]])
    found, *_ = np.linalg.lstsq(system, target, rcond=None)
    rest = target - system @ found
    dof = max(1, target.size - 4)
    cov = np.linalg.pinv(system.T @ system) * float(rest @ rest) / dof
    u = np.sqrt(np.diag(cov))
    rows = (
        ("die dy", found[0], 1, "", u[0]), ("die dx", found[1], 1, "", u[1]),
        ("die rotation", np.degrees(found[2]), 0, "°", np.degrees(u[2])),
        ("die scale", 100 * found[3], 0, "%", 100 * u[3]),
    )  # fmt: skip
    return [
        (0, Reading(value=float(v), power=p, unit=unit, zone=zone, n=len(moves),
                    budget=ErrorBudget.of(edge=(float(s), dof))))
        for zone, v, p, unit, s in rows
    ]  # fmt: skip


def _over(one: VoxelColumn, other: VoxelColumn) -> bool:
    """Whether the middle of one column lies within the box of another, across."""
    _, y, x = one.middle
    _, ys, xs = other.box
    return ys.start <= y < ys.stop and xs.start <= x < xs.stop


def crack(
    scan: Scan, labels: Any, classes: Any, recipe: MeasureRecipe, m: Measurement
) -> Numbered:
    """Measure cracks (`feature`) of each bump (`to`): share of its section, and area.

    The opening is given only where it is more than a voxel.
    """
    assert m.feature is not None and m.to is not None
    volume = StackVolume(scan, labels, classes, recipe, m.name)
    broken, host = volume.class_of(m.feature), volume.class_of(m.to)
    out: Numbered = []
    for number, column in enumerate(volume.columns(broken, host), start=1):
        part = np.asarray(labels[column.box])
        if not (part == host).any():
            continue
        if column.cut_by(labels.shape, ends=True):
            out.append((number, Reading(status="cut_off", power=0, zone="share")))
            continue
        gap = part == broken
        seen, section = float(gap.any(0).sum()), float((part == host).any(0).sum())
        rim = 2 * float(np.sqrt(np.pi * seen)) * 0.5
        out.append((number, Reading(
            value=100 * seen / section, power=0, unit="%", zone="share", n=int(seen),
            budget=ErrorBudget.of(segmentation=100 * rim / section),
        )))  # fmt: skip
        out.append((number, Reading(
            value=seen, power=2, zone="area", budget=ErrorBudget.of(segmentation=rim)
        )))  # fmt: skip
        opening = gap.sum() / seen if seen else 0.0
        if opening > 1:
            out.append((number, Reading(
                value=float(opening) * volume.rise, zone="opening",
                budget=ErrorBudget.of(segmentation=0.5 * volume.rise),
            )))  # fmt: skip
    return out


def gap(
    scan: Scan, labels: Any, classes: Any, recipe: MeasureRecipe, m: Measurement
) -> Numbered:
    """Measure a bond line between two faces: mean, range and warpage over the die.

    `between` names what lies below, in between, and above; faces are fitted in tiles.
    """
    assert m.between is not None
    volume = StackVolume(scan, labels, classes, recipe, m.name)
    below, inside, above = (volume.ids[name] for name in m.between)
    depth, rows, columns = (int(n) for n in labels.shape)
    thin = max(1, int(np.ceil(np.sqrt(depth * rows * columns / THINNED))))
    thin = max(thin, 2)
    seen = np.asarray(labels[:, ::thin, ::thin])
    starts = (seen[1:] == inside) & (seen[:-1] == below)
    ends = (seen[1:] == above) & (seen[:-1] == inside)
    layers = _layers(starts, ends)
    out: Numbered = []
    for number, (low, high) in enumerate(layers, start=1):
        out += [(number, r) for r in _bond_line(volume, low, high, thin)]
    return out


def _layers(
    starts: NDArray[np.bool_], ends: NDArray[np.bool_]
) -> list[tuple[Points, Points]]:
    """Group where a layer begins and ends, column by column; NaN where it does not."""
    height = starts.shape[0]
    counts = starts.sum((1, 2)) + 0
    planes = np.flatnonzero(counts > 0)
    if not planes.size:
        return []
    groups = np.split(planes, np.flatnonzero(np.diff(planes) > 4) + 1)
    found = []
    for group in groups:
        low = np.full(starts.shape[1:], np.nan)
        high = np.full(starts.shape[1:], np.nan)
        for z in group:
            low[starts[z]] = z + 0.5
        if np.isfinite(low).mean() < 0.02:
            continue
        for z in range(int(group[0]) + 1, height):
            fresh = ends[z] & np.isfinite(low) & np.isnan(high) & (z + 0.5 > low)
            high[fresh] = z + 0.5
        both = np.isfinite(low) & np.isfinite(high)
        if both.mean() < 0.02:
            continue
        usual = float(np.median((high - low)[both]))
        both &= np.abs(high - low - usual) <= max(2.0, 0.2 * usual)
        found.append((np.where(both, low, np.nan), np.where(both, high, np.nan)))
    return found


def _bond_line(
    volume: StackVolume, low: Points, high: Points, thin: int
) -> list[Reading]:
    tile = max(6, max(low.shape) // TILES)
    first = max(0, int(np.nanmin(low)) - REACH)
    last = min(volume.scan.data.shape[0], int(np.nanmax(high)) + REACH + 2)
    grey = np.asarray(volume.scan.data[first:last, ::thin, ::thin], np.float64)
    z = np.arange(first, last, dtype=float)
    clear = ndimage.binary_erosion(np.isfinite(low), iterations=2)
    gaps, bars, places, tops = [], [], [], []
    for y in range(0, low.shape[0], tile):
        for x in range(0, low.shape[1], tile):
            here = np.s_[y : y + tile, x : x + tile]
            good = clear[here]
            if good.sum() < 9:
                continue
            faces = []
            for surface in (low, high):
                guess = float(np.median(surface[here][good]))
                rows = np.abs(z - guess) <= FLAT
                values = grey[rows][:, here[0], here[1]][:, good]
                across = np.repeat(z[rows] - guess, int(good.sum()))
                along = np.tile(np.arange(int(good.sum())) * 1.0, int(rows.sum()))
                pixels = NearPixels(along, across, values.ravel())
                faces.append(_step(volume, pixels, guess, float(good.sum())))
            if any(isinstance(f, str) for f in faces):
                continue
            (a, ua, _), (b, ub, _) = (f for f in faces if not isinstance(f, str))
            gaps.append((b - a) * volume.rise)
            bars.append(float(np.hypot(ua, ub)) * volume.rise)
            places.append((y + tile / 2, x + tile / 2))
            tops.append(b * volume.rise)
    if len(gaps) < 4:
        return [Reading(status="low_contrast" if not gaps else "few")]
    # wiring beneath a face pulls a step outwards, alike all over the die
    site = volume.first or volume.site(round(first))
    blur, deeper, left = site.sigma / volume.rise, 0.0, 0.0
    for surface, inwards in ((low, -1.0), (high, 1.0)):
        depth = (z[:, None, None] - surface) * inwards
        use = clear & (np.abs(depth) <= REACH)
        shift, u = layer_shift(
            depth[use], grey[use], FLAT, blur, max(0.1, 2 * site.u_sigma / site.sigma)
        )
        deeper, left = deeper + shift * volume.rise, left + u * volume.rise
    values, errors = np.array(gaps), np.array(bars)
    n = len(values)
    at = np.column_stack([np.ones(n), np.array(places)])
    flat = np.array(tops)
    bow = flat - at @ np.linalg.lstsq(at, flat, rcond=None)[0]
    u = float(np.sqrt(np.mean(errors**2) / n))
    scatter = float(values.std(ddof=1) / np.sqrt(n))
    noise = float(np.sqrt(2) * np.median(errors))
    return [
        Reading(value=float(values.mean()) + deeper, n=n,
                budget=ErrorBudget.of(edge=(max(u, scatter), n - 1.0),
                                      distortion=left)),
        Reading(value=float(np.ptp(values)), n=n, zone="range",
                budget=ErrorBudget.of(edge=(noise, 20.0))),
        Reading(value=float(np.ptp(bow)), n=n, zone="warpage",
                budget=ErrorBudget.of(edge=(noise, 20.0))),
    ]  # fmt: skip
