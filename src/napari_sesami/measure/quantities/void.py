"""Voids by the grey integral: what they lack of the host's grey, blur or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_sesami.measure.budget import ErrorBudget
from napari_sesami.measure.work import Reading, Work

if TYPE_CHECKING:
    from collections.abc import Collection

    from napari_sesami.measure.features import FoundFeature
    from napari_sesami.measure.recipe import Measurement

COUNT_ONLY = 1.5  # radius in pixels below which a void is counted, not measured


def void(work: Work, m: Measurement, only: Collection[int] | None) -> list[Reading]:
    """Measure area and equivalent diameter of every void."""
    found = []
    full = _void_grey(work, m)
    for feature in work.chosen(m, only):
        area = _area(work, feature, full)
        found.append(area)
        if area.status != "ok":
            continue
        value = 2 * float(np.sqrt(area.value / np.pi))
        y, x = np.nonzero(feature.mask)
        middle = np.array([y.mean(), x.mean()]) + feature.box[:2]
        middle = middle * work.site.spacing
        arm = np.array([0.0, value / 2])
        found.append(
            Reading(
                value=value,
                budget=area.budget.scaled(value / (2 * area.value)),
                feature=feature,
                zone="equivalent diameter",
                n=area.n,
                lines=[np.stack([middle - arm, middle + arm])],
            )
        )
    return found


def _void_grey(work: Work, m: Measurement) -> float | None:
    """Grey inside of voids: the middle of the scan's largest."""
    assert m.feature is not None
    largest = sorted(work.features(m.feature), key=lambda f: -f.area)[:5]
    greys = []
    for feature in largest:
        deep = ndimage.distance_transform_edt(np.pad(feature.mask, 1))[1:-1, 1:-1]
        core = deep > 2.5 * work.site.sigma
        if core.sum() >= 5:
            greys.append(float(np.nanmedian(work.site.grey(feature.box)[core])))
    return float(np.median(greys)) if greys else m.film_grey


def _area(work: Work, feature: FoundFeature, full: float | None) -> Reading:
    """Area by the grey integral over the labels grown by 3 σ."""
    if feature.status != "ok":
        return Reading(status=feature.status, feature=feature, power=2, zone="area")
    if full is None or np.sqrt(feature.area / np.pi) < COUNT_ONLY:
        return Reading(status="too_thin", feature=feature, power=2, zone="area")
    site = work.site
    grow = int(np.ceil(3 * site.sigma)) + 1
    ring = grow + 4
    y0, x0, y1, x1 = feature.box
    box = (
        max(0, y0 - ring), max(0, x0 - ring),
        min(site.shape[0], y1 + ring), min(site.shape[1], x1 + ring),
    )  # fmt: skip
    mask = np.zeros((box[2] - box[0], box[3] - box[1]), bool)
    mask[y0 - box[0] : y1 - box[0], x0 - box[1] : x1 - box[1]] = feature.mask
    away = ndimage.distance_transform_edt(~mask)
    grey = site.grey(box)
    labels = site.labels[box[0] : box[2], box[1] : box[3]]
    host_id = np.bincount(labels[(away > 0) & (away <= 2.5)]).argmax()
    outside = (away > grow) & (away <= ring) & np.isfinite(grey) & (labels == host_id)
    inside = (away <= grow) & np.isfinite(grey)
    inside &= mask | (labels == host_id) | (labels == feature.class_id)
    if outside.sum() < 12:
        return Reading(status="cut_off", feature=feature, power=2, zone="area")
    host = float(np.median(grey[outside]))
    noise = 1.4826 * float(np.median(np.abs(grey[outside] - host)))
    contrast = host - full
    if abs(contrast) < 2 * noise / np.sqrt(max(1.0, mask.sum())) or contrast == 0:
        return Reading(status="low_contrast", feature=feature, power=2, zone="area")
    pixel = site.spacing[0] * site.spacing[1]
    value = float((host - grey[inside]).sum() / contrast) * pixel
    u_noise = noise * np.sqrt(inside.sum()) / abs(contrast)
    u_host = 1.25 * noise / np.sqrt(outside.sum()) * inside.sum() / abs(contrast)
    u = float(np.hypot(u_noise, u_host)) * pixel
    if value <= 3 * u:
        return Reading(status="low_contrast", feature=feature, power=2, zone="area")
    return Reading(
        value=value,
        power=2,
        budget=ErrorBudget.of(edge=u, model=0.01 * value),
        feature=feature,
        zone="area",
        n=int(inside.sum()),
        cnr=abs(contrast) / max(noise, 1e-12),
    )


def void_share(
    work: Work, m: Measurement, only: Collection[int] | None
) -> list[Reading]:
    """Measure the voids' share of each host (`to`), by area."""
    assert m.to is not None
    full = _void_grey(work, m)
    parts = [_area(work, f, full) for f in work.chosen(m, only)]
    found = []
    for host in work.features(m.to):
        y0, x0, y1, x1 = host.box
        whole = ndimage.binary_fill_holes(host.mask)
        inside = []
        for part in parts:
            assert part.feature is not None
            by = [(part.feature.box[k] + part.feature.box[k + 2]) // 2 for k in (0, 1)]
            if y0 <= by[0] < y1 and x0 <= by[1] < x1 and whole[by[0] - y0, by[1] - x0]:
                inside.append(part)
        bad = next((p.status for p in inside if p.status not in ("ok", "too_thin")), "")
        status = bad or host.status
        if status != "ok":
            found.append(Reading(status=status, feature=host, power=0, unit="%"))
            continue
        good = [p for p in inside if p.status == "ok"]
        total = float(whole.sum()) * work.site.spacing[0] * work.site.spacing[1]
        value = sum(p.value for p in good)
        budget = ErrorBudget({})
        for part in good:
            budget = budget + part.budget
        perimeter = 2 * float(np.sqrt(np.pi * total))
        found.append(
            Reading(
                value=100 * value / total,
                power=0,
                unit="%",
                budget=budget.scaled(100 / total)
                + ErrorBudget.of(segmentation=100 * value / total**2 * perimeter * 0.3),
                feature=host,
                n=len(good),
            )
        )
    return found
