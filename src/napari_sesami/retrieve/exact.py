"""Similarities and kernels that have the same bits on every processor.

Tokens are rounded to multiples of 2⁻¹¹ when they enter a store or a bank. Then no
rounding is left in a product of two of them: every term is a multiple of 2⁻²², and so
is every sum of some of the terms; by Cauchy and Schwarz no such sum is larger than the
product of the two lengths, about 1, and float32 holds every multiple of 2⁻²² up to 4.
So it makes no difference in which order a library adds, in how many threads, with fused
operations or without, how many rows come at a time and how they lie in memory. Where
torch was told that float32 products may be less precise (bfloat16, TF32), they are made
in float64, which is exact for the same reason.

The kernel exp((s − 1) / τ) of such a similarity s is looked up: s is rounded to a
multiple of 2⁻¹⁴ (by operations that leave no rounding to a library), and the table of
multiples of 2⁻²⁴ is made with integers. No vectorised exponential is
asked, whose last bit depends on the processor and on the place in the array.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOKEN_STEPS = 2.0**11  # float16 holds every multiple up to 1, so files lose nothing
SIMILARITY_STEPS = 1 << 14
KERNEL_BITS, DIGIT_BITS = 24, 160
PAIRS = 1 << 18  # similarities at a time: they stay in the processor's cache


def on_grid(tokens: NDArray[np.floating]) -> NDArray[np.float32]:
    """Round tokens to multiples of 2⁻¹¹; what is no number becomes 0."""
    rounded = np.nan_to_num(tokens.astype(np.float32) * np.float32(TOKEN_STEPS))
    np.round(rounded, out=rounded)
    rounded /= np.float32(TOKEN_STEPS)
    return rounded


def similarities(tokens: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    """Cosines (N, M) of tokens (N, D) and keys (M, D), both `on_grid`: no rounding."""
    if _rounds(tokens.device.type):
        tokens, keys = tokens.double(), keys.double()
    return tokens @ keys.T


def _rounds(device: str) -> bool:
    """Whether products of float32 may be made of shorter numbers."""
    if torch.is_autocast_enabled(device):
        return True
    try:
        return torch.get_float32_matmul_precision() != "highest"
    except RuntimeError:  # set for one backend alone: torch no longer says it in a word
        return True


def kernel(similarity: torch.Tensor, tau: float) -> torch.Tensor:
    """exp((s − 1) / τ) of exactly known similarities: multiples of 2⁻²⁴ in float64.

    A token of a length a little above one may be more similar than 1: that is 1.
    """
    # cut off, s·2¹⁴ + 2¹⁴ + ½ is the rounded place in the table
    first = similarity.new_tensor(SIMILARITY_STEPS + 0.5)
    place = torch.add(first, similarity, alpha=SIMILARITY_STEPS)
    place = place.clamp_(0, 2 * SIMILARITY_STEPS).to(torch.int32)
    values = _table(tau).to(place.device)
    return values.index_select(0, place.reshape(-1)).view(place.shape)


def kernels(
    a: NDArray[np.float32], b: NDArray[np.float32], tau: float
) -> NDArray[np.float64]:
    """The kernel (N, M) of all pairs of tokens (N, D) and (M, D), both `on_grid`."""
    out = torch.empty((len(a), len(b)), dtype=torch.float64)
    tokens, keys = torch.from_numpy(a), torch.from_numpy(b)
    step = max(1, PAIRS // max(len(b), 1))
    for start in range(0, len(a), step):
        part = similarities(tokens[start : start + step], keys)
        out[start : start + step] = kernel(part, tau)
    return out.numpy()


@lru_cache(maxsize=64)
def _table(tau: float) -> torch.Tensor:
    """The kernel at −1, −1 + 2⁻¹⁴, …, 1, by integers alone."""
    with localcontext() as context:
        context.prec = 60
        ratio = (-1 / (Decimal(tau) * SIMILARITY_STEPS)).exp()
        factor = int(ratio * (1 << DIGIT_BITS))
    steps = np.zeros(2 * SIMILARITY_STEPS + 1)
    drop = DIGIT_BITS - KERNEL_BITS
    value, place = 1 << DIGIT_BITS, len(steps)
    while place and value >> (drop - 1):
        place -= 1
        steps[place] = (value + (1 << (drop - 1))) >> drop
        value = value * factor >> DIGIT_BITS
    return torch.from_numpy(steps / 2.0**KERNEL_BITS)
