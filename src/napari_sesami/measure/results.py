"""Results: values with unit, error bar, status and verdict, and where they are from."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.measure.budget import SCOPES, ErrorBudget, stated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from napari_sesami.measure.recipe import Limits, MeasureRecipe

HAS_VALUE = ("ok", "uncalibrated")
STATUSES = {
    "ok": "measured",
    "not_found": "nothing like it was found there",
    "cut_off": "it touches the border or pixels to ignore",
    "low_contrast": "the step of grey drowns in noise",
    "too_thin": "too thin for the blur of this scan",
    "mismatch": "grey values and labels disagree",
    "ambiguous": "more than one edge lies there",
    "few": "too few instances or pixels",
    "uncalibrated": "the pixel size is unknown; the value is in pixels",
}
"""Why a value is there or not."""


@dataclass(frozen=True, eq=False)
class Geometry:
    """What to draw for a value, in pixels of the plane (y, x) and in lengths.

    Attributes
    ----------
    edges
        Fitted edges, (n, 2) each.
    lines
        Dimension lines, (2, 2) each.
    scale
        Size of a pixel along y and x in `unit`: points times scale are lengths.
    unit
        A length unit, or "px".
    """

    edges: tuple[NDArray[np.float64], ...] = ()
    lines: tuple[NDArray[np.float64], ...] = ()
    scale: tuple[float, float] = (1.0, 1.0)
    unit: str = "px"

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values; three decimals of a pixel."""
        return {
            "edges": [np.round(e, 3).tolist() for e in self.edges],
            "lines": [np.round(line, 3).tolist() for line in self.lines],
            "lines_physical": [
                (line * self.scale).round(6).tolist() for line in self.lines
            ],
            "scale": list(self.scale),
            "unit": self.unit,
        }


@dataclass(frozen=True, eq=False)
class Result:
    """One row: a value with its error bar, or the reason why there is none.

    Attributes
    ----------
    measurement, kind, zone, at, statistic
        What was measured.
    value, unit
        NaN without a value.
    budget
        Its standard uncertainties, in the same unit.
    n
        How many values or blocks it is made of.
    status, verdict
        A key of `STATUSES`; "pass", "fail", "undecided" or "".
    feature, number, row, column, plane
        Of which instance.
    edge
        The definition of an edge used.
    sigma_px, cnr, length, step
        Blur, step over noise, length evaluated, distance of its samples.
    geometry, profile
        What to draw and plot.
    """

    measurement: str
    kind: str
    zone: str = ""
    at: float | None = None
    statistic: str = "value"
    value: float = float("nan")
    unit: str = ""
    budget: ErrorBudget = field(default_factory=lambda: ErrorBudget({}))
    n: int = 0
    status: str = "ok"
    verdict: str = ""
    limits: Limits | None = None
    feature: str = ""
    number: int = 0
    row: int = -1
    column: int = -1
    plane: int = 0
    edge: str = "50 %"
    sigma_px: float = float("nan")
    cnr: float = float("nan")
    length: float = float("nan")
    step: float = float("nan")
    geometry: Geometry = field(default_factory=Geometry)
    profile: dict[str, Any] = field(default_factory=dict)

    @property
    def has_value(self) -> bool:
        """Whether there is a number."""
        return self.status in HAS_VALUE

    @property
    def U(self) -> float:
        """The expanded uncertainty (95 %), NaN if nothing is known about it."""
        return self.budget.expanded if self.budget.terms else float("nan")

    def __str__(self) -> str:
        words = [self.measurement, self.zone]
        if self.at is not None:
            words.append(f"at {100 * self.at:g} %")
        if self.statistic not in ("value", "mean"):
            words.append(self.statistic)
        name = " ".join(w for w in words if w)
        if not self.has_value:
            return f"{name}: {self.status} ({STATUSES.get(self.status, '')})"
        text = stated(self.value, self.budget.expanded, self.unit, self.budget.k)
        verdict = f", {self.verdict}" if self.verdict else ""
        count = f", n = {self.n}" if self.n > 1 else ""
        return f"{name} {text}{count}{verdict}"


def verdict(value: float, expanded: float, limits: Limits | None) -> str:
    """Judge by ISO 14253-1: pass and fail leave U as a guard, between is undecided."""
    if limits is None or (limits.lower is None and limits.upper is None):
        return ""
    if not math.isfinite(value) or not math.isfinite(expanded):
        return ""
    low = -math.inf if limits.lower is None else limits.lower
    high = math.inf if limits.upper is None else limits.upper
    if low <= value - expanded and value + expanded <= high:
        return "pass"
    if value + expanded < low or value - expanded > high:
        return "fail"
    return "undecided"


@dataclass(frozen=True)
class Provenance:
    """Where the numbers of one scan come from; the same in every row of it."""

    scan: str = ""
    path: str = ""
    image_key: str = ""
    lot: str = ""
    wafer: str = ""
    site: str = ""
    pixel_size: str = ""
    pixel_unit: str = ""
    pixel_source: str = ""
    scan_hash: str = ""
    labels_source: str = ""
    labels_hash: str = ""
    recipe: str = ""
    recipe_hash: str = ""
    version: str = ""
    measured_at: str = ""


COLUMNS = (
    "lot wafer site scan path image_key plane feature number row column measurement "
    "kind zone at statistic value U unit k dof "
    + " ".join(f"u_{name}" for name in SCOPES)
    + " n status lower target upper verdict edge sigma_px cnr length step y0 x0 y1 x1 "
    "pixel_size pixel_unit pixel_source scan_hash labels_source labels_hash recipe "
    "recipe_hash version measured_at"
).split()
"""Of a table of results, in their order."""


