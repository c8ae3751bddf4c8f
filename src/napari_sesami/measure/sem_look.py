"""The look of a microscope: how far rims reach and how wide the beam is, once a scan.

Rims, shadow and beam are alike for all edges of a scan at one setting, so their shape
is fitted to all edges at once; each edge has its own place, levels and height of rim.
What the shape leaves open moves all edges alike, and no mean makes it smaller.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import least_squares

from napari_sesami.measure.sem_edge import mean_profile, rim_parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sesami.measure.edge import NearPixels

    Values = NDArray[np.float64]
    Profile = tuple[Values, Values, Values]
    """Distances, means of grey, and their weights."""

FIRST = (1.2, 0.6, 0.1, 2.5, 0.1)
LOWEST = (-1.0, -1.5, -0.2, 0.5, -1.2)
HIGHEST = (4.0, 3.5, 0.95, 4.5, 1.6)
OUTSIDE = 0.8  # pixels from a rim's top to the edge, to begin with
MOST_EDGES = 24
FOLDS = 10
NARROW = 0.75
STEP = 1e-4
PRIOR = np.array([-0.7, 0.2, 1.0])
PRIOR_WIDTH = np.array([0.5, 0.2, 0.7])
"""Of the rim's reach outside over that inside (as logarithm), the shadow's share, and
its reach over the rim's inside (as logarithm)."""


@dataclass(frozen=True, eq=False)
class RimLook:
    """What all edges of a scan share.

    Attributes
    ----------
    shape
        Logarithms of the rim's reach inside and outside, the shadow's share, logarithms
        of its reach and of the beam's σ.
    u
        By how much all edges may be off alike, in pixels outwards.
    """

    shape: Values
    u: float

    def place(self, pixels: NearPixels, near: float) -> tuple[float, float] | None:
        """Give an edge near a distance, and its error without that of the look."""
        whole = _place(profile_of(pixels), self.shape, near)
        if whole is None:
            return None
        parts = [
            _place(profile_of(part), self.shape, whole) for part in _without(pixels)
        ]
        found = np.array([p for p in parts if p is not None])
        if found.size < len(parts):
            return None
        return whole, float(np.sqrt(0.9 * np.sum((found - found.mean()) ** 2)))


