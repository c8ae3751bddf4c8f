"""What an edit changes, computed on crops, before anything is changed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi

from napari_sesami.common.box import around, box_of
from napari_sesami.project import Change, ObjectChange, PixelChange
from napari_sesami.session.committed import CommittedObject, Part
from napari_sesami.session.errors import SessionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from napari_sesami.common.box import BBox
    from napari_sesami.project import ScanLabels

OVERLAPS = ("overwrite", "keep", "free")
LEAST_LEFT = 0.3
"""Share of a part's pixels below which a commit over it leaves nothing of it: what
remains is a rim, and a rim counted as an object would falsify counts and training."""


def paint_strokes(
    work: ScanLabels,
    plane: int,
    corner: tuple[int, int],
    ids: NDArray[np.uint8],
    *,
    overlap: bool = False,
) -> list[Change]:
    """Lay strokes over those that are there; 0 leaves them.

    With `overlap` a class that was painted over stays below.
    """
    before = _crop(work, "strokes", plane, _box(corner, ids.shape))
    below = _crop(work, "below", plane, _box(corner, ids.shape))
    over = (ids > 0) & (ids != before)
    left = np.where(over, before if overlap else 0, below)
    changes = _diff("below", plane, corner, below, left)
    after = np.where(ids > 0, ids, before)
    return changes + _diff("strokes", plane, corner, before, after)


def erase_strokes(
    work: ScanLabels, plane: int, corner: tuple[int, int], where: NDArray[np.bool_]
) -> list[Change]:
    """Take strokes away."""
    before = _crop(work, "strokes", plane, _box(corner, where.shape))
    below = _crop(work, "below", plane, _box(corner, where.shape))
    changes = _diff("below", plane, corner, below, np.where(where, 0, below))
    after = np.where(where, 0, before)
    return changes + _diff("strokes", plane, corner, before, after)


def write_strokes(
    work: ScanLabels, plane: int, corner: tuple[int, int], ids: NDArray[np.uint8]
) -> list[Change]:
    """Set strokes; 0 clears them."""
    before = _crop(work, "strokes", plane, _box(corner, ids.shape))
    below = _crop(work, "below", plane, _box(corner, ids.shape))
    left = np.where(ids != before, 0, below)
    changes = _diff("below", plane, corner, below, left)
    return changes + _diff("strokes", plane, corner, before, ids)


def write_labels(
    work: ScanLabels, plane: int, corner: tuple[int, int], ids: NDArray[np.uint8]
) -> list[Change]:
    """Set labels by hand; objects lose the pixels that get another class."""
    box = _box(corner, ids.shape)
    labels, objects = _crop(work, "labels", plane, box), _objects(work, plane, box)
    changed = labels != ids
    left = objects.copy()
    left[changed] = 0
    changes = _diff("labels", plane, corner, labels, ids)
    return changes + _objects_lost(work, plane, box, objects, left)


def commit(
    work: ScanLabels,
    plane: int,
    box: BBox,
    mask: NDArray[np.bool_],
    target: CommittedObject,
    part: Part,
) -> list[Change]:
    """Make the mask the target's part in a plane, as `part.overlap` allows."""
    box, mask = _with_old_part(target, plane, box, mask)
    labels, objects = _crop(work, "labels", plane, box), _objects(work, plane, box)
    own = objects == target.id
    allowed = _allowed(mask, labels, objects, own, part.overlap)
    if not allowed.any():
        raise SessionError(
            "All pixels of this mask belong to other objects already, and with "
            f"overlap={part.overlap!r} those stay; nothing was committed."
        )
    new_labels, new_objects = labels.copy(), objects.copy()
    new_labels[own], new_objects[own] = 0, 0
    new_labels[allowed], new_objects[allowed] = target.class_id, target.id
    y0, x0, y1, x1 = box_of(allowed) or box
    bbox = (y0 + box[0], x0 + box[1], y1 + box[0], x1 + box[1])
    after = target.with_part(plane, replace(part, bbox=bbox))
    changes = _diff("labels", plane, box[:2], labels, new_labels)
    changes += _objects_lost(
        work, plane, box, objects, new_objects, target.id, new_labels
    )
    changes += _recolor(work, target, plane)
    state = work.objects.get(target.id)
    return [*changes, ObjectChange(target.id, state, after.to_dict())]


def remove_object(work: ScanLabels, target: CommittedObject) -> list[Change]:
    """Make all pixels of an object nothing."""
    changes: list[Change] = []
    for plane, part in target.parts.items():
        objects = _objects(work, plane, part.bbox)
        labels = _crop(work, "labels", plane, part.bbox)
        own = objects == target.id
        corner = part.bbox[:2]
        changes += _diff("labels", plane, corner, labels, np.where(own, 0, labels))
        changes += _diff("objects", plane, corner, objects, np.where(own, 0, objects))
    state = work.objects[target.id]
    return [*changes, ObjectChange(target.id, state, None)]


