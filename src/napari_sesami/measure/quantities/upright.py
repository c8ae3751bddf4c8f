"""Sides, tops and bottoms of upright structures: CD, height, angle, tilt, bow."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.measure.budget import ErrorBudget
from napari_sesami.measure.edge import polynomial
from napari_sesami.measure.guide import StraightGuide, robust_line
from napari_sesami.measure.quantities.sem_side import sem_position
from napari_sesami.measure.site import FoundEdge
from napari_sesami.measure.work import Reading, Work

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from napari_sesami.measure.features import FoundFeature
    from napari_sesami.measure.recipe import Measurement

    Points = NDArray[np.float64]

SHORTEST = 8.0  # least length of a side that is fitted, pixels
SAGITTA = 0.75  # pixels by which labels may bend before a parabola is fitted
SURE_BEND = 3.0  # standard errors of a parabola's bend above which it is believed
NO_SIDE = StraightGuide((0.0, 0.0), (0.0, 1.0), 1.0)


def side(
    work: Work, feature: FoundFeature, right: bool, low: float, high: float
) -> FoundEdge:
    """Fit the left or right side between two depths of the frame."""
    key = ("side", feature.key, right, low, high)
    return work.edge(key, lambda: _side(work, feature, right, low, high))


def _side(
    work: Work, feature: FoundFeature, right: bool, low: float, high: float
) -> FoundEdge:
    if high - low < SHORTEST:
        middle, half = (low + high) / 2, SHORTEST / 2
        low, high = middle - half, middle + half
    points, normals = feature.boundary
    depth, across = points.T
    facing = (normals[:, 1] * (1 if right else -1) > 0.3) & (depth >= low)
    facing &= depth <= high
    if facing.sum() < 3:
        return FoundEdge(NO_SIDE, "not_found")
    middle = (low + high) / 2
    return _piece(
        work, feature, depth[facing] - middle, across[facing], high - low, middle, right
    )


def _piece(
    work: Work,
    feature: FoundFeature,
    t: Points,
    value: Points,
    span: float,
    middle: float,
    right: bool,
) -> FoundEdge:
    """Run a straight guide through label points (depth − middle, across) and fit."""
    frame = work.frame
    offset, slope = robust_line(t, value)
    stretch = float(np.hypot(1, slope))
    centre = frame.points([middle, offset])
    sign = 1.0 if right else -1.0
    normal = np.array([-slope, 1.0]) * (sign / stretch)
    outward = normal @ np.array([frame.depth_axis, frame.across_axis])
    guide = StraightGuide(
        (float(centre[0]), float(centre[1])),
        (float(outward[0]), float(outward[1])),
        span * stretch,
    )
    return _fitted(work, feature, guide, t * (2 / span), value)


def _fitted(
    work: Work, feature: FoundFeature, guide: StraightGuide, t: Points, value: Points
) -> FoundEdge:
    """Fit a line, or a parabola where labels bend and the grey values say so, too.

    A bend that noise may have made pulls an extreme outwards; it is left out, and what
    it would move is the model's error.
    """
    straight = polynomial(guide.length, 1)
    shapes = np.stack([np.ones_like(t), t, t * t], axis=1)
    gram = shapes.T @ shapes
    gram[[0, 1, 2], [0, 1, 2]] += 1e-9 * t.size
    if t.size <= 6 or abs(np.linalg.solve(gram, value @ shapes)[2]) <= SAGITTA:
        return work.site.edge(guide, straight, inside=feature.class_id)
    bent = work.site.edge(guide, polynomial(guide.length, 2), inside=feature.class_id)
    if bent.fit is None:
        return bent
    bend, u = bent.fit.shape[2], float(np.sqrt(bent.fit.covariance[2, 2]))
    if bent.ok and abs(bend) > SURE_BEND * u:
        return bent
    line = work.site.edge(guide, straight, inside=feature.class_id)
    if line.fit is None:
        return line
    open_ = float(np.hypot(line.fit.model_shift, bend / 3))
    return replace(line, fit=replace(line.fit, model_shift=open_))


def end(work: Work, feature: FoundFeature, bottom: bool) -> FoundEdge:
    """Fit the top or the bottom over the middle 60 % of its width."""
    key = ("end", feature.key, bottom)
    return work.edge(key, lambda: _end(work, feature, bottom))


def _end(work: Work, feature: FoundFeature, bottom: bool) -> FoundEdge:
    frame = work.frame
    points, normals = feature.boundary
    facing = normals[:, 0] * (1 if bottom else -1) > 0.5
    depth, across = points[facing].T
    limit = feature.ends[1] if bottom else feature.ends[0]
    reach = max(4.0, 0.25 * feature.height)
    near = np.abs(depth - limit) < reach
    depth, across = depth[near], across[near]
    if depth.size < 4:
        return FoundEdge(NO_SIDE, "not_found")
    left, right = float(across.min()), float(across.max())
    middle, span = (left + right) / 2, max(0.6 * (right - left), 4.0)
    inner = np.abs(across - middle) <= span / 2
    if inner.sum() < 3:
        return FoundEdge(NO_SIDE, "not_found")
    t, value = across[inner] - middle, depth[inner]
    offset, slope = robust_line(t, value)
    stretch = float(np.hypot(1, slope))
    centre = frame.points([offset, middle])
    normal = np.array([1.0, -slope]) * ((1 if bottom else -1) / stretch)
    outward = normal @ np.array([frame.depth_axis, frame.across_axis])
    guide = StraightGuide(
        (float(centre[0]), float(centre[1])),
        (float(outward[0]), float(outward[1])),
        span * stretch,
    )
    return _fitted(work, feature, guide, t * (2 / span), value)


def at_depth(work: Work, edge: FoundEdge, depth: float) -> tuple[Points, float, float]:
    """Give where a side crosses a depth: point, across, and variance of across."""
    assert edge.fit is not None and edge.basis is not None
    guide, frame = edge.guide, work.frame
    assert isinstance(guide, StraightGuide)
    middle = frame.coordinates(guide.middle)
    along = frame.turn(guide.direction)
    out = frame.turn(guide.outside)
    s = np.zeros(1)
    for _ in range(4):
        before, d = s, edge.offsets(s)
        s = (depth - middle[0] - d * out[0]) / along[0]
        if abs(s[0] - before[0]) < 1e-9:
            break
    shapes = edge.basis(s)
    point = guide.at(s, edge.offsets(s))[0]
    variance = float(shapes[0] @ edge.fit.covariance @ shapes[0]) / out[1] ** 2
    return point, float(frame.coordinates(point)[1]), variance


def end_depth(work: Work, edge: FoundEdge) -> tuple[Points, float, float]:
    """Give the extreme of a top or bottom: point, depth, and variance of depth."""
    assert edge.fit is not None and edge.basis is not None
    guide, frame = edge.guide, work.frame
    s = np.linspace(-0.5, 0.5, 33) * guide.length
    if edge.fit.shape.size == 2:
        s = np.zeros(1)
    points = guide.at(s, edge.offsets(s))
    depth = frame.coordinates(points)[:, 0]
    down = frame.turn(guide.outside)[0] > 0
    best = int(depth.argmax() if down else depth.argmin())
    shapes = edge.basis(s[best : best + 1])[0]
    out = frame.turn(guide.outside)[0]
    variance = float(shapes @ edge.fit.covariance @ shapes) / out**2
    return points[best], float(depth[best]), variance


def extent(work: Work, feature: FoundFeature) -> tuple[float, float, float]:
    """Give depth of top and bottom, fitted where possible, and their error."""
    depths, u = list(feature.ends), 0.0
    for k, bottom in enumerate((False, True)):
        edge = end(work, feature, bottom)
        if edge.ok:
            _, depths[k], variance = end_depth(work, edge)
            u = max(u, float(np.sqrt(variance)))
        else:
            u = max(u, 0.5)
    return depths[0], depths[1], u


def pair_status(*edges: FoundEdge) -> str:
    """Give "ok" or the first reason among edges."""
    return next((e.status for e in edges if not e.ok), "ok")


def edge_budget(edges: list[FoundEdge], variances: list[float]) -> ErrorBudget:
    """Join edges whose positions add up: blocks, and what the model may hide."""
    total = ErrorBudget({})
    for edge, variance in zip(edges, variances, strict=True):
        assert edge.fit is not None
        total = total + ErrorBudget.of(
            edge=(float(np.sqrt(variance)), edge.fit.dof), model=edge.fit.model_shift
        )
    return total


def looks(*edges: FoundEdge) -> dict[str, Any]:
    """Blur, contrast and fitted lines of edges, for the table and the picture."""
    fits = [e.fit for e in edges if e.fit is not None]
    return {
        "sigma": float(np.median([f.sigma for f in fits])) if fits else np.nan,
        "cnr": float(np.min([f.cnr for f in fits])) if fits else np.nan,
        "edges": [e.line() for e in edges if e.fit is not None],
    }


def width(
    work: Work, feature: FoundFeature, q: float, window: float
) -> tuple[Reading, list[float]]:
    """Measure the width at a share of the height; also gives both places across."""
    if feature.status != "ok":
        return Reading(status=feature.status, feature=feature, at=q), []
    low, high, u_ends = extent(work, feature)
    depth = low + q * (high - low)
    half = window * (high - low) / 2
    first, last = depth - half, depth + half
    if first < low:
        first, last = low, min(high, low + 2 * half)
    if last > high:
        first, last = max(low, high - 2 * half), high
    edges = [side(work, feature, right, first, last) for right in (False, True)]
    status = pair_status(*edges)
    if status != "ok":
        return Reading(status=status, feature=feature, at=q, **looks(*edges)), []
    ends = [at_depth(work, e, depth) for e in edges]
    value = ends[1][1] - ends[0][1]
    budget = edge_budget(edges, [e[2] for e in ends])
    slopes = [_slope(work, e) for e in edges]
    budget = budget + ErrorBudget.of(
        segmentation=abs(slopes[1] - slopes[0]) * u_ends * max(q, 1 - q)
    )
    reading = Reading(
        value=value,
        budget=budget,
        feature=feature,
        at=q,
        n=min(len(e.fit.blocks) for e in edges if e.fit is not None),
        lines=[np.stack([ends[0][0], ends[1][0]])],
        length=edges[0].guide.length,
        **looks(*edges),
    )
    return reading, [ends[0][1], ends[1][1]]


def _slope(work: Work, edge: FoundEdge) -> float:
    """Change of across with depth along a fitted side."""
    assert edge.fit is not None
    assert isinstance(edge.guide, StraightGuide)
    turn = edge.fit.shape[1] * 2 / edge.guide.length
    along = np.array(edge.guide.direction) + turn * np.array(edge.guide.outside)
    depth, across = work.frame.turn(along)
    return float(across / depth)


def cd(work: Work, m: Measurement, only: Collection[int] | None) -> list[Reading]:
    """Measure widths at shares of the height."""
    shares = m.at or (0.1, 0.5, 0.9)
    chosen = work.chosen(m, only)
    if m.edge != "50 %":
        return [sem_position(work, f, m) for f in chosen]
    return [width(work, f, q, m.window)[0] for q in shares for f in chosen]


def height(work: Work, m: Measurement, only: Collection[int] | None) -> list[Reading]:
    """Measure distances of bottom and top."""
    found = []
    for feature in work.chosen(m, only):
        if feature.status != "ok":
            found.append(Reading(status=feature.status, feature=feature))
            continue
        edges = [end(work, feature, bottom) for bottom in (False, True)]
        status = pair_status(*edges)
        if status != "ok":
            found.append(Reading(status=status, feature=feature, **looks(*edges)))
            continue
        ends = [end_depth(work, e) for e in edges]
        middle = (ends[0][0] + ends[1][0]) / 2
        across = work.frame.coordinates(middle)[1]
        line = work.frame.points([[ends[0][1], across], [ends[1][1], across]])
        found.append(
            Reading(
                value=ends[1][1] - ends[0][1],
                budget=edge_budget(edges, [e[2] for e in ends]),
                feature=feature,
                n=min(len(e.fit.blocks) for e in edges if e.fit is not None),
                lines=[line],
                length=edges[0].guide.length,
                **looks(*edges),
            )
        )
    return found


def angle(work: Work, m: Measurement, only: Collection[int] | None) -> list[Reading]:
    """Measure side wall angles: left, right and their mean."""
    found = []
    for feature in work.chosen(m, only):
        if feature.status != "ok":
            found.append(Reading(status=feature.status, feature=feature, power=0))
            continue
        low, high, _ = extent(work, feature)
        span = high - low
        edges = [
            side(work, feature, right, low + 0.2 * span, low + 0.8 * span)
            for right in (False, True)
        ]
        parts = []
        for edge, right in zip(edges, (False, True), strict=True):
            zone = "right" if right else "left"
            if not edge.ok or edge.fit is None:
                status = edge.status
                parts.append(Reading(status=status, feature=feature, zone=zone))
                continue
            slope = _slope(work, edge) * (1 if right else -1)
            u = float(np.sqrt(edge.fit.covariance[1, 1])) * 2 / edge.guide.length
            parts.append(
                Reading(
                    value=90 - float(np.degrees(np.arctan(slope))),
                    power=0,
                    unit="°",
                    budget=ErrorBudget.of(
                        edge=(float(np.degrees(u)) / (1 + slope**2), edge.fit.dof),
                        tilt=float(np.degrees(work.frame.u_angle)),
                    ),
                    feature=feature,
                    zone=zone,
                    n=len(edge.fit.blocks),
                    length=edge.guide.length,
                    **looks(edge),
                )
            )
        status = pair_status(*edges)
        both = Reading(status=status, feature=feature, zone="mean", power=0)
        if status == "ok":
            # a turn of the frame adds to one side what it takes from the other
            own = [ErrorBudget.of(edge=p.budget.terms["edge"]) for p in parts]
            both = Reading(
                value=(parts[0].value + parts[1].value) / 2,
                power=0,
                unit="°",
                budget=(own[0] + own[1]).scaled(0.5),
                feature=feature,
                zone="mean",
                n=min(p.n for p in parts),
                length=parts[0].length,
                **looks(*edges),
            )
        found += [*parts, both]
    return found


def middles(
    work: Work, feature: FoundFeature, shares: Points, window: float
) -> tuple[str, Points, Points, Points]:
    """Give status, depth, middle across and width at shares of the height."""
    low, high, _ = extent(work, feature)
    depth, centre, wide = [], [], []
    status = "ok"
    for q in shares:
        reading, places = width(work, feature, float(q), window)
        if not places:
            status = reading.status
            continue
        depth.append(low + q * (high - low))
        centre.append((places[0] + places[1]) / 2)
        wide.append(places[1] - places[0])
    enough = len(depth) >= 0.7 * len(shares) and len(depth) >= 4
    return (
        "ok" if enough else status,
        np.array(depth),
        np.array(centre),
        np.array(wide),
    )


def tilt(work: Work, m: Measurement, only: Collection[int] | None) -> list[Reading]:
    """Measure the slope of the line of middles over twelve depths."""
    found = []
    for feature in work.chosen(m, only):
        if feature.status != "ok":
            found.append(Reading(status=feature.status, feature=feature, power=0))
            continue
        shares = np.linspace(0.08, 0.92, 12)
        status, depth, centre, _ = middles(work, feature, shares, 0.84 / 12)
        if status != "ok":
            found.append(Reading(status=status, feature=feature, power=0))
            continue
        t = depth - depth.mean()
        slope = float(t @ centre / (t @ t))
        rest = centre - centre.mean() - slope * t
        dof = len(t) - 2
        u = float(np.sqrt(rest @ rest / dof / (t @ t)))
        ends = [[d, centre.mean() + slope * (d - depth.mean())] for d in depth[[0, -1]]]
        found.append(
            Reading(
                value=float(np.degrees(np.arctan(slope))),
                power=0,
                unit="°",
                budget=ErrorBudget.of(
                    edge=(float(np.degrees(u)), dof),
                    tilt=float(np.degrees(work.frame.u_angle)),
                ),
                feature=feature,
                n=len(t),
                lines=[work.frame.points(ends)],
                length=float(np.ptp(depth)),
            )
        )
    return found


def bow(work: Work, m: Measurement, only: Collection[int] | None) -> list[Reading]:
    """Measure how much wider the middle is than top and bottom together."""
    found = []
    for feature in work.chosen(m, only):
        parts = [width(work, feature, q, m.window)[0] for q in (0.1, 0.5, 0.9)]
        status = next((p.status for p in parts if p.status != "ok"), "ok")
        if status != "ok":
            found.append(Reading(status=status, feature=feature, power=0))
            continue
        top, middle, bottom = (p.value for p in parts)
        ends = top + bottom
        value = 2 * (middle - ends / 2) / ends
        by_end = -2 * middle / ends**2
        factors = (by_end, 2 / ends, by_end)
        budget = ErrorBudget({})
        for part, factor in zip(parts, factors, strict=True):
            budget = budget + part.budget.scaled(factor)
        found.append(
            Reading(
                value=value, power=0, budget=budget, feature=feature,
                n=min(p.n for p in parts),
                lines=[line for p in parts for line in p.lines],
                edges=[e for p in parts for e in p.edges], sigma=parts[1].sigma,
                cnr=parts[1].cnr,
            )
        )  # fmt: skip
    return found


def aspect_ratio(
    work: Work, m: Measurement, only: Collection[int] | None
) -> list[Reading]:
    """Measure height over the width at the first depth of the recipe."""
    q = m.at[0] if m.at else 0.1
    found = []
    for tall in height(work, m, only):
        assert tall.feature is not None
        wide, _ = width(work, tall.feature, q, m.window)
        status = next((r.status for r in (tall, wide) if r.status != "ok"), "ok")
        if status != "ok":
            found.append(Reading(status=status, feature=tall.feature, power=0, at=q))
            continue
        value = tall.value / wide.value
        found.append(
            Reading(
                value=value, power=0, at=q, feature=tall.feature, n=wide.n,
                budget=tall.budget.scaled(1 / wide.value)
                + wide.budget.scaled(value / wide.value),
                lines=tall.lines + wide.lines, edges=tall.edges + wide.edges,
                sigma=wide.sigma, cnr=wide.cnr,
            )
        )  # fmt: skip
    return found
