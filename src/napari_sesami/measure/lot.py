"""A lot: one recipe over many scans, resumable, each scan's numbers safe at once."""

from __future__ import annotations

import csv
import json
import math
import multiprocessing
import re
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.common.cancel import Cancelled, not_cancelled
from napari_sesami.common.checked import DamagedFile, read_checked
from napari_sesami.common.disk import write_atomic
from napari_sesami.common.errors import SesamiError
from napari_sesami.measure.control_chart import (
    ControlChart,
    GaugeStudy,
    chart_of,
    gauge_study,
)
from napari_sesami.measure.errors import MeasureError
from napari_sesami.measure.files import from_dict, plain_name
from napari_sesami.measure.labelled import LabelSource, label_source
from napari_sesami.measure.recipe import MeasureRecipe
from napari_sesami.measure.results import Result, Results
from napari_sesami.measure.run import hash_of_labels, measure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from napari_sesami.common.cancel import IsCancelled, Progress

PARTS = "parts"
"""Folder of what each scan gave, from which a stopped lot goes on."""


class LotResults(Results):
    """Results of many scans.

    Attributes
    ----------
    errors
        Name of a scan that could not be measured → why.
    resumed
        How many scans were taken over from an earlier try.
    """

    errors: dict[str, str]
    resumed: int = 0

    def spc(
        self,
        name: str,
        zone: str = "",
        at: float | None = None,
        by: str = "",
        given: tuple[float, float] | None = None,
    ) -> ControlChart:
        """Chart the mean of each wafer (or lot, site, scan, as `by` says)."""
        rows = self._rows(name, zone, at)
        by = by or ("wafer" if len({p.wafer for _, p in rows}) > 1 else "scan")
        groups: dict[str, list[Result]] = {}
        for r, p in rows:
            groups.setdefault(str(getattr(p, by)), []).append(r)
        means = [float(np.mean([r.value for r in g])) for g in groups.values()]
        bars = [_bar(g) for g in groups.values()]
        return chart_of(means, bars, tuple(groups), given)

    def repeatability(
        self, name: str | None = None, by: str = "site", zone: str = ""
    ) -> GaugeStudy:
        """Compare scans of the same place: what measuring itself spreads.

        Scans that share lot, wafer and `by` are repeats; features are parts; labels
        from different sources are appraisers.
        """
        wanted = name or self.recipe.measure[0].name
        rows = self._rows(wanted, zone, None)
        if not rows:
            raise MeasureError(f"{wanted} has no values to compare.")
        parts = [
            (p.lot, p.wafer, getattr(p, by), r.feature, r.number, r.zone, r.at)
            for r, p in rows
        ]
        limits = rows[0][0].limits
        tolerance = math.nan
        if limits and limits.lower is not None and limits.upper is not None:
            tolerance = limits.upper - limits.lower
        return gauge_study(
            [r.value for r, _ in rows], parts,
            [p.labels_source for _, p in rows], tolerance,
        )  # fmt: skip

    def _rows(self, name: str, zone: str, at: float | None) -> list[tuple[Result, Any]]:
        pairs = zip(self.rows, self.provenance, strict=True)
        return [
            (r, p)
            for r, p in pairs
            if r.measurement == name
            and r.statistic == "value"
            and r.has_value
            and (not zone or r.zone == zone)
            and (at is None or r.at == at)
        ]


def _bar(group: list[Result]) -> float:
    from napari_sesami.measure.budget import ErrorBudget

    return ErrorBudget.mean(r.budget for r in group).expanded


@dataclass(frozen=True)
class _LotJob:
    name: str
    source: LabelSource
    recipe: str
    folder: str
    about: dict[str, str]


