"""Films as stacks: all edges of a film fitted at once, block by block along it.

The blur of one edge reaches into the next, so that a film thinner than a few σ looks
thicker than it is wherever its edges are read one by one. Here the grey levels are
common to all blocks, each block has its own edge positions, and the blur is the scan's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sesami.measure.edge import NearPixels

    Values = NDArray[np.float64]

_SQRT_2PI = float(np.sqrt(2 * np.pi))


@dataclass(frozen=True, eq=False)
class StackFit:
    """Edges of a stack along a guide.

    Attributes
    ----------
    places
        Place along the guide of each block (n,).
    positions
        Of every edge in every block, across the guide (n, edges).
    levels
        Grey between the edges, from inside to outside.
    level_error
        Standard error of each level.
    sigma
        Blur used.
    noise
        Standard deviation of one pixel about the fit.
    influence
        What each block did to the mean of each edge (n, edges): its own position and
        its share of the common levels; their squares add up to the variance.
    blur_error
        What the uncertainty of the blur does to the mean thickness.
    """

    places: Values
    positions: Values
    levels: Values
    level_error: Values
    sigma: float
    noise: float
    influence: Values
    blur_error: float = 0.0

    def mean(self, weights: Values) -> tuple[float, float, float]:
        """Give mean over blocks of ``positions @ weights``, its error and dof."""
        n = len(self.places)
        value = float((self.positions @ weights).mean())
        if n < 3:
            return value, np.nan, 1.0
        parts = self.influence @ weights
        return value, float(np.sqrt(n / (n - 1) * (parts @ parts))), float(n - 1)


def fit_stack(
    pixels: NearPixels,
    block: NDArray[np.intp],
    start: Values,
    sigma: float,
    *,
    fixed_levels: dict[int, float] | None = None,
    free_sigma: bool = False,
) -> StackFit | None:
    """Fit the edges of all blocks and their common levels; None if not determined.

    Parameters
    ----------
    pixels
        Near the guide.
    block
        Number of the block of each pixel, from 0.
    start
        Positions to begin with (blocks, edges), rising along each row.
    sigma
        The scan's blur.
    fixed_levels
        Grey known from elsewhere, by number of the level.
    free_sigma
        Whether the blur is fitted, too.
    """
    number, edges = start.shape
    known = fixed_levels or {}
    grey = pixels.grey
    free = [k for k in range(edges + 1) if k not in known]
    if grey.size < 3 * (number * edges + edges + 2) or not np.ptp(grey) > 0:
        return None
    member = np.zeros((number, grey.size))
    member[block, np.arange(grey.size)] = 1
    positions = start.astype(float).copy()
    log_sigma = float(np.log(sigma))
    levels = _first_levels(pixels, block, positions, sigma, known)
    if levels is None:
        return None
    weight = np.ones_like(grey)
    shared = [*free, *([edges + 1] if free_sigma else [])]
    damping, robust = 1e-3, False
    state = _stack_model(pixels, block, positions, levels, log_sigma)
    for _ in range(60):
        rest, local, common = state
        cost = float(weight @ rest**2)
        accepted = False
        for _ in range(8):
            solved = _solve(
                local, common[:, shared], rest, weight, weight, member, damping
            )
            if solved is None:
                return None
            step, share, _, _ = solved
            step = np.clip(step, -1.0, 1.0)
            new = positions + step
            for j in range(1, edges):  # edges keep their order
                new[:, j] = np.maximum(new[:, j], new[:, j - 1] + 0.05)
            changed = levels.copy()
            changed[free] += share[: len(free)]
            other = log_sigma + (
                float(np.clip(share[-1], -0.3, 0.3)) if free_sigma else 0
            )
            trial = _stack_model(pixels, block, new, changed, other)
            if float(weight @ trial[0] ** 2) <= cost * (1 + 1e-12):
                accepted = True
                break
            damping *= 10
        if not accepted:
            break
        gained = cost - float(weight @ trial[0] ** 2)
        positions, levels, log_sigma, state = new, changed, other, trial
        damping = max(damping / 10, 1e-9)
        if gained < 1e-6 * cost:
            if robust:
                break
            width = 1.4826 * float(np.median(np.abs(state[0])))
            width = max(width, 1e-9 * float(np.ptp(grey)))
            weight = 1 / np.sqrt(1 + (state[0] / (3 * width)) ** 2)
            robust = True
    rest, local, common = state
    bend = weight**3
    used = number * edges + len(shared)
    noise = float(np.sqrt(weight @ rest**2 / max(bend.sum() - used, 1)))
    solved = _solve(local, common[:, shared], rest, bend, weight, member, 0.0)
    if solved is None:
        return None
    _, _, slope, inverse = solved
    # share of each block in the common levels: its pull, its own edges solved for
    blocks = np.maximum(member.sum(1), 1)
    pull = member @ (common[:, shared] * (weight * rest)[:, None] - 0)
    shares = pull @ inverse  # (blocks, shared)
    moved = -slope.mean(0) @ shares.T  # d mean position / d levels · share
    deviation = positions - positions.mean(0)
    error = np.sqrt(np.sum(shares**2, axis=0))[: len(free)]
    all_errors = np.zeros(edges + 1)
    all_errors[free] = error
    along = (member @ pixels.along) / blocks
    return StackFit(
        places=along,
        positions=positions,
        levels=levels,
        level_error=all_errors,
        sigma=float(np.exp(log_sigma)),
        noise=noise,
        influence=deviation / number + moved.T,
    )


def _first_levels(
    pixels: NearPixels,
    block: NDArray[np.intp],
    positions: Values,
    sigma: float,
    known: dict[int, float],
) -> Values | None:
    """Levels by linear least squares at the first positions."""
    z = (pixels.across[:, None] - positions[block]) / sigma
    rise = ndtr(z)
    parts = np.hstack([np.ones((len(pixels), 1)), rise])
    parts[:, :-1] -= rise  # share of each level
    free = [k for k in range(parts.shape[1]) if k not in known]
    levels = np.zeros(parts.shape[1])
    for k, value in known.items():
        levels[k] = value
    target = pixels.grey - parts @ levels
    found, _, rank, _ = np.linalg.lstsq(parts[:, free], target, rcond=1e-10)
    if rank < len(free):
        return None
    levels[free] = found
    return levels


def _stack_model(
    pixels: NearPixels,
    block: NDArray[np.intp],
    positions: Values,
    levels: Values,
    log_sigma: float,
) -> tuple[Values, Values, Values]:
    """Residuals, derivatives by own positions, and by (levels, log σ)."""
    sigma = float(np.exp(log_sigma))
    z = (pixels.across[:, None] - positions[block]) / sigma
    rise = ndtr(z)
    jumps = np.diff(levels)
    density = np.exp(-0.5 * z * z) * (jumps / _SQRT_2PI)
    common = np.empty((len(pixels), len(levels) + 1))
    common[:, 0] = 1
    common[:, 1:-1] = rise
    common[:, :-2] -= rise
    common[:, -1] = (density * -z).sum(1)
    rest = pixels.grey - common[:, :-1] @ levels
    return rest, density * (-1 / sigma), common


def _solve(
    local: Values,
    common: Values,
    rest: Values,
    bend: Values,
    weight: Values,
    member: Values,
    damping: float,
) -> tuple[Values, Values, Values, Values] | None:
    """Solve the arrow-shaped system: own positions of blocks, then common values.

    Gives the step of positions, of common values, d position / d common value with the
    block's pixels refitted (blocks, edges, shared), and the inverse of what is left.
    """
    number, edges, shared = len(member), local.shape[1], common.shape[1]
    both = np.hstack([local, common])
    size = edges + shared
    outer = (both[:, :, None] * both[:, None, :] * bend[:, None, None]).reshape(
        len(rest), size * size
    )
    grams = (member @ outer).reshape(number, size, size)
    pulls = member @ (both * (weight * rest)[:, None])
    own, cross = grams[:, :edges, :edges].copy(), grams[:, :edges, edges:]
    core = grams[:, edges:, edges:].sum(0)
    index = np.arange(edges)
    floor = 1e-9 * np.trace(own.sum(0)) / max(number * edges, 1) + 1e-300
    own[:, index, index] = own[:, index, index] * (1 + damping) + floor
    core[np.diag_indices(shared)] *= 1 + damping
    try:
        solved = np.linalg.solve(
            own, np.concatenate([cross, pulls[:, :edges, None]], axis=2)
        )
        slope, free_step = solved[:, :, :-1], solved[:, :, -1]
        schur = core - np.einsum("bij,bik->jk", cross, slope)
        inverse = np.linalg.inv(schur)
    except np.linalg.LinAlgError:
        return None
    score = pulls[:, edges:].sum(0) - np.einsum("bij,bi->j", cross, free_step)
    move = inverse @ score
    step = free_step - slope @ move
    if not (np.all(np.isfinite(step)) and np.all(np.isfinite(move))):
        return None
    return step, move, slope, inverse
