"""Calipers: a line drawn by hand whose ends snap to the nearest edges across it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.measure.edge import fit_step, polynomial
from napari_sesami.measure.guide import StraightGuide
from napari_sesami.measure.quantities.upright import (
    edge_budget,
    looks,
    pair_status,
)
from napari_sesami.measure.site import FoundEdge
from napari_sesami.measure.work import Reading, Work

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from napari_sesami.measure.features import FoundFeature
    from napari_sesami.measure.recipe import Measurement

    Points = NDArray[np.float64]

SNAP = 10.0  # pixels along the line within which an end looks for its edge
SHORTEST = 3.0  # pixels


def caliper(work: Work, m: Measurement, only: Collection[int] | None) -> list[Reading]:
    """Measure between the edges that the ends of a drawn line snap to.

    With a feature its ends are (depth, across) from the middle of each instance; else
    they are (y, x) in pixels of the plane.
    """
    assert m.ends is not None
    ends = np.asarray(m.ends, float)
    if m.feature is None:
        return [_between(work, m, work.site.from_data(ends), None)]
    found = []
    for feature in work.chosen(m, only):
        if feature.status != "ok":
            found.append(Reading(status=feature.status, feature=feature))
            continue
        places = work.frame.points(ends + np.asarray(feature.centre))
        found.append(_between(work, m, places, feature))
    return found


def _between(
    work: Work, m: Measurement, ends: Points, feature: FoundFeature | None
) -> Reading:
    span = ends[1] - ends[0]
    length = float(np.hypot(*span))
    if length < SHORTEST:
        return Reading(status="too_thin", feature=feature)
    along = span / length
    edges = [_snapped(work, m, ends[k], along * (2 * k - 1)) for k in (0, 1)]
    status = pair_status(*edges)
    if status != "ok":
        return Reading(status=status, feature=feature, lines=[ends], **looks(*edges))
    middle = ends.mean(0)
    places, variances = [], []
    for edge in edges:  # where the fitted edge crosses the line
        guide = edge.guide
        assert isinstance(guide, StraightGuide)
        assert edge.fit is not None and edge.basis is not None
        s = np.zeros(1)
        for _ in range(4):
            point = guide.at(s, edge.offsets(s))[0]
            aside = (point - middle) @ np.array([-along[1], along[0]])
            s = s - aside / (np.array(guide.direction) @ [-along[1], along[0]])
        shapes = edge.basis(s)[0]
        places.append(guide.at(s, edge.offsets(s))[0])
        lean = float(abs(np.array(guide.outside) @ along))
        variances.append(float(shapes @ edge.fit.covariance @ shapes) / lean**2)
    return Reading(
        value=float(np.hypot(*(places[1] - places[0]))),
        budget=edge_budget(edges, variances),
        feature=feature,
        n=min(len(e.fit.blocks) for e in edges if e.fit is not None),
        lines=[np.stack(places)],
        length=float(m.rows),
        **looks(*edges),
    )


def _snapped(work: Work, m: Measurement, place: Points, outside: Points) -> FoundEdge:
    """Fit the edge nearest to one end, across the line.

    Labels say where it is, where they change near the end; else the grey does.
    """
    site = work.site
    step = np.arange(-SNAP, SNAP + 0.25, 0.5)
    wide = np.linspace(-0.4, 0.4, 5) * m.rows
    normal = np.array([outside[1], -outside[0]])
    points = place + step[:, None, None] * outside + wide[:, None] * normal
    seen = site.labels_at(points)
    same = (seen[1:] != seen[:-1]).mean(1)
    guide = StraightGuide(
        (float(place[0]), float(place[1])), (float(outside[0]), float(outside[1])),
        float(m.rows),
    )  # fmt: skip
    if same.max() >= 0.4 and np.any(seen > 0, axis=1)[np.abs(step) < 4].all():
        good = np.flatnonzero(same >= 0.4)
        at = good[np.abs(step[good]).argmin()]
        edge = site.edge(
            guide.moved(float(step[at] + step[at + 1]) / 2, 0.0),
            polynomial(guide.length, 1),
        )
        if edge.ok:
            return edge
    return _by_grey(work, guide)


def _by_grey(work: Work, guide: StraightGuide) -> FoundEdge:
    """Fit the steepest edge near a guide, without labels."""
    site = work.site
    pixels = site.near(guide, SNAP + 4, SNAP + 4)
    if len(pixels) < 30 or not np.ptp(pixels.grey) > 0:
        return FoundEdge(guide, "low_contrast" if len(pixels) else "cut_off")
    bins = np.rint(pixels.across).astype(int)
    low = int(bins.min())
    count = np.maximum(np.bincount(bins - low), 1)
    mean = np.bincount(bins - low, weights=pixels.grey) / count
    if mean.size < 7:
        return FoundEdge(guide, "cut_off")
    rise = np.abs(mean[4:] + mean[3:-1] - mean[1:-3] - mean[:-4]) / 2
    at = np.arange(rise.size) + low + 2
    # the nearest of the steep ones, not the steepest of all
    steep = np.flatnonzero(rise >= 0.6 * rise.max())
    best = float(at[steep[np.abs(at[steep]).argmin()]])
    moved = guide.moved(best, 0.0)
    near = site.near(moved, 5.0, 5.0)
    basis = polynomial(guide.length, 1)
    fit = fit_step(near, basis, sigma=site.sigma, inflation=site.inflation)
    if fit is None:
        return FoundEdge(moved, "not_found")
    u = float(np.sqrt(max(fit.own_covariance[0, 0], fit.covariance[0, 0])))
    status = "ok"
    if not np.isfinite(u) or u > 0.5 or fit.cnr < 1:
        status = "low_contrast"
    elif abs(float(fit.shape[0])) > 3 or fit.misfit > 0.35:
        status = "ambiguous"
    return FoundEdge(moved, status, fit, basis, label_offset=float(fit.shape[0]))