def measure_lot(
    recipe: MeasureRecipe,
    scans: Iterable[str | Path],
    labels: str | LabelSource = "files",
    out: str | Path | None = None,
    *,
    workers: int = 1,
    progress: Progress | None = None,
    stop: IsCancelled = not_cancelled,
    **options: Any,
) -> LotResults:
    """Measure many scans by one recipe.

    Parameters
    ----------
    recipe
        What to measure.
    scans
        Files, folders, or whatever the source of the labels lists scans in.
    labels
        "files", "project" or "bank", or a source of one's own.
    out
        Folder for tables, report and what each scan gave. A scan that was measured
        there before, with the same pixels, labels and recipe, is not measured again.
    workers
        Processes; results do not depend on it.
    progress, stop
        Told after each scan; asked while waiting.
    **options
        Of the source, such as ``project=``, ``bank=`` or ``classes=``.

    Raises
    ------
    MeasureError
        There is no scan, or the recipe names a table of sites that is not there.
    Cancelled
        `stop()` was true; what is done stays in `out`.
    OSError
        The disk refused a result; what was written stays.
    """
    source = label_source(labels, **options) if isinstance(labels, str) else labels
    names = source.scans(scans)
    if not names:
        raise MeasureError("There is no scan to measure; give files or folders.")
    folder = Path(out) if out is not None else None
    if folder is not None:
        (folder / PARTS).mkdir(parents=True, exist_ok=True)
        recipe.save(folder / "recipe.toml")
    where = _places(recipe)
    text, home = recipe.to_toml(), str(folder or "")
    jobs = [_LotJob(n, source, text, home, where(n)) for n in names]
    given: dict[str, dict[str, Any]] = {}
    errors: dict[str, str] = {}
    resumed = 0

    def take(job: _LotJob, answer: tuple[dict[str, Any] | None, str, bool]) -> None:
        nonlocal resumed
        data, error, old = answer
        resumed += old
        if data is None:
            errors[job.name] = error
        else:
            given[job.name] = data
        if progress is not None:
            progress(len(given) + len(errors), len(jobs))

    if workers <= 1 or len(jobs) == 1:
        for job in jobs:
            if stop():
                raise Cancelled("Measuring the lot was stopped.")
            take(job, _measure_one(job))
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(min(workers, len(jobs)), context) as pool:
            waiting = {pool.submit(_measure_one, job): job for job in jobs}
            try:
                while waiting:
                    done, _ = wait(waiting, 0.3, FIRST_COMPLETED)
                    for future in done:
                        take(waiting.pop(future), future.result())
                    if stop():
                        raise Cancelled("Measuring the lot was stopped.")
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    rows, sources, failures = [], [], []
    for name in names:
        if name in given:
            part = from_dict(given[name])
            rows += part.rows
            sources += part.provenance
            failures += part.failures
    failures += [f"{name}: {error}" for name, error in errors.items()]
    lot = LotResults(rows, recipe, sources, failures)
    lot.errors, lot.resumed = errors, resumed
    if folder is not None:
        lot.save(folder)
    return lot


def _measure_one(job: _LotJob) -> tuple[dict[str, Any] | None, str, bool]:
    """Measure one scan of a lot: (results, error, taken over from before)."""
    recipe = MeasureRecipe.loads(job.recipe)
    try:
        found = job.source.open(job.name)
        part = None
        if job.folder:
            name = plain_name(f"{found.scan.name}-{found.scan.content_hash[:8]}")
            part = Path(job.folder) / PARTS / f"{name}.json"
            old = _measured_before(part, recipe, found)
            if old is not None:
                return old, "", True
        results = measure(
            found.scan, found.labels, found.classes, recipe, votes=found.votes,
            labels_source=found.source, about=job.about,
        )  # fmt: skip
        data = results.to_dict()
        data["scan_hash"] = found.scan.content_hash
        data["labels_hash"] = hash_of_labels(found.labels)
    except SesamiError as error:
        return None, str(error), False
    except OSError as error:
        return None, f"it cannot be read ({error})", False
    if part is not None:  # a full disk ends the lot: nothing after it would be kept
        text = json.dumps(data, ensure_ascii=False, allow_nan=False)
        write_atomic(part, text.encode())
        if found.scan.n_planes < 4:
            from napari_sesami.measure.overlay import save_overlay

            save_overlay(results, found.scan, Path(job.folder) / "overlay")
    return data, "", False


