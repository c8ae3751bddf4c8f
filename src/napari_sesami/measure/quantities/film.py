"""Thickness of films along the normal of their inner interface, zone by zone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_sesami.measure.budget import ErrorBudget
from napari_sesami.measure.film_stack import fit_stack
from napari_sesami.measure.guide import CurvedGuide, outlines
from napari_sesami.measure.site import CLEAR, REACH
from napari_sesami.measure.work import Reading, Work

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_sesami.measure.features import FoundFeature
    from napari_sesami.measure.film_stack import StackFit
    from napari_sesami.measure.recipe import Measurement

    Points = NDArray[np.float64]

BLOCK = 6.0  # least length of a block along the film, pixels
LEAST_BLOCKS = 3
THIN, THICK = 2.0, 4.0  # σ: below, the film's grey must be known; above, all is free
WIDEST = 80.0  # pixels a film may be thick and still be read along its normal


@dataclass(frozen=True, eq=False)
class FilmArc:
    """A piece of an inner interface with the film's thickness by the labels."""

    guide: CurvedGuide
    along: Points
    thick: Points
    after: Points  # room to the next class beyond the film
    before: Points  # room inside
    direction: NDArray[np.str_]


def thickness(
    work: Work, m: Measurement, only: Collection[int] | None
) -> list[Reading]:
    """Measure a film on every feature, or on the longest interface without one."""
    zones: Mapping[str, Sequence[str]] = m.zones or {"": ("all",)}
    if m.feature is None:
        return _on(work, m, None, zones)
    return [r for f in work.chosen(m, only) for r in _on(work, m, f, zones)]


def _on(
    work: Work,
    m: Measurement,
    feature: FoundFeature | None,
    zones: Mapping[str, Sequence[str]],
) -> list[Reading]:
    """Measure the film's zones on one feature."""
    assert m.between is not None
    if feature is not None and feature.status != "ok":
        return [Reading(status=feature.status, feature=feature, zone=z) for z in zones]
    ids = [work.site.class_id(name) for name in m.between]
    arcs = _arcs(work, feature, ids)
    found = [_zone(work, m, feature, arcs, z, d) for z, d in zones.items()]
    good = {r.zone: r for r in found if r.status == "ok"}
    if "conformality" in m.report and len(good) >= 2:
        thin = min(good.values(), key=lambda r: r.value)
        thick = max(good.values(), key=lambda r: r.value)
        found.append(_ratio(thin, thick, "conformality", feature))
    if "coverage" in m.report and "top" in good:
        for zone, reading in good.items():
            if zone != "top":
                found.append(_ratio(reading, good["top"], f"{zone} / top", feature))
    return found


def _ratio(
    one: Reading, other: Reading, zone: str, feature: FoundFeature | None
) -> Reading:
    value = one.value / other.value
    return Reading(
        value=value,
        power=0,
        zone=zone,
        statistic="ratio",
        feature=feature,
        budget=one.budget.scaled(1 / other.value)
        + other.budget.scaled(value / other.value),
        n=min(one.n, other.n),
        sigma=one.sigma,
        cnr=min(one.cnr, other.cnr),
    )


