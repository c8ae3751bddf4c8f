"""Counting statistics that agree between CPU and GPU."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from napari_sesami.noise.base import normal, uniform

if TYPE_CHECKING:
    from torch import Generator, Tensor

_FEW = 12.0  # below this rate the distribution function is summed, above it expanded
_MOST = 40  # P(more than 40 | rate 12) < 1e-10


def poisson(rate: Tensor, generator: Generator) -> Tensor:
    """Draw Poisson counts with these rates.

    The counts are quantiles of one normal number per pixel. Unlike a rejection
    sampler, that number does not depend on the rate, so a rounding difference
    between CPU and GPU changes single pixels by one count, never the rest.
    """
    z = normal(rate.shape, rate, generator)
    many = _expanded(rate.clamp(min=_FEW), z)
    few = rate < _FEW
    if bool(few.any()):
        many[few] = _summed(rate[few].clamp(min=0), z[few])
    return many


def poisson_level(rate: float, like: Tensor, generator: Generator) -> Tensor:
    """Draw Poisson counts of the same rate for every pixel of an image."""
    chance = uniform(like.shape, like, generator)
    count = torch.arange(math.ceil(rate + 12 * math.sqrt(rate) + 12))
    log_term = count * math.log(max(rate, 1e-30)) - rate - torch.lgamma(count + 1.0)
    below = log_term.double().exp().cumsum(0).to(like)
    return torch.searchsorted(below, chance.contiguous()).to(like.dtype)


def _expanded(rate: Tensor, z: Tensor) -> Tensor:
    # Cornish–Fisher with skewness 1/sqrt(rate) and excess 1/rate; rounding adds 1/12
    # to the variance, which is taken off beforehand
    skew = (z**2 - 1) / (6 * rate.sqrt())
    excess = ((z**3 - 3 * z) / 24 - (2 * z**3 - 5 * z) / 36) / rate
    spread = (rate - 1 / 12).sqrt()
    return (rate + spread * (z + skew + excess)).round().clamp(min=0)


def _summed(rate: Tensor, z: Tensor) -> Tensor:
    chance = torch.special.ndtr(z)
    term = torch.exp(-rate)
    below = term.clone()
    count = torch.zeros_like(rate)
    for k in range(1, _MOST):
        more = chance > below
        if not bool(more.any()):
            break
        count += more
        term = term * rate / k
        below = below + term
    return count
