"""Tiny pictures and nets (0.3 M numbers) for the recipe `semi`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.train import (
    LabelledSet,
    Picture,
    Pool,
    RunConfig,
    SemiConfig,
    write_pool,
    write_set,
)
from napari_sesami.train.run.folder import RunFolder
from napari_sesami.train.sesami.pictures import regions_of

if TYPE_CHECKING:
    from pathlib import Path

ENCODER = "tu-test_efficientnet"
CLASSES = {1: "metal", 2: "void"}


def picture(seed: int, held_out: bool = False, side: int = 64, **told: Any) -> Picture:
    """Bright lines on dark ground; one of them has a dark hole."""
    rng = np.random.default_rng(seed)
    classes = np.zeros((side, side), np.uint8)
    start = int(rng.integers(4, 10))
    for x in range(start, side - 8, 20):
        classes[:, x : x + 10] = 1
    y, x = int(rng.integers(10, side - 20)), start
    classes[y : y + 8, x + 2 : x + 8] = 2
    grey = np.choose(classes, [0.25, 0.8, 0.05]) + rng.normal(0, 0.03, classes.shape)
    pixels = np.rint(np.clip(grey, 0, 1) * 65535).astype(np.uint16)
    regions = regions_of(classes)
    return Picture(pixels, classes, regions, f"s{seed}", 0, held_out=held_out, **told)


def options(**more: Any) -> SemiConfig:
    small = {"encoder": ENCODER, "width": 16, "crop": 48, "modality": "TEM"}
    return SemiConfig(**{**small, **more})


def config(options_: SemiConfig, **more: Any) -> RunConfig:
    told: dict[str, Any] = {"steps": 8, "batch": 3, "rate": 3e-3, "device": "cpu"}
    return RunConfig("semi", recipe_options=options_, **{**told, **more})


def begin(
    path: Path,
    options_: SemiConfig,
    *,
    teachers: int = 3,
    held: int = 1,
    pool: int = 3,
    **more: Any,
) -> RunFolder:
    """Make a run folder with labelled pictures and a pool, and do not start it."""
    folder = RunFolder.create(path, config(options_, **more))
    pictures = [picture(i) for i in range(teachers)]
    pictures += [picture(50 + i, held_out=True) for i in range(held)]
    write_set(folder.data, LabelledSet(tuple(pictures), CLASSES))
    if pool:
        greys = tuple(picture(100 + i).grey for i in range(pool))
        write_pool(folder.data, Pool(greys, tuple(f"u{i}" for i in range(pool))))
    return folder
