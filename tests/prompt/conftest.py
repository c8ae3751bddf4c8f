"""A prompt model that can be reasoned about: the clicked grey value is the object.

It keeps the whole contract of `PromptModel` (low-resolution logits at a quarter of the
view, three candidates, mask feedback, batches), so that wrong coordinates, zooms or
seams of the predictor show as wrong masks.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from napari_sesami.models import Embedding


class GreyModel:
    name, key, tile = "grey", "grey-1", 64

    def __init__(self, tile: int = 64):
        self.tile = tile
        self.device = torch.device("cpu")
        self.encoded: list[tuple[int, int]] = []
        self.masks_seen: list[torch.Tensor] = []

    def encode(self, view: torch.Tensor) -> Embedding:
        size = tuple(view.shape[-2:])
        assert max(size) <= self.tile
        self.encoded.append(size)
        full = F.pad(view, (0, self.tile - size[1], 0, self.tile - size[0]), value=-1.0)
        return Embedding(F.avg_pool2d(full, 4), None, size)

    def decode(
        self, emb, points=None, labels=None, boxes=None, masks=None, multimask=True
    ):
        grey = emb.image[0, 0]
        if masks is not None:
            self.masks_seen.append(masks)
        n = next(len(t) for t in (points, boxes, masks) if t is not None)
        logits = torch.stack(
            [self._one(grey, i, points, labels, boxes, masks) for i in range(n)]
        )
        if not multimask:
            return logits[:, None], torch.full((n, 1), 0.9)
        three = torch.stack(
            [logits - 2.5, logits, logits + 2.5], 1
        )  # too strict, right, too lax
        return three, torch.tensor([[0.5, 0.9, 0.4]]).expand(n, 3)

    def _one(self, grey, i, points, labels, boxes, masks):
        inside = torch.ones_like(grey, dtype=torch.bool)
        value = None
        if boxes is not None:
            y0, x0, y1, x1 = boxes[i].tolist()
            y, x = (torch.arange(len(grey)) * 4 + 1.5 for _ in range(2))
            inside = ((y >= y0) & (y < y1))[:, None] & ((x >= x0) & (x < x1))[None]
            value = grey[int((y0 + y1) / 8), int((x0 + x1) / 8)]
        if masks is not None and points is None and boxes is None:
            return masks[i, 0]
        if points is not None:
            for (y, x), label in zip(
                points[i].tolist(), labels[i].tolist(), strict=True
            ):
                if label == 1:
                    value = grey[int((y + 0.5) // 4), int((x + 0.5) // 4)]
        logits = (3 - 60 * (grey - value).abs()).clamp(-3, 3)
        return torch.where(inside, logits, torch.tensor(-3.0))


@pytest.fixture
def grey_model() -> GreyModel:
    return GreyModel()


@pytest.fixture
def big_grey_model() -> GreyModel:
    return GreyModel(tile=256)


@pytest.fixture
def blocks() -> np.ndarray:
    """Grey shapes on black: a small one, a wide layer, a thin wire, a huge one."""
    image = np.zeros((400, 600), np.uint16)
    image[40:64, 80:120] = 200
    image[200:240, :] = 400
    image[300:304, 20:580] = 600
    image[250:390, 100:500] = np.maximum(image[250:390, 100:500], 800)
    image[300:304, 20:100] = image[300:304, 500:580] = 600
    return image
