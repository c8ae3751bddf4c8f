"""Tokens of a convolutional net: its maps at two strides, on one grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from napari_sesami.common.cancel import check_cancelled
from napari_sesami.models.imagenet import as_trained
from napari_sesami.models.tokens.encoders import whole_patches

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sesami.models.imagenet import FeatureEncoder

FINE, COARSE = 2, 3
"""Which of the maps, counted from 0; strides of 8 and 16."""


class FeatureTokens:
    """A `TokenEncoder` of stride 8 from a `FeatureEncoder` for grey.

    A token is the fine map there beside the coarse one, each of length one.

    Parameters
    ----------
    net
        In evaluation mode, on its device.
    """

    tile = 512

    def __init__(self, net: FeatureEncoder) -> None:
        self.net = net.to(memory_format=torch.channels_last)
        self.name = net.name
        self.stride = net.strides[FINE]
        self.dim = net.dims[FINE] + net.dims[COARSE]
        self.key = self.weights_key = f"{net.key}-{FINE}{COARSE}"

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.net.parameters()).device

    @torch.no_grad()
    def encode(self, view: Tensor, normalise: bool = False) -> Tensor:
        """See `TokenEncoder.encode`."""
        check_cancelled()
        view = whole_patches(view.to(self.device), self.stride)
        view = view.contiguous(memory_format=torch.channels_last)
        fine, coarse = self.net.net.forward_intermediates(
            as_trained(view),
            indices=[FINE, COARSE],
            stop_early=True,
            intermediates_only=True,
        )
        grid = (view.shape[-2] // self.stride, view.shape[-1] // self.stride)
        fine = fine[..., : grid[0], : grid[1]]
        coarse = F.interpolate(coarse, grid, mode="bilinear", align_corners=False)
        tokens = torch.cat([F.normalize(fine, dim=1), F.normalize(coarse, dim=1)], 1)
        return F.normalize(tokens, dim=1) if normalise else tokens
