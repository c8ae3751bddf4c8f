"""Masks that a model proposes for a scan, from what is labelled in other scans.

Classes come from the bank: every pixel of the scan votes with what resembles it in the
labelled scans, and each region of one class is an object. The prompt model is asked for
each region again, as a box; its mask counts where both agree, and only for classes that
it made better on a scan whose truth is known.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.prompt import Mask
from napari_sesami.session import SessionError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_sesami.common.cancel import IsCancelled
    from napari_sesami.prompt import Predictor
    from napari_sesami.retrieve import Labelled
    from napari_sesami.scan import Scan

    Progress = Callable[[int, int], None]

LEAST = 0.0008  # share of a plane below which a region is no object
SMALLEST = 30  # pixels
AGREES = 0.7  # overlap from which a mask of the model replaces its region


def propose_masks(
    predictor: Predictor | None,
    scan: Scan,
    plane: int,
    votes: Labelled,
    top: int,
    *,
    taken: NDArray[np.bool_] | None = None,
    only: frozenset[int] | None = None,
    progress: Progress | None = None,
    cancelled: IsCancelled | None = None,
) -> list[Mask]:
    """Turn votes into objects that do not overlap, the surest first.

    Parameters
    ----------
    predictor
        Sharpens the regions; None leaves them as they are.
    scan, plane
        Where.
    votes, top
        What the bank says; classes above `top` are nothing.
    taken
        Pixels that have a label already: nothing is proposed there.
    only
        The classes whose regions are sharpened; None for all.
    progress, cancelled
        As in `Predictor.predict_many`.
    """
    labels = settled(np.where(votes.labels > top, 0, votes.labels).astype(np.uint8))
    if taken is not None:
        labels[taken] = 0
    if scan.ignore is not None:
        labels[scan.ignore] = 0
    regions = regions_of(labels, plane)
    asked = [r for r in regions if only is None or r.class_id in only]
    if predictor is not None and asked:
        rest = [r for r in regions if only is not None and r.class_id not in only]
        regions = rest + sharpened(
            predictor, scan, plane, asked, progress=progress, cancelled=cancelled
        )
    free = labels_free(scan, taken)
    kept = disjoint([judged(r, votes) for r in regions], free)
    return sorted(kept, key=lambda p: -p.certainty)


def least_area(shape: Any) -> int:
    """Pixels from which on a region is an object."""
    return max(SMALLEST, round(LEAST * int(np.prod(shape))))


def settled(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Give crumbs to the class of the nearest larger region."""
    from scipy.ndimage import distance_transform_edt
    from skimage.measure import label

    parts = label(labels, background=-1, connectivity=1)
    small = np.bincount(parts.ravel())[parts] < least_area(labels.shape)
    if small.all() or not small.any():
        return labels
    nearest = distance_transform_edt(small, return_distances=False, return_indices=True)
    return labels[tuple(nearest)]


def regions_of(labels: NDArray[np.uint8], plane: int) -> list[Mask]:
    """Connected regions of one class that are large enough to be objects."""
    from scipy import ndimage
    from skimage.measure import label

    parts = label(labels, background=0, connectivity=1)
    least = least_area(labels.shape)
    sizes = np.bincount(parts.ravel())
    out = []
    for i, box in enumerate(ndimage.find_objects(parts), 1):
        if box is None or sizes[i] < least:
            continue
        mask = parts[box] == i
        y, x = box
        y0, x0 = int(y.start), int(x.start)
        class_id = int(labels[box][mask][0])
        bbox = (y0, x0, int(y.stop), int(x.stop))
        shape = (labels.shape[0], labels.shape[1])
        out.append(Mask(bbox, mask, 1.0, shape, plane, class_id=class_id))
    return out


def sharpened(
    predictor: Predictor,
    scan: Scan,
    plane: int,
    regions: Sequence[Mask],
    *,
    progress: Progress | None = None,
    cancelled: IsCancelled | None = None,
) -> list[Mask]:
    """Ask the prompt model for each region; its mask counts where both agree."""
    boxes = np.array([r.bbox for r in regions], float)
    masks = predictor.predict_many(
        scan, plane, boxes=boxes, cancel=cancelled, progress=progress
    )
    return [_better(r, m) for r, m in zip(regions, masks, strict=True)]


