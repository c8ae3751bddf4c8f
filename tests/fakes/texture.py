"""A token encoder without weights, and a scan of three stripes that it tells apart."""

from __future__ import annotations

import numpy as np
import torch


class Texture:
    """A token encoder without weights: grey level, spread and slopes of a patch."""

    name, key, stride, dim, tile = "texture", "texture-1", 4, 5, 64
    device = torch.device("cpu")

    def __init__(self) -> None:
        self.calls = 0

    def encode(self, view: torch.Tensor, normalise: bool = False) -> torch.Tensor:
        self.calls += 1
        pad = [0, -view.shape[-1] % 4, 0, -view.shape[-2] % 4]
        view = torch.nn.functional.pad(view, pad, mode="replicate")
        pool = torch.nn.functional.avg_pool2d
        mean = pool(view, 4)
        spread = (pool(view**2, 4) - mean**2).clamp(min=0).sqrt()
        dy = pool(view.diff(dim=2, append=view[:, :, -1:]).abs(), 4)
        dx = pool(view.diff(dim=3, append=view[..., -1:]).abs(), 4)
        out = torch.cat([mean, 2 * spread, dy, dx, torch.full_like(mean, 0.3)], 1)
        return torch.nn.functional.normalize(out, dim=1) if normalise else out


def stripes() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = np.ones((130, 118), np.uint8)
    truth[40:80] = 2
    truth[80:] = 3
    grey = np.choose(truth - 1, [0.2, 0.5, 0.8]) + 0.02 * rng.normal(size=truth.shape)
    return (grey * 1000).astype(np.uint16), truth


def three_strokes() -> tuple[np.ndarray, np.ndarray]:
    strokes = np.zeros((130, 118), np.uint8)
    owners = np.zeros((130, 118), np.int64)
    for i, y in enumerate((10, 60, 100)):
        strokes[y, 20:60], owners[y, 20:60] = i + 1, i + 1
    return strokes, owners
