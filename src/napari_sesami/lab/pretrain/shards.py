"""Shards of training scenes on disk, written by processes of their own.

A shard is one `.npy` of shape (scenes, 4, rows, columns), uint8: picture, classes, low
and high byte of the regions; a JSON file beside it names the family of each scene.
There are three kinds: random scenes and cuts of the documented families (256 × 512, two
neighbouring crops are sisters: other places, same materials, same microscope), and
large ones of both sorts (1024²), in which big objects can be seen whole.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.measure import label

from napari_sesami.common.disk import write_atomic
from napari_sesami.lab.scenes import FAMILIES
from napari_sesami.lab.scenes.random_scenes.scenes import (
    PATTERNS,
    Scene,
    name_of_scene,
    random_scene,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SHAPE = (256, 512)
PER_SHARD = 32
FAMILY_SHARDS = 90_000  # number of the first shard of documented families
FAMILY_SEEDS = 1_000_000  # evaluation draws the families with smaller seeds
LARGE_SHAPE = (1024, 1024)
PER_LARGE_SHARD = 8
LARGE_SHARDS = 95_000  # number of the first shard of large scenes
LARGE_SEEDS = 50_000_000  # of the documented families among them
UNNAMED = ("random", "documented", "large")
"""Families of scenes whose shard does not name them, by kind."""
GROUPS = (*sorted(PATTERNS), *sorted(FAMILIES), *UNNAMED)
"""All that a scene may be called; its place here stands for it in batches."""


@dataclass(frozen=True)
class Shard:
    """The scenes of one file, mapped, and the family of each."""

    scenes: NDArray[Any]
    families: tuple[str, ...]


def folder_of_large(scenes: Path) -> Path:
    """Where the large scenes that belong to a folder of scenes lie: beside it."""
    return scenes.with_name(scenes.name + "_large")


def pack(scene: Scene) -> NDArray[Any]:
    """Turn a scene into four planes of bytes; regions beyond 65535 are left out."""
    regions = np.where(scene.regions > 65535, 0, scene.regions)
    low, high = (regions & 255).astype(np.uint8), (regions >> 8).astype(np.uint8)
    return np.stack([scene.image, scene.classes, low, high])


def family_scenes(seed: int) -> list[Scene]:
    """Draw a scan of one of the documented families and cut it to the common size."""
    names = sorted(FAMILIES)
    family = names[seed % len(names)]
    drawn = FAMILIES[family](FAMILY_SEEDS + seed)
    planes = [_grey(drawn.image, drawn.labels.ndim), drawn.labels]
    room = [
        (0, max(0, want - have))
        for want, have in zip(SHAPE, drawn.labels.shape, strict=True)
    ]
    image, classes = (np.pad(plane, room, mode="symmetric") for plane in planes)
    h, w = SHAPE
    cuts = [slice(top, top + h) for top in range(0, image.shape[0] - h + 1, h)]
    return [_scene(image[cut, :w], classes[cut, :w], family) for cut in cuts]


def _grey(image: NDArray[Any], axes: int) -> NDArray[np.uint8]:
    grey = image.astype(np.float32)
    grey = grey.mean(-1) if grey.ndim > axes else grey
    lo, hi = np.percentile(grey, [0.5, 99.5])
    scaled = np.clip((grey - lo) / max(float(hi - lo), 1e-6), 0, 1) * 255
    return scaled.astype(np.uint8)


def _scene(image: NDArray[Any], classes: NDArray[Any], family: str) -> Scene:
    regions = label(classes, connectivity=2, background=0)
    return Scene(image, classes, regions, family)


def large_scene(number: int, place: int, seed: int = 0) -> Scene:
    """Draw a large scene: whole sections and plans at odd places, random at even ones.

    Families that are drawn at one size only stay with the small scenes.
    """
    if place % 2 == 0:
        key = [seed, LARGE_SHARDS + number, place]
        return random_scene(key, LARGE_SHAPE, grown=True)
    own: Any = {k: d for k, d in sorted(FAMILIES.items()) if not k.startswith(_FIXED)}
    count = number * PER_LARGE_SHARD + place
    family = list(own)[count // 2 % len(own)]
    drawn = own[family](LARGE_SEEDS + count, shape=LARGE_SHAPE)
    return _scene(_grey(drawn.image, drawn.labels.ndim), drawn.labels, family)


_FIXED = ("sem_", "hbm_")


def write_family_shard(folder: Path, number: int, scenes: int = PER_SHARD) -> Path:
    """Draw one shard of the documented families."""
    found: list[Scene] = []
    seed = number * 1000
    path = folder / f"scenes_{FAMILY_SHARDS + number:05d}.npy"
    while not path.exists() and len(found) < scenes:
        found += family_scenes(seed)
        seed += 1
    return _keep(path, found[:scenes])


def write_large_shard(
    folder: Path, number: int, scenes: int = PER_LARGE_SHARD, seed: int = 0
) -> Path:
    """Draw one shard of large scenes."""
    path = folder / f"scenes_{LARGE_SHARDS + number:05d}.npy"
    if path.exists():
        return path
    return _keep(path, [large_scene(number, i, seed) for i in range(scenes)])


def _keep(path: Path, scenes: list[Scene]) -> Path:
    """Write atomically, the names first; a shard that exists stays."""
    if not path.exists():
        _write_names(path, [scene.family for scene in scenes])
        part = path.with_suffix(f".part{os.getpid()}")
        with part.open("wb") as file:
            np.save(file, np.stack([pack(scene) for scene in scenes]))
        part.replace(path)
    return path


def _write_names(path: Path, families: Sequence[str]) -> None:
    write_atomic(path.with_suffix(".json"), json.dumps(list(families)).encode())


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
    kind = "documented" if families else "random"
    return [shard.scenes for shard in named_shards(folder, kind)]


def named_shards(folder: Path, kind: str) -> list[Shard]:
    """Map the finished shards of one kind ("random", "documented", "large")."""
    return [
        _open(path) for path in sorted(folder.glob("scenes_*.npy"))
        if _kind(path) == kind
    ]  # fmt: skip


def _open(path: Path) -> Shard:
    scenes = np.load(path, mmap_mode="r")
    names = path.with_suffix(".json")
    found = json.loads(names.read_text()) if names.is_file() else []
    if len(found) != len(scenes) or not set(found) <= set(GROUPS):
        found = [_kind(path)] * len(scenes)
    return Shard(scenes, tuple(found))


def _kind(path: Path) -> str:
    number = int(path.stem.split("_")[1])
    limits = (FAMILY_SHARDS, LARGE_SHARDS)
    return UNNAMED[sum(number >= limit for limit in limits)]


def name_shards(folder: Path, seed: int = 0) -> int:
    """Write the names of scenes beside shards that were drawn without; count them.

    A shard is named only if its first scene, drawn again, is the one that it holds.
    """
    done = 0
    for path in sorted(folder.glob("scenes_*.npy")):
        if path.with_suffix(".json").exists():
            continue
        scenes, number = np.load(path, mmap_mode="r"), int(path.stem.split("_")[1])
        if _kind(path) == "random":
            first = random_scene([seed, number, 0], SHAPE)
            places = range(len(scenes))
            names = [name_of_scene([seed, number, i]) for i in places]
        elif _kind(path) == "documented":
            start = (number - FAMILY_SHARDS) * 1000
            first, names, order = family_scenes(start)[0], [], sorted(FAMILIES)
            while len(names) < len(scenes):
                family = order[start % len(order)]
                names += [family] * _cuts(family)
                start += 1
        else:
            continue
        if np.array_equal(pack(first)[:2], scenes[0][:2]):
            _write_names(path, names[: len(scenes)])
            done += 1
    return done


@lru_cache(None)
def _cuts(family: str) -> int:
    """How many scenes a scan of a family is cut into."""
    return len(family_scenes(sorted(FAMILIES).index(family)))


def draw_in_background(
    folder: Path, shards: int, processes: int
) -> list[subprocess.Popen[bytes]]:
    """Draw all shards but the first in processes of low priority, which end with us."""
    command = [sys.executable, "-P", "-m", __name__, str(folder), "--attended"]
    nice = ["nice", "-n", "10"] if os.name == "posix" else []
    last = ["--all", "--last", str(shards), "--step", str(processes)]
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
    kind = ap.add_mutually_exclusive_group()
    kind.add_argument("--families", action="store_true", help="the documented families")
    kind.add_argument(
        "--large", action="store_true", help="large scenes, into FOLDER itself"
    )
    kind.add_argument(
        "--all", action="store_true",
        help="with every third one of families, every sixth a large one, beside FOLDER",
    )  # fmt: skip
    kind.add_argument(
        "--name", action="store_true", help="only name what older versions drew"
    )
    ap.add_argument("--attended", action="store_true", help="end with stdin")
    args = ap.parse_args(argv)
    if args.attended:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    args.folder.mkdir(parents=True, exist_ok=True)
    if args.name:
        print(f"{name_shards(args.folder, args.seed)} shards were named.")
        return
    large = args.folder if args.large else folder_of_large(args.folder)
    for number in range(args.first, args.last, args.step):
        if not (args.families or args.large):
            write_shard(args.folder, number, seed=args.seed)
        if args.families or (args.all and number % 3 == 1):
            write_family_shard(args.folder, number // 3 if args.all else number)
        if args.large or (args.all and number % 6 == 2):
            large.mkdir(parents=True, exist_ok=True)
            write_large_shard(
                large, number // 6 if args.all else number, seed=args.seed
            )


if __name__ == "__main__":
    main()
