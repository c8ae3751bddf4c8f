"""Losses of weak-to-strong training: equations 4 to 6 of Yu et al., as in UniMatch.

Yu et al., "Semiconductor Image Analysis using Data-Efficient Machine Learning", §2.2;
Yang et al., "Revisiting Weak-to-Strong Consistency in Semi-Supervised Semantic
Segmentation", 2023. Where the first leaves something open, the second decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

IGNORE = 255
"""A label that no loss looks at."""


def supervised_loss(
    logits: Tensor, labels: Tensor, weights: Tensor | None = None, dice: float = 0.0
) -> Tensor:
    """L_s: cross-entropy over labelled pixels, and dice beside it.

    Parameters
    ----------
    logits
        (B, C, H, W).
    labels
        (B, H, W), `IGNORE` where nothing is known.
    weights
        (C,), or None for equal ones.
    dice
        Weight of the dice loss.
    """
    known = labels != IGNORE
    if not bool(known.any()):
        return logits.sum() * 0
    loss = F.cross_entropy(logits, labels, weights, ignore_index=IGNORE)
    if dice:
        loss = loss + dice * dice_loss(logits, labels, known)
    return loss


def pseudo_labels(logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Likeliest class, its probability, and all of p^w, that of the weak view."""
    p = logits.softmax(1)
    sure, labels = p.max(1)
    return labels, sure, p


def thresholds(
    tau: float, sureness: Tensor | None = None, floor: float = 0.6
) -> float | Tensor:
    """τ, or one of each class: τ r / (2 − r), r its sureness ÷ that of the best class.

    FlexMatch's convex form (Zhang et al. 2021), not below `floor`.
    """
    if sureness is None:
        return tau
    r = (sureness / sureness.max().clamp_min(1e-6)).clamp(0, 1)
    return (tau * r / (2 - r)).clamp_min(min(floor, tau))


def consistency(
    logits: Tensor,
    labels: Tensor,
    accepted: Tensor,
    valid: Tensor,
    left_out: Tensor | None = None,
    dice: float = 0.0,
) -> Tensor:
    """H(p^w, p^s) over accepted pixels, divided by *all* valid ones (equation 4).

    Parameters
    ----------
    logits
        (B, C, H, W) of a perturbed view.
    labels
        (B, H, W) pseudo-labels of the weak view.
    accepted, valid
        (B, H, W): 𝟙[max p^w ≥ τ], and pixels that show the specimen.
    left_out
        (C,) bool: classes that nothing accepts; their logits get no gradient at all.
    dice
        Weight of the dice loss.
    """
    if left_out is not None and bool(left_out.any()):
        logits = logits.masked_fill(left_out[None, :, None, None], -1e4)
    some = accepted & valid
    each = F.cross_entropy(logits, labels, reduction="none")
    loss = (each * some).sum() / valid.sum().clamp_min(1)
    if dice:
        loss = loss + dice * dice_loss(logits, labels, some)
    return loss


def per_image(
    logits: Tensor, labels: Tensor, accepted: Tensor, valid: Tensor
) -> Tensor:
    """The cross-entropy of `consistency`, one number for each image (B,)."""
    each = F.cross_entropy(logits, labels, reduction="none") * (accepted & valid)
    return each.flatten(1).sum(1) / valid.flatten(1).sum(1).clamp_min(1)


def unlabelled_loss(
    strong: Sequence[Tensor], perturbed: Tensor | None, balance: float
) -> Tensor:
    """L_u = λ · mean of H(p^w, p^{s_i}) + (1 − λ) · H(p^w, p^{fp}) (equation 6)."""
    first = torch.stack(tuple(strong)).mean()
    if perturbed is None:
        return first
    return balance * first + (1 - balance) * perturbed


def total_loss(supervised: Tensor, unlabelled: Tensor, weight: float = 1.0) -> Tensor:
    """L = ½ (L_s + L_u) (equation 5)."""
    return (supervised + weight * unlabelled) / 2


def dice_loss(logits: Tensor, labels: Tensor, some: Tensor) -> Tensor:
    """1 − mean dice of the classes that the labels of some pixels have."""
    p = logits.softmax(1)
    flat = torch.where(some, labels, 0)
    one_hot = F.one_hot(flat, logits.shape[1]).movedim(-1, 1).to(p)
    mask = some[:, None].to(p)
    one_hot, p = one_hot * mask, p * mask
    over = (0, 2, 3)
    both = 2 * (p * one_hot).sum(over)
    size = (p * p).sum(over) + one_hot.sum(over)
    there = one_hot.sum(over) > 0
    if not bool(there.any()):
        return logits.sum() * 0
    return (1 - (both + 1e-5) / (size + 1e-5))[there].mean()


def borders(labels: Tensor, width: int = 2) -> Tensor:
    """True within `width` pixels of a border between labels (B, H, W)."""
    x = labels[:, None].float()
    side = 2 * width + 1
    high = F.max_pool2d(x, side, 1, width)
    low = -F.max_pool2d(-x, side, 1, width)
    return (high != low)[:, 0]
