"""The three published methods of retrieval, on partly labelled patches.

Each takes tokens (N, D) of length one and the rows of a bank. On patches that are
labelled completely they are what was published (AOI-SSL: weights by distance, and
attention over complete mask patches; Hummingbird: attention over class histograms).
Where a neighbour's pixel carries no label, the other neighbours share its weight; a
pixel that no neighbour labels takes the neighbours' class histogram.

Which rows are nearest is known exactly, if the tokens are `on_grid`; the neighbours'
weights are float32 and agree within 1e-5 from one processor to another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch

from napari_sesami.retrieve.bank import UNLABELLED, RetrieveError
from napari_sesami.retrieve.exact import similarities

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sesami.retrieve.bank import Rows

PublishedMethod = Literal["distance", "attention", "histogram"]
DEFAULT_K: dict[PublishedMethod, int] = {
    "distance": 4,
    "attention": 30,
    "histogram": 30,
}


def retrieve(
    tokens: Tensor,
    rows: Rows,
    n_classes: int,
    method: PublishedMethod = "histogram",
    k: int | None = None,
    beta: float = 0.02,
) -> Tensor:
    """Per-class evidence of the k nearest rows.

    Returns
    -------
    Tensor
        (N, n_classes, p, p) for "distance" and "attention", which carry mask patches
        over; (N, n_classes, 1, 1) for "histogram". Sums to one over the classes.
    """
    if len(rows) == 0:
        raise RetrieveError(
            "Nothing is labelled yet: paint a stroke of each class first."
        )
    near, index = nearest(tokens, rows, k or DEFAULT_K[method])
    return evidence(near, index, rows, n_classes, method, beta)


def weights(near: Tensor, method: PublishedMethod, beta: float) -> Tensor:
    """How much each of the nearest rows counts, (N, k), from their similarities."""
    if method == "distance":
        weight = 1 / (1 - near).clamp(min=1e-6)
        return weight / weight.sum(1, keepdim=True)
    return (near / beta).softmax(1)


def evidence(
    near: Tensor,
    index: Tensor,
    rows: Rows,
    n_classes: int,
    method: PublishedMethod,
    beta: float,
) -> Tensor:
    """What `retrieve` gives, of the `nearest` rows that are known already."""
    weight = weights(near, method, beta)
    histogram = histograms(rows, n_classes).to(near)  # (M, C)
    mixed = torch.einsum("nk,nkc->nc", weight, histogram[index])
    if method == "histogram":
        return mixed[:, :, None, None]
    return _carry_patches(weight, index, rows, mixed)


def nearest(tokens: Tensor, rows: Rows, k: int) -> tuple[Tensor, Tensor]:
    """Cosine similarity and row index of the k nearest rows, (N, k) each."""
    keys = torch.from_numpy(rows.tokens).to(tokens)
    near, index = similarities(tokens, keys).topk(min(k, len(rows)), dim=1)
    return near.float(), index


def to_pixels(evidence: Tensor, grid: tuple[int, int], patch: int) -> Tensor:
    """Put patches (h·w, C, p, p) back into an image (C, h·p, w·p).

    Histograms (p = 1) are upsampled bilinearly, as published.
    """
    h, w = grid
    n_classes, p = evidence.shape[1], evidence.shape[-1]
    image = evidence.reshape(h, w, n_classes, p, p).permute(2, 0, 3, 1, 4)
    image = image.reshape(n_classes, h * p, w * p)
    if p == patch:
        return image
    return torch.nn.functional.interpolate(
        image[None], scale_factor=patch // p, mode="bilinear", align_corners=False
    )[0]


def histograms(rows: Rows, n_classes: int) -> Tensor:
    """Class shares of each row's labelled pixels, (M, n_classes)."""
    counts = torch.from_numpy(rows.counts(n_classes)).float()
    return counts / counts.sum(1, keepdim=True).clamp(min=1)


def _carry_patches(weight: Tensor, index: Tensor, rows: Rows, mixed: Tensor) -> Tensor:
    """Average the neighbours' mask patches where they are labelled."""
    n, k = index.shape
    n_classes, p = mixed.shape[1], rows.patches.shape[-1]
    patches = torch.from_numpy(rows.patches).to(index.device)
    total = torch.zeros(n, n_classes, p, p, dtype=weight.dtype, device=weight.device)
    known = torch.zeros(n, 1, p, p, dtype=weight.dtype, device=weight.device)
    for j in range(k):  # one neighbour at a time: (N, C, p, p) instead of (N, k, …)
        patch = patches[index[:, j]]
        share = weight[:, j, None, None]
        for c in range(n_classes):
            total[:, c] += share * (patch == c + 1)
        known[:, 0] += share * (patch != UNLABELLED)
    filled = total / known.clamp(min=1e-12)
    return torch.where(known > 0, filled, mixed[:, :, None, None])
