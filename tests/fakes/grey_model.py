"""A prompt model without weights: the object is what has the grey of the clicks."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from napari_sesami.models import Embedding


class GreyModel:
    name, key, tile = "grey", "grey-1", 64
    device = torch.device("cpu")

    def __init__(self, tile: int = 64) -> None:
        self.tile = tile
        self.encoded = 0

    def encode(self, view: torch.Tensor) -> Embedding:
        self.encoded += 1
        size = view.shape[-2:]
        pad = (0, -size[1] % 16, 0, -size[0] % 16)
        view = F.pad(view, pad, mode="replicate") if any(pad) else view
        fine = F.avg_pool2d(view, 4)
        dy = F.avg_pool2d(view.diff(dim=2, append=view[:, :, -1:]).abs(), 4)
        dx = F.avg_pool2d(view.diff(dim=3, append=view[..., -1:]).abs(), 4)
        return Embedding(fine, torch.cat([fine, dy, dx], 1), tuple(size))

    def decode(
        self, emb, points=None, labels=None, boxes=None, masks=None, multimask=True
    ):
        grey = emb.image[0, 0]
        h, w = grey.shape
        n = len(next(t for t in (points, boxes, masks) if t is not None))
        out = torch.full((n, 1, h, w), -8.0)
        for i in range(n):
            inside = torch.ones(h, w, dtype=torch.bool)
            wanted = []
            if points is not None:
                for (y, x), label in zip(
                    points[i].tolist(), labels[i].tolist(), strict=True
                ):
                    if label == 1:
                        wanted.append(
                            grey[min(int(y / 4), h - 1), min(int(x / 4), w - 1)]
                        )
            if boxes is not None:
                y0, x0, y1, x1 = (boxes[i] / 4).tolist()
                inside[:] = False
                inside[int(y0) : int(y1) + 1, int(x0) : int(x1) + 1] = True
                if not wanted:
                    wanted.append(grey[int((y0 + y1) / 2), int((x0 + x1) / 2)])
            if not wanted:
                wanted.append(grey[masks[i, 0, :h, :w] > 0].mean())
            distance = torch.stack([(grey - g).abs() for g in wanted]).amin(0)
            out[i, 0] = torch.where(inside, 60 * (0.12 - distance), -8.0).clamp(-8, 8)
        sure = (out.abs() > 2).float().mean((2, 3))
        repeat = 3 if multimask else 1
        return out.expand(-1, repeat, -1, -1), sure.expand(-1, repeat)
