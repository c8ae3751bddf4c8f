"""What is handed on: a table, JSON, and the KLARF with its class numbers."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.classify.defect import VIEWS
from napari_sesami.classify.errors import ClassifyError
from napari_sesami.classify.features import prepared
from napari_sesami.classify.picture import PictureReader
from napari_sesami.common.cancel import check_cancelled
from napari_sesami.common.disk import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from napari_sesami.classify.decide import Decisions
    from napari_sesami.classify.lot import Lot

COLUMNS = (
    "id", "lot", "wafer", "x_um", "y_um", "class", "by", "confidence", "novelty",
    "suggested", "why", "label", "labelled_by", "high", "low", "template",
)  # fmt: skip


def rows_of(lot: Lot, decisions: Decisions) -> list[dict[str, Any]]:
    """Give one row per defect, in the order of the lot."""
    _same(lot, decisions)
    rows = []
    for k, defect in enumerate(lot.defects):
        x, y = defect.xy or (None, None)
        rows.append(
            {
                "id": defect.id, "lot": defect.lot, "wafer": defect.wafer,
                "x_um": x, "y_um": y, "class": decisions.classes[k],
                "by": decisions.by[k], "confidence": float(decisions.confidence[k]),
                "novelty": float(decisions.novelty[k]),
                "suggested": decisions.suggested[k],
                "why": decisions.reasons[k], "label": defect.label,
                "labelled_by": defect.labelled_by or None,
                **{
                    view: None if picture is None else _where(picture)
                    for view in ("high", "low", "template")
                    for picture in [defect.picture(view)]
                },
            }
        )  # fmt: skip
    return rows


def save_csv(path: Path, lot: Lot, decisions: Decisions) -> Path:
    """Write a table; a spreadsheet opens it with any alphabet."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows_of(lot, decisions):
        row["confidence"] = f"{row['confidence']:.4f}"
        row["novelty"] = f"{row['novelty']:.4f}"
        writer.writerow({k: _no_formula(v) for k, v in row.items()})
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, text.getvalue().encode("utf-8-sig"))
    return path


def save_json(path: Path, lot: Lot, decisions: Decisions) -> Path:
    """Write defects, thresholds, counts and where the answers come from."""
    data = {
        "format": "sesami-defect-classes-1",
        "purity": decisions.purity,
        "provenance": decisions.provenance,
        "thresholds": {
            name: {
                # no threshold holds the wished purity
                "confidence": t.confidence if t.of else None,
                "right": t.right, "of": t.of, "purity": t.purity,
            }
            for name, t in decisions.thresholds.items()
        },
        "counts": [[name, n] for name, n in decisions.counts().items()],
        "broken": {decisions.ids[k]: why for k, why in decisions.broken.items()},
        "defects": rows_of(lot, decisions),
    }  # fmt: skip
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, indent=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, text.encode())
    return path


def save_folder(
    lot: Lot, folder: Path, labels: Mapping[str, str | None], ids: Iterable[str]
) -> list[str]:
    """Write defects as a folder with a table that `open_lot` opens.

    Pictures are written as encoders see them; defects with a picture that cannot be
    read are left out. Gives the names of those that were written.
    """
    import tifffile

    folder.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", *VIEWS, "label", "lot", "wafer", "x", "y"])
    written = []
    with PictureReader() as reader:
        for number, name in enumerate(ids):
            check_cancelled()
            defect = lot.defects[lot.position(name)]
            there = {v: p for v in VIEWS if (p := defect.picture(v)) is not None}
            try:
                greys = {v: prepared(reader.read(p)) for v, p in there.items()}
            except ClassifyError:
                continue
            files = dict.fromkeys(VIEWS, "")
            for view, grey in greys.items():
                files[view] = f"{number}_{view}.tif"
                whole = (np.clip(grey, 0, 1) * 65535 + 0.5).astype(np.uint16)
                tifffile.imwrite(folder / files[view], whole)
            writer.writerow(
                [name, *files.values(), labels.get(name) or "", defect.lot,
                 defect.wafer, *(defect.xy or ("", ""))]
            )  # fmt: skip
            written.append(name)
    write_atomic(folder / "defects.csv", text.getvalue().encode("utf-8-sig"))
    return written


def save_klarf(
    path: Path,
    lot: Lot,
    decisions: Decisions,
    numbers: Mapping[str, int] | None = None,
    *,
    unknown: int | None = None,
    add_classes: bool = False,
) -> Path:
    """Write the KLARF again with other class numbers; see `Lot.save_klarf`.

    Raises
    ------
    ClassifyError
        The lot is not of one KLARF, a class has no number, or the file would be
        written over the one it comes from.
    """
    _same(lot, decisions)
    if lot.klarf is None:
        raise ClassifyError(
            f"{lot.name} was not opened from one KLARF, so there is none to write back "
            "to; write a table, or open the KLARFs one by one."
        )
    if path.exists() and path.samefile(lot.klarf.path):
        raise ClassifyError(
            f"{path} is the file that was opened; give another name, so that what the "
            "inspection wrote stays."
        )
    known = {name.casefold(): n for n, name in lot.klarf.lookup.items()}
    given = {name.casefold(): n for name, n in (numbers or {}).items()}
    book = {c.name.casefold(): c.number for c in lot.classes if c.number is not None}
    table = book | known | given
    used = dict.fromkeys(name for name in decisions.classes if name is not None)
    missing = [name for name in used if name.casefold() not in table]
    added: dict[int, str] = {}
    if missing and add_classes:
        taken = {*table.values(), 0}
        for name in missing:
            number = max(taken) + 1
            taken.add(number)
            table[name.casefold()], added[number] = number, name
    elif missing:
        raise ClassifyError(
            f"{lot.klarf.path.name} has no number for {', '.join(missing)}; give them "
            f"(--number {missing[0]}=17), or let lines be added to its ClassLookup "
            "(--add-classes)."
        )
    changed = {}
    for k, decided in enumerate(decisions.classes):
        if decided is not None:
            changed[k] = table[decided.casefold()]
        elif unknown is not None:
            changed[k] = unknown
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, lot.klarf.with_classes(changed, added))
    return path


def _same(lot: Lot, decisions: Decisions) -> None:
    if decisions.ids != [d.id for d in lot.defects]:
        raise ClassifyError(
            f"These decisions are of another lot than {lot.name}; decide it first."
        )


def _where(picture: Any) -> str:
    page = "" if picture.page is None else f" page {picture.page + 1}"
    box = "" if picture.box is None else " box {} {} {} {}".format(*picture.box)
    return f"{picture.file}{page}{box}"


def _no_formula(value: Any) -> Any:
    """Keep spreadsheets from taking a name for a formula."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t")):
        return f"'{value}"
    return value
