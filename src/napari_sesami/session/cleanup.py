"""Clean-up by prompts: the prompt model redraws the parts of a result it agrees with.

Every connected part of a class is given to the model as a box, and if the answer is
near but not near enough, as a mask. Where the model is sure and means the same object,
its outline is taken; specks are dropped; everything else stays as it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_sesami.scan import Scan

    Box = tuple[int, int, int, int]
    Progress = Callable[[int, int], None]
    Check = Callable[[], None]

SCORE = 0.9
"""Least overlap with the true object that the model itself expects."""
AGREE = 0.85
"""Least overlap (IoU) of the model's mask with the part."""
NEAR = 0.5
"""From this overlap on, the model is asked again, with the part as a mask."""
SPECK = 6
"""Pixels: smaller parts are dropped."""
LARGEST = 0.25
"""Share of a plane: larger parts are background, not objects."""
SURE = 0.8
"""Share of the votes from which on a pixel, or a speck, keeps its class."""
MOST = 1000
"""Parts that are asked about, the largest first."""
BATCH = 64


@dataclass(frozen=True)
class Cleaned:
    """What a clean-up did to one plane: parts asked about, redrawn, specks dropped."""

    asked: int
    redrawn: int
    specks: int


@dataclass(frozen=True)
class _CleanPart:
    """A connected part of a class: its box, and its pixels within."""

    class_id: int
    box: Box
    mask: NDArray[np.bool_]
    area: int


def clean_plane(
    predictor: Any,
    scan: Scan,
    plane: int,
    labels: NDArray[np.uint8],
    votes: NDArray[np.float32] | None = None,
    *,
    score: float = SCORE,
    agree: float = AGREE,
    speck: int = SPECK,
    progress: Progress | None = None,
    check: Check = lambda: None,
) -> tuple[NDArray[np.uint8], Cleaned]:
    """Redraw one plane.

    Parameters
    ----------
    predictor
        A `prompt.Predictor`.
    scan, plane
        What the labels belong to.
    labels
        (H, W) class ids; 0 stays 0.
    votes
        (H, W, C): what a pixel becomes that its part loses; the nearest label without.
    score, agree, speck
        As the constants of this module.
    progress, check
        `progress(done, all)` counts parts; what `check` raises ends the work.
    """
    check()
    out, specks = without_specks(labels, speck, votes)
    parts = _parts(out)
    answers: list[tuple[float, _CleanPart, Box, NDArray[np.bool_]]] = []
    for start in range(0, len(parts), BATCH):
        check()
        some = parts[start : start + BATCH]
        masks = predictor.predict_many(
            scan, plane, boxes=[p.box for p in some], plain=True
        )
        for part, mask in zip(some, masks, strict=True):
            if NEAR <= overlap(part, mask) < agree and mask.score >= score / 2:
                check()
                full = _full(part, labels)
                mask = predictor.predict(scan, plane, box=part.box, mask=full)
            if mask.score >= score and overlap(part, mask) >= agree:
                answers.append((float(mask.score), part, mask.bbox, mask.mask))
        if progress is not None:
            progress(min(start + BATCH, len(parts)), len(parts))
    answers.sort(key=lambda answer: answer[0])  # the surest has the last word
    redrawn = _redraw(out, answers, votes)
    return redrawn, Cleaned(len(parts), len(answers), specks)


def without_specks(
    labels: NDArray[np.uint8], speck: int, votes: NDArray[np.float32] | None = None
) -> tuple[NDArray[np.uint8], int]:
    """Give parts of fewer pixels to the nearest label around, and count them.

    With votes (H, W, C), only those go whose own class has few of them.
    """
    from skimage.measure import label

    numbers = label(labels, background=0, connectivity=1)
    areas = np.bincount(numbers.ravel())
    small = areas < speck
    small[0] = False
    if votes is not None:
        own = np.take_along_axis(votes, np.maximum(labels, 1)[..., None] - 1, 2)
        said = np.bincount(numbers.ravel(), own.ravel()) / np.maximum(areas, 1)
        small &= said < SURE
    gone = small[numbers]
    count = int(small.sum())
    if not count or not (~gone & (labels > 0)).any():
        return labels.copy(), 0
    return _filled(labels, gone), count


def overlap(part: _CleanPart, mask: Any) -> float:
    """IoU of a part with what the model answered."""
    shared = _paste(mask.bbox, mask.mask, part.box)
    both = int((shared & part.mask).sum())
    return both / max(part.area + int(mask.mask.sum()) - both, 1)


def _parts(labels: NDArray[np.uint8]) -> list[_CleanPart]:
    """Connected parts that can be objects, the largest first."""
    from skimage.measure import label

    numbers = label(labels, background=0, connectivity=1)
    areas = np.bincount(numbers.ravel())
    found = []
    for number, where in enumerate(ndimage.find_objects(numbers), 1):
        if where is None or areas[number] > LARGEST * labels.size:
            continue
        rows, columns = where
        box = (rows.start, columns.start, rows.stop, columns.stop)
        mask = numbers[where] == number
        class_id = int(labels[where][mask][0])
        found.append(_CleanPart(class_id, box, mask, int(areas[number])))
    return sorted(found, key=lambda part: -part.area)[:MOST]


def _redraw(
    labels: NDArray[np.uint8],
    answers: list[tuple[float, _CleanPart, Box, NDArray[np.bool_]]],
    votes: NDArray[np.float32] | None,
) -> NDArray[np.uint8]:
    """Write the model's outlines; what a part loses goes to its next best class."""
    out = labels.copy()
    lost = np.zeros(labels.shape, bool)
    free = labels > 0  # nothing is said of data bars
    if votes is not None:
        free &= votes.max(-1) < SURE
    for _, part, *_ in answers:
        lost[_slices(part.box)] |= part.mask & free[_slices(part.box)]
    for _, part, box, mask in answers:
        inside = mask & free[_slices(box)]
        out[_slices(box)][inside] = part.class_id
        lost[_slices(box)] &= ~mask
    if not lost.any():
        return out
    if votes is None:
        return _filled(out, lost)
    at = np.nonzero(lost)
    rest = votes[at].copy()
    rest[np.arange(len(rest)), labels[at].astype(int) - 1] = -1
    out[at] = rest.argmax(-1) + 1
    return out


def _filled(labels: NDArray[np.uint8], gone: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Give pixels to the nearest label that stays."""
    stays = ~gone & (labels > 0)
    if not stays.any():
        return labels.copy()
    nearest = ndimage.distance_transform_edt(
        ~stays, return_distances=False, return_indices=True
    )
    out = labels.copy()
    out[gone] = labels[tuple(nearest)][gone]
    return out


def _full(part: _CleanPart, like: NDArray[np.uint8]) -> NDArray[np.bool_]:
    full = np.zeros(like.shape, bool)
    full[_slices(part.box)] = part.mask
    return full


def _paste(box: Box, mask: NDArray[np.bool_], into: Box) -> NDArray[np.bool_]:
    """The part of a mask that lies in another box."""
    out = np.zeros((into[2] - into[0], into[3] - into[1]), bool)
    y0, x0 = max(box[0], into[0]), max(box[1], into[1])
    y1, x1 = min(box[2], into[2]), min(box[3], into[3])
    if y0 < y1 and x0 < x1:
        piece = mask[y0 - box[0] : y1 - box[0], x0 - box[1] : x1 - box[1]]
        out[y0 - into[0] : y1 - into[0], x0 - into[1] : x1 - into[1]] = piece
    return out


def _slices(box: Box) -> tuple[slice, slice]:
    return slice(box[0], box[2]), slice(box[1], box[3])
