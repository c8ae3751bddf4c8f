"""Dimensions from labels that a few strokes gave, as a user has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.lab.metrology.scenes import fins
from napari_sesami.lab.metrology.table_row import TableRow, row_of
from napari_sesami.measure import Recipe, measure

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sesami.lab.metrology.drawn import Drawn
    from napari_sesami.measure import Result

FIN = Recipe.loads(
    'format = "sesami-measure"\nversion = 1\n[features.fin]\nclass = "silicon"\n'
    + "".join(
        f'[[measure]]\nname = "{kind}"\nkind = "{kind}"\nfeature = "fin"\n'
        for kind in ("cd", "height", "angle")
    )
)
CNR = 8.0
STROKES = {"silicon": 3, "oxide": 2}
LONG, WIDE = 13, 3  # pixels of a stroke


def stroke_rows(n: int) -> list[TableRow]:
    """Label fins by five short strokes, let them spread, and measure."""
    from napari_sesami.session import Session

    found: dict[str, list[Any]] = {"cd": [], "height": [], "angle": []}
    missed = dict.fromkeys(found, 0)
    for seed in range(max(2, n // 6)):
        drawn = fins(seed).noisy(60 / CNR, seed)
        scan = drawn.scan(1.0, "nm")
        session = Session(scan)
        for name in drawn.classes:
            session.classes.add(name)
        session.paint(strokes_on(drawn, seed))
        labels = np.asarray(session.segment().labels)[0]
        for r in measure(scan, labels, drawn.classes, FIN):
            if r.statistic != "value" or not r.number:
                continue
            if r.status != "ok":
                missed[r.kind] += 1
                continue
            found[r.kind].append((r.value - _true(drawn, r), r.budget.standard, r.U))
    return [
        row_of(f"fin, labels from strokes: {kind}", "°" if kind == "angle" else "px",
               values, missed[kind], (0.1, 0.90, 1.0))
        for kind, values in found.items()
    ]  # fmt: skip


def strokes_on(drawn: Drawn, seed: int) -> NDArray[np.uint8]:
    """Draw short upright strokes at chance places of each class."""
    ink = np.zeros_like(drawn.labels)
    rng = np.random.default_rng(seed)
    for name, count in STROKES.items():
        own = drawn.labels == drawn.classes[name]
        rows, columns = np.nonzero(own)
        for k in rng.integers(rows.size, size=count):
            y, x = int(rows[k]) - LONG // 2, int(columns[k]) - WIDE // 2
            part = np.s_[max(0, y) : y + LONG, max(0, x) : x + WIDE]
            ink[part][own[part]] = drawn.classes[name]
    return ink


def _true(drawn: Drawn, r: Result) -> float:
    """The dimension of the fin that a value was measured on."""
    points = np.concatenate([*r.geometry.lines, *r.geometry.edges])
    k = int(np.argmin(np.abs(drawn.truth["middle"] - points[:, 1].mean())))
    if r.kind == "cd":
        return float(drawn.truth["cd"][k][(0.1, 0.5, 0.9).index(r.at or 0)])
    return float(drawn.truth[r.kind][k])
