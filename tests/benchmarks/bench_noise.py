"""What noise costs beside a training step: it must never hold the processor up.

Run with ``pytest tests/benchmarks/bench_noise.py -m benchmark -s``.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from napari_sesami import noise

if TYPE_CHECKING:
    from collections.abc import Callable

SIDE, BATCH, TURNS = 256, 8, 5


class SmallUNet(nn.Module):
    """Four levels from 16 channels on, 0.5 M parameters: as small as is useful."""

    def __init__(self) -> None:
        super().__init__()
        widths = (16, 32, 64, 128)
        self.down = nn.ModuleList(
            _twice(a, b) for a, b in zip((1, *widths[:-1]), widths, strict=True)
        )
        self.up = nn.ModuleList(
            _twice(a + b, b) for a, b in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.last = nn.Conv2d(16, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Give logits of four classes."""
        seen = []
        for level, part in enumerate(self.down):
            x = part(x if level == 0 else F.max_pool2d(x, 2))
            seen.append(x)
        for part, beside in zip(self.up, seen[-2::-1], strict=True):
            x = part(torch.cat([F.interpolate(x, scale_factor=2.0), beside], 1))
        out: torch.Tensor = self.last(x)
        return out


def _twice(a: int, b: int) -> nn.Sequential:
    parts = [nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU()]
    return nn.Sequential(*parts, nn.Conv2d(b, b, 3, padding=1), nn.ReLU())


def seconds(call: Callable[[], object], device: torch.device) -> float:
    """CPU seconds of a call, or on a GPU wall-clock ones; the best of some."""
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    best = float("inf")
    call()
    for _ in range(TURNS):
        start = clock()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, clock() - start)
    return best


@pytest.mark.benchmark
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_set_of_noise_costs_a_fraction_of_a_training_step(device: str) -> None:
    """One set per image and step, as a recipe draws it, against a bare step."""
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    where = torch.device(device)
    torch.manual_seed(0)
    net = SmallUNet().to(where)
    optimiser = torch.optim.AdamW(net.parameters())
    images = torch.rand((BATCH, 1, SIDE, SIDE), device=where)
    labels = torch.randint(4, (BATCH, SIDE, SIDE), device=where)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        F.cross_entropy(net(images), labels).backward()
        optimiser.step()

    bare = seconds(step, where)
    print(f"\n{device}: a bare step takes {1000 * bare / BATCH:.1f} ms an image")
    shares = []
    for instrument in noise.INSTRUMENTS:
        for some in noise.strong_sets(instrument):
            chance = torch.Generator().manual_seed(0)
            took = seconds(lambda: some(images, labels, None, chance), where)  # noqa: B023
            shares.append(took / bare)
            print(
                f"  {instrument:5} {some.name:7} {BATCH / took:6.0f} images/s, "
                f"{took / bare:.3f} of a step"
            )
    assert max(shares) < 0.5
    assert sum(shares) / len(shares) < 0.2