def fit_look(
    edges: Sequence[tuple[NearPixels, float]], inflation: float = 1.0
) -> RimLook | None:
    """Fit the look to edges: pixels by distance, and where the rim's top is.

    What rim and shadow do outside is hard to tell apart, so both have a weak prior. The
    error is that of the fit with its prior, and of windows a quarter narrower on either
    side: the tails' shape has a say in where the edge is.
    """
    chosen = list(edges)[:: max(1, -(-len(edges) // MOST_EDGES))]
    if not chosen:
        return None
    start = np.array([top + OUTSIDE for _, top in chosen])
    whole = [profile_of(pixels) for pixels, _ in chosen]
    first = _joint(whole, start, np.array(FIRST), 0.0)
    fitted = first and _joint(whole, first.places, first.shape, first.noise)
    if not fitted:
        return None
    tails = []
    for low, high in ((NARROW, 1.0), (1.0, NARROW)):
        narrow = []
        for (x, y, weight), at in zip(whole, fitted.places, strict=True):
            away = x - at
            keep = (away >= low * away.min()) & (away <= high * away.max())
            narrow.append((x[keep], y[keep], weight[keep]))
        part = _joint(narrow, fitted.places, fitted.shape, fitted.noise)
        if part is None:
            return None
        move = float(np.mean(part.places - fitted.places))
        # noise moves it, too: what chance explains is not counted twice
        tails.append(max(0.0, move**2 - max(0.0, part.u**2 - fitted.u**2)))
    u = float(np.sqrt(fitted.u**2 * np.sqrt(inflation) + np.mean(tails)))
    return RimLook(fitted.shape, u)


def profile_of(pixels: NearPixels) -> Profile:
    """Average grey by distance, weighted by how many pixels a mean is of."""
    x, y, count = mean_profile(pixels.across, pixels.grey, 0.25)
    return x, y, np.sqrt(count / count.max())


def _without(pixels: NearPixels) -> list[NearPixels]:
    """Leave out each tenth along the edge in turn."""
    order = np.argsort(pixels.along)
    parts = []
    for piece in np.array_split(order, FOLDS):
        keep = np.ones(len(pixels), bool)
        keep[piece] = False
        parts.append(pixels.where(keep))
    return parts


def _rest(profile: Profile, at: float, shape: Values) -> Values:
    """Residuals with levels and the rim's height solved for."""
    x, y, weight = profile
    parts = rim_parts(x - at, shape) * weight[:, None]
    scale = np.sqrt((parts * parts).sum(0)) + 1e-12
    unit = parts / scale
    gram = unit.T @ unit
    gram[np.diag_indices(3)] += 1e-9
    target = weight * y
    return np.asarray(target - unit @ np.linalg.solve(gram, unit.T @ target))


def _place(profile: Profile, shape: Values, start: float) -> float | None:
    """Find one edge with the look known."""
    if profile[0].size < 12:
        return None
    at = start
    for _ in range(30):
        rest = _rest(profile, at, shape)
        slope = (_rest(profile, at + STEP, shape) - rest) / STEP
        move = -float(slope @ rest) / max(float(slope @ slope), 1e-300)
        move = float(np.clip(move, -0.5, 0.5))
        at += move
        if abs(move) < 1e-5:
            break
    return at if np.isfinite(at) and abs(at - start) < 8 else None


@dataclass(frozen=True, eq=False)
class _Joint:
    """Places of edges and their common look; by how much it moves them all; noise."""

    places: Values
    shape: Values
    u: float
    noise: float


def _joint(
    profiles: list[Profile], places: Values, shape: Values, noise: float
) -> _Joint | None:
    """Fit places and the look together; None if they are not determined.

    With the noise of means known, what is known of looks beforehand has its weight.
    """
    if any(p[0].size < 12 for p in profiles):
        return None
    number = len(profiles)
    ends = np.cumsum([0, *(p[0].size for p in profiles)])
    scale = float(np.median([np.ptp(y) for _, y, _ in profiles])) or 1.0

    def rests(q: Values) -> Values:
        own = [_rest(p, q[k], q[number:]) for k, p in enumerate(profiles)]
        inside, outside, shadow, far, _ = q[number:]
        known = np.array([outside - inside, shadow, far - inside]) - PRIOR
        return np.concatenate([*own, noise * known / PRIOR_WIDTH]) / scale

    def slopes(q: Values) -> Values:
        rest = rests(q)
        out = np.zeros((rest.size, q.size))
        ahead = q.copy()
        ahead[:number] += STEP
        all_moved = (rests(ahead) - rest) / STEP  # an edge's place moves its own only
        for k in range(number):
            part = slice(ends[k], ends[k + 1])
            out[part, k] = all_moved[part]
        for k in range(number, q.size):
            ahead = q.copy()
            ahead[k] += STEP
            out[:, k] = (rests(ahead) - rest) / STEP
        return out

    inside = np.clip(shape, np.array(LOWEST) + 1e-3, np.array(HIGHEST) - 1e-3)
    solved = least_squares(
        rests, np.concatenate([places, inside]), jac=slopes,
        bounds=(
            np.concatenate([places - 8, LOWEST]), np.concatenate([places + 8, HIGHEST])
        ),
        x_scale=np.concatenate([np.ones(number), [1, 1, 0.3, 1, 0.5]]), max_nfev=60,
        xtol=1e-6, ftol=1e-9,
    )  # fmt: skip
    if not np.all(np.isfinite(solved.x)):
        return None
    jac = slopes(solved.x)
    own = jac[: ends[-1], :number]
    to_look = -(own.T @ jac[: ends[-1], number:]) / np.sum(own**2, 0)[:, None]
    free = ends[-1] - 4 * number - 5  # a place and three heights for each edge
    left = rests(solved.x)[: ends[-1]]
    variance = float(left @ left) / max(free, 1)
    # of the look, with places solved for
    rest = jac[:, number:].copy()
    rest[: ends[-1]] += own @ to_look
    common = to_look.mean(0)
    covariance = np.linalg.pinv(rest.T @ rest, hermitian=True) * variance
    u = float(np.sqrt(max(common @ covariance @ common, 0.0)))
    noise = scale * float(np.sqrt(variance))
    return _Joint(solved.x[:number], solved.x[number:], u, noise)
