"""Volumes of stacked memory with all that a tomograph adds, against what was drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.lab.metrology.table_row import TableRow, row_of
from napari_sesami.lab.metrology.truth import measure_truth, nearest_truth
from napari_sesami.lab.scenes import hbm
from napari_sesami.measure import Recipe, measure

if TYPE_CHECKING:
    from napari_sesami.lab.scenes import Synthetic
    from napari_sesami.measure import Result

MEMORY = Recipe.loads(
    'format = "sesami-measure"\nversion = 1\nunit = "µm"\n'
    + "".join(
        f'[features.{name}]\nclass = "{class_}"\narea_px = [0, 1000000]\n'
        for name, class_ in (
            ("via", "TSV"),
            ("pillar", "Cu pillar"),
            ("pad", "Cu pad"),
            ("solder", "solder"),
        )
    )
    + "".join(
        f'[[measure]]\nname = "{kind}"\nkind = "{kind}"\n{fields}\n'
        for kind, fields in (
            ("via diameter", 'feature = "via"'),
            ("bump diameter", 'feature = "pillar"'),
            ("bump height", 'feature = "solder"'),
            ("gap", 'between = ["silicon", "underfill", "silicon"]'),
            ("misalignment", 'feature = "pillar"\nto = "pad"'),
        )
    )
)
BIAS = {"bump diameter": 0.5, "bump height": 0.3, "gap": 0.15}
"""µm that may be left; 0.1 where nothing else lies near."""
REACH = {"via diameter": 30.0, "bump diameter": 4.0, "bump height": 4.0}
WANTED = (
    ("via diameter", ""),
    ("bump diameter", ""),
    ("bump height", ""),
    ("gap", ""),
    ("misalignment", "dx"),
    ("misalignment", "dy"),
)


def volume_rows(n: int) -> list[TableRow]:
    """Measure drawn memories of 72 × 128 × 128 voxels of 1 µm, half of them cracked."""
    found: dict[tuple[str, str], tuple[list[Any], list[str]]] = {
        key: ([], []) for key in WANTED
    }
    for seed in range(max(2, n // 5)):
        scene = hbm(seed, (72, 128, 128), "memory", void_rate=0, crack_rate=0.25)
        r = measure(scene.scan(), scene.labels, scene.classes, MEMORY, planes=[])
        for kind, zone in WANTED:
            values, missed = found[kind, zone]
            for row in r[kind]:
                if not row.number or (row.zone != zone and row.has_value):
                    continue
                if row.status != "ok":
                    missed.append(row.status)
                    continue
                true = _truth(scene, row)
                if true is not None:
                    values.append((row.value - true, row.budget.standard, row.U))
    return [
        row_of(f"volume: {kind} {zone}".rstrip(), "µm", values,
               sum(m != "cut_off" for m in missed), (BIAS.get(kind, 0.1), 0.90, 1.0))
        for (kind, zone), (values, missed) in found.items()
    ]  # fmt: skip


def _truth(scene: Synthetic, row: Result) -> float | None:
    """What was drawn where a value was measured."""
    truth = measure_truth(scene, row.kind, row.zone)
    if row.kind == "gap":
        return truth[0].value
    points = [*row.geometry.lines, *row.geometry.edges]
    if not points:
        return None
    y, x = np.concatenate(points).mean(0)
    near = nearest_truth(truth, (row.plane, float(y), float(x)), REACH.get(row.kind, 6))
    return None if near is None else near.value
