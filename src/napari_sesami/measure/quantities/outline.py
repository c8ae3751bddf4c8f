"""Round things: diameter, ellipticity and area of fitted outlines, corners, LCDU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.measure.budget import ErrorBudget
from napari_sesami.measure.edge import waves
from napari_sesami.measure.guide import CurvedGuide
from napari_sesami.measure.quantities.upright import looks
from napari_sesami.measure.site import FoundEdge
from napari_sesami.measure.work import Reading, Work

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from numpy.typing import NDArray

    from napari_sesami.measure.features import FoundFeature
    from napari_sesami.measure.recipe import Measurement

    Points = NDArray[np.float64]

SMALLEST = 2.5  # radius in pixels below which an outline is only counted
CORNER_ARC = 60.0  # degrees that a corner's circle must be seen over


def outline(work: Work, feature: FoundFeature, order: int = 2) -> FoundEdge:
    """Fit the closed outline of a feature: the ellipse of its labels, and waves."""
    key = ("outline", feature.key, order)
    return work.edge(key, lambda: _outline(work, feature, order))


def _outline(work: Work, feature: FoundFeature, order: int) -> FoundEdge:
    y, x = np.nonzero(feature.mask)
    points = np.stack([y, x], 1) + np.array(feature.box[:2], float)
    points = points * work.site.spacing
    middle = points.mean(0)
    cov = np.cov(points.T) + np.diag(np.square(work.site.spacing)) / 12
    values, vectors = np.linalg.eigh(cov)
    half = 2 * np.sqrt(np.maximum(values, 1e-6))  # of a filled ellipse
    scale = np.sqrt(feature.area / (np.pi * half.prod()))
    half = half * scale
    if half.min() < SMALLEST:
        return FoundEdge(_ellipse(middle, half, vectors), "too_thin")
    guide = _ellipse(middle, half, vectors)
    basis = waves(guide.length, order)
    return work.site.edge(guide, basis, inside=feature.class_id)


def _ellipse(middle: Points, half: Points, vectors: Points) -> CurvedGuide:
    count = max(64, int(8 * np.pi * half.max()))
    t = np.arange(count) * (2 * np.pi / count)
    local = np.stack([half[0] * np.cos(t), half[1] * np.sin(t)], axis=1)
    points = middle + local @ vectors.T
    area = 0.5 * np.sum(
        points[:, 0] * np.roll(points[:, 1], -1)
        - points[:, 1] * np.roll(points[:, 0], -1)
    )
    guide = CurvedGuide.of_samples(points, closed=True)
    if guide.curvature.mean() < 0:
        guide = CurvedGuide.of_samples(points, closed=True, outward_sign=-1.0)
    assert abs(area) > 0
    return guide


def _polygon_area(points: Points) -> float:
    y, x = points.T
    return abs(float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))) / 2


def _value_of(
    edge: FoundEdge, what: Callable[[Points], float]
) -> tuple[float, ErrorBudget]:
    """Compute a number from the fitted outline, and its error from the blocks."""
    assert edge.fit is not None and edge.basis is not None
    assert isinstance(edge.guide, CurvedGuide)
    along = np.linspace(0, edge.guide.length, 721)[:-1]
    away = edge.offsets(along)
    value = what(edge.guide.at(along, away))
    shapes = edge.basis(along)
    slope = np.array(
        [
            (what(edge.guide.at(along, away + 1e-3 * column)) - value) / 1e-3
            for column in shapes.T
        ]
    )
    u = float(np.sqrt(max(0.0, slope @ edge.fit.covariance @ slope)))
    model = edge.fit.model_shift * abs(float(slope[0]))
    return value, ErrorBudget.of(edge=(u, edge.fit.dof), model=model)


def _equivalent(points: Points) -> float:
    return 2 * float(np.sqrt(_polygon_area(points) / np.pi))


def ellipse_axes(points: Points) -> tuple[Points, float, float, float]:
    """Middle, half axes (major, minor) and angle of the ellipse of an outline.

    From the moments of the enclosed area, so that dense points need not be even.
    """
    y, x = points.T
    y1, x1 = np.roll(y, -1), np.roll(x, -1)
    cross = y * x1 - y1 * x
    area = cross.sum() / 2
    cy = ((y + y1) * cross).sum() / (6 * area)
    cx = ((x + x1) * cross).sum() / (6 * area)
    y, x, y1, x1 = y - cy, x - cx, y1 - cy, x1 - cx
    cross = y * x1 - y1 * x
    yy = ((y * y + y * y1 + y1 * y1) * cross).sum() / (12 * area)
    xx = ((x * x + x * x1 + x1 * x1) * cross).sum() / (12 * area)
    xy = ((y * x1 + 2 * y * x + 2 * y1 * x1 + y1 * x) * cross).sum() / (24 * area)
    values, vectors = np.linalg.eigh([[yy, xy], [xy, xx]])
    minor, major = 2 * np.sqrt(np.maximum(values, 0))
    turn = float(np.arctan2(vectors[0, 1], vectors[1, 1]))
    return np.array([cy, cx]), float(major), float(minor), turn


def _roundness(points: Points) -> float:
    _, major, minor, _ = ellipse_axes(points)
    return major / minor


def _without_noise(ratio: float, u: float) -> float:
    """Take off what noise alone makes of a circle: it never looks rounder."""
    off = ratio - 1
    squares = 2 if off < 3 * u else 1
    return 1 + float(np.sqrt(max(0.0, off * off - squares * u * u)))


def _readings(
    work: Work,
    m: Measurement,
    only: Collection[int] | None,
    what: Callable[[Points], float],
    power: int,
) -> list[Reading]:
    found = []
    for feature in work.chosen(m, only):
        if feature.status != "ok":
            found.append(Reading(status=feature.status, feature=feature, power=power))
            continue
        edge = outline(work, feature)
        if not edge.ok or edge.fit is None:
            found.append(
                Reading(status=edge.status, feature=feature, power=power, **looks(edge))
            )
            continue
        value, budget = _value_of(edge, what)
        if what is _roundness:
            value = _without_noise(value, budget.u("edge"))
        middle, major, _, turn = ellipse_axes(edge.line(361)[:-1])
        arm = major * np.array([np.sin(turn), np.cos(turn)])
        found.append(
            Reading(
                value=value, power=power, budget=budget, feature=feature,
                n=len(edge.fit.blocks), lines=[np.stack([middle - arm, middle + arm])],
                length=edge.guide.length, **looks(edge),
            )
        )  # fmt: skip
        found[-1].edges = [edge.line(121)]
    return found


def diameter(work: Work, m: Measurement, only: Collection[int] | None) -> list[Reading]:
    """Measure equivalent diameters of fitted outlines."""
    return _readings(work, m, only, _equivalent, 1)


def ellipticity(
    work: Work, m: Measurement, only: Collection[int] | None
) -> list[Reading]:
    """Measure major over minor axes."""
    return _readings(work, m, only, _roundness, 0)


def area(work: Work, m: Measurement, only: Collection[int] | None) -> list[Reading]:
    """Measure the area within fitted outlines."""
    return _readings(work, m, only, _polygon_area, 2)


def lcdu(work: Work, m: Measurement, only: Collection[int] | None) -> list[Reading]:
    """Measure 3 s of diameters about a plane over the field, noise taken off."""
    parts = [r for r in diameter(work, m, only) if r.status == "ok"]
    if len(parts) < max(6, m.least):
        return [Reading(status="few")]
    values = np.array([r.value for r in parts])
    places = np.array([r.feature.centre for r in parts if r.feature is not None])
    centred = (places - places.mean(0)) / max(float(np.ptp(places)), 1e-9)
    trend = np.column_stack([np.ones(len(parts)), centred])
    rank = int(np.linalg.matrix_rank(trend))
    rest = values - trend @ np.linalg.lstsq(trend, values, rcond=None)[0]
    dof = len(parts) - rank
    measured = float(rest @ rest) / dof
    own = float(np.mean([r.budget.standard**2 for r in parts]))
    real = max(measured - own, 0.0)
    sigma = float(np.sqrt(real))
    spread = measured * np.sqrt(2 / dof)  # of the variance
    u = float(3 * spread / (2 * max(sigma, np.sqrt(spread) / 2)))
    return [
        Reading(
            value=3 * sigma,
            budget=ErrorBudget.of(sampling=(u, dof)),
            n=len(parts),
            statistic="3s",
            edges=[e for r in parts for e in r.edges],
        )
    ]


def corner_radius(
    work: Work, m: Measurement, only: Collection[int] | None
) -> list[Reading]:
    """Fit circles to the two upper corners (zones left, right) of each feature."""
    found = []
    for feature in work.chosen(m, only):
        for zone in ("left", "right"):
            found.append(_corner(work, feature, zone))
    return found


def _corner(work: Work, feature: FoundFeature, zone: str) -> Reading:
    """Fit an upper corner: a circle through its labels, then grey values along it."""
    empty = Reading(status=feature.status, feature=feature, zone=zone)
    if feature.status != "ok":
        return empty
    points, _ = feature.boundary
    depth, across = points.T
    top, bottom = feature.ends
    side = 1.0 if zone == "right" else -1.0
    reach = 0.5 * min(bottom - top, float(np.ptp(across)))
    border = float((across * side).max())
    near = (depth - top < reach) & (border - across * side < reach)
    if near.sum() < 8:
        return Reading(status="not_found", feature=feature, zone=zone)
    # the arc is where neither the top nor the side is straight any more
    d, a = depth[near] - top, border - across[near] * side
    keep = np.ones(d.size, bool)
    middle, radius = np.zeros(2), 0.0
    for _ in range(8):
        system = np.column_stack([2 * d[keep], 2 * a[keep], np.ones(keep.sum())])
        target = d[keep] ** 2 + a[keep] ** 2
        p, q, c = np.linalg.lstsq(system, target, rcond=None)[0]
        radius, middle = float(np.sqrt(max(c + p * p + q * q, 0))), np.array([p, q])
        new = (d < p) & (a < q)
        if new.sum() < 6 or (new == keep).all():
            break
        keep = new
    sigma = work.site.sigma
    if radius < 3 * sigma or keep.sum() < 6:
        return Reading(status="too_thin", feature=feature, zone=zone)
    centre_depth, centre_across = middle[0] + top, (border - middle[1]) * side
    span = np.pi / 2 * 0.8
    t = np.linspace(
        np.pi / 4 - span / 2, np.pi / 4 + span / 2, max(16, int(4 * radius))
    )
    arc = np.stack(
        [centre_depth - radius * np.sin(t), centre_across + side * radius * np.cos(t)],
        axis=1,
    )
    places = work.frame.points(arc)
    guide = CurvedGuide.of_samples(places, closed=False)
    if guide.curvature.mean() < 0:
        guide = CurvedGuide.of_samples(places, closed=False, outward_sign=-1.0)

    def basis(along: Points) -> Points:  # a circle moved and blown up
        phase = along / radius
        return np.stack([np.ones_like(phase), np.cos(phase), np.sin(phase)], axis=-1)

    edge = work.site.edge(guide, basis, inside=feature.class_id)
    if not edge.ok or edge.fit is None:
        status = edge.status if not edge.ok else "not_found"
        return Reading(status=status, feature=feature, zone=zone, **looks(edge))
    if np.degrees(span) < CORNER_ARC:
        return Reading(status="few", feature=feature, zone=zone)
    value = radius + float(edge.fit.shape[0]) + edge.fit.sigma**2 / (2 * radius)
    u = float(np.sqrt(edge.fit.covariance[0, 0]))
    start = work.frame.points([[centre_depth, centre_across]])[0]
    return Reading(
        value=value,
        budget=ErrorBudget.of(edge=(u, edge.fit.dof), model=edge.fit.model_shift),
        feature=feature,
        zone=zone,
        n=len(edge.fit.blocks),
        lines=[np.stack([start, places[len(places) // 2]])],
        length=guide.length,
        **looks(edge),
    )
