"""Mask: the answer to prompts, as large as the object and not as the image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.common.box import BBox, box_of, intersect, slices
from napari_sesami.prompt.errors import PromptError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from napari_sesami.prompt.view import View


@dataclass(frozen=True, eq=False)
class Mask:
    """One object in one plane.

    Attributes
    ----------
    bbox
        (y0, x0, y1, x1) in data pixels, half-open; (0, 0, 0, 0) if nothing was found.
    mask
        Bool array of the size of `bbox`.
    score
        The model's own estimate of the overlap (IoU) with the true object, 0 to 1.
    shape
        Height and width of the plane.
    plane
        Index of the plane in the scan.
    stability
        Overlap of the mask with itself under a stricter and a laxer threshold.
    logits
        Low-resolution answer on `view`, handed back to the model at the next click.
    view
        The window of the plane that the model looked at.
    class_id
        The class that it is thought to be; 0 where none was given.
    certainty
        How sure that class is, 0 to 1.
    prompts
        What it was made from, as JSON values.
    """

    bbox: BBox
    mask: NDArray[np.bool_]
    score: float
    shape: tuple[int, int]
    plane: int = 0
    stability: float = 1.0
    logits: NDArray[np.float32] | None = field(default=None, repr=False)
    view: View | None = None
    class_id: int = 0
    certainty: float = 0.0
    prompts: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def from_array(cls, array: ArrayLike, score: float = 1.0, plane: int = 0) -> Mask:
        """Cut a bool (or 0/1) array of the whole plane to its object."""
        full = np.asarray(array)
        if full.ndim != 2:
            raise PromptError(
                f"A mask needs two axes, (y, x); it was given {full.ndim}. "
                "Take one plane of it."
            )
        bbox, crop = tighten(full.astype(bool), (0, 0))
        return cls(bbox, crop, score, (full.shape[0], full.shape[1]), plane)

    @property
    def slices(self) -> tuple[slice, slice]:
        """Where `mask` lies in the plane."""
        y0, x0, y1, x1 = self.bbox
        return slice(y0, y1), slice(x0, x1)

    @property
    def full(self) -> NDArray[np.bool_]:
        """The mask as a bool array of the whole plane."""
        out = np.zeros(self.shape, bool)
        out[self.slices] = self.mask
        return out

    @property
    def area(self) -> int:
        """How many pixels the object has."""
        return int(np.count_nonzero(self.mask))

    @property
    def empty(self) -> bool:
        """Whether nothing was found."""
        return self.mask.size == 0

    def window(self, box: BBox) -> NDArray[np.bool_]:
        """Cut the part of the mask that lies in a box of the plane."""
        y0, x0, y1, x1 = box
        out = np.zeros((y1 - y0, x1 - x0), bool)
        t, le, b, r = intersect(self.bbox, box)
        if t < b and le < r:
            own = self.mask[
                t - self.bbox[0] : b - self.bbox[0],
                le - self.bbox[1] : r - self.bbox[1],
            ]
            out[t - y0 : b - y0, le - x0 : r - x0] = own
        return out

    def iou(self, other: Mask) -> float:
        """Overlap with another mask of the same plane."""
        y0, x0, y1, x1 = intersect(self.bbox, other.bbox)
        shared = 0
        if y0 < y1 and x0 < x1:
            box = (y0, x0, y1, x1)
            shared = int(np.count_nonzero(self.window(box) & other.window(box)))
        either = self.area + other.area - shared
        return shared / either if either else 1.0


def around(boxes: Sequence[Sequence[float]]) -> tuple[float, float, float, float]:
    """The smallest box around all boxes."""
    low = np.min([b[:2] for b in boxes], axis=0)
    high = np.max([b[2:] for b in boxes], axis=0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def tighten(
    crop: NDArray[np.bool_], corner: tuple[int, int]
) -> tuple[BBox, NDArray[np.bool_]]:
    """Cut empty rows and columns off a crop that begins at `corner`."""
    box = box_of(crop)
    if box is None:
        return (0, 0, 0, 0), np.zeros((0, 0), bool)
    (y0, x0, y1, x1), (top, left) = box, corner
    bbox = (top + y0, left + x0, top + y1, left + x1)
    return bbox, np.ascontiguousarray(crop[slices(box)])


def union(masks: Sequence[Mask], **changes: Any) -> Mask:
    """Put parts of one object together; the first part gives score and logits."""
    first = masks[0]
    filled = [m for m in masks if not m.empty]
    if not filled:
        return first
    y0, x0, y1, x1 = (int(v) for v in around([m.bbox for m in filled]))
    crop = np.zeros((y1 - y0, x1 - x0), bool)
    for m in filled:
        t, le, b, r = m.bbox
        crop[t - y0 : b - y0, le - x0 : r - x0] |= m.mask
    told = {"logits": first.logits, "view": first.view, **changes}
    score, stability = told.pop("score", first.score), first.stability
    return Mask(
        (y0, x0, y1, x1), crop, score, first.shape, first.plane, stability, **told
    )
