"""Neighbours of a lattice: pitch, pitch walking, space, overlay."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.measure.budget import ErrorBudget
from napari_sesami.measure.quantities.upright import (
    edge_budget,
    end,
    end_depth,
    looks,
    pair_status,
    width,
)
from napari_sesami.measure.work import Reading, Work

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from napari_sesami.measure.features import FoundFeature
    from napari_sesami.measure.recipe import Measurement


def centre(
    work: Work, feature: FoundFeature, m: Measurement
) -> tuple[Reading, NDArray[np.float64] | None]:
    """Measure the middle of a feature along the lattice, and give its point."""
    if m.along == "column":
        if feature.status != "ok":
            return Reading(status=feature.status, feature=feature), None
        edges = [end(work, feature, bottom) for bottom in (False, True)]
        status = pair_status(*edges)
        if status != "ok":
            return Reading(status=status, feature=feature), None
        ends = [end_depth(work, e) for e in edges]
        budget = edge_budget(edges, [e[2] for e in ends]).scaled(0.5)
        reading = Reading(
            value=(ends[0][1] + ends[1][1]) / 2,
            budget=budget,
            feature=feature,
            **looks(*edges),
        )
        return reading, (ends[0][0] + ends[1][0]) / 2
    q = m.at[0] if m.at else 0.5
    wide, places = width(work, feature, q, m.window)
    if not places:
        return Reading(status=wide.status, feature=feature, at=q), None
    reading = Reading(
        value=(places[0] + places[1]) / 2,
        budget=wide.budget.scaled(0.5),
        feature=feature,
        edges=wide.edges,
        sigma=wide.sigma,
        cnr=wide.cnr,
        length=wide.length,
    )
    return reading, wide.lines[0].mean(0)


def _neighbours(
    features: list[FoundFeature], along: str
) -> list[tuple[FoundFeature, FoundFeature]]:
    """Pairs that follow each other in a row (or column) without a gap."""

    def key(f: FoundFeature) -> tuple[int, int]:
        return (f.row, f.column) if along == "row" else (f.column, f.row)

    ordered = sorted(features, key=key)
    return [
        (a, b)
        for a, b in pairwise(ordered)
        if key(a)[0] == key(b)[0] and key(b)[1] - key(a)[1] == 1
    ]


def pitch(work: Work, m: Measurement, only: Collection[int] | None) -> list[Reading]:
    """Measure distances of neighbouring middles."""
    assert m.feature is not None
    found = []
    cache: dict[int, tuple[Reading, NDArray[np.float64] | None]] = {}
    for a, b in _neighbours(work.features(m.feature), m.along):
        if only is not None and a.number not in only and b.number not in only:
            continue
        both = []
        for f in (a, b):
            if f.number not in cache:
                cache[f.number] = centre(work, f, m)
            both.append(cache[f.number])
        (one, p), (two, r) = both
        status = next((x.status for x in (one, two) if x.status != "ok"), "ok")
        if status != "ok" or p is None or r is None:
            found.append(Reading(status=status, feature=a))
            continue
        found.append(
            Reading(
                value=two.value - one.value,
                budget=one.budget + two.budget,
                feature=a,
                lines=[np.stack([p, r])],
                edges=one.edges + two.edges,
                sigma=one.sigma,
                cnr=min(one.cnr, two.cnr),
                length=one.length,
            )
        )
    return found


def pitch_walking(
    work: Work, m: Measurement, only: Collection[int] | None
) -> list[Reading]:
    """Compare pitches (period 2) or spaces (period 4) by their place in the period."""
    assert m.feature is not None and m.period is not None
    if m.period == 2:
        parts = pitch(work, m, only)
    else:
        parts = space(work, m, only)
    good = [p for p in parts if p.status == "ok" and p.feature is not None]
    groups: list[list[Reading]] = [[] for _ in range(m.period)]
    for part in good:
        assert part.feature is not None
        place = part.feature.column if m.along == "row" else part.feature.row
        groups[place % m.period].append(part)
    if not all(groups):
        status = next((p.status for p in parts if p.status != "ok"), "few")
        return [Reading(status="few" if good else status)]
    means = [float(np.mean([p.value for p in g])) for g in groups]
    budgets = [ErrorBudget.mean(p.budget for p in g) for g in groups]
    lines = [line for p in good for line in p.lines]
    if m.period == 2:
        # neighbouring pitches share a middle, whose error counts twice in a difference
        both = (budgets[0] + budgets[1]).scaled(float(np.sqrt(2)))
        return [
            Reading(
                value=means[0] - means[1], budget=both, n=len(good), lines=lines,
                statistic="even − odd",
            )
        ]  # fmt: skip
    overall = float(np.mean(means))
    rest = ErrorBudget.mean(budgets)
    return [
        Reading(
            value=mean - overall, budget=budget.scaled(0.75) + rest.scaled(0.5),
            n=len(group), zone=name, statistic="mean − all",
            lines=[line for p in group for line in p.lines],
        )
        for mean, budget, group, name in zip(
            means, budgets, groups, ("α", "β", "γ", "δ"), strict=True
        )
    ]  # fmt: skip


def space(work: Work, m: Measurement, only: Collection[int] | None) -> list[Reading]:
    """Measure distances of facing sides of neighbours."""
    assert m.feature is not None
    q = m.at[0] if m.at else 0.5
    found = []
    for a, b in _neighbours(work.features(m.feature), "row"):
        if only is not None and a.number not in only and b.number not in only:
            continue
        (one, p), (two, r) = (width(work, f, q, m.window) for f in (a, b))
        if not p or not r:
            status = next(x.status for x in (one, two) if x.status != "ok")
            found.append(Reading(status=status, feature=a, at=q))
            continue
        found.append(
            Reading(
                value=r[0] - p[1],
                budget=(one.budget + two.budget).scaled(float(np.sqrt(0.5))),
                feature=a,
                at=q,
                n=min(one.n, two.n),
                lines=[np.stack([one.lines[0][1], two.lines[0][0]])],
                edges=[one.edges[1], two.edges[0]],
                sigma=one.sigma,
                cnr=min(one.cnr, two.cnr),
                length=one.length,
            )
        )
    return found


def overlay(work: Work, m: Measurement, only: Collection[int] | None) -> list[Reading]:
    """Measure how far the middles of one feature are from the nearest of another."""
    assert m.to is not None
    others = [centre(work, f, m) for f in work.features(m.to)]
    placed = [(r, p) for r, p in others if p is not None]
    found = []
    for feature in work.chosen(m, only):
        one, point = centre(work, feature, m)
        if point is None:
            found.append(Reading(status=one.status, feature=feature))
            continue
        if not placed:
            status = others[0][0].status if others else "not_found"
            found.append(Reading(status=status, feature=feature))
            continue
        two, other = min(placed, key=lambda rp: abs(rp[0].value - one.value))
        found.append(
            Reading(
                value=one.value - two.value,
                budget=one.budget + two.budget,
                feature=feature,
                lines=[np.stack([other, point])],
                edges=one.edges + two.edges,
                sigma=one.sigma,
                cnr=min(one.cnr, two.cnr),
            )
        )
    return found
