"""The edge engine: where a step of grey lies, below a pixel, and how sure that is.

Raw pixels near a guide are fitted by their signed distance to it; nothing is smoothed
or interpolated. Offset, slope (or the shape of a circle) and grey levels are fitted
together. The error bar comes from blocks along the edge, so that it holds for noise
that is alike in neighbouring pixels, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr

from napari_sesami.measure.budget import MANY

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Values = NDArray[np.float64]
    Basis = Callable[[Values], Values]
    """Places along a guide → (n, K): the shapes that an edge may take."""

SIGMA_LIMITS = (0.25, 6.0)
ROBUST = 3.0  # soft-L1 beyond this many noise widths
BLOCK = 6.0  # least length of a block along the edge, pixels
MOST_BLOCKS = 40
FEW_BLOCKS = 2.9  # times the fit's own variance, where nothing is known of the noise
PRIOR_DOF = 10.0  # how far what is known of the scan's noise counts beside blocks
_SQRT_2PI = float(np.sqrt(2 * np.pi))
_LOG_SIGMA = tuple(float(np.log(s)) for s in SIGMA_LIMITS)


@dataclass(frozen=True, eq=False)
class NearPixels:
    """Raw pixels near a guide: where they are along and across it, and their grey."""

    along: Values
    across: Values
    grey: Values

    def __len__(self) -> int:
        return self.grey.size

    def where(self, chosen: NDArray[np.bool_]) -> NearPixels:
        """Give some of them."""
        return NearPixels(self.along[chosen], self.across[chosen], self.grey[chosen])


@dataclass(frozen=True, eq=False)
class StepFit:
    """One step of grey fitted along a guide.

    Attributes
    ----------
    shape
        Coefficients over the basis: the edge lies at ``basis(s) @ shape``.
    covariance
        Of `shape`, from blocks along the edge.
    dof
        Degrees of freedom of that covariance.
    levels
        Grey inside and outside.
    sigma
        Blur of the edge.
    noise
        Standard deviation of one pixel about the fit.
    blocks
        (n, 2): place along the guide and position across it of each block.
    model_shift
        How `shape` moves with a window one pixel narrower and with sloped plateaus,
        beyond what noise explains: standard deviation of the model's error.
    own_covariance
        Of `shape`, from the fit alone; too small where noise is correlated.
    misfit
        Largest mean residual of a pixel-wide ring about the edge, over the step.
    """

    shape: Values
    covariance: Values
    dof: float
    levels: tuple[float, float]
    sigma: float
    noise: float
    blocks: Values
    model_shift: float
    own_covariance: Values
    misfit: float

    @property
    def step(self) -> float:
        """Grey outside minus grey inside."""
        return self.levels[1] - self.levels[0]

    @property
    def cnr(self) -> float:
        """Step over noise of one pixel."""
        return abs(self.step) / max(self.noise, 1e-12 * max(1.0, abs(self.step)))

    @property
    def few_blocks(self) -> bool:
        """Whether the error bar is the fit's own, widened."""
        return len(self.blocks) < len(self.shape) + 3


def polynomial(length: float, degree: int) -> Basis:
    """Shapes 1, s, s² … over a piece of this length, scaled to [−1, 1]."""

    def basis(along: Values) -> Values:
        scaled = along * (2 / max(length, 1e-9))
        shapes = np.ones((scaled.size, degree + 1))
        for k in range(1, degree + 1):
            shapes[:, k] = shapes[:, k - 1] * scaled
        return shapes

    return basis


def waves(length: float, order: int) -> Basis:
    """Shapes 1, cos, sin, cos 2, sin 2 … round a closed guide of this length."""

    def basis(along: Values) -> Values:
        phase = along * (2 * np.pi / length)
        parts = [np.ones_like(phase)]
        for k in range(1, order + 1):
            parts += [np.cos(k * phase), np.sin(k * phase)]
        return np.stack(parts, axis=-1)

    return basis


