"""A prompt model as it is trained: trunk, rest, and answers with gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F

from napari_sesami.models import Nano, SamModel, count_blocks, net_of
from napari_sesami.train.errors import TrainError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from napari_sesami.models import PromptModel

OUTSIDE = -10.0  # logit of cells that are padding


def trainable(model: PromptModel, start: int) -> NanoFace | SamFace:
    """Wrap a prompt model for training; blocks before `start` are left as they are."""
    if isinstance(model, Nano):
        return NanoFace(model, start)
    if isinstance(model, SamModel):
        return SamFace(model, start)
    raise TrainError(
        f"{model.name} cannot be tuned; choose sesami-nano or a SAM of the catalog."
    )


class _Face:
    """What both kinds share."""

    def __init__(self, model: Any, start: int) -> None:
        self.model, self.start = model, start
        self.net: nn.Module = net_of(model)
        self.whole = start >= count_blocks(model)

    def _half(self) -> torch.autocast:
        device = self.model.device.type
        return torch.autocast(device, torch.bfloat16, enabled=self._low)

    @property
    def _low(self) -> bool:
        return bool(getattr(self.model, "half", False))

    def valid(self, sizes: Tensor, grid: tuple[int, int]) -> Tensor:
        """Which cells (B, h, w) of the answers lie on the picture."""
        cells = -(-sizes // 4)
        rows = torch.arange(grid[0], device=sizes.device)[None] < cells[:, :1]
        columns = torch.arange(grid[1], device=sizes.device)[None] < cells[:, 1:]
        return rows[:, :, None] & columns[:, None]


class NanoFace(_Face):
    """sesami-nano in training: views (B, 1, T, T), prompts in rows of equal number."""

    @torch.no_grad()
    def trunk(self, views: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        """What the blocks that are trained begin with."""
        with self._half():
            parts = self.model.net.image_encoder.trunk(views, self.start)
        return tuple(parts)

    def embed(self, parts: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Embedding and tokens, with gradients."""
        with self._half():
            made = self.model.net.image_encoder.rest(*parts, self.start)
        return tuple(made)

    def answer(
        self,
        emb: tuple[Tensor, ...],
        sizes: Tensor,
        points: Tensor,
        labels: Tensor,
        last: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """All four masks of P prompts on B views, P / B each."""
        with self._half():
            logits, score = self.model.net(*emb, points, labels, last)
        return _masked(logits, self.valid(sizes, _grid(logits))), score


class SamFace(_Face):
    """A SAM in training; its decoder takes the views one by one."""

    @property
    def _low(self) -> bool:
        return bool(self.model.encoder.half)

    @torch.no_grad()
    def trunk(self, views: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        """What the blocks that are trained begin with."""
        encode = self.model.encoder.trunk
        found = [
            encode(view[None, :, : int(h), : int(w)], self.start)
            for view, (h, w) in zip(views, sizes.tolist(), strict=True)
        ]
        return (torch.cat(found),)

    def embed(self, parts: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The embedding, with gradients."""
        return (self.model.encoder.rest(parts[0], self.start),)

    def answer(
        self,
        emb: tuple[Tensor, ...],
        sizes: Tensor,
        points: Tensor,
        labels: Tensor,
        last: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """All four masks of P prompts on B views, P / B each."""
        each = len(points) // len(emb[0])
        logits = points.new_zeros(0)
        found = []
        for i, image in enumerate(emb[0]):
            mine = slice(i * each, (i + 1) * each)
            older = None if last is None else last[mine]
            found.append(self._one(image[None], points[mine], labels[mine], older))
        logits, score = (torch.cat(p) for p in zip(*found, strict=True))
        quarter = self.model.tile // 4
        if logits.shape[-1] != quarter:  # patches of another size than 16
            logits = F.interpolate(logits, (quarter, quarter), mode="bilinear")
        return _masked(logits, self.valid(sizes, _grid(logits))), score

    def _one(
        self, image: Tensor, points: Tensor, labels: Tensor, last: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Prompts with a box and those without go to the decoder apart."""
        boxed = (labels == 2).any(1)
        out: list[Tensor | None] = [None] * len(points)
        scores: list[Tensor | None] = [None] * len(points)
        for kind in (False, True):
            rows = torch.nonzero(boxed == kind)[:, 0]
            if not len(rows):
                continue
            older = None if last is None else last[rows]
            masks, said = self._decode(image, points[rows], labels[rows], older, kind)
            for at, row in enumerate(rows.tolist()):
                out[row], scores[row] = masks[at], said[at]
        return (
            torch.stack([m for m in out if m is not None]),
            torch.stack([s for s in scores if s is not None]),
        )

    def _decode(
        self,
        image: Tensor,
        points: Tensor,
        labels: Tensor,
        last: Tensor | None,
        boxed: bool,
    ) -> tuple[Tensor, Tensor]:
        encoder = self.model.sam.prompt_encoder
        corners = None
        if boxed:
            low = points[labels == 2] + 0.5  # half-open, in view pixels
            high = points[labels == 3] + 0.5
            # (x0, y0, x1, y1), the last pixels included
            corners = torch.cat([low.flip(-1), high.flip(-1) - 1], 1)
        signs = torch.where(labels > 1, -1, labels)
        prior = last
        if prior is not None and tuple(prior.shape[-2:]) != encoder.mask_input_size:
            prior = F.interpolate(prior, encoder.mask_input_size, mode="bilinear")
        sparse, dense = encoder(
            points=(points.flip(-1), signs), boxes=corners, masks=prior
        )
        masks, score = self.model.sam.mask_decoder.predict_masks(
            image_embeddings=image,
            image_pe=self.model._grid_positions,
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
        )
        return masks.float(), score.float()


def _grid(logits: Tensor) -> tuple[int, int]:
    return int(logits.shape[-2]), int(logits.shape[-1])


def _masked(logits: Tensor, valid: Tensor) -> Tensor:
    """Say "outside" in the padding, where no answer is asked for."""
    each = len(logits) // len(valid)
    inside = valid.repeat_interleave(each, 0)[:, None]
    return torch.where(inside, logits, OUTSIDE)
