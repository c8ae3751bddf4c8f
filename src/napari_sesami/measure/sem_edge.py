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
from scipy.optimize import least_squares
from scipy.special import erfcx, ndtr, ndtri

from napari_sesami.measure.edge import fit_step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sesami.measure.edge import Basis, NearPixels, StepFit

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
    pixels: NearPixels, basis: Basis, method: SemMethod, level: float
) -> StepFit | None:
    """Fit the outer flank of a rim: the place by flank, threshold, peak or model.

    The `StepFit` has the rim's top as its inner level and the floor as its outer one.
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
    shift = model = 0.0
    if method == "threshold":
        shift = float(fit.sigma * ndtri(1 - level))
    elif method in ("peak", "model"):
        straight = replace_across(pixels, basis, fit.shape)
        place = _peak_place if method == "peak" else _model_place
        found = _jackknifed(straight, place)
        if found is None:
            return None
        shift, u = found
        if method == "model":  # what the shape of its tails has a say in
            model = _tail_error(straight, shift)
        own = fit.covariance.copy()
        own[0, 0] = u * u
        fit = replace(fit, covariance=own, dof=9.0)
    moved_shape = fit.shape.copy()
    moved_shape[0] += shift
    blocks = fit.blocks + np.array([0.0, shift])
    # but for the model, the value is what the method says: no window has a say in it
    return replace(fit, shape=moved_shape, blocks=blocks, model_shift=model)


def _tail_error(pixels: NearPixels, edge: float) -> float:
    """How far the model's edge moves with a window a quarter narrower on each side."""
    away = pixels.across - edge
    moves = []
    for low, high in ((0.75, 1.0), (1.0, 0.75)):
        keep = (away >= low * away.min()) & (away <= high * away.max())
        found = _model_place(pixels.where(keep), None)
        if found is not None:
            moves.append(float(found[0]) - edge)
    return float(np.sqrt(np.mean(np.square(moves)))) if moves else 0.0


def replace_across(pixels: NearPixels, basis: Basis, shape: Values) -> NearPixels:
    """Give pixels by their distance to a fitted edge instead of the guide."""
    return replace(pixels, across=pixels.across - basis(pixels.along) @ shape)


def _jackknifed(pixels: NearPixels, place: object) -> tuple[float, float] | None:
    """A place and its error, leaving out each tenth of the edge in turn."""
    assert callable(place)
    whole = place(pixels, None)
    if whole is None:
        return None
    order = np.argsort(pixels.along)
    parts = []
    for piece in np.array_split(order, 10):
        keep = np.ones(len(pixels), bool)
        keep[piece] = False
        part = place(pixels.where(keep), whole)
        if part is None:
            return None
        parts.append(part[0])
    spread = np.asarray(parts)
    return float(whole[0]), float(np.sqrt(0.9 * np.sum((spread - spread.mean()) ** 2)))


def _peak_place(pixels: NearPixels, start: Values | None) -> Values | None:
    """Vertex of a parabola through the rim's top."""
    window = flank_window(pixels)
    if window is None:
        return None
    middle = window[0] if start is None else float(start[0])
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
    return np.array([middle])


def sem_profile(d: Values, p: Values) -> Values:
    """Grey across an edge: two plateaus, a rim to both sides, a shadow, the beam.

    `p` is edge, inner grey, outer grey, rim, its inner reach, its outer reach, shadow,
    the shadow's reach, and the beam's σ; the last four lengths as logarithms.
    """
    edge, inner, outer, rim, reach_in, reach_out, shadow, far, beam = p
    s = np.exp(beam)
    t = d - edge
    rise = ndtr(t / s)

    def tail(x: Values, reach: float) -> Values:  # exp(−x / reach) from 0 on, blurred
        z = (s / reach - x / s) / np.sqrt(2)
        low = 0.5 * np.exp(-0.5 * (x / s) ** 2)
        with np.errstate(over="ignore", invalid="ignore"):
            near = low * erfcx(np.maximum(z, -20))
            away = np.exp(0.5 * (s / reach) ** 2 - x / reach)
        return np.where(z > -5, near, away)

    rims = tail(-t, np.exp(reach_in)) + tail(t, np.exp(reach_out))
    dark = outer * shadow * tail(t, np.exp(far))
    return inner * (1 - rise) + outer * rise + rim * rims - dark


def _model_place(pixels: NearPixels, start: Values | None) -> Values | None:
    """Edge of the full model fitted to the mean profile."""
    middle, grey, count = mean_profile(pixels.across, pixels.grey, 0.25)
    window = flank_window(pixels)
    if window is None or middle.size < 12:
        return None
    weight = np.sqrt(count / count.max())
    scale = float(np.ptp(grey))
    guess = start
    if guess is None:
        peak = float(grey.max())
        inner = float(np.median(grey[: max(3, middle.size // 6)]))
        outer = float(np.median(grey[-max(3, middle.size // 6) :]))
        first = window[0] + 0.8
        rim = max(peak - max(inner, outer), 0.1 * scale)
        guess = np.array([first, inner, outer, rim, 1.2, 0.6, 0.1, 2.5, 0.1])
    solved = least_squares(
        lambda p: weight * (sem_profile(middle, p) - grey) / scale,
        guess,
        x_scale=np.array([1, scale, scale, scale, 1, 1, 0.3, 1, 0.5]),
        bounds=(
            [-8, -np.inf, -np.inf, 0, -1, -1.5, -0.2, 0.5, -1.2],
            [8, np.inf, np.inf, np.inf, 4, 3.5, 0.95, 4.5, 1.6],
        ),
        max_nfev=200,
    )
    return np.asarray(solved.x) if np.isfinite(solved.x[0]) else None
