"""Snap a mask's border to the steepest grey step within a few pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_sesami.common.box import box_of, grown, slices

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLUR = 1.0  # pixels; a step is steeper than the noise beside it only when smoothed


def snap_to_edges(
    mask: NDArray[np.bool_], image: NDArray[np.float32], reach: int = 3
) -> NDArray[np.bool_]:
    """Move a mask's border to the ridge of the gradient, by at most `reach` pixels.

    A watershed floods the gradient from the mask's inside and its outside and the two
    meet on the ridge. What is deeper than `reach` stays, and so does the middle line of
    thin layers, however thin. Where the image is flat the border stays.

    Parameters
    ----------
    mask
        (H, W) bool.
    image
        (H, W) grey, the same place.
    reach
        Pixels on either side of the border.
    """
    if reach < 1 or not mask.any() or mask.all():
        return mask.copy()
    from skimage.morphology import skeletonize
    from skimage.segmentation import watershed

    box = _widened(mask, 2 * reach + 2)
    inside, grey = mask[box], image[box].astype(np.float32)
    depth = ndimage.distance_transform_edt(inside)
    outside = ndimage.distance_transform_edt(~inside)
    core = (depth > reach) | skeletonize(inside)
    markers = np.zeros(inside.shape, np.int32)
    markers[outside > reach] = 1
    markers[core & inside] = 2
    gradient = ndimage.gaussian_gradient_magnitude(grey, BLUR)
    # A gentle valley wall around the old border: it wins only where nothing is steeper.
    gradient = gradient + 0.02 * float(gradient.max()) * np.exp(
        -np.minimum(depth + outside, 9)
    )
    flooded = watershed(gradient, markers) == 2
    out = mask.copy()
    out[box] = flooded
    return out


def _widened(mask: NDArray[np.bool_], by: int) -> tuple[slice, slice]:
    box = box_of(mask)
    assert box is not None
    return slices(grown(box, by, mask.shape))
