"""The whole net of sesami-nano: one encoder, shared by prompts and tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from napari_sesami.models.nano.decoder import (
    NanoMaskDecoder,
    NanoPromptEncoder,
    origins,
    prompt_maps,
)
from napari_sesami.models.nano.encoder import NanoEncoder

if TYPE_CHECKING:
    from torch import Tensor


class NanoNet(nn.Module):
    """Laid out like a SAM: `image_encoder`, `prompt_encoder`, `mask_decoder`.

    `judge` adds a head that scores the masks by what was drawn.
    """

    def __init__(
        self,
        dim: int = 128,
        token_dim: int = 64,
        *,
        judge: bool = False,
        **encoder: Any,
    ) -> None:
        super().__init__()
        self.config = {"dim": dim, "token_dim": token_dim, **encoder}
        if judge:
            self.config["judge"] = True
        self.image_encoder = NanoEncoder(out_chans=dim, token_dim=token_dim, **encoder)
        self.prompt_encoder = NanoPromptEncoder(dim, token_dim)
        self.mask_decoder = NanoMaskDecoder(dim, token_dim, judge)

    def forward(
        self,
        image: Tensor,
        tokens: Tensor,
        points: Tensor,
        labels: Tensor,
        last: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Answer P prompts on B encoded views, P / B each: logits (P, 4, h4, w4), IoU.

        Labels: 1 on the object, 0 off it, 2 and 3 the corners of a box, -1 padding.
        """
        maps = prompt_maps(tokens, points, labels, last)
        dense = self.prompt_encoder.mask_downscaling(maps, tokens)
        origin = origins(points, labels)
        grid = (image.shape[2], image.shape[3])
        places = self.prompt_encoder.places(grid, origin)
        sparse = self.prompt_encoder.sparse(points, labels, origin)
        return self.mask_decoder.draw(image, tokens, places, sparse, dense)
