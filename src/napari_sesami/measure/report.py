"""The report of a measurement: one HTML file, no script, nothing from elsewhere."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.measure.budget import SCOPES, stated
from napari_sesami.measure.kinds import KINDS
from napari_sesami.measure.plots import budget_bar, curve, histogram
from napari_sesami.measure.results import STATUSES, Result, Results

if TYPE_CHECKING:
    from collections.abc import Iterable

STYLE = """
body{font:14px/1.45 system-ui,sans-serif;max-width:1000px;margin:2em auto;color:#222}
table{border-collapse:collapse;width:100%;margin:.5em 0 1.5em}
th,td{padding:.25em .6em;border-bottom:1px solid #ddd;text-align:left}
td.n{text-align:right;font-variant-numeric:tabular-nums}
.pass{color:#007a4d}.fail{color:#b3261e;font-weight:600}.undecided{color:#9a6700}
.bad{color:#777}h2{border-bottom:2px solid #444;margin-top:2em}
figure{display:inline-block;margin:0 1em 1em 0;vertical-align:top}
figcaption{font-size:12px;color:#555}img{max-width:100%}
@media print{body{margin:0;max-width:none}section{break-inside:avoid}}
"""
MOST_ROWS = 400


def report_html(results: Results, pictures: dict[str, str] | None = None) -> str:
    """Give the report; `pictures` are data addresses of overlays by scan."""
    recipe = results.recipe
    parts = [f"<h1>{escape(recipe.name)}</h1>", _head(results)]
    if results.failures:
        items = "".join(f"<li>{escape(f)}</li>" for f in results.failures)
        parts.append(f"<h2>Missing</h2><ul class=fail>{items}</ul>")
    for m in recipe.measure:
        rows = [r for r in results.rows if r.measurement == m.name]
        if rows:
            parts.append(_section(rows))
    for name, address in (pictures or {}).items():
        parts.append(
            f"<figure><img src='{address}' alt='edges and dimension lines'>"
            f"<figcaption>{escape(name)}</figcaption></figure>"
        )
    parts.append(f"<h2>Recipe</h2><pre>{escape(recipe.to_toml())}</pre>")
    body = "\n".join(parts)
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        f"<title>{escape(recipe.name)}</title><style>{STYLE}</style></head>"
        f"<body>{body}</body></html>"
    )


def _head(results: Results) -> str:
    sources = list(dict.fromkeys(results.provenance))
    scans = list(dict.fromkeys(p.scan for p in sources))
    counts = results.counts()
    words = ", ".join(f"{n} {escape(word)}" for word, n in counts.items())
    known = results.recipe.scale
    scale = (
        f"pixel size known to {100 * known.u_rel:g} % "
        f"({escape(known.source or 'recipe')})"
        if known.u_rel is not None
        else "<b>the error of the pixel size is not included</b>"
    )
    rows = "".join(
        f"<tr><td>{escape(p.scan)}<td>{escape(' '.join((p.lot, p.wafer, p.site)))}"
        f"<td>{escape(p.pixel_size)} {escape(p.pixel_unit)} ({escape(p.pixel_source)})"
        f"<td><code>{p.scan_hash[:10]}</code><td>{escape(p.labels_source)} "
        f"<code>{p.labels_hash[:10]}</code></tr>"
        for p in sources[:MOST_ROWS]
    )
    first = sources[0] if sources else None
    when = (
        f"{first.measured_at}, napari-sesami {first.version}, recipe " if first else ""
    )
    return (
        f"<p>{len(scans)} scans; {words}. U covers 95 %; {scale}.<br>{escape(when)}"
        f"<code>{results.recipe.hash}</code></p><table><tr><th>scan<th>lot, wafer, site"
        f"<th>pixel<th>content<th>labels</tr>{rows}</table>"
    )


def _section(rows: list[Result]) -> str:
    """One quantity: its definition, means, values, curves."""
    first = rows[0]
    about = KINDS[first.kind].definition if first.kind in KINDS else ""
    if first.edge != "50 %":
        about += f"; edges by the method “{first.edge}”, so the value depends on it"
    means = [r for r in rows if r.statistic != "value"]
    values = [r for r in rows if r.statistic == "value"]
    parts = [f"<section><h2>{escape(first.measurement)}</h2><p>{escape(about)}</p>"]
    if means:
        parts.append(_table(means))
    groups: dict[tuple[str, float | None], list[Result]] = {}
    for r in values:
        groups.setdefault((r.zone, r.at), []).append(r)
    for (zone, at), members in groups.items():
        good = [r.value for r in members if r.has_value]
        title = " ".join(
            w for w in (zone, "" if at is None else f"at {100 * at:g} %") if w
        )
        if len(good) >= 5:
            svg = histogram(np.array(good), members[0].unit, members[0].limits)
            parts.append(f"<figure>{svg}<figcaption>{escape(title)}</figure>")
    for r in rows:
        if "thickness" in r.profile:
            svg = curve(r.profile["s"], r.profile["thickness"], r.U)
            name = f"{r.zone} of {r.feature} {r.number}" if r.number else r.zone
            parts.append(f"<figure>{svg}<figcaption>{escape(name)}: t(s)</figure>")
            if parts.count(svg) or len(parts) > 14:
                break
        elif "psd" in r.profile:
            svg = curve(
                r.profile["f"][1:], r.profile["psd"][1:], fit=r.profile["fit"][1:],
                logarithmic=True,
            )  # fmt: skip
            parts.append(f"<figure>{svg}<figcaption>PSD and its fit</figure>")
    if values:
        parts.append(_table(values[:MOST_ROWS]))
        if len(values) > MOST_ROWS:
            parts.append(f"<p>… {len(values) - MOST_ROWS} more in results.csv</p>")
    return "".join(parts) + "</section>"


def _table(rows: Iterable[Result]) -> str:
    lines = []
    for r in rows:
        name = f"{r.feature} {r.number}" if r.number else r.statistic
        depth = "" if r.at is None else f"{100 * r.at:g} %"
        if r.has_value:
            bar = r.U if math.isfinite(r.U) else 0.0
            value = stated(r.value, bar, r.unit, r.budget.k)
        else:
            value = f"{r.status}: {STATUSES.get(r.status, '')}"
        tip = ", ".join(f"{k} {r.budget.u(k):.3g}" for k in SCOPES if r.budget.u(k))
        lines.append(
            f"<tr{'' if r.has_value else ' class=bad'}><td>{escape(name)}"
            f"<td>{escape(r.zone)}<td>{depth}<td class=n title='{escape(tip)}'>"
            f"{escape(value)}<td>{budget_bar(r.budget)}<td class=n>{r.n or ''}"
            f"<td class='{r.verdict}'>{r.verdict}</tr>"
        )
    return (
        "<table><tr><th>of<th>zone<th>at<th>value ± U<th>budget<th>n<th>verdict</tr>"
        + "".join(lines)
        + "</table>"
    )