def _arcs(work: Work, feature: FoundFeature | None, ids: list[int]) -> list[FilmArc]:
    """Trace the inner interface and see what labels show along its normals."""
    site = work.site
    inner, film = ids[0], ids[1]
    if feature is not None:
        mask, corner = np.pad(feature.mask, 2), np.array(feature.box[:2]) - 2.0
    else:
        mask, corner = site.labels == inner, np.zeros(2)
        touching = ndimage.binary_dilation(site.labels == film) & mask
        parts, _ = ndimage.label(mask)
        keep = np.unique(parts[touching])
        mask = np.isin(parts, keep[keep > 0])
    arcs = []
    for points, closed in outlines(mask):
        points = (points + corner) * site.spacing
        if len(points) < 12:
            continue
        guide = CurvedGuide.through(points, closed=closed, smooth=3.0)
        along = np.arange(0.5, guide.length, 1.0)
        across = np.arange(-20, WIDEST, 0.5)
        seen = site.labels_at(guide.at(along[:, None], across[None, :]))
        outer = across >= 0
        is_film = seen[:, outer] == film
        # the film begins within 2 px of the guide and ends where another class begins
        begins = is_film[:, :5].any(1)
        first = is_film.argmax(1)
        column = np.arange(is_film.shape[1])
        ended = ~is_film & (column >= first[:, None])
        stop = np.where(ended.any(1), ended.argmax(1), 0)
        thick = across[outer][stop]
        next_id = np.take_along_axis(
            seen[:, outer], np.minimum(stop + 2, column[-1])[:, None], 1
        )[:, 0]
        good = begins & (stop > 0)
        if len(ids) == 3:
            good &= next_id == ids[2]
        good &= next_id >= 0
        beyond = (seen[:, outer] != next_id[:, None]) & (column > (stop + 2)[:, None])
        after = np.where(beyond.any(1), across[outer][beyond.argmax(1)] - thick, WIDEST)
        back = seen[:, ~outer][:, ::-1]
        foreign = (back != inner) & (np.arange(back.shape[1]) >= 3)
        before = np.where(foreign.any(1), foreign.argmax(1) * 0.5 + 0.5, 20.0)
        normal = work.frame.turn(guide.at(along, 1.0) - guide.at(along, 0.0))
        vertical = np.abs(normal[:, 0]) > np.abs(normal[:, 1])
        direction = np.where(
            vertical,
            np.where(normal[:, 0] < 0, "north", "south"),
            np.where(normal[:, 1] > 0, "east", "west"),
        )
        lean = np.minimum(np.abs(normal[:, 0]), np.abs(normal[:, 1]))
        direction[lean > 0.42] = "corner"  # more than 25° off both axes
        if good.any():
            arcs.append(
                FilmArc(
                    guide, along[good], thick[good], after[good], before[good],
                    direction[good],
                )
            )  # fmt: skip
    return arcs


def _zone(
    work: Work,
    m: Measurement,
    feature: FoundFeature | None,
    arcs: list[FilmArc],
    zone: str,
    directions: Sequence[str],
) -> Reading:
    """Fit the film of one zone as a stack."""
    empty = Reading(status="not_found", feature=feature, zone=zone)
    fits: list[tuple[FilmArc, StackFit]] = []
    status, clear = "not_found", CLEAR * work.site.sigma
    for arc in arcs:
        chosen = np.isin(arc.direction, list(directions)) | ("all" in directions)
        if chosen.sum() < LEAST_BLOCKS * 2:
            continue
        fit = _fit(work, m, arc, chosen, clear)
        if isinstance(fit, str):
            status = fit
        else:
            fits.append((arc, fit))
    if not fits:
        return replace(empty, status=status)
    total = sum(len(f.places) for _, f in fits)
    value, variance, dof = 0.0, 0.0, -1.0
    for _, fit in fits:
        mean, u, _ = fit.mean(np.array([-1.0, 1.0]))
        share = len(fit.places) / total
        value += share * mean
        variance += (share * u) ** 2
        dof += len(fit.places)
    edges, lines, places, values = [], [], [], []
    for arc, fit in fits:
        bend = arc.guide.curvature_at(fit.places)
        positions = _straightened(fit, bend)
        for k in (0, 1):
            edges.append(arc.guide.at(fit.places, positions[:, k]))
        middle = len(fit.places) // 2
        lines.append(np.stack([e[middle] for e in edges[-2:]]))
        places.append(fit.places)
        values.append(positions[:, 1] - positions[:, 0])
        value += (
            len(fit.places)
            / total
            * float((values[-1] - (fit.positions[:, 1] - fit.positions[:, 0])).mean())
        )
    sigma = fits[0][1].sigma
    steps = np.abs(np.diff(fits[0][1].levels))
    return Reading(
        value=value,
        budget=ErrorBudget.of(
            edge=(float(np.sqrt(variance)), max(1.0, dof)),
            model=max(f.blur_error for _, f in fits),
        ),
        feature=feature,
        zone=zone,
        n=total,
        edges=edges,
        lines=lines,
        sigma=sigma,
        cnr=float(steps.min() / max(fits[0][1].noise, 1e-12)),
        length=total * BLOCK,
        step=BLOCK,
        profile={
            "s": np.concatenate(places).tolist(),
            "thickness": np.concatenate(values).tolist(),
        },
    )


