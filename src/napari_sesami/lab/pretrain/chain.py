"""What the masks and scores of the bundled model learn over a chain of clicks.

Like `train.prompt_losses`, with what only procedural truth can teach: borders at single
pixels, readings with names, and scores that are measured on the mask that is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from napari_sesami.train import cell_iou, corrective_click, mask_loss, quarter

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    Answer = Callable[[Tensor, Tensor, Tensor | None], tuple[Tensor, Tensor]]

PIXEL_SHARE, PIXEL_SHARE_OF_THIN = 0.5, 0.8
"""Share of the loss that is taken at pixels; the rest at cells of 4 × 4."""
FULL = 0.75
"""Objects that fill no cell as much as this are thin."""
NAMED = 0.3
"""Weight of the readings that are not the one that is meant."""


@dataclass(frozen=True)
class Truth:
    """What is true of P objects.

    Attributes
    ----------
    masks
        (P, H, W) bool, the object that is meant.
    pixels, weights
        (P, K) places in the flat view and what they stand for; None: cells alone.
    named, given, place
        (P, 3, h, w) counts of 16 of up to three readings, the smallest first, (P, 3)
        whether there is one, (P,) which one is meant; -1 where there is but one.
    honest
        Whether scores are measured on pixels, for all candidates of all answers.
    """

    masks: Tensor
    pixels: Tensor | None
    weights: Tensor | None
    named: Tensor
    given: Tensor
    place: Tensor
    honest: bool

    def cost(self, logits: Tensor, cells: Tensor) -> Tensor:
        """Loss (P, M) of candidates, at cells and at pixels."""
        if self.pixels is None or self.weights is None:
            return mask_loss(logits, cells)
        top = cells.amax((1, 2))
        # what fills no cell would be taught to stay below one half everywhere
        coarse = mask_loss(logits, cells / top.clamp(min=1e-3)[:, None, None])
        fine = pixel_loss(logits, self.masks, self.pixels, self.weights)
        share = torch.where(top < FULL, PIXEL_SHARE_OF_THIN, PIXEL_SHARE)[:, None]
        return (1 - share) * coarse + share * fine

    def overlap(self, logits: Tensor, cells: Tensor) -> Tensor:
        """IoU (P, M) of the masks that are drawn."""
        return pixel_iou(logits, self.masks) if self.honest else cell_iou(logits, cells)

    def of_click(self, each: Tensor, logits: Tensor) -> Tensor:
        """Loss (P,) of three candidates for one click; `each` (P, 3) is their cost."""
        best = each.amin(1) + 0.05 * each.mean(1)
        several = self.place >= 0
        if not bool(several.any()):
            return best
        own = each.gather(1, self.place.clamp(min=0)[:, None])[:, 0]
        place = torch.arange(3, device=each.device)
        others = self.given & (place != self.place[:, None])
        rows, columns = torch.nonzero(others & several[:, None], as_tuple=True)
        if len(rows):
            cost = mask_loss(
                logits[rows, columns][:, None], self.named[rows, columns].float() / 16
            )[:, 0]
            count = others.sum(1).clamp(min=1)[rows]
            own = own.index_add(0, rows, NAMED * cost / count)
        return torch.where(several, own, best)


def pixel_loss(
    logits: Tensor, masks: Tensor, pixels: Tensor, weights: Tensor
) -> Tensor:
    """Focal loss plus dice (P, M) of the enlarged logits at sampled pixels."""
    width, height = masks.shape[2], masks.shape[1]
    y = torch.div(pixels, width, rounding_mode="floor")
    x = pixels - y * width
    at = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], -1)
    seen = F.grid_sample(
        logits, at[:, None].float(), padding_mode="border", align_corners=False
    )[:, :, 0]  # as bilinear enlarging by four gives them
    truth = masks.flatten(1).gather(1, pixels.long()).float()[:, None].expand_as(seen)
    part = (weights / weights.sum(1, keepdim=True).clamp(min=1e-6))[:, None]
    p = seen.sigmoid()
    error = (p - truth).detach() ** 2
    error = error / ((error * part).sum(2, keepdim=True) + 0.01)
    raw = F.binary_cross_entropy_with_logits(seen, truth, reduction="none")
    focal = (error * raw * part).sum(2)
    weight = weights[:, None]
    both = (weight * p * truth).sum(2)
    total = (weight * (p * p + truth)).sum(2)
    return focal + 1 - (2 * both + 16) / (total + 16)


@torch.no_grad()
def pixel_iou(logits: Tensor, masks: Tensor) -> Tensor:
    """IoU (P, M) of the masks as they are drawn, at every pixel."""
    out = []
    for one in torch.split(logits, 1, dim=1):
        drawn = F.interpolate(
            one, scale_factor=4.0, mode="bilinear", align_corners=False
        )[:, 0]
        drawn = drawn > 0
        both, either = (drawn & masks).sum((1, 2)), (drawn | masks).sum((1, 2))
        out.append(both / either.clamp(min=1))
    return torch.stack(out, 1)


@dataclass(frozen=True)
class ChainLog:
    """What a chain of answers tells besides its loss.

    Attributes
    ----------
    first, last
        (P,) IoU of the first answer that the score chose, and of the last one.
    click1, box, corrected, judged
        Means: first clicks, boxes and strokes, last answers, error of the score.
    """

    first: Tensor
    last: Tensor
    click1: Tensor
    box: Tensor
    corrected: Tensor
    judged: Tensor


def chain_losses(
    answer: Answer,
    points: Tensor,
    labels: Tensor,
    single: Tensor,
    truth: Truth,
    generator: torch.Generator,
    *,
    rounds: int,
    iou_weight: float,
) -> tuple[Tensor, ChainLog]:
    """First answer, then one more after a number of corrective clicks.

    The parameters are those of `train.prompt_losses`.
    """
    cells = quarter(truth.masks)
    logits, score = answer(points, labels, None)
    each, real = truth.cost(logits, cells), truth.overlap(logits, cells)
    clicked = truth.of_click(each[:, 1:], logits[:, 1:]) + 0.3 * each[:, 0]
    loss = torch.where(single, each[:, 0], clicked).mean()
    loss = loss + iou_weight * (score - real).square().mean()
    chosen = torch.where(single, 0, 1 + score[:, 1:].argmax(1))
    rows = torch.arange(len(chosen), device=chosen.device)
    first = real[rows, chosen]
    judged = (score.detach()[rows, chosen] - first).abs().mean()
    last = logits[rows, chosen].detach()[:, None]
    for i in range(rounds):
        more, kind = corrective_click(
            last[:, 0].cpu(), cells.cpu(), truth.masks.cpu(), generator
        )
        points = torch.cat([points, more[:, None].to(points)], 1)
        labels = torch.cat([labels, kind[:, None].to(labels)], 1)
        with torch.set_grad_enabled(i == rounds - 1):
            logits, score = answer(points, labels, last)
        last = logits[:, :1].detach()
    scored = 4 if truth.honest else 1
    real = truth.overlap(logits[:, :scored], cells)
    loss = loss + truth.cost(logits[:, :1], cells).mean()
    loss = loss + iou_weight * (score[:, :scored] - real).square().mean()
    log = ChainLog(
        first, real[:, 0], first[~single].mean(), first[single].mean(),
        real[~single, 0].mean(), judged,
    )  # fmt: skip
    return loss, log
