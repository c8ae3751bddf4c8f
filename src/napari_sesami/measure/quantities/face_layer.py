"""Faces with a thin layer beneath, such as the wiring of a die: how far a step is off.

A step that is fitted to such a face sees layer and die as one level and lies too far
out. The mean profile of the whole face shows the layer, if it is not much thinner than
the blur.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import least_squares
from scipy.special import ndtr

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[np.float64]

DEEP = 6.0  # slices into the die that show the layer and what lies beneath
BETTER = 0.6  # times the misfit of a step that a layer must come below
SURE = 0.01  # of the step: the weight of what is known of the blur beforehand


def layer_shift(
    depth: Values, grey: Values, reach: float, sigma: float, spread: float
) -> tuple[float, float]:
    """Say how much deeper a face lies than a step within `reach` says, and the error.

    Parameters
    ----------
    depth, grey
        Of many columns: slices into the die from about its face.
    reach
        Of the fit of a step.
    sigma, spread
        Blur in slices and how well it is known, as a share.
    """
    which = np.round(depth * 2).astype(int)
    which -= int(which.min())
    n = np.bincount(which)
    good = n > 0
    x = np.bincount(which, depth)[good] / n[good]
    y = np.bincount(which, grey)[good] / n[good]
    weight = np.sqrt(n[good] / n.max())
    near, wide = np.abs(x) <= reach, np.abs(x) <= DEEP
    if near.sum() < 8 or not np.ptp(y) > 0:
        return 0.0, 0.0
    step = _fit(x[near], y[near], weight[near], sigma, spread, layer=False)
    flat = _fit(x[wide], y[wide], weight[wide], sigma, spread, layer=False)
    layer = _fit(x[wide], y[wide], weight[wide], sigma, spread, layer=True)
    if layer[2] > BETTER * flat[2]:
        return 0.0, 0.0
    shift = layer[0] - step[0]
    ends = [
        _fit(x[wide], y[wide], weight[wide], layer[1] * times, 1e-3, layer=True)[0]
        for times in (np.exp(spread), np.exp(-spread))
    ]
    return shift, max(abs(ends[1] - ends[0]) / 2, 0.25 * abs(shift))


def _fit(
    x: Values, y: Values, weight: Values, sigma: float, spread: float, *, layer: bool
) -> tuple[float, float, float]:
    """Fit a step, or a step into a layer and one out of it: face, blur, misfit."""
    size = float(np.ptp(y))

    def rests(q: Values) -> Values:
        blur = np.exp(q[1])
        parts = [np.ones_like(x), ndtr((x - q[0]) / blur)]
        if layer:
            parts.append(ndtr((x - q[0] - np.exp(q[2])) / blur))
        system = np.stack(parts, 1) * weight[:, None]
        target = weight * y
        heights = np.linalg.lstsq(system, target, rcond=1e-8)[0]
        known = SURE * (q[1] - np.log(sigma)) / spread
        return np.append((target - system @ heights) / size, known)

    start = [0.0, float(np.log(sigma))] + ([float(np.log(2 * sigma))] if layer else [])
    low = [-4.0, np.log(0.3), np.log(0.5)][: len(start)]
    high = [4.0, np.log(6.0), np.log(DEEP)][: len(start)]
    found = least_squares(rests, start, bounds=(low, high), x_scale=0.1)
    misfit = float(np.sqrt(np.mean(np.square(found.fun[:-1]))))
    return float(found.x[0]), float(np.exp(found.x[1])), misfit
