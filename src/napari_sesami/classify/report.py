"""The report of a lot: one HTML file to print, no script, nothing from elsewhere."""

from __future__ import annotations

import base64
import io
import math
from html import escape
from typing import TYPE_CHECKING

from napari_sesami.classify.decide import REASONS, share_text
from napari_sesami.classify.features import thumbnail
from napari_sesami.classify.picture import PictureReader

if TYPE_CHECKING:
    from napari_sesami.classify.confusion import ConfusionMatrix
    from napari_sesami.classify.decide import Decisions
    from napari_sesami.classify.defect import Defect
    from napari_sesami.classify.lot import Lot

STYLE = """
body{font:14px/1.45 system-ui,sans-serif;max-width:1000px;margin:2em auto;color:#222}
table{border-collapse:collapse;margin:.5em 0 1.5em}
th,td{padding:.25em .6em;border-bottom:1px solid #ddd;text-align:left}
td.n{text-align:right;font-variant-numeric:tabular-nums}
td.m{text-align:center;min-width:2.2em;border:1px solid #ddd}
h2{border-bottom:2px solid #444;margin-top:2em}
figure{display:inline-block;margin:0 .8em .8em 0;vertical-align:top;width:210px}
figure img{width:100px;image-rendering:auto}figcaption{font-size:11px;color:#555}
.bar{display:inline-block;height:.8em;background:#0072B2}
@media print{body{margin:0;max-width:none;-webkit-print-color-adjust:exact;
print-color-adjust:exact}section{break-inside:avoid}}
"""
EXAMPLES = 4
MOST_BROKEN = 50
SIDE = 100


def report_html(
    lot: Lot, decisions: Decisions, matrix: ConfusionMatrix | None = None
) -> str:
    """Give the report.

    Parameters
    ----------
    lot
        The defects.
    decisions
        Of this lot.
    matrix
        Of the labels that the decisions rest on, each judged without its own lot.
    """
    title = f"Defect classes of {lot.name}"
    parts = [f"<h1>{escape(title)}</h1><p>{escape(decisions.sentence)}</p>"]
    if lot.problems or decisions.broken:
        broken = [
            f"{decisions.ids[k]}: {why}"
            for k, why in list(decisions.broken.items())[:MOST_BROKEN]
        ]
        items = "".join(f"<li>{escape(p)}</li>" for p in [*lot.problems, *broken])
        more = len(decisions.broken) - len(broken)
        parts.append(
            f"<h2>Amiss</h2><ul>{items}</ul>"
            + (f"<p>… {more} more" if more > 0 else "")
        )
    parts.append(_counts(decisions))
    if matrix is not None:
        parts.append(_matrix(matrix))
    parts.append(_examples(lot, decisions))
    rows = "".join(
        f"<tr><td>{escape(k)}<td>{escape(v)}</tr>"
        for k, v in decisions.provenance.items()
    )
    parts.append(
        f"<section><h2>Where it comes from</h2><table>{rows}</table></section>"
    )
    body = "\n".join(parts)
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
        f"<body>{body}</body></html>"
    )


def _counts(decisions: Decisions) -> str:
    counts = decisions.counts()
    most = max(counts.values(), default=1)
    rows = []
    for name, n in counts.items():
        threshold = decisions.thresholds.get(name or "")
        if name is None:
            why = {r: decisions.reasons.count(r) for r in REASONS if r}
            told = ", ".join(f"{n} {r}" for r, n in why.items() if n)
            cells = f"<td colspan=2>{escape(told)}"
        elif threshold is None or math.isinf(threshold.confidence):
            cells = "<td>–<td>not decided by machine: the labels do not show the purity"
        else:
            cells = (
                f"<td class=n>{threshold.confidence:.3f}"
                f"<td>{share_text(threshold.right, threshold.of)}"
            )
        machine = sum(
            c == name and by == "machine"
            for c, by in zip(decisions.classes, decisions.by, strict=True)
        )
        rows.append(
            f"<tr><td>{escape(name or 'unknown')}<td class=n>{n}<td class=n>{machine}"
            f"<td><span class=bar style='width:{160 * n / most:.0f}px'></span>{cells}"
            "</tr>"
        )
    return (
        "<section><h2>Classes</h2><table><tr><th>class<th>defects<th>by machine<th>"
        "<th>from confidence<th>right among held-out labels at that confidence</tr>"
        + "".join(rows)
        + "</table></section>"
    )


def _matrix(matrix: ConfusionMatrix) -> str:
    counts = matrix.counts
    unknown = counts[:, -1].any()
    columns = len(matrix.names) + bool(unknown)
    heads = [*matrix.names, "unknown"][:columns]
    head = "".join(f"<th>{escape(n)}" for n in heads)
    rows = []
    for k, name in enumerate(matrix.names):
        total = max(1, counts[k].sum())
        cells = ""
        for j in range(columns):
            share = counts[k, j] / total
            tone = "0,114,178" if j == k else "213,94,0"
            cells += (
                f"<td class=m style='background:rgba({tone},{0.75 * share:.2f})'>"
                f"{counts[k, j] or ''}"
            )
        rows.append(
            f"<tr><th>{escape(name)}{cells}<td>{share_text(*matrix.accuracy(k))}"
            f"<td>{share_text(*matrix.purity(k))}</tr>"
        )
    return (
        "<section><h2>Confusion of held-out labels</h2><p>Rows: what people said; "
        "columns: what heads say that never saw the lot (or the wafer, or the defect) "
        f"of the label. Right: {share_text(matrix.right, len(matrix.truth))}, of those "
        f"decided {share_text(matrix.right, matrix.decided)}; macro F1 "
        f"{matrix.macro_f1:.3f}.</p><table><tr><th>{head}<th>accuracy<th>purity</tr>"
        + "".join(rows)
        + "</table></section>"
    )


def _examples(lot: Lot, decisions: Decisions) -> str:
    reader = PictureReader()
    parts = ["<section><h2>Examples</h2>"]
    for name in decisions.counts():
        own = [k for k, c in enumerate(decisions.classes) if c == name]
        own.sort(key=lambda k: (-decisions.confidence[k], k))
        if name is None:  # the least sure ones tell most
            own.sort(key=lambda k: (decisions.confidence[k], k))
        shown = "".join(
            _figure(reader, lot.defects[k], decisions, k) for k in own[:EXAMPLES]
        )
        parts.append(f"<h3>{escape(name or 'unknown')}</h3>{shown}")
    reader.close()
    return "".join(parts) + "</section>"


def _figure(reader: PictureReader, defect: Defect, decisions: Decisions, k: int) -> str:
    from PIL import Image

    images = ""
    for picture in (defect.low, defect.high):
        small = thumbnail(reader, picture, 2 * SIDE)
        if small is None:
            continue
        data = io.BytesIO()
        Image.fromarray(small).save(data, "PNG", optimize=True)
        address = base64.b64encode(data.getvalue()).decode()
        images += f"<img src='data:image/png;base64,{address}' alt=''> "
    said = decisions.suggested[k]
    told = decisions.by[k]
    if told in ("machine", ""):
        told = f"{told or 'unknown'}, {said} {decisions.confidence[k]:.2f}"
    return (
        f"<figure>{images}<figcaption>{escape(defect.id)} ({escape(told)})"
        "</figcaption></figure>"
    )
