"""Recipe `foundation`: train sesami-nano from scratch on endless random scenes.

One command, `python -m napari_sesami.lab.pretrain.recipe RUN`, draws the scenes in
processes of its own, trains, logs JSON lines, keeps the newest state and resumes from
it. It computes in bfloat16, on a GPU or a CPU; torchrun gives it more processes, which
on a busy CPU waits less than threads do.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch.utils.data import DataLoader, Subset

from napari_sesami.lab.pretrain.batches import Batches
from napari_sesami.lab.pretrain.shards import write_shard
from napari_sesami.lab.pretrain.trainer import Settings, Trainer, rank

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def same_for_all(seconds: float) -> float:
    """The clock of the first process, so that all stop together."""
    if not dist.is_initialized():
        return seconds
    clock = torch.tensor([seconds], dtype=torch.float64)
    dist.broadcast(clock, 0)
    return float(clock)


def save_atomic(state: Any, path: Path) -> None:
    """Write a checkpoint so that a crash leaves the old one or the new one."""
    part = path.with_suffix(".part")
    torch.save(state, part)
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)


def keep_memory() -> None:
    """Stop glibc from handing every big tensor back to the system (twice as fast)."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            libc.mallopt(-3, 32 << 20)
            libc.mallopt(-1, 2**31 - 1)
            libc.mallopt(-2, 64 << 20)


def batches(
    folder: Path, settings: Settings, start: int, workers: int
) -> Iterator[Any]:
    """Batches from `start` on, drawn ahead by worker processes."""
    data = Batches(
        folder,
        settings.pairs,
        settings.objects,
        settings.seed + 100_000 * rank(),
        settings.steps,
    )
    rest = Subset(data, range(start, settings.steps))
    ahead = 4 if workers else None
    yield from DataLoader(
        rest, batch_size=None, num_workers=workers, prefetch_factor=ahead
    )


def draw_scenes(
    folder: Path, shards: int, processes: int
) -> list[subprocess.Popen[bytes]]:
    """Draw the first shard here, the others in the background with low priority."""
    folder.mkdir(parents=True, exist_ok=True)
    write_shard(folder, 0)
    command = [
        sys.executable,
        "-m",
        "napari_sesami.lab.pretrain.shards",
        str(folder),
    ]
    nice = ["nice", "-n", "10"] if os.name == "posix" else []
    last = ["--last", str(shards), "--step", str(processes)]
    return [
        subprocess.Popen([*nice, *command, "--first", str(1 + i), *last])
        for i in range(processes if shards > 1 else 0)
    ]


def run(
    folder: Path, settings: Settings, *, device: str, shards: int, processes: int,
    workers: int = 1, save_every: int = 50, stop_at: int | None = None,
) -> Trainer:  # fmt: skip
    """Train in a run folder, from where it stopped if it was begun before."""
    keep_memory()
    trainer, checkpoint = Trainer(settings, device), folder / "state.pt"
    helpers = draw_scenes(folder / "scenes", shards, 0 if rank() else processes)
    if checkpoint.exists():
        trainer.load(torch.load(checkpoint, map_location=device, weights_only=True))
    (folder / "settings.json").write_text(json.dumps(asdict(settings), indent=1))
    try:
        with (folder / "events.jsonl").open("a") as log:
            for batch in batches(folder / "scenes", settings, trainer.step, workers):
                line = _timed_step(trainer, batch)
                if not rank():
                    log.write(json.dumps(line) + "\n")
                    log.flush()
                    if trainer.step % save_every == 0:
                        save_atomic(trainer.state(), checkpoint)
                if trainer.step == stop_at or trainer.finished:
                    break
    finally:
        for helper in helpers:
            helper.terminate()
    if not rank():
        save_atomic(trainer.state(), checkpoint)
    return trainer


def _timed_step(trainer: Trainer, batch: Any) -> dict[str, float]:
    """One step; its log line."""
    began = time.perf_counter()
    line = trainer.train_step(batch)
    took = time.perf_counter() - began
    trainer.spent = same_for_all(trainer.spent + took)
    line |= {"step": trainer.step, "seconds": took, "time": time.time()}
    return {k: round(v, 6) for k, v in line.items()}


def train_command(arguments: argparse.Namespace) -> int:
    """Run `sesami train foundation RUN …`."""
    if arguments.recipe != "foundation":
        print(f"There is no recipe “{arguments.recipe}” here; take foundation.")
        return 2
    main(arguments.options)
    return 0


def main(argv: Sequence[str] | None = None) -> None:
    """Run the recipe from the command line."""
    ap = argparse.ArgumentParser(prog="sesami train foundation", description=__doc__)
    ap.add_argument("folder", type=Path, help="run folder; resumed if it exists")
    ap.add_argument("--steps", type=int, default=Settings.steps)
    ap.add_argument("--minutes", type=float, default=0.0)
    ap.add_argument("--pairs", type=int, default=Settings.pairs)
    ap.add_argument("--objects", type=int, default=Settings.objects)
    ap.add_argument("--lr", type=float, default=Settings.lr)
    ap.add_argument("--vote-weight", type=float, default=Settings.vote_weight)
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    ap.add_argument("--threads", type=int, default=0)
    ap.add_argument("--shards", type=int, default=600, help="of 32 scenes each")
    ap.add_argument("--processes", type=int, default=max(1, (os.cpu_count() or 2) // 2))
    ap.add_argument("--stop-at", type=int, default=None)
    args = ap.parse_args(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    args.folder.mkdir(parents=True, exist_ok=True)
    if "RANK" in os.environ:
        dist.init_process_group("nccl" if args.device == "cuda" else "gloo")
    settings = Settings(
        steps=args.steps,
        minutes=args.minutes,
        pairs=args.pairs,
        objects=args.objects,
        lr=args.lr,
        vote_weight=args.vote_weight,
        seed=args.seed,
    )
    run(args.folder, settings, device=args.device, shards=args.shards,
        processes=args.processes, stop_at=args.stop_at)  # fmt: skip


if __name__ == "__main__":
    main()
