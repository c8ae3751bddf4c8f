"""Labelling a plane against the bare forward passes of its tiles."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from napari_sesami.models import Segmenter, SegmenterCard, SegmenterNet, SegmenterPlan
from napari_sesami.scan import TilePlan

pytestmark = pytest.mark.benchmark
BAR = 0.9


def test_labelling_is_as_fast_as_the_net():
    plan = SegmenterPlan("unet", "lite0", 6)
    card = SegmenterCard({i: f"c{i}" for i in range(6)})
    model = Segmenter(SegmenterNet(plan, pretrained=False), card, "cpu")
    pixels = np.random.default_rng(0).random((700, 700)).astype(np.float32)
    tiles = TilePlan.of(pixels.shape, 256, 32)
    cut = [torch.from_numpy(tiles.cut(pixels, i).copy())[None, None]
           for i in range(len(tiles))]  # fmt: skip

    def bare() -> float:
        begun = time.process_time()
        with torch.no_grad():
            for tile in cut:
                model.net(tile)
        return time.process_time() - begun

    def ours() -> float:
        begun = time.process_time()
        for _ in model.bands(pixels, 256, 32):
            pass
        return time.process_time() - begun

    bare(), ours()
    pairs = [(bare(), ours()) for _ in range(3)]
    net, whole = (min(times) for times in zip(*pairs, strict=True))
    print(f"\nbare {net:.2f}, ours {whole:.2f} CPU s: ratio {net / whole:.2f}")
    assert net / whole >= BAR
