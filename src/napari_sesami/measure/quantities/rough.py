"""Roughness of lines: LER, LWR and LPR with the noise of measuring taken off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.measure.budget import ErrorBudget
from napari_sesami.measure.quantities.sem_side import follow, row_positions, side_fit
from napari_sesami.measure.roughness import roughness_of
from napari_sesami.measure.work import Reading, Work

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from napari_sesami.measure.features import FoundFeature
    from napari_sesami.measure.recipe import Measurement

    Values = NDArray[np.float64]


def edges_of(
    work: Work, feature: FoundFeature, m: Measurement
) -> tuple[str, Values, Values, Values]:
    """Give status, rows, and places across of the left and right edge in each row."""
    empty = np.zeros(0)
    if feature.status != "ok":
        return feature.status, empty, empty, empty
    sides = []
    for right in (False, True):
        followed = follow(work, feature, right)
        if followed is None:
            return "not_found", empty, empty, empty
        pixels, rows, path = followed
        fit = side_fit(pixels, float(np.ptp(rows)) + 1, m, work.site.sigma)
        if fit is None:
            return "not_found", empty, empty, empty
        if fit.cnr < 1:
            return "low_contrast", empty, empty, empty
        at = row_positions(pixels, rows, fit, m)
        if at is None:
            return "not_found", empty, empty, empty
        sides.append((rows, path + at * (1 if right else -1)))
    low = max(s[0][0] for s in sides)
    high = min(s[0][-1] for s in sides)
    cut = [s[1][(s[0] >= low) & (s[0] <= high)] for s in sides]
    rows = sides[0][0][(sides[0][0] >= low) & (sides[0][0] <= high)]
    return "ok", rows, cut[0], cut[1]


def _all(
    work: Work, m: Measurement, only: Collection[int] | None, what: str
) -> list[Reading]:
    """Join all lines of a site: spectra are averaged over lines of one length."""
    lines: list[tuple[FoundFeature, Values, Values, Values]] = []
    reasons = []
    for feature in work.chosen(m, only):
        status, rows, left, right = edges_of(work, feature, m)
        if status == "ok":
            lines.append((feature, rows, left, right))
        else:
            reasons.append(status)
    if not lines:
        return [Reading(status=reasons[0] if reasons else "not_found")]
    n = int(np.median([r.size for _, r, _, _ in lines]))
    lines = [(f, r[:n], a[:n], b[:n]) for f, r, a, b in lines if r.size >= n]
    left = np.stack([a for _, _, a, _ in lines])
    right = np.stack([b for _, _, _, b in lines])
    rows = {
        "ler": np.concatenate([left, right]),
        "lwr": right - left,
        "lpr": (left + right) / 2,
    }[what]
    found = roughness_of(rows, 1.0)
    drawn = [
        work.frame.points(np.stack([r, side], 1))
        for _, r, *sides in lines
        for side in sides
    ]
    if found is None:
        return [Reading(status="few", edges=drawn)]
    few = found.lines < max(m.least, 1)
    profile = {
        "f": found.frequency.tolist(),
        "psd": found.spectrum.tolist(),
        "fit": found.model.tolist(),
        "hurst": found.hurst,
    }
    common: dict[str, Any] = {"n": found.lines, "length": float(n), "step": 1.0}
    if few:
        return [Reading(status="few", edges=drawn, n=found.lines)]
    dof = max(2.0, 2.0 * found.lines)
    return [
        Reading(
            value=3 * found.here,
            budget=ErrorBudget.of(sampling=(3 * found.u_here, dof)),
            statistic="3s",
            edges=drawn,
            profile=profile,
            **common,
        ),
        Reading(
            value=3 * found.infinite,
            budget=ErrorBudget.of(sampling=(3 * found.u_infinite, dof)),
            statistic="3s endless",
            **common,
        ),
        Reading(value=3 * found.biased, statistic="3s with noise", **common),
        Reading(
            value=found.xi,
            budget=ErrorBudget.of(sampling=(found.u_xi, dof)),
            statistic="ξ",
            **common,
        ),
    ]


def ler(work: Work, m: Measurement, only: Collection[int] | None) -> list[Reading]:
    """Measure 3 s of edges about their lines of best fit."""
    return _all(work, m, only, "ler")


def lwr(work: Work, m: Measurement, only: Collection[int] | None) -> list[Reading]:
    """Measure 3 s of local widths."""
    return _all(work, m, only, "lwr")


def lpr(work: Work, m: Measurement, only: Collection[int] | None) -> list[Reading]:
    """Measure 3 s of local middles."""
    return _all(work, m, only, "lpr")
