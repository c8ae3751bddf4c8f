"""Join what the net is sure of with what the grey values around the object say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_sesami.common.box import box_of, grown, slices
from napari_sesami.prompt.pool.morphology import box_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS = 48
REACH = 4  # pixels that a border may move to where the local greys meet
LOCAL = 17  # side of the neighbourhood in which inside and outside are compared


def by_histograms(
    logits: NDArray[np.float32],
    known: NDArray[np.bool_],
    picture: NDArray[np.float32],
    weight: float,
) -> NDArray[np.bool_]:
    """Add to the net's logits how much likelier a grey is inside than outside.

    Both histograms are counted where the net looked (`known`), each pixel with the
    share that the net gives it; beyond its view the greys speak alone.
    """
    inside = np.where(known, 1 / (1 + np.exp(-np.clip(logits, -12, 12))), 0)
    bins = np.clip(picture * BINS, 0, BINS - 1).astype(np.intp)
    flat = bins.ravel()
    on = np.bincount(flat, inside.ravel(), BINS)
    off = np.bincount(flat, (known - inside).ravel(), BINS)
    on, off = (ndimage.gaussian_filter1d(c, 1.2, mode="constant") for c in (on, off))
    on, off = ((c + 0.5) / (c.sum() + 0.5 * BINS) for c in (on, off))
    says = np.clip(np.log(on / off), -4, 4).astype(np.float32)[bins]
    # outside of the view a doubt goes against the object
    return np.asarray(np.where(known, logits, -0.7) + weight * says > 0)


def to_local_edge(
    mask: NDArray[np.bool_], picture: NDArray[np.float32], noise: float
) -> NDArray[np.bool_]:
    """Move a border, by a few pixels, to where the grey is halfway between both sides.

    Both sides are means over a neighbourhood; where they do not differ by more than the
    noise the border stays.
    """
    tight = box_of(mask)
    if tight is None:
        return mask
    cut = slices(grown(tight, LOCAL, mask.shape))
    here, grey = mask[cut], picture[cut]
    near = box_mean(here, 2 * REACH + 1)
    band = (near > 0) & (near < 1)
    if not band.any():
        return mask
    share = box_mean(here, LOCAL)
    whole, on = box_mean(grey, LOCAL), box_mean(grey * here, LOCAL)
    with np.errstate(divide="ignore", invalid="ignore"):
        inside, outside = on / share, (whole - on) / (1 - share)
        gap = inside - outside
        where = (grey - outside) / gap
        sure = np.clip((np.abs(gap) / max(noise, 0.01) - 1) / 2, 0, 1)
        # one half of the vote is the old border, blurred
        vote = sure * (np.clip(where, -0.5, 1.5) - 0.5) + 0.6 * (near - 0.5)
    ok = band & np.isfinite(vote)
    out = mask.copy()
    out[cut] = np.where(ok, vote > 0, here)
    return out
