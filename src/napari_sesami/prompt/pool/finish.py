"""From a candidate in a window to a mask in data pixels, with its border put right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional as F

from napari_sesami.common.box import box_of, grown
from napari_sesami.prompt.mask import Mask, tighten
from napari_sesami.prompt.pool.floods import held
from napari_sesami.prompt.pool.morphology import box_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sesami.prompt.on_view import PromptOnView
    from napari_sesami.prompt.view import View

LOCAL = 9  # window pixels: where the greys on both sides of a border are compared
STRIP = 512  # rows of data pixels worked on at a time


def to_data_pixels(
    task: PromptOnView,
    window: View,
    mask: NDArray[np.bool_],
    noise: float,
    score: float,
    stability: float = 1.0,
) -> Mask:
    """Enlarge a mask of a window; its border goes to where the greys are halfway."""
    n, corner = window.shrink, window.box[:2]
    if n == 1:
        bbox, crop = tighten(mask, (corner[0], corner[1]))
        return Mask(bbox, crop, score, task.shape, task.plane, stability)
    tight = box_of(mask)
    assert tight is not None
    y0, x0, y1, x1 = grown(tight, 2, mask.shape)
    coarse = mask[y0:y1, x0:x1]
    top, left = corner[0] + y0 * n, corner[1] + x0 * n
    bottom = min(corner[0] + y1 * n, task.shape[0])
    right = min(corner[1] + x1 * n, task.shape[1])
    out = np.zeros((bottom - top, right - left), bool)
    soft = box_mean(coarse, 3)
    pictures = task.predictor.shelf.get(task.scan, task.plane, window)
    grey = pictures.smoothed[0][y0:y1, x0:x1]
    share = box_mean(coarse, LOCAL)
    on, whole = box_mean(grey * coarse, LOCAL), box_mean(grey, LOCAL)
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = np.where(share > 0, on / share, whole)
        outside = np.where(share < 1, (whole - on) / (1 - share), whole)
    maps = np.stack([soft, inside, outside]).astype(np.float32)
    rows = max(STRIP // n, 1)
    for start in range(0, coarse.shape[0], rows):
        stop = min(start + rows, coarse.shape[0])
        a, b = max(start - 1, 0), min(stop + 1, coarse.shape[0])
        big = F.interpolate(
            torch.from_numpy(maps[None, :, a:b]),
            scale_factor=n,
            mode="bilinear",
            align_corners=False,
        )[0].numpy()
        skip, end = (start - a) * n, min(stop * n, out.shape[0])
        big = big[:, skip : skip + end - start * n, : out.shape[1]]
        box = (top + start * n, left, top + end, right)
        native = ndimage.gaussian_filter(task.scan.grey(task.plane, box), 1.0)
        out[start * n : end] = _decide(native, big, noise)
    at, labels = task.prompt.clicks
    places = np.clip(np.rint(at).astype(int) - (top, left), 0, np.array(out.shape) - 1)
    if len(places):
        out[places[:, 0], places[:, 1]] = labels == 1
    positive = places[labels == 1]
    out = held(out, positive) if len(positive) else out
    bbox, crop = tighten(out, (top, left))
    return Mask(bbox, crop, score, task.shape, task.plane, stability)


def _decide(
    grey: NDArray[Any], maps: NDArray[np.float32], noise: float
) -> NDArray[np.bool_]:
    soft, inside, outside = maps
    gap = inside - outside
    with np.errstate(divide="ignore", invalid="ignore"):
        where = np.nan_to_num((grey - outside) / gap, nan=0.5, posinf=0.5, neginf=0.5)
    sure = np.clip((np.abs(gap) / max(noise, 0.01) - 1) / 2, 0, 1)
    vote = sure * (np.clip(where, -0.5, 1.5) - 0.5) + 0.6 * (soft - 0.5)
    band = (soft > 0.02) & (soft < 0.98)
    return np.where(band, vote > 0, soft > 0.5)
