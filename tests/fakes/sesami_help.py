"""Little labelled pictures and little models for the tests of the recipe `sesami`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_sesami.models import NanoNet, build_tiny_sam, save_nano
from napari_sesami.models.weights import write_weights
from napari_sesami.scan import Scan
from napari_sesami.train import (
    LabelledSet,
    Picture,
    RunConfig,
    cut_picture,
    write_set,
)
from napari_sesami.train.sesami.recipe import Sesami, SesamiConfig

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = {1: "disc", 2: "bar"}


def draw(seed: int = 0, shape: tuple[int, int] = (96, 120)) -> tuple[Any, Any]:
    """A noisy image with three discs and two bars, and its classes."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(shape)
    truth = np.zeros(shape, np.uint8)
    for i in range(3):
        cy, cx = rng.uniform(14, shape[0] - 40), 20 + i * (shape[1] - 40) / 2
        truth[np.hypot(y - cy, x - cx) < rng.uniform(7, 10)] = 1
    for i in range(2):
        left = 6 + i * shape[1] // 2
        truth[shape[0] - 14 : shape[0] - 7, left : left + shape[1] // 3] = 2
    image = 60 + 70 * (truth == 1) + 120 * (truth == 2) + rng.normal(0, 9, shape)
    return np.clip(image, 0, 255).astype(np.uint8), truth


def picture(seed: int = 0, held_out: bool = False, **options: Any) -> Picture:
    image, truth = draw(seed)
    size = options.pop("pixel_size", None)
    unit = options.pop("unit", "nm" if size else None)
    scan = Scan.from_array(image, name=f"scan{seed}", pixel_size=size, units=unit)
    made = cut_picture(scan, 0, truth, **options)
    assert made is not None
    return replace(made, held_out=held_out)


def tiny_file(kind: str, folder: Path) -> Path:
    """Weights of a tiny model, as a worker can load them."""
    path = folder / f"tiny-{kind}.safetensors"
    if kind == "sam":
        write_weights(path, build_tiny_sam().sam.state_dict(), {})
        return path
    torch.manual_seed(0)
    net = NanoNet(dim=32, token_dim=16, widths=(8, 16, 32), depth=3, heads=4, window=4)
    save_nano(net, path)
    return path


def recipe(folder: Path, kind: str = "nano", **options: Any) -> Sesami:
    """A recipe on three pictures, the last of them held out, prepared on the CPU."""
    pictures = (picture(0), picture(1), picture(2, held_out=True))
    write_set(folder / "data", LabelledSet(pictures, CLASSES))
    run = {k: options.pop(k) for k in ("seed", "rate", "batch") if k in options}
    own = SesamiConfig(
        model=str(tiny_file(kind, folder)),
        **{"objects": 2, "measured": 2, "gate_clicks": 3, **options},
    )
    config = RunConfig("sesami", recipe_options=own, **run)
    made = Sesami(config, folder)
    made.prepare(torch.device("cpu"))
    return made


def batch_of(made: Sesami, count: int = 2, epoch: int = 0) -> dict[str, Any]:
    drawn = [
        made.example(i, np.random.default_rng([epoch, i, made.config.seed]))
        for i in range(count)
    ]
    return made.collate(drawn)
