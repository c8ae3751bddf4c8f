"""The prompt side of sesami-nano: clicks as maps of likeness, then SAM's mask decoder.

Each prompt also enters densely: how much every token looks like the clicked ones, how
far it lies from them, whether it is in the box, and what the last answer was. These
maps go through SAM's mask prompt. All positions are relative to the prompt, so a view
of any size and place is treated alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from napari_sesami.models.nano.encoder import ConvBlock, PixelNorm
from napari_sesami.models.nano.judge import MaskJudge
from napari_sesami.models.sam_parts import (
    MaskDecoder,
    PromptEncoder,
    TwoWayTransformer,
)

if TYPE_CHECKING:
    from torch import Tensor

N_MAPS = 12
PE_SIDE = 256  # pixels per unit of the position code
POSITIVE, NEGATIVE, PADDING, CORNER0, CORNER1 = 1, 0, -1, 2, 3


class DensePrompt(nn.Module):
    """Prompt maps, seen together with the tokens, to stride 16, with short cuts."""

    def __init__(self, dim: int, token_dim: int) -> None:
        super().__init__()
        self.at4 = nn.Conv2d(N_MAPS, 32, 3, padding=1)
        self.detail = nn.Conv2d(token_dim, 32, 1)
        self.at8 = nn.Conv2d(32, 48, 3, stride=2, padding=1)
        self.at16 = nn.Conv2d(48, dim, 3, stride=2, padding=1)
        self.norm8 = PixelNorm(48)

    def forward(self, maps: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give the maps at strides 16, 8 and 4."""
        x4 = F.gelu(_plus(self.at4(maps), self.detail(tokens)))
        x8 = F.gelu(self.norm8(self.at8(x4)))
        return self.at16(x8), x8, x4


class NanoMaskDecoder(MaskDecoder):
    """SAM's mask decoder whose masks are drawn with the dense tokens in sight.

    With a `judge` the predicted overlap also depends on the masks that were drawn.
    """

    def __init__(self, dim: int, token_dim: int, judge: bool = False) -> None:
        super().__init__(
            transformer_dim=dim,
            transformer=TwoWayTransformer(2, dim, 8, 4 * dim),
            num_multimask_outputs=3,
            iou_head_depth=3,
            iou_head_hidden_dim=dim,
        )
        del self.output_upscaling
        c8, c4 = dim // 4, dim // 8
        self.mix16 = nn.Sequential(ConvBlock(dim), ConvBlock(dim))
        self.after16 = ConvBlock(dim)
        self.up8 = nn.ConvTranspose2d(dim, c8, 2, stride=2)
        self.skip8 = nn.Conv2d(48, c8, 1)
        self.fine8 = nn.Conv2d(token_dim, c8, 2, stride=2)
        self.mix8 = ConvBlock(c8)
        self.up4 = nn.ConvTranspose2d(c8, c4, 2, stride=2)
        self.skip4 = nn.Conv2d(32, c4, 1)
        self.fine4 = nn.Conv2d(token_dim, c4, 1)
        self.mix4 = ConvBlock(c4)
        self.judge = MaskJudge(dim, c4) if judge else None

    def draw(
        self,
        image: Tensor,
        tokens: Tensor,
        places: Tensor,
        sparse: Tensor,
        dense: tuple[Tensor, Tensor, Tensor],
    ) -> tuple[Tensor, Tensor]:
        """All four masks and their predicted IoU; an image serves several prompts."""
        d16, d8, d4 = dense
        src = self.mix16(_plus(d16, image))
        own = torch.cat([self.iou_token.weight, self.mask_tokens.weight], 0)
        queries = torch.cat([own.expand(sparse.shape[0], -1, -1), sparse], 1)
        shape = src.shape
        out, src = self.transformer(src, places, queries)
        src = self.after16(src.transpose(1, 2).reshape(shape))
        x = _plus(self.up8(src) + self.skip8(d8), self.fine8(tokens))
        x = self.mix8(F.gelu(x))
        x = _plus(self.up4(x) + self.skip4(d4), self.fine4(tokens))
        x = self.mix4(F.gelu(x))
        hyper = torch.stack(
            [
                mlp(out[:, 1 + i])
                for i, mlp in enumerate(self.output_hypernetworks_mlps)
            ],
            1,
        )
        masks = (hyper @ x.flatten(2)).unflatten(2, x.shape[2:])
        score = self.iou_prediction_head(out[:, 0]).float()
        if self.judge is not None:
            score = score + self.judge(masks, x, tokens, out[:, 1:5])
        return masks.float(), score


def _plus(each: Tensor, shared: Tensor) -> Tensor:
    """Add what belongs to an image to all of its prompts: (P, …) + (B, …)."""
    if each.shape[0] == shared.shape[0]:
        return each + shared
    return (each.view(len(shared), -1, *each.shape[1:]) + shared[:, None]).flatten(0, 1)


