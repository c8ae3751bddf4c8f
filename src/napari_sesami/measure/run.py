"""Measure a scan by a recipe: the one engine behind script, window and command line."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.common.cancel import Cancelled, not_cancelled
from napari_sesami.measure.budget import ErrorBudget
from napari_sesami.measure.errors import MeasureError
from napari_sesami.measure.kinds import KINDS
from napari_sesami.measure.results import (
    HAS_VALUE,
    Geometry,
    Provenance,
    Result,
    Results,
    verdict,
)
from napari_sesami.measure.site import Site
from napari_sesami.measure.slabs import slabs_of
from napari_sesami.measure.work import Reading, Work
from napari_sesami.scan import LENGTHS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from napari_sesami.common.cancel import IsCancelled, Progress
    from napari_sesami.measure.recipe import Measurement, MeasureRecipe
    from napari_sesami.scan import Scan

JUDGED = ("value", "mean")
ROUGH = ("ler", "lwr", "lpr", "lcdu")
GUIDES = (0.3, 0.7)
"""Votes at which labels are cut once more to see how far a value follows them."""


def measure(
    scan: Scan,
    labels: Any,
    classes: Any,
    recipe: MeasureRecipe,
    *,
    votes: Any = None,
    planes: Iterable[int] | None = None,
    labels_source: str = "",
    about: dict[str, str] | None = None,
    progress: Progress | None = None,
    stop: IsCancelled = not_cancelled,
) -> Results:
    """Measure everything that a recipe asks for.

    Parameters
    ----------
    scan
        Its raw grey values are measured.
    labels
        Class ids with the scan's shape, or of one plane (y, x); lazy is fine.
    classes
        A class table, entries with `id` and `name`, or a mapping of name to id.
    recipe
        What to measure.
    votes
        (n, y, x, C) shares of the classes in the planes measured, as segmenting gives
        them: what a value does with the labels is added to its error bar.
    planes
        By default all that have labels.
    labels_source
        For the table, such as "by hand".
    about
        Columns lot, wafer and site.
    progress, stop
        Told after each quantity; asked before each.

    Raises
    ------
    MeasureError
        The labels lack classes of the recipe.
    Cancelled
        `stop()` was true.
    """
    lacking = recipe.check(classes)
    if lacking:
        raise MeasureError(
            f"The labels of {scan.name} lack {', '.join(lacking)}, which the recipe "
            f"{recipe.name} speaks of; label it, or give the class that name."
        )
    flat = [m for m in recipe.measure if not KINDS[m.kind].volume]
    chosen = list(planes) if planes is not None else []
    if planes is None and (flat or not recipe.measure):
        chosen = _planes_of(scan, labels)
    labels_hash = hash_of_labels(labels)
    source = provenance_of(scan, labels_hash, recipe, labels_source, about)
    rows: list[Result] = []
    failures: list[str] = []
    total = len(chosen) * len(flat) + len(recipe.measure) - len(flat)
    for k, plane in enumerate(chosen):
        work = Work(Site(scan, labels, classes, plane, recipe.sigma_px), recipe)
        moved = _moved(work, votes, k) if votes is not None else []
        for number, m in enumerate(flat):
            if stop():
                raise Cancelled("Measuring was stopped.")
            rows += results_of(work, m, moved=moved)
            if progress is not None:
                progress(k * len(flat) + number + 1, total)
        failures += missing_features(work, plane if len(chosen) > 1 else None)
    tall = [m for m in recipe.measure if KINDS[m.kind].volume]
    for number, m in enumerate(tall):
        if stop():
            raise Cancelled("Measuring was stopped.")
        rows += _in_volume(scan, labels, classes, recipe, m)
        if progress is not None:
            progress(len(chosen) * len(flat) + number + 1, total)
    failures += _missing_columns(scan, recipe, rows)
    return Results(rows, recipe, [source] * len(rows), failures)


def provenance_of(
    scan: Scan,
    labels_hash: str,
    recipe: MeasureRecipe,
    labels_source: str = "",
    about: dict[str, str] | None = None,
) -> Provenance:
    """Say where the numbers of a scan come from."""
    return Provenance(
        scan=scan.name,
        path=str(scan.path or ""),
        image_key=scan.image_key or "",
        pixel_size=" × ".join("?" if s is None else f"{s:.9g}" for s in _sizes(scan)),
        pixel_unit=next((u for u in reversed(scan.units) if u is not None), "px"),
        pixel_source="file" if scan.path is not None else "given",
        scan_hash=scan.content_hash,
        labels_source=labels_source,
        labels_hash=labels_hash,
        recipe=recipe.name,
        recipe_hash=recipe.hash,
        version=version("napari-sesami"),
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        **(about or {}),
    )


def _in_volume(
    scan: Scan, labels: Any, classes: Any, recipe: MeasureRecipe, m: Measurement
) -> list[Result]:
    """Measure a quantity of a whole volume, and its means over instances."""
    from napari_sesami.measure.quantities.columns import voxel_of

    home, name = KINDS[m.kind].home
    module = import_module(f"napari_sesami.measure.quantities.{home}")
    unit, sides = voxel_of(scan)
    known = unit in LENGTHS
    step = math.sqrt(sides[1] * sides[2])
    factor = step * LENGTHS[unit] / LENGTHS[recipe.unit] if known else 1.0
    rows = []
    for number, r in getattr(module, name)(scan, labels, classes, recipe, m):
        status, shown = r.status, r.unit
        if r.power:
            shown = recipe.unit if known else "px"
            shown += {1: "", 2: "²", 3: "³"}[r.power]
            status = status if known or status != "ok" else "uncalibrated"
        scale = factor**r.power
        value, budget = r.value * scale, r.budget.scaled(scale)
        if r.power and known and status == "ok":
            budget = budget.common(
                scale=abs(value) * r.power * (recipe.scale.u_rel or 0.0)
            )
        bar = budget.expanded if budget.terms else math.nan
        limits = m.limits if known or not r.power else None
        rows.append(
            Result(
                m.name, m.kind, r.zone, value=value, unit=shown, budget=budget, n=r.n,
                status=status, verdict=verdict(value, bar, limits), limits=limits,
                feature=(m.to if m.kind == "bump voids" else m.feature) or "",
                number=number, cnr=r.cnr,
                edge="grey integral" if r.zone == "volume" else "50 %", plane=r.plane,
                geometry=Geometry(
                    tuple(r.edges), tuple(r.lines), (sides[1], sides[2]), unit
                ),
            )
        )  # fmt: skip
    return rows + statistics_of(m, [r for r in rows if r.number])


def results_of(
    work: Work,
    m: Measurement,
    only: Collection[int] | None = None,
    moved: list[Work] | None = None,
) -> list[Result]:
    """Measure one quantity of a site: values of features, then their statistics.

    `only` measures some features again, by number, as after a handle has moved.
    """
    readings = work.measure(m, only)
    if moved:
        readings = _with_segmentation(readings, m, moved)
    values = [_finished(work, m, r) for r in readings]
    return [*values, *statistics_of(m, values, work.site.plane)]


def _finished(work: Work, m: Measurement, r: Reading) -> Result:
    """Give a reading its unit, what the whole scan shares, and a verdict."""
    site, recipe = work.site, work.recipe
    known = site.unit in LENGTHS
    factor, unit, status = 1.0, r.unit, r.status
    if r.power > 0:
        if known:
            factor = site.pixel * LENGTHS[site.unit] / LENGTHS[recipe.unit]
            unit = recipe.unit
        else:
            unit = "px"
            status = "uncalibrated" if status == "ok" else status
        unit += {1: "", 2: "²", 3: "³"}[r.power]
    scale = factor**r.power
    value, budget = r.value * scale, r.budget.scaled(scale)
    if status in HAS_VALUE and r.power > 0:
        length = abs(value) * r.power
        cut = math.radians(recipe.scale.cut_deg)
        budget = budget.common(
            scale=length * (recipe.scale.u_rel or 0.0) if known else 0.0,
            distortion=length * recipe.scale.distortion_rel,
            tilt=length * (1 / math.cos(cut) - 1) / math.sqrt(3),
        )
        if known and r.statistic == "value":
            value -= m.offset
            budget = budget.common(offset=m.offset_u)
    step = np.asarray(site.spacing) * (site.pixel if known else 1.0)
    geometry = Geometry(
        tuple(site.to_data(e) for e in r.edges),
        tuple(site.to_data(line) for line in r.lines),
        (float(step[0]), float(step[1])),
        site.unit if known else "px",
    )
    judged = r.statistic in JUDGED or (m.kind in ROUGH and r.statistic == "3s")
    judged = judged or m.kind == "pitch walking"
    limits = m.limits if judged and (known or r.power == 0) else None
    bar = budget.expanded if budget.terms else math.nan
    lengths = factor if known else 1.0
    f = r.feature
    return Result(
        measurement=m.name, kind=m.kind, zone=r.zone, at=r.at, statistic=r.statistic,
        value=value, unit=unit, budget=budget, n=r.n, status=status,
        verdict=verdict(value, bar, limits), limits=limits,
        feature=f.name if f else "", number=f.number if f else 0,
        row=f.row if f else -1, column=f.column if f else -1, plane=site.plane,
        edge=m.edge, sigma_px=r.sigma, cnr=r.cnr, length=r.length * lengths,
        step=r.step * lengths, geometry=geometry, profile=_profile(r, factor),
    )  # fmt: skip


def _profile(r: Reading, factor: float) -> dict[str, Any]:
    """Bring curves to the unit of the value."""
    powers = {"s": 1, "thickness": 1, "f": -1, "psd": 3, "fit": 3}
    return {
        name: [v * factor ** powers[name] for v in values] if name in powers else values
        for name, values in r.profile.items()
    }


def statistics_of(m: Measurement, values: list[Result], plane: int = 0) -> list[Result]:
    """Means and spreads over features; scan terms of a budget do not average out."""
    if m.kind in ROUGH or m.kind == "pitch walking":
        return []
    out = []
    groups: dict[tuple[str, float | None, str], list[Result]] = {}
    for r in values:
        if r.statistic in ("value", "ratio") and r.has_value:
            groups.setdefault((r.zone, r.at, r.unit), []).append(r)
    wanted = [s for s in m.report if s not in ("conformality", "coverage")]
    for (zone, at, unit), members in groups.items():
        n = len(members)
        if n < max(2, m.least):
            if n < m.least:
                out.append(
                    Result(m.name, m.kind, zone, at, "mean", unit=unit, n=n,
                           status="few", plane=plane, edge=m.edge)
                )  # fmt: skip
            continue
        x = np.array([r.value for r in members])
        spread = float(x.std(ddof=1))
        mean = ErrorBudget.mean(r.budget for r in members)
        if m.kind == "pitch":  # sums telescope: only the ends of a chain err
            chains = len({r.row if m.along == "row" else r.column for r in members})
            shrink = math.sqrt(chains / n)
            mean = ErrorBudget(
                {
                    name: (u * shrink if name in ("edge", "model") else u, dof)
                    for name, (u, dof) in mean.terms.items()
                }
            )
        if m.of == "process":
            mean = mean + ErrorBudget.of(sampling=(spread / math.sqrt(n), n - 1.0))
        shared = ErrorBudget(
            {name: t for name, t in mean.terms.items() if name in ("scale",)}
        )
        of_spread = ErrorBudget.of(
            sampling=(3 * spread / math.sqrt(2 * (n - 1)), n - 1.0)
        )
        low, high = members[int(x.argmin())], members[int(x.argmax())]
        found = {
            "mean": (float(x.mean()), mean),
            "3s": (3 * spread, of_spread),
            "min": (low.value, low.budget),
            "max": (high.value, high.budget),
            "range": (
                high.value - low.value,
                (low.budget + high.budget) if shared is not None else mean,
            ),
        }
        for name in wanted:
            value, budget = found[name]
            bar = budget.expanded if budget.terms else math.nan
            limits = members[0].limits if name in JUDGED else None
            out.append(
                Result(
                    m.name, m.kind, zone, at, name, value, unit, budget, n,
                    members[0].status, verdict(value, bar, limits), limits,
                    members[0].feature, plane=plane, edge=m.edge,
                    sigma_px=float(np.nanmedian([r.sigma_px for r in members]))
                    if any(math.isfinite(r.sigma_px) for r in members) else math.nan,
                    cnr=min((r.cnr for r in members), default=math.nan),
                )
            )  # fmt: skip
    return out


def _moved(work: Work, votes: Any, index: int) -> list[Work]:
    """The same site with labels cut at other votes: every class larger, or smaller."""
    shares = np.asarray(votes[index] if votes.ndim == 4 else votes)
    out = []
    own = {work.recipe.features[m.feature].class_ for m in work.recipe.measure
           if m.feature is not None}  # fmt: skip
    ids = [work.site.class_id(name) for name in own]
    for share in GUIDES:
        labels = np.array(work.site.labels)
        others = shares.copy()
        for id_ in ids:
            others[..., id_ - 1] = -1
        rest = (others.argmax(-1) + 1).astype(labels.dtype)
        for id_ in ids:
            inside = shares[..., id_ - 1] > share
            labels[(labels == id_) & ~inside] = rest[(labels == id_) & ~inside]
            labels[inside & (labels > 0)] = id_
        site = Site(work.site.scan, labels, work.site.classes, work.site.plane,
                    work.site.sigma)  # fmt: skip
        other = Work(site, work.recipe)
        other.__dict__["frame"] = work.frame
        out.append(other)
    return out


def _with_segmentation(
    readings: list[Reading], m: Measurement, moved: list[Work]
) -> list[Reading]:
    """Add how far each value follows the labels when they are cut elsewhere."""
    others = [[r for r in w.measure(m) if r.status == "ok"] for w in moved]
    out = []
    for r in readings:
        if r.status != "ok" or r.feature is None:
            out.append(r)
            continue
        near = [r.value]
        for found in others:
            same = [
                o
                for o in found
                if (o.zone, o.at, o.statistic) == (r.zone, r.at, r.statistic)
                and o.feature is not None
                and math.dist(o.feature.centre, r.feature.centre)
                < 0.5 * math.sqrt(r.feature.area)
            ]
            near += [o.value for o in same[:1]]
        u = float(np.std(near, ddof=1)) if len(near) > 1 else 0.0
        out.append(replace(r, budget=r.budget + ErrorBudget.of(segmentation=u)))
    return out


def missing_features(work: Work, plane: int | None) -> list[str]:
    """Sentences about features that the recipe expects and the site lacks."""
    out = []
    where = "" if plane is None else f" in slice {plane}"
    for name, spec in work.recipe.features.items():
        if spec.expect is None:
            continue
        found = [f for f in work.features(name) if f.status == "ok"]
        for word, wanted, there in (
            ("", spec.expect.count, len(found)),
            ("rows of ", spec.expect.rows, len({f.row for f in found})),
            ("columns of ", spec.expect.columns, len({f.column for f in found})),
        ):
            if wanted is not None and wanted != there:
                out.append(
                    f"{work.site.scan.name}{where}: {there} whole {word}{name} instead "
                    f"of {wanted}."
                )
    return out


def _missing_columns(
    scan: Scan, recipe: MeasureRecipe, rows: list[Result]
) -> list[str]:
    """Sentences about features of a volume that the recipe expects and it lacks."""
    out = []
    for name, spec in recipe.features.items():
        users = [m for m in recipe.measure if m.feature == name]
        if spec.expect is None or spec.expect.count is None or not users:
            continue
        if all(KINDS[m.kind].volume for m in users):
            found = {
                r.number for r in rows
                if r.measurement == users[0].name and r.number and r.status != "cut_off"
            }  # fmt: skip
            if len(found) != spec.expect.count:
                out.append(
                    f"{scan.name}: {len(found)} whole {name} instead of "
                    f"{spec.expect.count}."
                )
    return out


def _planes_of(scan: Scan, labels: Any) -> list[int]:
    """Planes in which there are labels; the only one of a single image."""
    if scan.n_planes == 1 or tuple(labels.shape) == scan.plane_shape:
        return [0]
    found = []
    for plane in range(scan.n_planes):
        where = np.unravel_index(plane, scan.leading_shape)
        if np.asarray(labels[tuple(int(i) for i in where)]).any():
            found.append(plane)
    return found


def _sizes(scan: Scan) -> list[float | None]:
    return [s for s, a in zip(scan.pixel_size, scan.axes, strict=True) if a != "c"]


def hash_of_labels(labels: Any) -> str:
    """Name of the labels' content, read a few planes at a time."""
    digest = hashlib.blake2b(str(tuple(labels.shape)).encode(), digest_size=8)
    if len(labels.shape) == 3:
        for _, slab in slabs_of(labels):
            for plane in slab:
                digest.update(np.ascontiguousarray(plane.astype("<i4")).data)
        return digest.hexdigest()
    lead = tuple(labels.shape[:-2])
    for index in np.ndindex(*lead):
        plane = np.asarray(labels[index] if lead else labels)
        digest.update(np.ascontiguousarray(plane.astype("<i4")).data)
    return digest.hexdigest()