def classes_to_sharpen(
    predictor: Predictor,
    scan: Scan,
    plane: int,
    votes: Labelled,
    truth: NDArray[np.uint8],
    *,
    cancelled: IsCancelled | None = None,
) -> frozenset[int]:
    """Classes whose masks the prompt model brings nearer to the truth."""
    top = int(truth.max(initial=0))
    labels = np.where(votes.labels > top, 0, votes.labels).astype(np.uint8)
    regions = regions_of(settled(labels), plane)
    classes = np.array([r.class_id for r in regions])
    if not len(classes):
        return frozenset()
    sharp = sharpened(predictor, scan, plane, regions, cancelled=cancelled)
    gain = _nearness(sharp, truth) - _nearness(regions, truth)
    return frozenset(
        int(c) for c in np.unique(classes) if gain[classes == c].mean() > 0
    )


def _nearness(
    proposed: Sequence[Mask], truth: NDArray[np.uint8]
) -> NDArray[np.float64]:
    """IoU of each proposal with the true object that it covers most of."""
    from skimage.measure import label

    parts = label(truth, background=0, connectivity=1)
    areas = np.bincount(parts.ravel())
    out = np.zeros(len(proposed))
    for i, p in enumerate(proposed):
        y0, x0, y1, x1 = p.bbox
        under = np.bincount(parts[y0:y1, x0:x1][p.mask], minlength=len(areas))
        under[0] = 0
        best = int(under.argmax())
        out[i] = under[best] / max(p.area + areas[best] - under[best], 1)
    return out


def _better(region: Mask, mask: Mask) -> Mask:
    if mask.empty or region.iou(mask) < AGREES:
        return region
    return replace(
        region, bbox=mask.bbox, mask=np.asarray(mask.mask, bool), score=mask.score
    )


def judged(proposed: Mask, votes: Labelled) -> Mask:
    """Give the certainty of the class over the pixels of the mask."""
    y0, x0, y1, x1 = proposed.bbox
    share = votes.votes[y0:y1, x0:x1, proposed.class_id - 1][proposed.mask]
    return replace(proposed, certainty=float(share.mean()) if share.size else 0.0)


def labels_free(scan: Scan, taken: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """Pixels that a proposal may have."""
    free = np.ones(scan.plane_shape, bool)
    if taken is not None:
        free &= ~taken
    if scan.ignore is not None:
        free &= ~scan.ignore
    return free


def disjoint(proposed: Sequence[Mask], free: NDArray[np.bool_]) -> list[Mask]:
    """Give each pixel to the surest proposal; small ones come before large ones."""
    left, out = free.copy(), []
    for p in sorted(proposed, key=lambda p: p.area):
        y0, x0, y1, x1 = p.bbox
        own = p.mask & left[y0:y1, x0:x1]
        if np.count_nonzero(own) < max(SMALLEST, 0.3 * p.area):
            continue
        left[y0:y1, x0:x1] &= ~own
        out.append(_cut(p, own))
    return out


def _cut(p: Mask, own: NDArray[np.bool_]) -> Mask:
    from napari_sesami.common.box import box_of

    inner = box_of(own)
    if inner is None:
        raise SessionError("A proposal lost all its pixels.")
    t, le, b, r = inner
    y, x = p.bbox[:2]
    return replace(p, bbox=(y + t, x + le, y + b, x + r), mask=own[t:b, le:r].copy())


def as_labels(proposed: Sequence[Mask], shape: Any) -> NDArray[np.uint8]:
    """Class ids (y, x) of all proposals together."""
    out = np.zeros(shape, np.uint8)
    for p in proposed:
        y0, x0, y1, x1 = p.bbox
        out[y0:y1, x0:x1][p.mask] = p.class_id
    return out
