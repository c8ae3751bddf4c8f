"""A second opinion on the predicted overlap, from the masks that were drawn.

SAM's head predicts from its tokens before a mask is drawn. This one looks at the masks:
how sure and steady they are, whether they look alike inside and unlike the ring around
them, and whether the candidates agree. It reads, and changes nothing but the score.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

SHAPES = 11
"""Numbers about a mask alone, see :func:`mask_facts`."""


class MaskJudge(nn.Module):
    """Adds to the predicted overlap of each of four candidates; at first, nothing."""

    def __init__(self, dim: int, features: int, hidden: int = 96) -> None:
        super().__init__()
        facts = SHAPES + 2 * features + 3
        self.norm = nn.LayerNorm(facts)
        self.from_facts = nn.Linear(facts, hidden)
        self.from_token = nn.Linear(dim, hidden)
        self.which = nn.Embedding(4, hidden)
        self.middle = nn.Linear(hidden, hidden)
        self.last = nn.Linear(hidden, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(
        self, masks: Tensor, drawn: Tensor, tokens: Tensor, own: Tensor
    ) -> Tensor:
        """Corrections (P, 4) of the predicted overlap.

        Parameters
        ----------
        masks
            (P, 4, h, w) logits.
        drawn
            (P, C, h, w), what the masks were drawn from.
        tokens
            (B, D, h, w) of the views, P / B prompts on each.
        own
            (P, 4, dim) what the decoder made of the four mask tokens.
        """
        masks, drawn = masks.detach().float(), drawn.detach().float()
        tokens, own = tokens.detach().float(), own.detach()
        p = masks.sigmoid()
        grown = F.max_pool2d(p, (1, 7), 1, (0, 3))
        ring = F.max_pool2d(grown, (7, 1), 1, (3, 0)) - p
        facts = torch.cat(
            [
                mask_facts(masks, p),
                _mean(p, drawn),
                _mean(ring, drawn),
                _contrast(p, ring, tokens),
            ],
            -1,
        )
        x = self.from_facts(self.norm(facts)) + self.from_token(own) + self.which.weight
        return self.last(F.gelu(self.middle(F.gelu(x))))[..., 0].float()


def mask_facts(masks: Tensor, p: Tensor) -> Tensor:
    """Size, sureness, steadiness, border and agreement of masks: (P, 4, SHAPES)."""
    cells = p.shape[2] * p.shape[3]
    area = p.sum((2, 3))
    some = area.clamp(min=0.5)
    lax, strict = ((masks + d).sigmoid().sum((2, 3)) for d in (2.0, -2.0))
    hard = (masks > 0).float().sum((2, 3))
    edge = (p[..., 1:] - p[..., :-1]).abs().sum((2, 3))
    edge = edge + (p[..., 1:, :] - p[..., :-1, :]).abs().sum((2, 3))
    rim = p[..., 0, :].sum(2) + p[..., -1, :].sum(2)
    rim = rim + p[..., 0].sum(2) + p[..., -1].sum(2)
    flat = p.flatten(2)
    both = flat @ flat.transpose(1, 2)
    square = both.diagonal(dim1=1, dim2=2)
    alike = both / (square[:, :, None] + square[:, None] - both).clamp(min=0.1)
    others = alike - torch.eye(4, device=p.device)
    return torch.stack(
        [
            area.log1p() / 8, hard.log1p() / 8, area / cells, square / some,
            strict / lax.clamp(min=0.5), hard / some, edge / some.sqrt() / 8,
            rim / some.sqrt(), others.sum(2) / 3, others.amax(2), alike[:, 0],
        ],
        -1,
    )  # fmt: skip


def _mean(weight: Tensor, values: Tensor) -> Tensor:
    """Weighted means (P, 4, C) of (P, C, h, w)."""
    total = weight.sum((2, 3)).clamp(min=0.5)[..., None]
    return weight.flatten(2) @ values.flatten(2).transpose(1, 2) / total


def _contrast(p: Tensor, ring: Tensor, tokens: Tensor) -> Tensor:
    """How alike tokens are inside, in the ring, and across: (P, 4, 3)."""
    b, each = len(tokens), len(p) // len(tokens)
    flat = tokens.flatten(2).transpose(1, 2)  # (B, hw, D)
    inside, around = (
        (part.view(b, each * 4, -1) @ flat).view(len(p), 4, -1)
        / part.sum((2, 3)).clamp(min=0.5)[..., None]
        for part in (p, ring)
    )
    pairs = ((inside, inside), (around, around), (inside, around))
    return torch.stack([(a * c).sum(-1) for a, c in pairs], -1)
