"""The committed objects as a table: size with unit, place, score."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.common.disk import write_atomic
from napari_sesami.session.errors import SessionError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from napari_sesami.session.committed import CommittedObject
    from napari_sesami.session.document import Document


@dataclass(frozen=True)
class ObjectRow:
    """One object.

    Attributes
    ----------
    id, class_name
        Of the object.
    plane, y, x
        Its first plane, and the middle of its box there, in data pixels.
    planes
        In how many planes it is.
    pixels
        Of all its planes.
    size, unit
        Area of a picture ("nm²") or, with a known distance of the slices, volume of a
        stack ("µm³"); None and "" where the pixel size is not known.
    score
        The least score of its parts; None where no model made any.
    instance
        Whether it is one thing, not just some of a material.
    """

    id: int
    class_name: str
    plane: int
    y: float
    x: float
    planes: int
    pixels: int
    size: float | None
    unit: str
    score: float | None
    instance: bool


def object_rows(
    document: Document, objects: Iterable[CommittedObject]
) -> list[ObjectRow]:
    """List objects; their pixels are counted inside of their boxes."""
    factor, unit = _measure(document)
    names = {entry.id: entry.name for entry in document.classes}
    layer = document.work.layers["objects"]
    rows = []
    for found in objects:
        pixels = 0
        for plane, part in found.parts.items():
            y0, x0, y1, x1 = part.bbox
            pixels += int(np.count_nonzero(layer.read(plane)[y0:y1, x0:x1] == found.id))
        y0, x0, y1, x1 = found.bbox
        scores = [p.score for p in found.parts.values() if p.score is not None]
        rows.append(
            ObjectRow(
                found.id,
                names.get(found.class_id, str(found.class_id)),
                found.plane,
                (y0 + y1 - 1) / 2,
                (x0 + x1 - 1) / 2,
                len(found.parts),
                pixels,
                None if factor is None else pixels * factor,
                unit,
                min(scores, default=None),
                found.instance,
            )
        )
    return rows


def _measure(document: Document) -> tuple[float | None, str]:
    """Size of one pixel or voxel, and its unit; None where a length is not known."""
    scan = document.scan
    axes = [i for i, axis in enumerate(scan.axes) if axis in "zyx"]
    sizes = [scan.pixel_size[i] for i in axes]
    units = {scan.units[i] for i in axes}
    if None in sizes or len(units) != 1 or None in units:
        return None, ""
    power = {2: "²", 3: "³"}[len(axes)]
    return float(np.prod([float(s) for s in sizes if s is not None])), (
        f"{units.pop()}{power}"
    )


def write_rows(rows: list[ObjectRow], path: Path) -> Path:
    """Write the rows as CSV; the unit stands in the header, once."""
    if not rows:
        raise SessionError("There are no objects to write yet; commit some first.")
    unit = rows[0].unit
    head = "volume" if unit.endswith("³") else "area"
    text = io.StringIO(newline="")
    size = f"{head} ({unit})" if unit else f"{head} (unknown pixel size)"
    out = csv.writer(text)
    out.writerow(
        (
            "id",
            "class",
            "plane",
            "y_px",
            "x_px",
            "planes",
            "pixels",
            size,
            "score",
            "kind",
        )
    )
    for row in rows:
        out.writerow(
            (
                row.id,
                row.class_name,
                row.plane,
                f"{row.y:g}",
                f"{row.x:g}",
                row.planes,
                row.pixels,
                "" if row.size is None else f"{row.size:.6g}",
                "" if row.score is None else f"{row.score:.3f}",
                "thing" if row.instance else "material",
            )
        )
    write_atomic(path, text.getvalue().encode("utf-8"))
    return path