def _measured_before(
    part: Path, recipe: MeasureRecipe, found: Any
) -> dict[str, Any] | None:
    """What this scan gave before, if pixels, labels and recipe are the same."""
    try:
        old = read_checked(part, dict[str, Any])
        same = (
            MeasureRecipe.loads(old["recipe"]).hash == recipe.hash
            and old["scan_hash"] == found.scan.content_hash
            and old["labels_hash"] == hash_of_labels(found.labels)
        )
        if same:
            from_dict(old)
            return dict(old)
    except (DamagedFile, OSError, ValueError, KeyError, TypeError):
        return None
    return None


def _places(recipe: MeasureRecipe) -> Callable[[str], dict[str, str]]:
    """Lot, wafer and site of a scan, from its name or a table of the recipe."""
    table: dict[str, dict[str, str]] = {}
    if recipe.lot.sites is not None:
        path = Path(recipe.lot.sites)
        if not path.exists():
            raise MeasureError(f"The table of sites {path} is not there.")
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if "file" not in (reader.fieldnames or ()):
                raise MeasureError(f"{path} needs a column file, and lot, wafer, site.")
            for line in reader:
                table[str(line["file"])] = {
                    k: str(line.get(k) or "") for k in ("lot", "wafer", "site")
                }
    pattern = re.compile(recipe.lot.pattern) if recipe.lot.pattern else None

    def where(name: str) -> dict[str, str]:
        file = Path(name.split("::")[-1]).name
        if file in table:
            return table[file]
        hit = pattern.search(file) if pattern else None
        groups = hit.groupdict() if hit else {}
        return {k: str(groups[k]) for k in ("lot", "wafer", "site") if groups.get(k)}

    return where


def verify(
    folder: str | Path, labels: str | LabelSource = "files", **options: Any
) -> list[str]:
    """Measure everything of a folder of results again; give what differs.

    Scans are opened where they were; values must be the same bit for bit.
    """
    from napari_sesami.measure.files import load_results

    old = load_results(folder)
    source = label_source(labels, **options) if isinstance(labels, str) else labels
    paths = list(dict.fromkeys(p.path for p in old.provenance if p.path))
    if not paths:
        raise MeasureError(
            f"{folder} does not say where its scans are; they were never files."
        )
    names = source.scans(paths)
    again = [
        _measure_one(_LotJob(n, source, old.recipe.to_toml(), "", {})) for n in names
    ]
    differences = [f"{n}: {a[1]}" for n, a in zip(names, again, strict=True) if a[1]]
    new_rows = [
        (r, p)
        for data, _, _ in again
        if data is not None
        for r, p in zip(*_rows_of(data), strict=True)
    ]
    ours = {_key(r, p): r for r, p in zip(old.rows, old.provenance, strict=True)}
    theirs = {_key(r, p): r for r, p in new_rows}
    for key, row in ours.items():
        other = theirs.get(key)
        if other is None:
            differences.append(f"{row.measurement} of {key[0]} is not there any more")
        elif (row.status, _bits(row)) != (other.status, _bits(other)):
            differences.append(f"{row} became {other} ({key[0]})")
    differences += [
        f"{r.measurement} is new" for k, r in theirs.items() if k not in ours
    ]
    return differences


def _rows_of(data: dict[str, Any]) -> tuple[list[Result], list[Any]]:
    part = from_dict(data)
    return part.rows, part.provenance


def _key(r: Result, p: Any) -> tuple[Any, ...]:
    return (p.scan, r.plane, r.measurement, r.zone, r.at, r.statistic, r.number)


def _bits(r: Result) -> tuple[str, str]:
    return repr(r.value), repr(r.U)
