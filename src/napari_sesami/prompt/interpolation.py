"""Masks between two corrected slices, by their signed distances."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sesami.prompt.mask import Mask


def interpolate_masks(
    first: NDArray[np.bool_], last: NDArray[np.bool_], between: int
) -> list[NDArray[np.bool_]]:
    """The `between` masks from `first` to `last`, both left out.

    Both are moved onto the line between their centres before their signed distances are
    blended, so that an object that drifts keeps its shape. If one of them is empty the
    other one shrinks towards it.

    Parameters
    ----------
    first, last
        (H, W) bool, of the same shape.
    between
        How many slices lie between them.
    """
    if first.shape != last.shape:
        raise ValueError(
            f"Two masks of one volume have the same shape; {first.shape} and "
            f"{last.shape} were given."
        )
    if between < 1:
        return []
    if not first.any() and not last.any():
        return [np.zeros_like(first) for _ in range(between)]
    distances = _signed(first, last), _signed(last, first)
    centres = _centre(first, last), _centre(last, first)
    step = centres[1] - centres[0]
    out = []
    for i in range(1, between + 1):
        t = i / (between + 1)
        a = ndimage.shift(distances[0], step * t, order=1, mode="nearest")
        b = ndimage.shift(distances[1], -step * (1 - t), order=1, mode="nearest")
        out.append((1 - t) * a + t * b < 0)
    return out


def between(first: Mask, last: Mask) -> list[Mask]:
    """Give the masks of the planes between those of two masks, in order.

    The score falls from that of the less sure one to half of it midway.
    """
    low = np.minimum(first.bbox[:2], last.bbox[:2])
    high = np.maximum(first.bbox[2:], last.bbox[2:])
    box = (int(low[0]), int(low[1]), int(high[0]), int(high[1]))
    apart = last.plane - first.plane
    crops = interpolate_masks(first.window(box), last.window(box), apart - 1)
    out = []
    for n, crop in enumerate(crops, 1):
        score = min(first.score, last.score) * (1 - min(n, apart - n) / apart)
        moved = replace(first, bbox=box, mask=crop, score=score, logits=None, view=None)
        out.append(replace(moved, plane=first.plane + n))
    return out


def _signed(mask: NDArray[np.bool_], other: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Distance to the border, negative inside; the core of `other` if there is none."""
    if mask.any():
        outside = ndimage.distance_transform_edt(~mask)
        inside = ndimage.distance_transform_edt(mask)
        return np.where(mask, 0.5 - inside, outside - 0.5)
    inner = ndimage.distance_transform_edt(other)
    seed = inner == inner.max()
    return ndimage.distance_transform_edt(~seed) + 1.0


def _centre(mask: NDArray[np.bool_], other: NDArray[np.bool_]) -> NDArray[np.float64]:
    found = mask if mask.any() else other
    return np.array(ndimage.center_of_mass(found))