def give_class(
    work: ScanLabels, targets: Iterable[CommittedObject], class_id: int
) -> list[Change]:
    """Give objects another class, with all their pixels."""
    changes: list[Change] = []
    for target in targets:
        after = replace(target, class_id=class_id)
        changes += _recolor(work, after, -1)
        state = work.objects[target.id]
        changes.append(ObjectChange(target.id, state, after.to_dict()))
    return changes


def merge(work: ScanLabels, targets: Sequence[CommittedObject]) -> list[Change]:
    """Make several objects one: the first, with its class."""
    first, *others = targets
    changes: list[Change] = []
    merged = first
    for plane in sorted({p for o in targets for p in o.parts}):
        parts = [(o, o.parts[plane]) for o in targets if plane in o.parts]
        box = around([part.bbox for _, part in parts])
        objects = _objects(work, plane, box)
        own = np.isin(objects, [o.id for o, _ in parts])
        labels = _crop(work, "labels", plane, box)
        corner = box[:2]
        new = np.where(own, first.class_id, labels)
        changes += _diff("labels", plane, corner, labels, new)
        new = np.where(own, first.id, objects)
        changes += _diff("objects", plane, corner, objects, new)
        scores = [part.score for _, part in parts if part.score is not None]
        # no one prompt made it: a replay takes its pixels as they are
        made = Part(box, min(scores, default=None), "overwrite", None)
        merged = merged.with_part(plane, made if len(parts) > 1 else parts[0][1])
    gone = [ObjectChange(o.id, work.objects[o.id], None) for o in others]
    state = work.objects[first.id]
    return [*changes, *gone, ObjectChange(first.id, state, merged.to_dict())]


def split(
    work: ScanLabels, target: CommittedObject, plane: int, first_id: int, order: int
) -> list[Change]:
    """Make the pieces of a part that do not touch objects of their own.

    The largest piece keeps the id.
    """
    part = target.parts[plane]
    objects = _objects(work, plane, part.bbox)
    pieces, count = ndi.label(objects == target.id, np.ones((3, 3)))
    sizes = np.bincount(pieces.ravel())[1:]
    new = objects.copy()
    made: list[Change] = []
    kept = target
    ranked = np.argsort(-sizes, kind="stable") + 1
    for number, piece in enumerate(ranked):
        where = pieces == piece
        y0, x0, y1, x1 = box_of(where) or (0, 0, 0, 0)
        y, x = part.bbox[:2]
        own = Part((y0 + y, x0 + x, y1 + y, x1 + x), part.score, "overwrite", None)
        if number == 0:
            kept = target.with_part(plane, own if count > 1 else part)
            continue
        id_ = first_id + number - 1
        new[where] = id_
        other = CommittedObject(
            id_, target.class_id, target.instance, order + number, {plane: own}
        )
        made.append(ObjectChange(id_, None, other.to_dict()))
    if not made:
        return []
    state = work.objects[target.id]
    changes = _diff("objects", plane, part.bbox[:2], objects, new)
    return [*changes, ObjectChange(target.id, state, kept.to_dict()), *made]


def clear_classes(work: ScanLabels, ids: Iterable[int]) -> list[Change]:
    """Make all pixels and objects of some classes nothing, in every plane."""
    gone = sorted(ids)
    changes: list[Change] = []
    lost = {k for k, state in work.objects.items() if state["class"] in gone}
    changes += _clear_strokes(work, gone)
    for layer, values in (("labels", gone), ("objects", list(lost))):
        store = work.layers[layer]
        for plane in store.planes if values else ():
            before = store.read(plane)
            after = np.where(np.isin(before, values), 0, before)
            changes += _diff(layer, plane, (0, 0), before, after)
    return changes + [ObjectChange(k, work.objects[k], None) for k in sorted(lost)]


def _clear_strokes(work: ScanLabels, gone: list[int]) -> list[Change]:
    """Take strokes of some classes away; what was kept below them comes up."""
    changes: list[Change] = []
    for plane in work.layers["strokes"].planes if gone else ():
        top, below = (work.layers[k].read(plane) for k in ("strokes", "below"))
        kept = np.where(np.isin(below, gone), 0, below)
        bare = np.isin(top, gone)
        changes += _diff("strokes", plane, (0, 0), top, np.where(bare, kept, top))
        changes += _diff("below", plane, (0, 0), below, np.where(bare, 0, kept))
    return changes


