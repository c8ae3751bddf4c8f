"""Voids in the bumps of a volume: share by volume, and as an X-ray picture shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_sesami.measure.budget import ErrorBudget
from napari_sesami.measure.quantities.columns import check_volume, find_columns
from napari_sesami.measure.site import class_ids
from napari_sesami.measure.work import Reading

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sesami.measure.recipe import Measurement, MeasureRecipe
    from napari_sesami.scan import Scan

COUNT_ONLY = 1.5  # radius in voxels below which a void is counted, not measured
LABEL_ERROR = 0.3  # voxels by which a surface of labels may be off, all in one way


def bump_voids(
    scan: Scan, labels: Any, classes: Any, recipe: MeasureRecipe, m: Measurement
) -> list[tuple[int, Reading]]:
    """Measure each bump (`to`) with its voids (`feature`); gives (number, reading).

    Voids are measured by the grey integral, which blur does not change; bumps by their
    labels. The window of one bump is read at a time.
    """
    assert m.feature is not None and m.to is not None
    check_volume(scan, m.name)
    ids = class_ids(classes)
    void = ids[recipe.features[m.feature].class_]
    host = ids[recipe.features[m.to].class_]
    sigma = recipe.sigma_px or 1.0
    grow = int(np.ceil(3 * sigma))
    margin = grow + 4
    bumps = find_columns(labels, [host, void])
    full = _void_grey(scan, labels, void, [b.box for b in bumps], sigma)
    found: list[tuple[int, Reading]] = []
    number = 0
    for bump in bumps:
        place = bump.box
        part = np.asarray(labels[place])
        pieces, _ = ndimage.label((part == host) | (part == void))
        own = int(np.bincount(pieces.ravel())[1:].argmax()) + 1
        mask = ndimage.binary_fill_holes(pieces == own)
        if not (part == host)[mask].any():
            continue
        number += 1
        if bump.cut_by(labels.shape, ends=True):
            for zone in ("volume", "projection"):
                found.append(
                    (number, Reading(status="cut_off", power=0, unit="%", zone=zone))
                )
            continue
        window = tuple(
            slice(max(0, s.start - margin), min(int(n), s.stop + margin))
            for s, n in zip(place, labels.shape, strict=True)
        )
        inner = tuple(
            slice(s.start - w.start, s.stop - w.start)
            for s, w in zip(place, window, strict=True)
        )
        body = np.zeros([w.stop - w.start for w in window], bool)
        body[inner] = mask
        holes = (np.asarray(labels[window]) == void) & body
        found += [
            (number, r) for r in _shares(scan, window, body, holes, full, grow, sigma)
        ]
    return found


def _void_grey(
    scan: Scan,
    labels: Any,
    void: int,
    places: list[tuple[slice, slice, slice]],
    sigma: float,
) -> float | None:
    """Grey inside of voids, from the cores of the largest."""
    best: list[tuple[int, float]] = []
    for place in places:
        inside = np.asarray(labels[place]) == void
        if inside.sum() < 27:
            continue
        deep = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1, 1:-1]
        core = deep > 2.5 * sigma
        if core.sum() >= 5:
            grey = np.asarray(scan.data[place], np.float64)
            best.append((int(core.sum()), float(np.median(grey[core]))))
    best.sort(reverse=True)
    return float(np.median([grey for _, grey in best[:5]])) if best else None


def _shares(
    scan: Scan,
    window: tuple[slice, ...],
    body: NDArray[np.bool_],
    voids: NDArray[np.bool_],
    full: float | None,
    grow: int,
    sigma: float,
) -> list[Reading]:
    """Both shares of one bump, and its largest void."""
    size = float(body.sum())
    area = float(body.any(0).sum())
    surface = 4.84 * size ** (2 / 3)  # of a ball of that size
    if not voids.any():
        return [
            Reading(value=0.0, power=0, unit="%", zone=zone, n=0)
            for zone in ("volume", "projection")
        ]
    grey = np.asarray(scan.data[window], np.float64)
    parts, count = ndimage.label(voids)
    sizes = np.bincount(parts.ravel())[1:]
    radius = (3 * sizes / (4 * np.pi)) ** (1 / 3)
    reasons = []
    if full is None or radius.max() < COUNT_ONLY:
        reasons.append("too_thin")
    away = ndimage.distance_transform_edt(~voids)
    inside = (away <= grow) & body
    deep = ndimage.distance_transform_edt(body)
    around = (away > grow) & (deep > 2.5 * sigma)
    if around.sum() < 20:
        reasons.append("cut_off")
    shadow = float(voids.any(0).sum())
    rim = 2 * np.sqrt(np.pi * shadow) * LABEL_ERROR
    projected = Reading(
        value=100 * shadow / area,
        power=0,
        unit="%",
        zone="projection",
        n=count,
        budget=ErrorBudget.of(segmentation=100 * float(rim) / area),
    )
    if reasons:
        bad = Reading(status=reasons[0], power=0, unit="%", zone="volume", n=count)
        return [bad, projected]
    assert full is not None
    host = float(np.median(grey[around]))
    noise = 1.4826 * float(np.median(np.abs(grey[around] - host)))
    contrast = host - full
    lacking = np.where(deep[inside] > 1.5 * sigma, host - grey[inside], 0.0)
    value = float(lacking.sum()) / contrast if contrast else np.nan
    u = noise * np.sqrt(inside.sum()) / abs(contrast) if contrast else np.nan
    if not np.isfinite(value) or value <= 2 * u:
        bad = Reading(status="low_contrast", power=0, unit="%", zone="volume", n=count)
        return [bad, projected]
    share = value / size
    return [
        Reading(
            value=100 * share,
            power=0,
            unit="%",
            zone="volume",
            n=count,
            cnr=abs(contrast) / max(noise, 1e-12),
            budget=ErrorBudget.of(
                edge=100 * float(u) / size,
                model=100 * share * 0.02,
                segmentation=100 * share * surface * LABEL_ERROR / size,
            ),
        ),
        projected,
    ]
