"""Sides of lines in SEM pictures, and places along them for roughness."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.special import ndtr

from napari_sesami.measure.budget import ErrorBudget
from napari_sesami.measure.edge import NearPixels, StepFit, fit_step, polynomial
from napari_sesami.measure.guide import robust_line
from napari_sesami.measure.sem_edge import fit_flank, flank_window, replace_across
from napari_sesami.measure.sem_look import RimLook, fit_look
from napari_sesami.measure.work import Reading, Work

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sesami.measure.features import FoundFeature
    from napari_sesami.measure.recipe import Measurement

    Values = NDArray[np.float64]

REACH = 12.0  # pixels to each side of a line's edge
MARGIN = 2.0  # pixels left out at the ends of a line


def follow(
    work: Work, feature: FoundFeature, right: bool
) -> tuple[NearPixels, Values, Values] | None:
    """Collect pixels beside one side of a line: along = depth, across = outwards.

    Also gives, at each whole depth, where the labels have the side (smoothed).
    """
    points, normals = feature.boundary
    sign = 1.0 if right else -1.0
    facing = normals[:, 1] * sign > 0.5
    depth, across = points[facing].T
    if depth.size < 12:
        return None
    low, high = depth.min() + MARGIN, depth.max() - MARGIN
    rows = np.arange(np.ceil(low), np.floor(high) + 1)
    if rows.size < 12:
        return None
    which = np.rint(depth - rows[0]).astype(int)
    inside = (which >= 0) & (which < rows.size)
    best = np.full(rows.size, -np.inf)
    np.maximum.at(best, which[inside], across[inside] * sign)
    there = np.isfinite(best)
    if there.mean() < 0.9:
        return None
    path = np.interp(rows, rows[there], best[there]) * sign
    path = gaussian_filter1d(path, 5.0, mode="nearest")
    border = work.frame.points(np.stack([rows, path], 1)) / work.site.spacing
    reach = REACH / min(work.site.spacing) + 1
    y0, x0 = np.maximum(0, np.floor(border.min(0) - reach)).astype(int)
    y1, x1 = np.minimum(work.site.shape, np.ceil(border.max(0) + reach + 1)).astype(int)
    grey = work.site.grey((int(y0), int(x0), int(y1), int(x1))).ravel()
    y = np.repeat(np.arange(y0, y1), x1 - x0) * work.site.spacing[0]
    x = np.tile(np.arange(x0, x1), y1 - y0) * work.site.spacing[1]
    at_depth, at_across = work.frame.coordinates(np.stack([y, x], 1)).T
    away = (at_across - np.interp(at_depth, rows, path)) * sign
    # half of the way to the next edge on both sides
    limit = _half_room(work, feature, rows, path, sign)
    keep = (at_depth >= low) & (at_depth <= high) & np.isfinite(grey)
    keep &= (away >= -limit[0]) & (away <= limit[1])
    return NearPixels(at_depth[keep], away[keep], grey[keep]), rows, path


def _half_room(
    work: Work, feature: FoundFeature, rows: Values, path: Values, sign: float
) -> tuple[float, float]:
    """How far pixels belong to this side: half of the line, half of the space."""
    out = np.arange(1.5, 2 * REACH, 0.5)
    some = slice(None, None, max(1, rows.size // 40))
    lines = rows[some, None] + np.zeros_like(out)
    limits = []
    for side, same in ((-1, True), (1, False)):
        where = np.stack([lines, path[some, None] + side * sign * out], axis=-1)
        seen = work.site.labels_at(work.frame.points(where))
        end = (seen == feature.class_id) != same
        end |= seen < 0
        first = np.where(end.any(1), out[end.argmax(1)], 2 * REACH)
        limits.append(min(REACH, float(np.quantile(first, 0.2)) / 2))
    return limits[0], limits[1]


def side_fit(
    pixels: NearPixels,
    length: float,
    m: Measurement,
    sigma: float,
    look: RimLook | None = None,
) -> StepFit | None:
    """Fit the mean position of a side by the recipe's definition of an edge.

    The model's needs the look of the scan; roughness does without, as the flank is off
    by the same all along.
    """
    middle = float(pixels.along.mean())
    centred = NearPixels(pixels.along - middle, pixels.across, pixels.grey)
    basis = polynomial(length, 1)
    if m.edge == "50 %":
        return fit_step(centred, basis, sigma=sigma)
    return fit_flank(centred, basis, m.edge, m.level, look)


def look_of(work: Work, m: Measurement) -> RimLook | None:
    """Fit what all lines of a feature share of the microscope's look, once a site."""
    assert m.feature is not None
    if m.feature not in work.looks:
        sides = []
        for feature in work.features(m.feature):
            for right in (False, True) if feature.status == "ok" else ():
                followed = follow(work, feature, right)
                if followed is None:
                    continue
                pixels, rows, _ = followed
                length = float(np.ptp(rows)) + 1
                fit = side_fit(pixels, length, m, work.site.sigma)
                if fit is None or fit.cnr * np.sqrt(length) < 6:
                    continue
                centred = replace(
                    pixels, along=pixels.along - float(pixels.along.mean())
                )
                straight = replace_across(centred, polynomial(length, 1), fit.shape)
                window = flank_window(straight)
                if window is not None:
                    sides.append((straight, window[0]))
        work.looks[m.feature] = fit_look(sides, work.site.inflation)
    return work.looks[m.feature]


