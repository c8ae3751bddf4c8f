"""Shards of training scenes on disk, written by processes of their own.

A shard is one `.npy` of shape (scenes, 4, 256, 512), uint8: picture, classes, low and
high byte of the regions. Two neighbouring 256² crops of a scene are sisters: other
places, same materials, same microscope.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.synth._scenes import Scene, random_scene

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SHAPE = (256, 512)
PER_SHARD = 32


def pack(scene: Scene) -> NDArray[Any]:
    """Turn a scene into four planes of bytes."""
    regions = scene.regions
    low, high = (regions & 255).astype(np.uint8), (regions >> 8).astype(np.uint8)
    return np.stack([scene.image, scene.classes, low, high])


def write_shard(folder: Path, number: int, scenes: int = PER_SHARD, seed: int = 0) -> Path:
    """Draw one shard; its number and the seed decide its content. Existing ones stay."""
    path = folder / f"scenes_{number:05d}.npy"
    if not path.exists():
        data = np.stack(
            [pack(random_scene([seed, number, i], SHAPE)) for i in range(scenes)]
        )
        part = path.with_suffix(f".part{os.getpid()}")
        with part.open("wb") as file:
            np.save(file, data)
        part.replace(path)
    return path


def open_shards(folder: Path) -> list[NDArray[Any]]:
    """Map the finished shards of a folder, in the order of their numbers."""
    return [np.load(p, mmap_mode="r") for p in sorted(folder.glob("scenes_*.npy"))]


def main(argv: Sequence[str] | None = None) -> None:
    """Write shards number `first`, `first + step`, … up to `last`."""
    ap = argparse.ArgumentParser(description="Draw training scenes into a folder.")
    ap.add_argument("folder", type=Path)
    ap.add_argument("--first", type=int, default=0)
    ap.add_argument("--last", type=int, default=300)
    ap.add_argument("--step", type=int, default=1)
    ap.add_argument("--seed", type=int, default=0)
    args = ap.parse_args(argv)
    args.folder.mkdir(parents=True, exist_ok=True)
    for number in range(args.first, args.last, args.step):
        write_shard(args.folder, number, seed=args.seed)


if __name__ == "__main__":
    main()
