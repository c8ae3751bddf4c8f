"""The folder of a measurement: tables, budgets, overlays, a report, the recipe."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.common.checked import read_checked
from napari_sesami.common.disk import replacing, write_atomic
from napari_sesami.measure.budget import ErrorBudget
from napari_sesami.measure.errors import MeasureError
from napari_sesami.measure.recipe import MeasureRecipe
from napari_sesami.measure.results import (
    COLUMNS,
    Geometry,
    Provenance,
    Result,
    Results,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_OF_SCAN = tuple(Provenance.__dataclass_fields__)


def save_results(results: Results, folder: str | Path) -> Path:
    """Write a folder of results; each file whole or not at all."""
    from napari_sesami.measure.report import report_html

    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    write_atomic(out / "results.csv", to_csv(results).encode("utf-8-sig"))
    text = json.dumps(results.to_dict(), ensure_ascii=False, allow_nan=False)
    write_atomic(out / "results.json", text.encode())
    write_atomic(out / "recipe.toml", results.recipe.to_toml().encode())
    write_atomic(out / "report.html", report_html(results).encode())
    edges = out / "edges"
    edges.mkdir(exist_ok=True)
    for scan in dict.fromkeys(p.scan for p in results.provenance):
        arrays: dict[str, Any] = {}
        rows = zip(results.rows, results.provenance, strict=True)
        for k, (r, p) in enumerate(rows):
            if p.scan == scan:
                for n, edge in enumerate(r.geometry.edges):
                    arrays[f"{k}_{n}"] = edge.astype(np.float32)
        with replacing(edges / f"{plain_name(scan)}.npz", sync=False) as temporary:
            with temporary.open("wb") as file:
                np.savez_compressed(file, **arrays)
    return out


def to_csv(results: Results) -> str:
    """Give the table as text; numbers in full, nothing for what is not there."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(results.records())
    return text.getvalue()


def save_xlsx(results: Results, path: str | Path) -> Path:
    """Write a spreadsheet: values, one wide row per feature, and a chart per mean."""
    try:
        import xlsxwriter
    except ImportError:
        raise MeasureError(
            "Spreadsheets need XlsxWriter; install napari-sesami[xlsx], or use the CSV."
        ) from None
    path = Path(path)
    with replacing(path) as temporary:
        book = xlsxwriter.Workbook(str(temporary), {"nan_inf_to_errors": True})
        bold = book.add_format({"bold": True})
        sheet = book.add_worksheet("values")
        sheet.write_row(0, 0, COLUMNS, bold)
        for y, record in enumerate(results.records(), start=1):
            for x, value in enumerate(record.values()):
                if value not in (None, ""):
                    sheet.write(y, x, value)
        sheet.freeze_panes(1, 0)
        sheet.autofilter(0, 0, max(1, len(results)), len(COLUMNS) - 1)
        head, rows = wide_table(results)
        wide = book.add_worksheet("features")
        wide.write_row(0, 0, head, bold)
        for y, row in enumerate(rows, start=1):
            for x, value in enumerate(row):
                if value is not None:
                    wide.write(y, x, value)
        for x, title in enumerate(head[4:], start=4):
            if title.startswith("U "):
                continue
            chart = book.add_chart({"type": "line"})
            last = max(1, len(rows))
            chart.add_series({"name": title, "values": ["features", 1, x, last, x]})
            chart.set_legend({"none": True})
            chart.set_title({"name": title})
            place = (x - 4) // 2
            wide.insert_chart(len(rows) + 3 + 16 * (place // 3), 8 * (place % 3), chart)
        book.close()
    return path


def wide_table(results: Results) -> tuple[list[str], list[list[Any]]]:
    """Give one row per feature: scan, plane, name, number, then values and their U."""
    titles: dict[str, None] = {}
    rows: dict[tuple[str, int, str, int], dict[str, float]] = {}
    for r, p in zip(results.rows, results.provenance, strict=True):
        if not r.number or r.statistic not in ("value", "ratio"):
            continue
        depth = "" if r.at is None else f" {100 * r.at:g} %"
        title = f"{r.measurement} {r.zone}".strip() + depth
        title += f" ({r.unit})" if r.unit else ""
        row = rows.setdefault((p.scan, r.plane, r.feature, r.number), {})
        titles[title] = titles[f"U {title}"] = None
        if r.has_value:
            row[title], row[f"U {title}"] = r.value, r.U
    head = ["scan", "plane", "feature", "number", *titles]
    return head, [[*k, *(v.get(t) for t in titles)] for k, v in rows.items()]


def load_results(folder: str | Path) -> Results:
    """Read back what `save_results` wrote, from results.json."""
    path = Path(folder)
    path = path / "results.json" if path.is_dir() else path
    if not path.exists():
        raise MeasureError(f"{folder} holds no results.json; measure into it first.")
    try:
        return from_dict(read_checked(path, dict[str, Any], MeasureError))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MeasureError(f"{path} is damaged: {error}; measure again.") from None


def from_dict(data: Mapping[str, Any]) -> Results:
    """Take back what `Results.to_dict` gave."""
    if data.get("format") != "sesami-results":
        raise MeasureError("These are no results of sesami measure.")
    recipe = MeasureRecipe.loads(data["recipe"])
    limits = {m.name: m.limits for m in recipe.measure}
    rows, sources = [], []
    for r in data["results"]:
        g = r["geometry"]
        geometry = Geometry(
            tuple(np.array(e) for e in g["edges"]),
            tuple(np.array(e) for e in g["lines"]),
            (float(g["scale"][0]), float(g["scale"][1])),
            str(g["unit"]),
        )
        nan = float("nan")
        judged = any(r[k] is not None for k in ("lower", "target", "upper"))
        numbers: dict[str, Any] = {
            name: nan if r[name] is None else float(r[name])
            for name in ("value", "sigma_px", "cnr", "length", "step")
        }
        words: dict[str, Any] = {
            name: str(r[name])
            for name in (
                "measurement", "kind", "zone", "statistic", "unit", "status", "verdict",
                "feature", "edge",
            )
        }  # fmt: skip
        bars = {n: (float(u), float(d)) for n, (u, d) in r["budget"].items()}
        rows.append(
            Result(
                **words,
                **numbers,
                at=None if r["at"] is None else float(r["at"]),
                budget=ErrorBudget(bars),
                n=int(r["n"]),
                limits=limits.get(words["measurement"]) if judged else None,
                number=int(r["number"] or 0),
                row=-1 if r["row"] is None else int(r["row"]),
                column=-1 if r["column"] is None else int(r["column"]),
                plane=int(r["plane"]),
                geometry=geometry,
                profile=dict(r["profile"]),
            )
        )
        sources.append(Provenance(**{k: str(r.get(k) or "") for k in _OF_SCAN}))
    return Results(rows, recipe, sources, [str(f) for f in data["failures"]])


def plain_name(text: str) -> str:
    """Make a file name of a scan's name: nothing that a path could misread."""
    return re.sub(r"[^\w.\- ]", "_", text).strip(". ")[:120] or "scan"
