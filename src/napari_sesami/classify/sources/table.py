"""A folder of pictures, with a table (CSV) that names them or by their own names."""

from __future__ import annotations

import csv
import io
import os
import re
from typing import TYPE_CHECKING

from napari_sesami.classify.defect import VIEWS, Defect
from napari_sesami.classify.errors import ClassifyError
from napari_sesami.classify.picture import DefectPicture
from napari_sesami.scan import readable_extensions

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

COLUMNS = {
    "high": ("high", "image", "picture", "file", "filename", "path"),
    "low": ("low",),
    "template": ("template", "reference", "golden"),
    "id": ("id", "defect", "defectid", "name"),
    "label": ("label", "class", "classname"),
    "lot": ("lot", "lotid"),
    "wafer": ("wafer", "waferid"),
    "x": ("x", "x_um"),
    "y": ("y", "y_um"),
    "nm_high": ("nm_high", "nm"),
    "nm_low": ("nm_low",),
    "nm_template": ("nm_template",),
    "by": ("by", "labelled_by"),
}
"""What is read of a table, and the headings that it is found under."""
MOST_BYTES = 2**30
_VIEW = re.compile(rf"^(.+?)[_\-. ]({'|'.join(VIEWS)}|temp|test)$", re.IGNORECASE)


def defects_of_table(path: Path) -> tuple[list[Defect], list[str]]:
    """Read a CSV whose pictures are named relative to its folder; give what is amiss.

    Raises
    ------
    ClassifyError
        It cannot be read, or has no column with pictures.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ClassifyError(f"{path} is larger than a table can be.")
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ClassifyError(
            f"{path} is not UTF-8; save the table as “CSV UTF-8” and try again."
        ) from None
    except OSError as error:
        why = error.strerror or error
        raise ClassifyError(f"{path} cannot be read ({why}).") from error
    head = text.split("\n", 1)[0]
    apart = max(",;\t", key=head.count)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=apart))
    except csv.Error as error:
        raise ClassifyError(f"{path} is no table ({error}).") from None
    titles = [t.strip().lower().replace(" ", "_") for t in rows[0]] if rows else []
    at = {
        what: titles.index(name)
        for what, names in COLUMNS.items()
        for name in names
        if name in titles
    }
    if not at.keys() & {"high", "low"}:
        raise ClassifyError(
            f"{path.name} needs a column high (or image) with the names of pictures; "
            f"it has {', '.join(titles) or 'none'}."
        )
    folder, problems, defects = path.parent, [], []
    seen: dict[str, int] = {}
    for number, row in enumerate(rows[1:], start=2):
        if not any(row):
            continue
        told = {k: row[i].strip() for k, i in at.items() if i < len(row)}
        name = told.get("id") or _stem(told.get("high") or told.get("low") or "")
        seen[name] = seen.get(name, 0) + 1
        try:
            pictures = {
                view: DefectPicture(told[view], folder, nm=_number(told, f"nm_{view}"))
                for view in VIEWS
                if told.get(view)
            }
            x, y = _number(told, "x"), _number(told, "y")
        except ValueError:
            problems.append(f"Line {number} of {path.name} has a word for a number")
            continue
        defects.append(
            Defect(
                name if seen[name] == 1 else f"{name}-{seen[name]}",
                lot=told.get("lot", ""), wafer=told.get("wafer", ""),
                xy=None if x is None or y is None else (x, y),
                label=told.get("label") or None,
                labelled_by=(told.get("by") or "file") if told.get("label") else "",
                high=pictures.get("high"), low=pictures.get("low"),
                template=pictures.get("template"),
            )
        )  # fmt: skip
    repeated = sum(n > 1 for n in seen.values())
    if repeated:
        problems.append(f"{repeated} names are given more than once in {path.name}")
    missing = _missing(folder, defects)
    if missing:
        problems.append(f"{missing} pictures that {path.name} names are missing")
    return defects, problems


def defects_of_folder(folder: Path) -> list[Defect]:
    """Take each picture of a folder for a defect; names ending in a view are one.

    `17_low.png` and `17_high.png` belong together; a folder in the folder is a class.
    """
    endings = set(readable_extensions())
    found: dict[tuple[str, str], Defect] = {}
    for label, place in [("", folder), *_classes(folder)]:
        for name in sorted(os.listdir(place), key=_natural):
            stem, ending = os.path.splitext(name)
            if ending.lower() not in endings or name.startswith("."):
                continue
            hit = _VIEW.match(stem)
            own, view = (hit[1], hit[2].lower()) if hit else (stem, "high")
            view = {"temp": "template", "test": "high"}.get(view, view)
            file = f"{label}/{name}" if label else name
            defect = found.setdefault(
                (label, own),
                Defect(
                    f"{label}/{own}" if label else own, label=label or None,
                    labelled_by="file" if label else "",
                ),
            )  # fmt: skip
            setattr(defect, view, DefectPicture(file, folder))
    return [d for d in found.values() if d.high is not None or d.low is not None]


def tables_of(folder: Path) -> list[Path]:
    """Tables of a folder, `defects.csv` first."""
    found = sorted(folder.glob("*.csv"))
    return sorted(found, key=lambda path: path.name.lower() != "defects.csv")


def _classes(folder: Path) -> Iterable[tuple[str, Path]]:
    with os.scandir(folder) as entries:
        names = sorted(
            e.name for e in entries
            if e.is_dir(follow_symlinks=False) and not e.name.startswith(".")
        )  # fmt: skip
    return [(name, folder / name) for name in names]


def _missing(folder: Path, defects: list[Defect]) -> int:
    """Count named files that are not there, by listing each folder once."""
    there: dict[str, set[str]] = {}
    missing = 0
    for defect in defects:
        for view in VIEWS:
            picture = defect.picture(view)
            if picture is None:
                continue
            place, _, name = picture.file.replace("\\", "/").rpartition("/")
            if place not in there:
                try:
                    # who leads out of the folder is refused when it is read
                    outside = place.startswith("/") or ".." in place.split("/")
                    names = [] if outside else os.listdir(folder / place)
                except OSError:
                    names = []
                there[place] = set(names)
            missing += name not in there[place]
    return missing


def _number(told: dict[str, str], what: str) -> float | None:
    text = told.get(what)
    return float(text.replace(",", ".")) if text else None


def _stem(name: str) -> str:
    return os.path.splitext(name.replace("\\", "/").rpartition("/")[2])[0]


def _natural(name: str) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", name.lower())
    return [(1, int(p), "") if p.isdigit() else (0, 0, p) for p in parts]
