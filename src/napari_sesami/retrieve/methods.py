"""The published methods at work on a scan; k and temperature by leaving strokes out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import torch

from napari_sesami.retrieve.bank import RetrieveError
from napari_sesami.retrieve.exact import similarities
from napari_sesami.retrieve.published import (
    DEFAULT_K,
    PublishedMethod,
    evidence,
    histograms,
    nearest,
    to_pixels,
    weights,
)
from napari_sesami.retrieve.upsample import nothing, upsample

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_sesami.retrieve.bank import Rows
    from napari_sesami.retrieve.upsample import Check

Method = Literal["ours", "distance", "attention", "histogram"]
METHODS: tuple[Method, ...] = get_args(Method)
GRID_K: dict[PublishedMethod, tuple[int, ...]] = {
    "distance": (1, 2, 4, 6, 10, 20, 30),
    "attention": (2, 10, 20, 30, 50),
    "histogram": (2, 10, 20, 30, 50),
}
GRID_BETA = (0.02, 0.3, 0.15, 0.1, 0.002)  # the published value first: it wins ties
ASKED = 1000  # rows that are left out in turn
PAIRS = 1 << 24  # similarities in memory at a time
NUMBERS = 1 << 23  # of evidence in memory at a time


@dataclass(frozen=True)
class Settings:
    """How many neighbours speak, how sharply, and how well that did (NaN: unknown)."""

    k: int
    beta: float
    score: float


def check_method(method: str) -> None:
    """Refuse a name that is none of the methods."""
    if method not in METHODS:
        raise RetrieveError(
            f"method is one of {', '.join(METHODS)}; {method!r} was given."
        )


def choose(rows: Rows, n_classes: int, method: PublishedMethod) -> Settings:
    """The k and β that label left-out strokes best, over the published grids.

    The score is as in `left_out_score`: the geometric mean of the true class's share,
    all classes counting alike.
    """
    near, index, asked, truth = _left_out(rows, n_classes, max(GRID_K[method]))
    best = Settings(DEFAULT_K[method], GRID_BETA[0], math.nan)
    if len(asked) == 0:
        return best
    histogram = histograms(rows, n_classes)
    own = histogram[index, torch.from_numpy(truth)[:, None]]  # (N, k)
    for k in sorted(GRID_K[method], key=lambda k: k != DEFAULT_K[method]):
        if k > near.shape[1] and k != min(GRID_K[method]):
            continue
        for beta in GRID_BETA[: 1 if method == "distance" else None]:
            p = (weights(near[:, :k], method, beta) * own[:, :k]).sum(1).numpy()
            said = np.log(np.clip(p, 1e-3, 1))
            parts = [said[truth == c].mean() for c in np.unique(truth)]
            score = float(np.exp(np.mean(parts)))
            if math.isnan(best.score) or score > best.score + 1e-6:
                best = Settings(k, beta, score)
    return best


def _left_out(
    rows: Rows, n_classes: int, k: int
) -> tuple[torch.Tensor, torch.Tensor, Rows, NDArray[np.int64]]:
    """Nearest rows of other strokes, for rows whose class another stroke has, too."""
    asked = rows.thinned(ASKED, n_classes)
    truth = asked.counts(n_classes).argmax(1)
    main = rows.counts(n_classes).argmax(1)
    strokes = [set(np.unique(rows.stroke[main == c])) for c in range(n_classes)]
    fit = np.array([len(strokes[c]) > 1 for c in truth], bool)
    asked, truth = asked.take(fit), truth[fit]
    similarity = similarities(*map(torch.from_numpy, (asked.tokens, rows.tokens)))
    same = torch.from_numpy(asked.stroke[:, None] == rows.stroke[None, :])
    similarity[same] = -math.inf
    near, index = similarity.float().topk(min(k, len(rows)), dim=1)
    return near, index, asked, truth


def token_shares(
    tokens: NDArray[np.float32],
    rows: Rows,
    n_classes: int,
    method: PublishedMethod,
    how: Settings,
) -> NDArray[np.float32]:
    """Class shares of the nearest rows, (h, w, C): what the screen shows at first."""
    h, w, dim = tokens.shape
    flat = torch.from_numpy(tokens.reshape(-1, dim))
    out = np.empty((h * w, n_classes), np.float32)
    histogram = histograms(rows, n_classes)
    for part in _parts(h * w, max(1, PAIRS // max(len(rows), 1))):
        near, index = nearest(flat[part], rows, how.k)
        weight = weights(near, method, how.beta)
        out[part] = torch.einsum("nk,nkc->nc", weight, histogram[index]).numpy()
    return out.reshape(h, w, n_classes)


def pixel_shares(
    tokens: NDArray[np.float32],
    rows: Rows,
    n_classes: int,
    method: PublishedMethod,
    how: Settings,
    shape: tuple[int, int],
    check: Check = nothing,
) -> NDArray[np.float32]:
    """Class shares of every pixel, (H, W, C), as published: no edges are followed."""
    patch = rows.patches.shape[-1]
    if method == "histogram":
        shares = token_shares(tokens, rows, n_classes, method, how)
        return upsample(shares, shape, patch)
    h, w, dim = tokens.shape
    out = np.empty((h * patch, w * patch, n_classes), np.float32)
    flat = torch.from_numpy(tokens.reshape(-1, dim))
    most = min(PAIRS // len(rows), NUMBERS // (n_classes * patch * patch))
    for rows_of_tokens in _parts(h, max(1, most // w)):
        check()
        a, b = rows_of_tokens.start, rows_of_tokens.stop
        near, index = nearest(flat[a * w : b * w], rows, how.k)
        said = evidence(near, index, rows, n_classes, method, how.beta)
        pixels = to_pixels(said, (b - a, w), patch)
        out[a * patch : b * patch] = pixels.permute(1, 2, 0).numpy()
    return np.ascontiguousarray(out[: shape[0], : shape[1]])


def _parts(n: int, step: int) -> Iterator[slice]:
    return (slice(a, min(a + step, n)) for a in range(0, n, step))
