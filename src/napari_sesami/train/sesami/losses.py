"""Losses of masks drawn from prompts, over a chain of corrective clicks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    Answer = Callable[[Tensor, Tensor, Tensor | None], tuple[Tensor, Tensor]]


def quarter(masks: Tensor) -> Tensor:
    """Share of true pixels in each 4 × 4 cell: soft truth that keeps thin layers."""
    return F.avg_pool2d(masks.float()[:, None], 4)[:, 0]


def hard(truth: Tensor) -> Tensor:
    """Cells that count as inside; objects thinner than half a cell do not vanish."""
    top = truth.amax((1, 2), keepdim=True)
    return truth > torch.minimum(0.5 * top, torch.full_like(top, 0.5)) * 0.99


def mask_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Normalised focal loss plus dice per mask: (P, M, h, w) against (P, h, w)."""
    truth = truth[:, None].expand_as(logits)
    error = (logits.sigmoid() - truth).abs()
    weight = error.detach() ** 2
    weight = weight / (weight.mean((2, 3), keepdim=True) + 0.01)
    raw = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    focal = (weight * raw).mean((2, 3))
    p = logits.sigmoid()
    inter, total = (p * truth).sum((2, 3)), (p * p + truth * truth).sum((2, 3))
    return focal + 1 - (2 * inter + 1) / (total + 1)


@torch.no_grad()
def cell_iou(logits: Tensor, truth: Tensor) -> Tensor:
    """IoU (P, M) on the grid of cells."""
    a, b = logits > 0, hard(truth)[:, None]
    return (a & b).sum((2, 3)) / (a | b).sum((2, 3)).clamp(min=1)


@torch.no_grad()
def corrective_click(
    logits: Tensor, truth: Tensor, masks: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Click at the deepest cell of the larger error: points (P, 2), labels (P,)."""
    a, b = logits > 0, hard(truth)
    missed, extra = depth(b & ~a), depth(a & ~b)
    jitter = torch.rand(missed.shape, generator=generator) * 0.9
    missed, extra = missed + jitter * (missed > 0), extra + jitter * (extra > 0)
    label = (missed.amax((1, 2)) >= extra.amax((1, 2))).long()
    field = torch.where(label[:, None, None] == 1, missed, extra).flatten(1)
    best = field.argmax(1)
    w = truth.shape[2]
    row, col = best // w, best % w
    cells = masks.view(len(masks), -1, 4, w, 4)  # (P, h, 4, w, 4)
    own = cells[torch.arange(len(row)), row, :, col]  # (P, 4, 4)
    fits = (own == label[:, None, None].bool()).flatten(1).float() + 1e-3
    pixel = torch.multinomial(fits, 1, generator=generator)[:, 0]
    points = torch.stack([row * 4 + pixel // 4, col * 4 + pixel % 4], 1).float()
    perfect = field.amax(1) <= 0
    return points, torch.where(perfect, -1, label)


def depth(region: Tensor) -> Tensor:
    """Chessboard distance to the edge of boolean regions (P, h, w), in cells."""
    x = region.float()[:, None]
    total = x.clone()
    for _ in range(9):
        x = -F.max_pool2d(F.pad(-x, (1, 1, 1, 1)), 3, stride=1)
        if not bool(x.any()):
            break
        total += x
    return total[:, 0]


def prompt_losses(
    answer: Answer,
    points: Tensor,
    labels: Tensor,
    single: Tensor,
    masks: Tensor,
    generator: torch.Generator,
    *,
    rounds: int,
    last: Tensor | None = None,
    iou_weight: float = 0.5,
) -> tuple[Tensor, dict[str, float]]:
    """First answer, then one more after a number of corrective clicks.

    Parameters
    ----------
    answer
        From points (P, N, 2), labels (P, N) and the last logits (P, 1, h, w) to logits
        (P, 4, h, w), the first for clear prompts and three readings, and their IoU.
    points, labels
        The first prompts: 1 on the object, 0 off it, 2 and 3 corners, -1 padding.
    single
        (P,) bool: clear prompts (a box, several clicks), answered by the first mask.
    masks
        (P, H, W) bool truth in view pixels.
    generator
        Of the corrective clicks.
    rounds
        How many of them.
    last
        Partial masks to start from, as logits.
    iou_weight
        Of the error in the predicted overlap.
    """
    truth = quarter(masks)
    logits, score = answer(points, labels, last)
    each, real = mask_loss(logits, truth), cell_iou(logits, truth)
    several = each[:, 1:]
    clicked = several.amin(1) + 0.05 * several.mean(1) + 0.3 * each[:, 0]
    loss = torch.where(single, each[:, 0], clicked).mean()
    loss = loss + iou_weight * (score - real).square().mean()
    chosen = torch.where(single, 0, 1 + score[:, 1:].argmax(1))
    rows = torch.arange(len(chosen))
    last = logits[rows, chosen].detach()[:, None]
    log = {
        "click1": real[rows, chosen][~single].mean().item(),
        "box": real[single, 0].mean().item() if bool(single.any()) else float("nan"),
    }
    for i in range(rounds):
        more, kind = corrective_click(
            last[:, 0].cpu(), truth.cpu(), masks.cpu(), generator
        )
        points = torch.cat([points, more[:, None].to(points)], 1)
        labels = torch.cat([labels, kind[:, None].to(labels)], 1)
        with torch.set_grad_enabled(i == rounds - 1):
            logits, score = answer(points, labels, last)
        last = logits[:, :1].detach()
    real = cell_iou(logits, truth)
    loss = loss + mask_loss(logits[:, :1], truth).mean()
    loss = loss + iou_weight * (score[:, :1] - real[:, :1]).square().mean()
    return loss, log | {f"click{rounds + 1}": real[~single, 0].mean().item()}
