"""Defects of a labelled scan: boxes, or the separate objects of a picture of labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.classify.defect import Defect
from napari_sesami.classify.errors import ClassifyError
from napari_sesami.classify.picture import DefectPicture
from napari_sesami.classify.sources.deeppcb import around

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from napari_sesami.classify.picture import Box
    from napari_sesami.scan import Scan

WIDER = 3.5
"""The low picture is so many times wider than the high one."""
LEAST = 48
"""Side of a cut at least, pixels."""
MARGIN = 1.6
"""A cut is so much wider than the box."""


def defects_of_boxes(
    scan: Scan,
    boxes: Sequence[Box],
    labels: Sequence[str | None] | None = None,
    plane: int = 0,
) -> list[Defect]:
    """Cut a defect around every box (y0, x0, y1, x1) of one plane.

    Raises
    ------
    ClassifyError
        There are more or fewer labels than boxes, or a box is empty or outside.
    """
    if labels is not None and len(labels) != len(boxes):
        raise ClassifyError(
            f"{len(boxes)} boxes and {len(labels)} labels were given; give one each."
        )
    height, width = scan.plane_shape
    yx = scan.axes.index("y")
    nm = None
    size, unit = scan.pixel_size[yx : yx + 2], scan.units[yx : yx + 2]
    if size[0] is not None and size[0] == size[1]:
        from napari_sesami.scan import LENGTHS

        if unit[0] in LENGTHS:
            nm = size[0] * LENGTHS[unit[0]] / LENGTHS["nm"]
    defects = []
    for k, (y0, x0, y1, x1) in enumerate(boxes):
        if y1 <= max(0, y0) or x1 <= max(0, x0) or y0 >= height or x0 >= width:
            raise ClassifyError(
                f"Box {k + 1} ({y0}, {x0}, {y1}, {x1}) is empty or outside of "
                f"{scan.name}."
            )
        middle = (y0 + y1) // 2, (x0 + x1) // 2
        side = max(LEAST, int(MARGIN * max(y1 - y0, x1 - x0)))
        label = None if labels is None else labels[k]
        high, low = (
            DefectPicture(scan=scan, plane=plane, box=around(middle, s), nm=nm)
            for s in (side, int(WIDER * side))
        )
        defects.append(
            Defect(
                f"{scan.name}-{plane}-{k + 1}", high, low, lot=scan.name,
                wafer=f"{scan.name} {plane}", label=label,
                labelled_by="file" if label else "",
            )
        )  # fmt: skip
    return defects


def defects_of_labels(
    scan: Scan, labels: NDArray, names: Mapping[int, str], plane: int = 0
) -> list[Defect]:
    """Take every separate object of the named classes as a defect of that class.

    Raises
    ------
    ClassifyError
        The labels are not of the size of the plane.
    """
    from scipy.ndimage import find_objects, label

    plain = np.asarray(labels)
    if plain.shape != scan.plane_shape:
        raise ClassifyError(
            f"The labels are {plain.shape}, the scan is {scan.plane_shape}; give those "
            "of this plane."
        )
    boxes: list[Box] = []
    given: list[str | None] = []
    for number, name in names.items():
        objects, _ = label(plain == number, np.ones((3, 3)))
        for rows, columns in find_objects(objects):
            boxes.append((rows.start, columns.start, rows.stop, columns.stop))
            given.append(name)
    return defects_of_boxes(scan, boxes, given, plane)
