"""Shards of training scenes on disk, written by processes of their own.

A shard is one `.npy` of shape (scenes, 4, 256, 512), uint8: picture, classes, low and
high byte of the regions. Two neighbouring 256² crops of a scene are sisters: other
places, same materials, same microscope.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.measure import label

from napari_sesami.lab.scenes import FAMILIES
from napari_sesami.lab.scenes.random_scenes.scenes import Scene, random_scene

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SHAPE = (256, 512)
PER_SHARD = 32
FAMILY_SHARDS = 90_000  # number of the first shard of documented families
FAMILY_SEEDS = 1_000_000  # evaluation draws the families with smaller seeds


def pack(scene: Scene) -> NDArray[Any]:
    """Turn a scene into four planes of bytes."""
    regions = scene.regions
    low, high = (regions & 255).astype(np.uint8), (regions >> 8).astype(np.uint8)
    return np.stack([scene.image, scene.classes, low, high])


def family_scenes(seed: int) -> list[Scene]:
    """Draw a scan of one of the documented families and cut it to the common size."""
    names = sorted(FAMILIES)
    family = names[seed % len(names)]
    drawn = FAMILIES[family](FAMILY_SEEDS + seed)
    grey = drawn.image.astype(np.float32)
    grey = grey.mean(-1) if grey.ndim > drawn.labels.ndim else grey
    lo, hi = np.percentile(grey, [0.5, 99.5])
    grey = np.clip((grey - lo) / max(float(hi - lo), 1e-6), 0, 1) * 255
    planes = [grey.astype(np.uint8), drawn.labels]
    room = [
        (0, max(0, want - have)) for want, have in zip(SHAPE, grey.shape, strict=True)
    ]
    planes = [np.pad(plane, room, mode="symmetric") for plane in planes]
    h, w = SHAPE
    tops = range(0, planes[0].shape[0] - h + 1, h)
    image, classes = planes
    cuts = [slice(top, top + h) for top in tops]
    return [_scene(image[cut, :w], classes[cut, :w], family) for cut in cuts]


def _scene(image: NDArray[Any], classes: NDArray[Any], family: str) -> Scene:
    regions = label(classes, connectivity=2, background=0)
    return Scene(image, classes, regions.astype(np.uint16), family)


def write_family_shard(folder: Path, number: int, scenes: int = PER_SHARD) -> Path:
    """Draw one shard of the documented families."""
    found: list[Scene] = []
    seed = number * 1000
    path = folder / f"scenes_{FAMILY_SHARDS + number:05d}.npy"
    while not path.exists() and len(found) < scenes:
        found += family_scenes(seed)
        seed += 1
    return _keep(path, found[:scenes])


def _keep(path: Path, scenes: list[Scene]) -> Path:
    """Write atomically; a shard that exists stays."""
    if not path.exists():
        part = path.with_suffix(f".part{os.getpid()}")
        with part.open("wb") as file:
            np.save(file, np.stack([pack(scene) for scene in scenes]))
        part.replace(path)
    return path


def write_shard(
    folder: Path, number: int, scenes: int = PER_SHARD, seed: int = 0
) -> Path:
    """Draw one shard; number and seed decide its content. Existing ones stay."""
    path = folder / f"scenes_{number:05d}.npy"
    if path.exists():
        return path
    drawn = [random_scene([seed, number, i], SHAPE) for i in range(scenes)]
    return _keep(path, drawn)


def open_shards(folder: Path, families: bool = False) -> list[NDArray[Any]]:
    """Map the finished shards of a folder, random scenes or families, in order."""
    paths = [
        p for p in sorted(folder.glob("scenes_*.npy")) if _is_family(p) == families
    ]
    return [np.load(p, mmap_mode="r") for p in paths]


def _is_family(path: Path) -> bool:
    return int(path.stem.split("_")[1]) >= FAMILY_SHARDS


def draw_in_background(
    folder: Path, shards: int, processes: int
) -> list[subprocess.Popen[bytes]]:
    """Draw all shards but the first in processes of low priority, which end with us."""
    command = [sys.executable, "-P", "-m", __name__, str(folder), "--attended"]
    nice = ["nice", "-n", "10"] if os.name == "posix" else []
    last = ["--last", str(shards), "--step", str(processes)]
    return [
        subprocess.Popen(
            [*nice, *command, "--first", str(1 + i), *last], stdin=subprocess.PIPE
        )
        for i in range(processes if shards > 1 else 0)
    ]


def _end_with_parent() -> None:
    """Wait for the end of stdin: whoever started this process is gone."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(0)


def main(argv: Sequence[str] | None = None) -> None:
    """Write shards number `first`, `first + step`, … up to `last`."""
    ap = argparse.ArgumentParser(description="Draw training scenes into a folder.")
    ap.add_argument("folder", type=Path)
    ap.add_argument("--first", type=int, default=0)
    ap.add_argument("--last", type=int, default=300)
    ap.add_argument("--step", type=int, default=1)
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--families", action="store_true", help="the documented families")
    ap.add_argument("--attended", action="store_true", help="end with stdin")
    args = ap.parse_args(argv)
    if args.attended:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    args.folder.mkdir(parents=True, exist_ok=True)
    for number in range(args.first, args.last, args.step):
        if args.families:
            write_family_shard(args.folder, number)
        else:
            write_shard(args.folder, number, seed=args.seed)


if __name__ == "__main__":
    main()
