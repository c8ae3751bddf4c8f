"""The image encoder against `segment_anything` on the same random weights.

Run with: pytest tests/benchmarks/bench_encoder.py -m benchmark -s
"""

from __future__ import annotations

import time

import pytest
import torch

from napari_sesami.models import SamModel
from napari_sesami.models.sam.config import SamConfig, build_sam

pytestmark = pytest.mark.benchmark
SIZES = {
    "192×6 at 512": SamConfig(
        image_size=512, dim=192, depth=6, heads=3, global_blocks=(2, 5)
    ),
    "ViT-B at 512": SamConfig(image_size=512),
    "ViT-B at 1024": SamConfig(),
}


def compare(config: SamConfig, device: str) -> tuple[float, float, float]:
    """Seconds of ours, of theirs, and the largest difference."""
    torch.manual_seed(0)
    sam = build_sam(config)
    for name, value in sam.named_parameters():
        if "rel_pos" in name or "pos_embed" in name:
            torch.nn.init.normal_(value, std=0.1)
    model = SamModel(sam, device=device)
    side = config.image_size
    view = torch.rand(1, 1, side, side, device=device)
    colour = model.sam.preprocess(view.expand(1, 3, -1, -1) * 255)

    def seconds(work) -> float:
        taken = []
        for _ in range(2 if side > 512 else 3):
            start = time.perf_counter() if device != "cpu" else time.process_time()
            work()
            if device != "cpu":
                torch.cuda.synchronize()
            stop = time.perf_counter() if device != "cpu" else time.process_time()
            taken.append(stop - start)
        return min(taken)

    with torch.no_grad():
        apart = (model.encode(view).image - model.sam.image_encoder(colour)).abs().max()
        ours = seconds(lambda: model.encode(view))
        theirs = seconds(lambda: model.sam.image_encoder(colour))
    return ours, theirs, float(apart)


@pytest.mark.parametrize("name", SIZES)
def test_the_encoder_on_a_cpu(name: str):
    ours, theirs, apart = compare(SIZES[name], "cpu")
    print(
        f"\n{name}: {ours:.2f} s, official {theirs:.2f} s, "
        f"{theirs / ours:.2f}×, {apart:.0e}"
    )
    assert apart < 1e-3
    assert theirs / ours >= 1.3


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_encoder_on_a_gpu():
    ours, theirs, _ = compare(SIZES["ViT-B at 1024"], "cuda")
    print(
        f"\nGPU: {1e3 * ours:.1f} ms, official {1e3 * theirs:.1f} ms, "
        f"{theirs / ours:.1f}×"
    )
    assert theirs / ours >= 3
