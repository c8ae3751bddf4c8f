"""From low-resolution logits to a mask, and from a mask back to logits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional as F

from napari_sesami.common.box import intersect
from napari_sesami.prompt.mask import Mask, tighten

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sesami.prompt.view import View
    from napari_sesami.scan import Scan

SURE = 6.0  # logit of a pixel that a mask prompt is certain of
TOUCHING = np.ones((3, 3), bool)


def read_view(scan: Scan, plane: int, view: View) -> torch.Tensor:
    """Read a view as models see it: grey, normalised, (1, 1, H, W) in [0, 1]."""
    if view.shrink == 1:
        x = torch.from_numpy(scan.grey(plane, view.box))[None, None]
        if view.grow == 1:
            return x
        return F.interpolate(x, view.size, mode="bilinear", align_corners=False)
    return torch.cat(list(_shrunk_bands(scan, plane, view)), 2)


def _shrunk_bands(scan: Scan, plane: int, view: View):  # type: ignore[no-untyped-def]
    """Mean of shrink × shrink pixels, read in bands so that memory stays small."""
    y0, x0, y1, x1 = view.box
    n = view.shrink
    band = max(n, (1 << 24) // (x1 - x0) // n * n)
    for top in range(y0, y1, band):
        box = (top, x0, min(top + band, y1), x1)
        x = torch.from_numpy(scan.grey(plane, box))[None, None]
        short = (0, -x.shape[3] % n, 0, -x.shape[2] % n)
        yield F.avg_pool2d(F.pad(x, short, mode="replicate"), n)


def parts_hit(
    logits: NDArray[np.float32], cells: NDArray[np.int_], reach: int = 1
) -> NDArray[np.float32]:
    """Push down those parts of the mask that no positive prompt touches.

    Parameters
    ----------
    logits
        (h, w) of one mask.
    cells
        (N, 2) cells of the positive prompts.
    reach
        How many cells off a prompt may be and still hold a part.
    """
    labels, count = ndimage.label(logits > 0, TOUCHING)
    if count < 2:
        return logits
    h, w = logits.shape
    held: set[int] = set()
    for y, x in cells:
        near = labels[
            max(y - reach, 0) : min(y + reach + 1, h),
            max(x - reach, 0) : min(x + reach + 1, w),
        ]
        own = labels[y, x]
        held.update([int(own)] if own else np.unique(near).tolist())
    held.discard(0)
    if not held:
        return logits
    drop = (labels > 0) & ~np.isin(labels, list(held))
    return np.where(drop, -np.abs(logits), logits)


def parts_large(logits: NDArray[np.float32], share: float = 0.1) -> NDArray[np.float32]:
    """Push down parts smaller than a share of the largest one."""
    labels, count = ndimage.label(logits > 0, TOUCHING)
    if count < 2:
        return logits
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    small = sizes < share * sizes.max()
    small[0] = False
    return np.where(small[labels], -np.abs(logits), logits)


def draw(
    logits: NDArray[np.float32],
    view: View,
    shape: tuple[int, int],
    plane: int,
    score: float,
    stability: float,
) -> Mask:
    """Upscale one mask to data pixels, inside its bounding box only."""
    rows, columns = view.cells
    inside = logits[:rows, :columns]
    filled = np.argwhere(inside > 0)
    if not len(filled):
        none = np.zeros((0, 0), bool)
        return Mask((0, 0, 0, 0), none, 0.0, shape, plane, stability, logits, view)
    low = np.maximum(filled.min(0) - 2, 0)
    high = np.minimum(filled.max(0) + 3, inside.shape)
    if view.grow == 1:
        crop = inside[low[0] : high[0], low[1] : high[1]]
        drawn = _enlarge(crop, 4 * view.shrink)
        top, left = (int(view.box[i] + low[i] * 4 * view.shrink) for i in (0, 1))
    else:
        fine = _enlarge(inside, 4)[: view.size[0], : view.size[1]]
        drawn = F.avg_pool2d(torch.from_numpy(fine)[None], view.grow)[0].numpy()
        top, left = view.box[:2]
    limit = (view.box[2] - top, view.box[3] - left)
    bbox, mask = tighten(drawn[: limit[0], : limit[1]] > 0, (top, left))
    return Mask(bbox, mask, score, shape, plane, stability, logits, view)


def _enlarge(crop: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    x = torch.from_numpy(np.ascontiguousarray(crop))[None, None]
    big = F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
    return np.asarray(big[0, 0])


def prior_logits(mask: Mask, view: View, grid: tuple[int, int]) -> NDArray[np.float32]:
    """Say what is known of a mask in the cells of a view; `grid` may be padded."""
    if mask.view == view and mask.logits is not None and mask.logits.shape == grid:
        return mask.logits
    out = np.full(grid, -SURE, np.float32)
    y0, x0, y1, x1 = intersect(mask.bbox, view.box)
    if y0 >= y1 or x0 >= x1:
        return out
    seen = torch.from_numpy(mask.window(view.box)).float()[None, None]
    if view.grow > 1:
        seen = F.interpolate(seen, scale_factor=view.grow, mode="nearest")
    else:
        seen = _shrink(seen, view.shrink)
    share = _shrink(seen, 4)[0, 0].numpy()
    rows, columns = view.cells
    out[:rows, :columns] = (2 * share - 1) * SURE
    return out


def _shrink(x: torch.Tensor, n: int) -> torch.Tensor:
    if n == 1:
        return x
    return F.avg_pool2d(F.pad(x, (0, -x.shape[3] % n, 0, -x.shape[2] % n)), n)


def touched(
    mask: Mask, view: View, shape: tuple[int, int]
) -> tuple[bool, bool, bool, bool]:
    """Top, left, bottom, right: whether the mask runs out of the view on that side."""
    if mask.empty:
        return False, False, False, False
    rim = max(round(view.cell), 1)
    y0, x0, y1, x1 = view.box
    gaps = (mask.bbox[0] - y0, mask.bbox[1] - x0, y1 - mask.bbox[2], x1 - mask.bbox[3])
    top, left, bottom, right = (
        gap < rim and inner
        for gap, inner in zip(gaps, view.inner_sides(shape), strict=True)
    )
    return top, left, bottom, right