class NanoPromptEncoder(PromptEncoder):
    """SAM's prompt encoder with positions relative to the prompt and rich maps."""

    def __init__(self, dim: int, token_dim: int) -> None:
        super().__init__(dim, (PE_SIDE // 16, PE_SIDE // 16), (PE_SIDE, PE_SIDE), 16)
        self.mask_downscaling = DensePrompt(dim, token_dim)
        del self.no_mask_embed

    def sparse(self, points: Tensor, labels: Tensor, origin: Tensor) -> Tensor:
        """Embed (P, N, 2) points (y, x); labels 2 and 3 are the corners of a box."""
        at = (points - origin[:, None]).flip(-1) / PE_SIDE + 0.5
        code = self.pe_layer._pe_encoding(at.float())
        code = torch.where((labels == PADDING)[..., None], 0.0, code)
        kinds = torch.cat(
            [self.not_a_point_embed.weight, *[e.weight for e in self.point_embeddings]]
        )
        return code + kinds[labels.long() + 1]

    def places(self, grid: tuple[int, int], origin: Tensor) -> Tensor:
        """Position code (P, dim, h, w) of the cells of stride 16."""
        y = torch.arange(grid[0], device=origin.device) * 16 + 7.5
        x = torch.arange(grid[1], device=origin.device) * 16 + 7.5
        cells = torch.stack(torch.meshgrid(y, x, indexing="ij"), -1)
        at = (cells[None] - origin[:, None, None]).flip(-1) / PE_SIDE + 0.5
        return self.pe_layer._pe_encoding(at.float()).permute(0, 3, 1, 2)


def origins(points: Tensor, labels: Tensor) -> Tensor:
    """Where each prompt is: the mean of its clicks "here" and its box corners."""
    here = (labels >= POSITIVE).float()
    here = torch.where(here.sum(1, keepdim=True) > 0, here, (labels >= 0).float())
    return (points * here[..., None]).sum(1) / here.sum(1, keepdim=True).clamp(min=1)


def prompt_maps(
    tokens: Tensor, points: Tensor, labels: Tensor, last: Tensor | None
) -> Tensor:
    """Dense maps (P, N_MAPS, h4, w4) of P prompts on B views, P / B on each."""
    b, dim, h, w = tokens.shape
    tokens = tokens.float()
    cells = points / 4 - 0.375  # pixel centres to cell units
    y = torch.arange(h, device=tokens.device, dtype=torch.float32)
    x = torch.arange(w, device=tokens.device, dtype=torch.float32)
    gap = torch.hypot(
        y[None, None, :, None] - cells[..., 0, None, None],
        x[None, None, None, :] - cells[..., 1, None, None],
    )  # (P, N, h, w)
    row = cells[..., 0].round().long().clamp(0, h - 1)
    col = cells[..., 1].round().long().clamp(0, w - 1)
    flat = tokens.flatten(2)
    index = (row * w + col).view(b, 1, -1).expand(-1, dim, -1)
    clicked = flat.gather(2, index)  # (B, D, each * N)
    like = (clicked.transpose(1, 2) @ flat).float().view(points.shape[0], -1, h, w)
    maps = []
    for kind in (POSITIVE, NEGATIVE):
        off = (labels != kind)[..., None, None]
        maps.append(_best(like.masked_fill(off, -2.0)))
        near = gap.masked_fill(off, 1e4).amin(1)
        maps += [torch.exp(-near / 1.5), torch.exp(-near / 16)]
    maps.append((maps[0] - maps[3]) * maps[2])
    maps += _box_maps(flat, cells, labels, y, x)
    old = torch.zeros_like(maps[0]) if last is None else torch.tanh(last[:, 0] / 4)
    maps += [old, torch.full_like(old, 0.0 if last is None else 1.0)]
    return torch.stack(maps, 1)


def _best(like: Tensor) -> Tensor:
    best = like.amax(1)
    return torch.where(best < -1.5, 0.0, best)


def _box_maps(
    flat: Tensor, cells: Tensor, labels: Tensor, y: Tensor, x: Tensor
) -> list[Tensor]:
    """Inside the box; likeness to its core; likeness to the ring around it."""
    boxed = (labels == CORNER0).any(1)
    blank = torch.zeros(len(boxed), len(y), len(x), device=cells.device)
    if not bool(boxed.any()):
        return [blank, blank, blank]
    lo = cells[labels == CORNER0][:, :, None, None]
    hi = cells[labels == CORNER1][:, :, None, None]

    def within(grow: float) -> Tensor:
        pad = (hi - lo).clamp(min=1.0) * grow
        a, b = lo - pad, hi + pad
        rows = (y[None, :, None] >= a[:, 0]) & (y[None, :, None] <= b[:, 0])
        cols = (x[None, None] >= a[:, 1]) & (x[None, None] <= b[:, 1])
        return (rows & cols).float()

    inside, core = within(0.0), within(-0.25)
    ring = (within(0.2) - inside).clamp(min=0)
    each = len(boxed) // flat.shape[0]
    owner = torch.arange(len(boxed), device=cells.device)[boxed] // each
    own = flat[owner]
    out = []
    for part in (core, ring):
        mean = torch.einsum(
            "phw,pdhw->pd", part, own.view(*own.shape[:2], *part.shape[1:])
        )
        like = torch.einsum("pd,pdn->pn", F.normalize(mean, dim=1), own)
        out.append(blank.clone().index_put((boxed,), like.view_as(part).float()))
    return [blank.clone().index_put((boxed,), inside), *out]