def sem_position(work: Work, feature: FoundFeature, m: Measurement) -> Reading:
    """Measure the mean width of a line over its length, with SEM edges."""
    if feature.status != "ok":
        return Reading(status=feature.status, feature=feature)
    look = look_of(work, m) if m.edge == "model" else None
    if m.edge == "model" and look is None:
        return Reading(status="low_contrast", feature=feature)
    means, budget, edges, fits, ends = [], ErrorBudget({}), [], [], []
    length = 0.0
    for right in (False, True):
        followed = follow(work, feature, right)
        if followed is None:
            return Reading(status="not_found", feature=feature)
        pixels, rows, path = followed
        length = float(np.ptp(rows)) + 1
        fit = side_fit(pixels, length, m, work.site.sigma, look)
        if fit is None:
            return Reading(status="not_found", feature=feature)
        if fit.cnr * np.sqrt(length) < 6:
            return Reading(status="low_contrast", feature=feature)
        sign = 1.0 if right else -1.0
        # the path is the guide: its mean, and the fit's offset from it
        at = float(path.mean()) + sign * float(fit.shape[0])
        means.append(at)
        budget = budget + ErrorBudget.of(
            edge=(float(np.sqrt(fit.covariance[0, 0])), fit.dof), model=fit.model_shift
        )
        tilt = fit.shape[1] * (rows - rows.mean()) * 2 / length
        line = path + sign * (fit.shape[0] + tilt)
        edges.append(work.frame.points(np.stack([rows, line], 1)))
        fits.append(fit)
        ends.append(rows[rows.size // 2])
    if look is not None:  # both sides of a line, and all lines, are off alike
        budget = budget + ErrorBudget.of(offset=2 * look.u)
    middle = float(np.mean(ends))
    _, slope = robust_line(rows - rows.mean(), path)
    factor = 1 / float(np.hypot(1, slope))
    return Reading(
        value=(means[1] - means[0]) * factor,
        budget=budget.scaled(factor),
        feature=feature,
        n=min(len(f.blocks) for f in fits),
        lines=[work.frame.points([[middle, means[0]], [middle, means[1]]])],
        edges=edges,
        sigma=float(np.mean([f.sigma for f in fits])),
        cnr=min(f.cnr for f in fits),
        length=length,
        step=1.0,
    )


def row_positions(
    pixels: NearPixels, rows: Values, fit: StepFit, m: Measurement
) -> Values | None:
    """Give the edge's distance from the path in every row, levels and blur fixed.

    No row knows of its neighbours: filtering would take roughness along with noise.
    """
    which = np.rint(pixels.along - rows[0]).astype(int)
    good = (which >= 0) & (which < rows.size)
    if m.edge != "50 %":
        window = flank_window(pixels)
        if window is None:
            return None
        good &= (pixels.across >= window[0] + 0.3 * fit.sigma) & (
            pixels.across <= window[1] + 1
        )
    else:
        good &= np.abs(pixels.across) <= 6.0
    which, across, grey = which[good], pixels.across[good], pixels.grey[good]
    low, step, sigma = fit.levels[0], fit.step, fit.sigma
    at = np.full(rows.size, float(fit.shape[0]))
    for _ in range(6):
        z = (across - at[which]) / sigma
        rest = grey - low - step * ndtr(z)
        slope = -step / sigma * np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)
        top = np.bincount(which, weights=slope * rest, minlength=rows.size)
        below = np.bincount(which, weights=slope * slope, minlength=rows.size)
        move = top / np.maximum(below, 1e-9 * max(float(below.max()), 1e-300))
        at += np.clip(move, -0.7, 0.7)
    at = np.clip(at, fit.shape[0] - 8, fit.shape[0] + 8)
    return at