class Results:
    """All values of one scan, or of a lot.

    Attributes
    ----------
    rows
        `Result`s in the order of the recipe.
    recipe
        As used.
    provenance
        One for each row.
    failures
        Sentences: what the recipe expects and the scan lacks.
    """

    def __init__(
        self,
        rows: list[Result],
        recipe: MeasureRecipe,
        provenance: list[Provenance],
        failures: list[str] | None = None,
    ) -> None:
        self.rows, self.recipe = rows, recipe
        self.provenance, self.failures = provenance, failures or []

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Result]:
        return iter(self.rows)

    def __getitem__(self, name: str) -> list[Result]:
        """Give all rows of a measurement by its name."""
        found = [r for r in self.rows if r.measurement == name]
        if not found and name not in [m.name for m in self.recipe.measure]:
            names = ", ".join(dict.fromkeys(r.measurement for r in self.rows))
            raise KeyError(f"There is no measurement {name!r}; there are {names}.")
        return found

    def value(
        self,
        name: str,
        statistic: str = "mean",
        zone: str = "",
        at: float | None = None,
    ) -> Result:
        """Give one row by name, statistic, zone and depth."""
        for r in self[name]:
            same = r.statistic == statistic and r.zone == zone
            if same and (at is None or r.at == at):
                return r
        raise KeyError(f"{name!r} has no {statistic} {zone}".strip())

    def summary(self) -> str:
        """Give one line for each quantity: its mean, or its only value."""
        lines = []
        for name in dict.fromkeys(r.measurement for r in self.rows):
            rows = self[name]
            groups = dict.fromkeys((r.zone, r.at) for r in rows)
            for zone, at in groups:
                own = [r for r in rows if (r.zone, r.at) == (zone, at)]
                means = [r for r in own if r.statistic != "value"]
                shown = means or own[:1]
                lines += [str(r) for r in shown]
                bad: dict[str, int] = {}
                for r in own:
                    if not r.has_value and r not in shown:
                        bad[r.status] = bad.get(r.status, 0) + 1
                lines += [f"  {count} × {status}" for status, count in bad.items()]
        lines += self.failures
        if self.recipe.scale.u_rel is None and any(r.has_value for r in self.rows):
            lines.append("The error of the pixel size is not included.")
        return "\n".join(lines)

    def records(self) -> list[dict[str, Any]]:
        """Give a dictionary for each row, with the columns of the table."""
        out = []
        for r, p in zip(self.rows, self.provenance, strict=True):
            line = r.geometry.lines[0] if r.geometry.lines else None
            ends = (None,) * 4 if line is None else tuple(map(float, line.ravel()[:4]))
            limits = r.limits
            record: dict[str, Any] = {f.name: getattr(p, f.name) for f in fields(p)}
            record.update(
                plane=r.plane, feature=r.feature, number=r.number or None,
                row=r.row if r.row >= 0 else None,
                column=r.column if r.column >= 0 else None,
                measurement=r.measurement, kind=r.kind, zone=r.zone, at=r.at,
                statistic=r.statistic, value=_number(r.value), U=_number(r.U),
                unit=r.unit, k=_number(r.budget.k if r.budget.terms else math.nan),
                dof=_number(r.budget.dof if r.budget.terms else math.nan), n=r.n,
                status=r.status, lower=limits.lower if limits else None,
                target=limits.target if limits else None,
                upper=limits.upper if limits else None, verdict=r.verdict, edge=r.edge,
                sigma_px=_number(r.sigma_px), cnr=_number(r.cnr),
                length=_number(r.length), step=_number(r.step),
                y0=ends[0], x0=ends[1], y1=ends[2], x1=ends[3],
                **{f"u_{name}": _number(r.budget.u(name) or math.nan)
                   for name in SCOPES},
            )  # fmt: skip
            out.append({name: record[name] for name in COLUMNS})
        return out

    def to_frame(self) -> pd.DataFrame:
        """Give a pandas table, one row per value."""
        import pandas

        return pandas.DataFrame(self.records(), columns=list(COLUMNS))

    def to_csv(self) -> str:
        """Give the table as CSV."""
        from napari_sesami.measure.files import to_csv

        return to_csv(self)

    def to_dict(self) -> dict[str, Any]:
        """Give everything as plain JSON values, budgets and geometry, too."""
        rows = []
        for record, r in zip(self.records(), self.rows, strict=True):
            rows.append(
                record
                | {
                    "budget": {n: [u, d] for n, (u, d) in r.budget.terms.items()},
                    "geometry": r.geometry.to_dict(),
                    "profile": r.profile,
                }
            )
        return {
            "format": "sesami-results",
            "version": 1,
            "recipe": self.recipe.to_toml(),
            "failures": self.failures,
            "results": rows,
        }

    def save(self, folder: str | Path) -> Path:
        """Write results.csv, .json, report.html, overlays and the recipe as used."""
        from napari_sesami.measure.files import save_results

        return save_results(self, folder)

    def counts(self) -> dict[str, int]:
        """Give how many rows have each status, and each verdict."""
        found: dict[str, int] = {}
        for r in self.rows:
            for word in (r.status, r.verdict):
                if word:
                    found[word] = found.get(word, 0) + 1
        return found


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