def fit_step(
    pixels: NearPixels,
    basis: Basis,
    *,
    sigma: float = 1.0,
    free_sigma: bool = True,
    period: float | None = None,
    inflation: float = FEW_BLOCKS,
) -> StepFit | None:
    """Fit one step; None if the pixels do not determine one.

    Parameters
    ----------
    pixels
        Near the guide, those of other edges left out.
    basis
        `polynomial` or `waves`.
    sigma
        Blur to begin with, and to stay with unless `free_sigma`.
    free_sigma
        Whether the blur is fitted, too.
    period
        Length of a closed guide.
    inflation
        How many times larger the variance of means is than it would be without
        correlation between pixels.
    """
    d, grey = pixels.across, pixels.grey
    shapes = basis(pixels.along)
    count = shapes.shape[1]
    free = count + 2 + free_sigma
    if grey.size < 4 * free or not np.ptp(grey) > 0:
        return None
    start = _coarse(d, grey)
    if start is None:
        return None
    offset, low, high = start
    scale = float(np.ptp(grey))
    shape = np.zeros(count)
    shape[0] = offset
    wide = 1.2 * sigma if free_sigma else sigma
    theta = np.r_[low, high - low, shape, np.log(wide)]
    weight = np.ones(grey.size)
    damping, cost = 1e-3, np.inf
    rest, jac = _step_model(theta, d, shapes, grey)
    robust = False
    for _ in range(40):
        live = jac[:, :free]
        weighted = live * weight[:, None]
        normal = weighted.T @ live
        score = weighted.T @ rest
        cost = float(weight @ (rest * rest))
        for _ in range(8):
            lifted = normal.copy()
            lifted.flat[:: free + 1] *= 1 + damping
            try:
                move = np.linalg.solve(lifted, score)
            except np.linalg.LinAlgError:
                return None
            move[2] = min(2.0, max(-2.0, float(move[2])))
            tried = theta.copy()
            tried[:free] += move
            if free_sigma:
                near = theta[-1] + min(0.5, max(-0.5, float(move[-1])))
                tried[-1] = min(_LOG_SIGMA[1], max(_LOG_SIGMA[0], near))
            new_rest, new_jac = _step_model(tried, d, shapes, grey)
            new_cost = float(weight @ (new_rest * new_rest))
            if new_cost <= cost * (1 + 1e-12):
                break
            damping *= 10
        else:
            break
        moved = float(np.abs(tried[2 : 2 + count] - theta[2 : 2 + count]).max())
        gained = cost - new_cost
        theta, rest, jac = tried, new_rest, new_jac
        damping = max(damping / 10, 1e-9)
        # steps shrink as their squares: what is left after one of 0.01 px is nothing
        if moved < (0.01 if robust else 0.1) or gained < 1e-6 * cost:
            if robust:
                break
            width = 1.4826 * _median(np.abs(rest))
            width = max(width, 1e-9 * scale)
            weight = 1 / np.sqrt(1 + (rest / (ROBUST * width)) ** 2)
            robust = True
    if not np.all(np.isfinite(theta)):
        return None
    jac = jac[:, :free]
    return _judged(theta, pixels, shapes, basis, jac, rest, weight, period, inflation)


def _median(values: Values) -> float:
    """Upper median without the care of `numpy.median`, which costs as much as a fit."""
    half = values.size // 2
    return float(np.partition(values, half)[half])


def _coarse(d: Values, grey: Values) -> tuple[float, float, float] | None:
    """Find the split of a profile that explains most: (offset, low, high)."""
    bins = np.round(d).astype(int)
    first = int(bins.min())
    n = np.bincount(bins - first).astype(float)
    total = np.bincount(bins - first, weights=grey)
    if n.size < 4:
        return None
    left_n, left = np.cumsum(n)[:-1], np.cumsum(total)[:-1]
    right_n, right = n.sum() - left_n, total.sum() - left
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b = left / left_n, right / right_n
        gain = (b - a) ** 2 * left_n * right_n
    gain[(left_n == 0) | (right_n == 0)] = 0
    inner = slice(1, -1) if gain.size > 4 else slice(None)
    at = int(np.argmax(gain[inner])) + (inner.start or 0)
    if not gain[at] > 0:
        return None
    return at + first + 0.5, float(a[at]), float(b[at])


def _step_model(
    theta: Values, d: Values, shapes: Values, grey: Values
) -> tuple[Values, Values]:
    """Residuals, and derivatives by (level, step, shape …, log σ)."""
    count = shapes.shape[1]
    sigma = float(np.exp(theta[-1]))
    z = (d - shapes @ theta[2 : 2 + count]) / sigma
    rise = ndtr(z)
    density = np.exp(-0.5 * z * z) * (theta[1] / _SQRT_2PI)
    jac = np.empty((d.size, count + 3))
    jac[:, 0] = 1
    jac[:, 1] = rise
    jac[:, 2:-1] = shapes * (density * (-1 / sigma))[:, None]
    jac[:, -1] = density * -z
    return grey - theta[0] - theta[1] * rise, jac


