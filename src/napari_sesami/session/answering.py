"""What an answer writes: strokes and labels in free pixels of a region."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sesami.session.ranking import Source
    from napari_sesami.session.session import Session
    from napari_sesami.suggest import Query

WHOLE = ("superpixel", "mask")  # kinds of regions that have one class
RIM = 12  # the rim of a region is this part of its side
LEAST_CORE = 0.4  # of its pixels


def write(
    session: Session, query: Query, crop: NDArray[np.uint8], teach: bool = True
) -> None:
    """Write classes (h, w) into free pixels of a region.

    Strokes teach; a whole slice would be too many of them and becomes labels, and so
    does what must not teach. A mask of the prompt model becomes an object, too.
    """
    y0, x0, y1, x1 = query.bbox
    corner, box = (y0, x0), np.s_[y0:y1, x0:x1]
    if query.kind == "slice" or not teach:
        there = session.labels_plane(query.plane)[box]
        session.write_labels(np.where(there > 0, there, crop), query.plane, at=corner)
        return
    there = session.strokes_plane(query.plane)[box]
    session.paint(np.where(there > 0, 0, crop), query.plane, at=corner)
    free = session.labels_plane(query.plane)[box] == 0
    if query.kind == "mask" and (free & (crop > 0)).any():
        full = np.zeros(session.scan.plane_shape, bool)
        full[box] = crop > 0
        session.commit(full, int(crop.max()), query.plane, overlap="free")


def core(query: Query) -> NDArray[np.bool_]:
    """The region without its rim, whose pixels may belong to the neighbours (h, w).

    Borders of superpixels are right to a pixel or two. Small and thin regions, patches
    and slices are taken whole.
    """
    mask = query.mask
    if query.kind not in WHOLE:
        return mask
    from scipy.ndimage import binary_erosion

    steps = round(float(np.sqrt(mask.sum())) / RIM)
    if steps < 1:
        return mask
    inner = binary_erosion(np.pad(mask, 1), iterations=steps)[1:-1, 1:-1]
    return inner if inner.sum() >= LEAST_CORE * mask.sum() else mask


def strokes_in(session: Session, query: Query) -> int:
    """How many strokes, or labelled areas, a region holds."""
    from skimage.measure import label

    y0, x0, y1, x1 = query.bbox
    found = 0
    for plane in (session.strokes_plane, session.labels_plane):
        own = np.where(query.mask, plane(query.plane)[y0:y1, x0:x1], 0)
        found = max(found, int(label(own, background=0, connectivity=2).max()))
    return found


def proposed(
    session: Session, query: Query, source: Source | None, zoom: float | None
) -> NDArray[np.uint8]:
    """What the pixels of a region look like, as class ids (h, w)."""
    y0, x0, y1, x1 = query.bbox
    if query.kind in WHOLE:
        return np.where(query.mask, query.class_id, 0).astype(np.uint8)
    if source is not None:
        labels = source(query.plane)[0].argmax(-1) + 1
    else:
        labels = session.segment(query.plane, zoom=zoom).labels[0]
    crop = labels[y0:y1, x0:x1].astype(np.uint8)
    known = np.isin(crop, list(session.classes.ids)) & query.mask
    return np.where(known, crop, 0).astype(np.uint8)