def _with_old_part(
    target: CommittedObject, plane: int, box: BBox, mask: NDArray[np.bool_]
) -> tuple[BBox, NDArray[np.bool_]]:
    """Widen the box so that it holds what the object was before."""
    old = target.parts.get(plane)
    if old is None:
        return box, mask
    low = [min(a, b) for a, b in zip(box[:2], old.bbox[:2], strict=True)]
    high = [max(a, b) for a, b in zip(box[2:], old.bbox[2:], strict=True)]
    wide = np.zeros((high[0] - low[0], high[1] - low[1]), bool)
    y, x = box[0] - low[0], box[1] - low[1]
    wide[y : y + mask.shape[0], x : x + mask.shape[1]] = mask
    return (low[0], low[1], high[0], high[1]), wide


def _allowed(
    mask: NDArray[np.bool_],
    labels: NDArray[Any],
    objects: NDArray[Any],
    own: NDArray[np.bool_],
    overlap: str,
) -> NDArray[np.bool_]:
    if overlap == "keep":
        return mask & ((objects == 0) | own)
    if overlap == "free":
        return mask & ((labels == 0) | own)
    return mask


def _objects_lost(
    work: ScanLabels,
    plane: int,
    box: BBox,
    before: NDArray[Any],
    after: NDArray[Any],
    but: int = 0,
    labels: NDArray[Any] | None = None,
) -> list[Change]:
    """Change the object ids, and shrink or drop those that lost pixels.

    With the labels that the box gets, what is left of an object goes, too, where it is
    but a rim.
    """
    changes = _diff("objects", plane, box[:2], before, after)
    robbed = np.unique(before[before != after])
    for id_ in (int(i) for i in robbed if i not in (0, but)):
        old = CommittedObject.from_dict(id_, work.objects[id_])
        part = old.parts[plane]
        region = _objects(work, plane, part.bbox).copy()
        had = np.count_nonzero(region == id_)
        _paste(region, part.bbox, after, box)
        rim = region == id_
        few = 0 < np.count_nonzero(rim) < LEAST_LEFT * had
        if few and labels is not None and old.instance:
            corner = part.bbox[:2]
            kept = _crop(work, "labels", plane, part.bbox).copy()
            _paste(kept, part.bbox, labels, box)
            changes += _diff("labels", plane, corner, kept, np.where(rim, 0, kept))
            changes += _diff("objects", plane, corner, region, np.where(rim, 0, region))
            # two objects that share a box are looked at one after the other
            _paste(after, box, np.where(rim, 0, region), part.bbox)
            _paste(labels, box, np.where(rim, 0, kept), part.bbox)
            region[rim] = 0
        left = box_of(region == id_)
        if left is not None:
            y, x = part.bbox[:2]
            bbox = (left[0] + y, left[1] + x, left[2] + y, left[3] + x)
            new = old.with_part(plane, replace(part, bbox=bbox))
        else:
            new = old.with_part(plane, None)
        if new != old:
            state = new.to_dict() if new.parts else None
            changes.append(ObjectChange(id_, work.objects[id_], state))
    return changes


def _paste(target: NDArray[Any], at: BBox, source: NDArray[Any], box: BBox) -> None:
    """Copy what two boxes of a plane have in common."""
    y0, x0 = max(at[0], box[0]), max(at[1], box[1])
    y1, x1 = min(at[2], box[2]), min(at[3], box[3])
    if y0 < y1 and x0 < x1:
        target[y0 - at[0] : y1 - at[0], x0 - at[1] : x1 - at[1]] = source[
            y0 - box[0] : y1 - box[0], x0 - box[1] : x1 - box[1]
        ]


def _recolor(work: ScanLabels, target: CommittedObject, plane: int) -> list[Change]:
    """Carry a new class over to the other planes of an object."""
    state = work.objects.get(target.id)
    if state is None or state["class"] == target.class_id:
        return []
    changes: list[Change] = []
    for other, part in target.parts.items():
        if other != plane:
            labels = _crop(work, "labels", other, part.bbox)
            own = _objects(work, other, part.bbox) == target.id
            after = np.where(own, target.class_id, labels)
            changes += _diff("labels", other, part.bbox[:2], labels, after)
    return changes


def _diff(
    layer: str,
    plane: int,
    corner: tuple[int, ...],
    before: NDArray[Any],
    after: NDArray[Any],
) -> list[Change]:
    new = after.astype(before.dtype, copy=False)
    change = PixelChange.between(layer, plane, (corner[0], corner[1]), before, new)
    return [] if change is None else [change]


def _box(corner: tuple[int, int], shape: tuple[int, ...]) -> BBox:
    return corner[0], corner[1], corner[0] + shape[0], corner[1] + shape[1]


def _crop(work: ScanLabels, layer: str, plane: int, box: BBox) -> NDArray[Any]:
    y0, x0, y1, x1 = box
    return work.layers[layer].read(plane)[y0:y1, x0:x1]


def _objects(work: ScanLabels, plane: int, box: BBox) -> NDArray[Any]:
    return _crop(work, "objects", plane, box)
