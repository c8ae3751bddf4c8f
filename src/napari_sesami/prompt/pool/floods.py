"""Floods from the clicks: what hangs together with them within a tolerance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_sesami.common.box import box_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOLERANCES = (0.02, 0.03, 0.045, 0.065, 0.08, 0.1, 0.13, 0.17, 0.23)
"""Steps of grey; a component tree at the click would give all, these give enough."""


def distance(
    picture: NDArray[np.float32], seeds: NDArray[Any], off: NDArray[Any]
) -> NDArray[np.float32]:
    """How far the grey of each pixel is from that of the nearest seed.

    Pixels whose grey is nearer to a place off the object are far.
    """
    near = _to_nearest(picture, seeds)
    if len(off):
        away = _to_nearest(picture, off)
        near = np.where(away < near, np.float32(9), near)
    return near


def nested(
    far: NDArray[np.float32],
    seeds: NDArray[Any],
    tolerances: tuple[float, ...] = TOLERANCES,
) -> list[tuple[float, NDArray[np.bool_]]]:
    """Parts that hang together with the seeds, by tolerance, the smallest first.

    Each is looked for in the box of the next larger one alone.
    """
    found: list[tuple[float, NDArray[np.bool_]]] = []
    box: tuple[slice, slice] = (slice(0, far.shape[0]), slice(0, far.shape[1]))
    for tolerance in reversed(tolerances):
        corner = (box[0].start, box[1].start)
        part = held(far[box] <= tolerance, seeds - corner)
        tight = box_of(part)
        if tight is None:
            break
        mask = np.zeros(far.shape, bool)
        mask[box] = part
        found.append((tolerance, mask))
        y0, x0, y1, x1 = tight
        y0, x0, y1, x1 = (
            min(y0, *(seeds[:, 0] - corner[0])),
            min(x0, *(seeds[:, 1] - corner[1])),
            max(y1, *(seeds[:, 0] - corner[0] + 1)),
            max(x1, *(seeds[:, 1] - corner[1] + 1)),
        )
        box = (
            slice(corner[0] + y0, corner[0] + y1),
            slice(corner[1] + x0, corner[1] + x1),
        )
    return found[::-1]


def held(mask: NDArray[np.bool_], seeds: NDArray[Any]) -> NDArray[np.bool_]:
    """Keep the parts of a mask that a seed lies in, or beside by one pixel."""
    tight = box_of(mask)
    if tight is None:
        return mask
    # only the box around the mask and the seeds is looked at
    low = np.maximum(np.minimum(tight[:2], seeds.min(0)), 0)
    high = np.maximum(tight[2:], seeds.max(0) + 1)
    if (high - low).prod() < 0.7 * mask.size:
        out = np.zeros_like(mask)
        cut = (slice(low[0], high[0]), slice(low[1], high[1]))
        out[cut] = _held(mask[cut], seeds - low)
        return out
    return _held(mask, seeds)


def _held(mask: NDArray[np.bool_], seeds: NDArray[Any]) -> NDArray[np.bool_]:
    labels, count = ndimage.label(mask)
    rows, columns = seeds.T
    own = labels[rows, columns]
    if (own == 0).any():
        for i in np.flatnonzero(own == 0):
            y, x = seeds[i]
            near = labels[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
            own[i] = near.max()
    chosen = np.unique(own)
    chosen = chosen[chosen > 0]
    if count == 1 and len(chosen):
        return mask
    keep = np.zeros(count + 1, bool)
    keep[chosen] = True
    return keep[labels]


def _to_nearest(
    picture: NDArray[np.float32], seeds: NDArray[Any]
) -> NDArray[np.float32]:
    greys = np.unique(picture[seeds[:, 0], seeds[:, 1]])
    if len(greys) > 6:  # a stroke: its greys are a range
        greys = np.quantile(greys, (0.1, 0.3, 0.5, 0.7, 0.9)).astype(np.float32)
    out = np.abs(picture - greys[0])
    for grey in greys[1:]:
        np.minimum(out, np.abs(picture - grey), out=out)
    return out
