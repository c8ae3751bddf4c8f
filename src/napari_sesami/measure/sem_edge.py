"""Edges of SEM pictures: where on a bright rim the edge is read, by definition.

The rim moves every simple estimate by nanometres, always alike at one setting of the
microscope. So an edge is defined by a method (flank, threshold, peak, model), and a
value may be given an offset from a reference; differences and roughness do not care.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.special import erfcx, ndtr, ndtri

from napari_sesami.measure.edge import fit_step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sesami.measure.edge import Basis, NearPixels, StepFit
    from napari_sesami.measure.sem_look import RimLook

    Values = NDArray[np.float64]

SemMethod = Literal["flank", "threshold", "peak", "model"]

BIN = 0.5  # pixels, of the mean profile that the rim is found in


def mean_profile(
    across: Values, grey: Values, width: float = BIN
) -> tuple[Values, Values, Values]:
    """Average grey by distance: mean distances, means, and pixels in each bin."""
    which = np.floor(across / width).astype(int)
    which -= int(which.min())
    n = np.bincount(which)
    good = n > 0
    # the mean distance, not the bin's middle: pixels of an upright edge share a phase
    middle = np.bincount(which, weights=across)[good] / n[good]
    means = np.bincount(which, weights=grey)[good] / n[good]
    return np.asarray(middle, float), np.asarray(means, float), n[good].astype(float)


def flank_window(pixels: NearPixels, around: float = 0.0) -> tuple[float, float] | None:
    """Find the rim's peak nearest to the guide and where its outer flank ends."""
    middle, grey, _ = mean_profile(pixels.across, pixels.grey)
    if middle.size < 8:
        return None
    smooth = gaussian_filter1d(grey, 1.0, mode="nearest")
    inner = np.flatnonzero(np.abs(middle - around) <= 6.0)
    if inner.size < 4:
        return None
    peak = inner[int(smooth[inner].argmax())]
    after = np.flatnonzero(middle > middle[peak])
    if after.size < 4:
        return None
    floor = after[int(smooth[after].argmin())]
    if smooth[peak] - smooth[floor] <= 0:
        return None
    return float(middle[peak]), float(middle[floor])


def fit_flank(
    pixels: NearPixels,
    basis: Basis,
    method: SemMethod,
    level: float,
    look: RimLook | None = None,
) -> StepFit | None:
    """Fit the outer flank of a rim: the place by flank, threshold, peak or model.

    The `StepFit` has the rim's top as its inner level and the floor as its outer one.
    The model's place needs the `look` of the scan; without it, it is the flank's.
    """
    window = flank_window(pixels)
    if window is None:
        return None
    peak, floor = window
    shape = None
    fit = None
    for _ in range(3):
        moved = pixels.across - (
            basis(pixels.along) @ shape if shape is not None else 0
        )
        near = (moved >= peak) & (moved <= floor + 1.0)
        fit = fit_step(pixels.where(near), basis, sigma=1.0, free_sigma=True)
        if fit is None:
            return None
        flat = np.r_[0.0, fit.shape[1:]]
        if shape is not None and np.allclose(flat, shape, atol=0.05):
            break
        shape = flat
        straight = replace_across(pixels, basis, shape)
        window = flank_window(straight, float(fit.shape[0]))
        if window is None:
            return None
        peak, floor = window
    assert fit is not None
    shift = 0.0
    if method == "threshold":
        shift = float(fit.sigma * ndtri(1 - level))
    elif method == "peak" or (method == "model" and look is not None):
        straight = replace_across(pixels, basis, fit.shape)
        found = _jackknifed(straight) if look is None else _by_look(straight, look)
        if found is None:
            return None
        shift, u = found
        own = fit.covariance.copy()
        own[0, 0] = u * u
        fit = replace(fit, covariance=own, dof=9.0)
    moved_shape = fit.shape.copy()
    moved_shape[0] += shift
    blocks = fit.blocks + np.array([0.0, shift])
    # the value is what the method says: no window has a say in it
    return replace(fit, shape=moved_shape, blocks=blocks, model_shift=0.0)


def _by_look(pixels: NearPixels, look: RimLook) -> tuple[float, float] | None:
    """The edge that the look of the microscope gives, and its own error."""
    window = flank_window(pixels)
    return None if window is None else look.place(pixels, window[0])


def replace_across(pixels: NearPixels, basis: Basis, shape: Values) -> NearPixels:
    """Give pixels by their distance to a fitted edge instead of the guide."""
    return replace(pixels, across=pixels.across - basis(pixels.along) @ shape)


def _jackknifed(pixels: NearPixels) -> tuple[float, float] | None:
    """The rim's top and its error, leaving out each tenth of the edge in turn."""
    whole = _peak_place(pixels, None)
    if whole is None:
        return None
    order = np.argsort(pixels.along)
    parts = []
    for piece in np.array_split(order, 10):
        keep = np.ones(len(pixels), bool)
        keep[piece] = False
        part = _peak_place(pixels.where(keep), whole)
        if part is None:
            return None
        parts.append(part)
    spread = np.asarray(parts)
    return whole, float(np.sqrt(0.9 * np.sum((spread - spread.mean()) ** 2)))


def _peak_place(pixels: NearPixels, start: float | None) -> float | None:
    """Vertex of a parabola through the rim's top."""
    window = flank_window(pixels)
    if window is None:
        return None
    middle = window[0] if start is None else start
    for _ in range(4):
        near = np.abs(pixels.across - middle) <= 1.75
        if near.sum() < 8:
            return None
        c, b, _ = np.polyfit(pixels.across[near] - middle, pixels.grey[near], 2)
        if c >= 0:
            return None
        move = float(np.clip(-b / (2 * c), -1, 1))
        middle += move
        if abs(move) < 1e-3:
            break
    return middle


def sem_profile(d: Values, p: Values) -> Values:
    """Grey across an edge: two plateaus, a rim to both sides, a shadow, the beam.

    `p` is edge, inner grey, outer grey, rim, its inner reach, its outer reach, shadow,
    the shadow's reach, and the beam's σ; the last four lengths as logarithms.
    """
    edge, inner, outer, rim = p[:4]
    return np.asarray(rim_parts(d - edge, p[4:]) @ np.array([inner, outer, rim]))


def rim_parts(t: Values, shape: Values) -> Values:
    """Give what inner grey, outer grey and rim add (n, 3) at distances from the edge.

    `shape` is the last five of `sem_profile`.
    """
    reach_in, reach_out, shadow, far, beam = shape
    s = np.exp(beam)
    rise = ndtr(t / s)

    def tail(x: Values, reach: float) -> Values:  # exp(−x / reach) from 0 on, blurred
        z = (s / reach - x / s) / np.sqrt(2)
        low = 0.5 * np.exp(-0.5 * (x / s) ** 2)
        with np.errstate(over="ignore", invalid="ignore"):
            near = low * erfcx(np.maximum(z, -20))
            away = np.exp(0.5 * (s / reach) ** 2 - x / reach)
        return np.where(z > -5, near, away)

    rims = tail(-t, np.exp(reach_in)) + tail(t, np.exp(reach_out))
    return np.stack([1 - rise, rise - shadow * tail(t, np.exp(far)), rims], axis=1)