def _judged(
    theta: Values,
    pixels: NearPixels,
    shapes: Values,
    basis: Basis,
    jac: Values,
    rest: Values,
    weight: Values,
    period: float | None,
    known: float,
) -> StepFit | None:
    """Add error bars to a fit: blocks, the fit's own, and what the model may hide."""
    count = shapes.shape[1]
    free = jac.shape[1]
    d = pixels.across
    shape, sigma = theta[2 : 2 + count], float(np.exp(theta[-1]))
    # the soft-L1 loss pulls with weight · rest, and that changes with rest as weight³
    bend = weight**3
    noise = float(np.sqrt(weight @ (rest * rest) / max(bend.sum() - free, 1)))
    try:
        inverse = np.linalg.inv((jac * bend[:, None]).T @ jac)
    except np.linalg.LinAlgError:
        return None
    pull = jac * (weight * rest)[:, None]
    own = (inverse @ (pull.T @ pull) @ inverse)[2 : 2 + count, 2 : 2 + count]
    places, offsets = _blocks(pixels, jac, rest, weight, period)
    at = basis(places)
    dof = float(len(places) - count)
    covariance, few = own * known, dof < 3
    if not few:  # blocks tell more the more there are
        gram = _inverse(at.T @ at)
        residual = offsets - at @ (gram @ (at.T @ offsets))
        spread = float(residual @ residual) / dof
        blocks = spread * gram
        covariance = (dof * blocks + PRIOR_DOF * covariance) / (dof + PRIOR_DOF)
    dof = PRIOR_DOF + (0.0 if few else dof)
    inflation = max(1.0, float(covariance[0, 0] / max(own[0, 0], 1e-30)))
    # the same fit with a window one pixel narrower, and with sloped plateaus
    edge = d - shapes @ shape
    reach = min(-float(edge.min()), float(edge.max())) - 1.0
    near = np.abs(edge) <= max(reach, 2 * sigma)
    slopes = np.stack([np.minimum(edge, 0), np.maximum(edge, 0)], axis=1)
    shifts = []
    for live, use in ((jac, near), (np.hstack([jac, slopes]), 1.0)):
        try:
            other = np.linalg.inv((live * (bend * use)[:, None]).T @ live)
        except np.linalg.LinAlgError:
            continue
        move = (other @ (live.T @ (weight * use * rest)))[2]
        chance = max(0.0, float(other[2, 2] - inverse[2, 2])) * noise**2 * inflation
        shifts.append(max(0.0, float(move**2) - 4 * chance))
    model_shift = float(np.sqrt(np.mean(shifts))) if shifts else 0.0
    rings = np.round(edge).astype(int)
    rings -= rings.min()
    crowd = np.bincount(rings)
    means = np.bincount(rings, weights=rest) / np.maximum(crowd, 1)
    sure = crowd > 0.3 * crowd.max()
    slack = 4 * noise / np.sqrt(np.maximum(crowd, 1)) * np.sqrt(inflation)
    beyond = np.where(sure, np.maximum(0, np.abs(means) - slack), 0)
    misfit = float(beyond.max() / max(abs(theta[1]), 1e-300))
    return StepFit(
        shape=shape,
        covariance=np.asarray(covariance, float),
        dof=min(dof, MANY),
        levels=(float(theta[0]), float(theta[0] + theta[1])),
        sigma=sigma,
        noise=noise,
        blocks=np.stack([places, at @ shape + offsets], axis=1),
        model_shift=model_shift,
        own_covariance=own,
        misfit=misfit,
    )


def _inverse(gram: Values) -> Values:
    """Invert a small Gram matrix, by the slow pseudo-inverse only where it must."""
    try:
        inverse = np.linalg.inv(gram)
    except np.linalg.LinAlgError:
        inverse = np.full_like(gram, np.inf)
    if np.abs(inverse).max() * np.abs(gram).max() < 1e12:
        return np.asarray(inverse)
    return np.asarray(np.linalg.pinv(gram, hermitian=True))


def _blocks(
    pixels: NearPixels,
    jac: Values,
    rest: Values,
    weight: Values,
    period: float | None,
) -> tuple[Values, Values]:
    """Positions of blocks along the edge about the fit: one step, own grey levels."""
    along = pixels.along
    start = 0.0 if period else float(along.min())
    span = period or float(along.max()) - start
    number = int(np.clip(span / BLOCK, 1, MOST_BLOCKS))
    which = np.clip(((along - start) * (number / max(span, 1e-9))), 0, number - 1e-9)
    which = which.astype(int)
    member = (which == np.arange(number)[:, None]).astype(float)  # (blocks, pixels)
    offset, rise, bend = jac[:, 2], jac[:, 1], weight**3
    products = [bend, bend * rise, bend * rise * rise]
    products += [bend * offset, bend * offset * rise, bend * offset * offset]
    pulls = [weight * rest * offset, weight * rest, weight * rest * rise]
    sums = member @ np.stack([*products, *pulls, along], axis=1)
    normal = sums[:, [5, 3, 4, 3, 0, 1, 4, 1, 2]].reshape(number, 3, 3)
    score, size = sums[:, 6:9], member.sum(1)
    good = size >= max(6, 0.4 * _median(size))
    scale = np.sqrt(np.maximum(normal[:, [0, 1, 2], [0, 1, 2]], 1e-300))
    unit = normal / (scale[:, :, None] * scale[:, None, :])
    good &= np.linalg.det(unit) > 1e-6
    offsets = np.linalg.solve(unit[good], (score / scale)[good][..., None])[:, 0, 0]
    return sums[good, 9] / size[good], offsets / scale[good, 0]