def _straightened(fit: StackFit, bend: Points) -> Points:
    """Take the pull of curvature back from every edge."""
    curve = bend[:, None] / np.maximum(1 + fit.positions * bend[:, None], 0.3)
    return fit.positions + 0.5 * fit.sigma**2 * curve


def _fit(
    work: Work, m: Measurement, arc: FilmArc, chosen: NDArray[np.bool_], clear: float
) -> StackFit | str:
    """Cut a zone into blocks and fit them; a status where that is impossible."""
    site = work.site
    sigma = site.sigma
    along, thick = arc.along[chosen], arc.thick[chosen]
    guess = float(np.median(thick))
    if guess < THIN * sigma and m.film_grey is None:
        return "too_thin"
    reach_in = float(np.quantile(arc.before[chosen], 0.2)) - clear
    reach_out = float(np.quantile(arc.after[chosen], 0.2)) - clear
    if min(reach_in, reach_out) < 1.0:
        return "too_thin"
    most = max(REACH, 4 * sigma)
    reach_in, reach_out = min(reach_in, most), min(reach_out, most)
    # where the guide bends sharply, pixels beyond the centre belong to no place
    bend = arc.guide.curvature_at(along)
    reach_in = min(reach_in, most)
    sharp = (bend * reach_in > 0.7) | (-bend * (guess + reach_out) > 0.7)
    keep = ~sharp & (np.abs(thick - guess) < 0.5 * guess + 2)
    if keep.sum() < LEAST_BLOCKS * 2:
        return "few"
    along, thick = along[keep], thick[keep]
    pieces = np.split(np.arange(along.size), np.flatnonzero(np.diff(along) > 1.5) + 1)
    bounds, start = [], []
    for piece in pieces:
        number = int(piece.size // BLOCK)
        if piece.size >= BLOCK / 2:
            for part in np.array_split(piece, max(1, number)):
                bounds.append((along[part[0]] - 0.5, along[part[-1]] + 0.5))
                start.append([0.0, float(np.median(thick[part]))])
    if len(bounds) < LEAST_BLOCKS:
        return "few"
    pixels = site.near(arc.guide, reach_in, guess + reach_out)
    block = np.full(len(pixels), -1)
    for k, (low, high) in enumerate(bounds):
        block[(pixels.along >= low) & (pixels.along < high)] = k
    start_array = np.array(start)
    limit = start_array[block, 1] + reach_out
    use = (block >= 0) & (pixels.across <= limit)
    if np.bincount(block[use], minlength=len(bounds)).min() < 8:
        return "few"
    levels = {1: m.film_grey} if m.film_grey is not None else None
    fit = fit_stack(
        pixels.where(use), block[use], start_array, sigma,
        fixed_levels=levels, free_sigma=guess >= 6 * sigma,
    )  # fmt: skip
    if fit is None:
        return "not_found"
    steps = np.abs(np.diff(fit.levels))
    per_block = use.sum() / len(bounds)
    if steps.min() < 6 * fit.noise / np.sqrt(max(1.0, use.sum() / 6)):
        return "low_contrast"
    value, u, _ = fit.mean(np.array([-1.0, 1.0]))
    if guess < 6 * sigma:  # what a wrong blur does, the more the thinner the film
        wider = fit_stack(
            pixels.where(use), block[use], fit.positions, sigma * 1.05,
            fixed_levels=levels,
        )  # fmt: skip
        if wider is None:
            return "too_thin"
        slope = (wider.mean(np.array([-1.0, 1.0]))[0] - value) / (0.05 * sigma)
        fit = replace(fit, blur_error=abs(slope) * site.u_sigma)
    if not np.isfinite(u) or u > max(0.5, 0.15 * value):
        return "too_thin" if value < THICK * fit.sigma else "low_contrast"
    if abs(value - guess) > max(2.5, 0.3 * guess) or per_block < 8:
        return "mismatch"
    if value < THIN * fit.sigma and m.film_grey is None:
        return "too_thin"
    return fit
