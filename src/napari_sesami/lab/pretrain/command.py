"""The command line of the training: `sesami train foundation RUN`.

`torchrun --nproc-per-node 2 -m napari_sesami.lab.pretrain RUN` trains with two
processes, which on a busy CPU wait less than threads do.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sesami.common.disk import write_atomic
from napari_sesami.lab.pretrain.recipe import LESSONS
from napari_sesami.models import choose_device
from napari_sesami.train import RunConfig, RunFolder, TrainError

if TYPE_CHECKING:
    from collections.abc import Sequence

RECIPE = "napari_sesami.lab.pretrain.recipe:Foundation"
_PATIENCE = 60.0
"""Seconds that the other processes of torchrun wait for the run folder."""


def prepare_run(argv: Sequence[str] | None = None) -> Path:
    """Make the run folder that a command line asks for, or change its options.

    A folder that is there already is gone on with: what the command line does not say
    stays as it was. Under torchrun the first process writes and the others wait.
    """
    given = vars(_parser().parse_args(argv))
    folder: Path = given.pop("folder").expanduser().resolve()
    if (threads := given.pop("threads", 0)) > 0:
        os.environ["OMP_NUM_THREADS"] = str(threads)
    if (folder / "state.pt").is_file():
        raise TrainError(
            f"{folder} was begun by an earlier version; export its weights and begin a "
            "new run with them: --weights FILE."
        )
    first = os.environ.get("RANK", "0") == "0"
    end = time.monotonic() + _PATIENCE
    while True:
        old = RunFolder.open(folder) if (folder / "run.toml").is_file() else None
        config = _config(given, None if old is None else old.config)
        if old is not None and config == old.config:
            return folder
        if first:
            break
        if time.monotonic() > end:
            raise TrainError(f"The first process has not prepared {folder}.")
        time.sleep(0.1)
    if old is None:
        return RunFolder.create(folder, config).path
    if old.owner() is not None:
        raise TrainError(f"The run in {folder} is at work; stop it to change it.")
    if old.status().get("state") == "finished":
        raise TrainError(
            f"The run in {folder} is finished; begin a new one with what it has "
            "learnt: --weights FILE, the safetensors in its folder “adapter”."
        )
    write_atomic(folder / "run.toml", config.to_toml().encode())
    return folder


def _config(given: dict[str, Any], old: RunConfig | None) -> RunConfig:
    """Options as given, else as they were, else the usual ones."""
    if old is None:
        auto = choose_device("auto").name
        device = "cpu" if auto == "mps" else "auto"  # half precision is young there
        drawers = max(1, (os.cpu_count() or 2) // 2)
        given = {"steps": 4000, "pairs": 4, "rate": 8e-4, "device": device,
                 "drawers": drawers, "lessons": tuple(LESSONS), **given}  # fmt: skip
        old = RunConfig(RECIPE, precision="bf16", workers=1)
    shared = ("steps", "rate", "seed", "device")
    mine: dict[str, Any] = {k: given[k] for k in shared if k in given}
    mine["processes"] = int(os.environ.get("WORLD_SIZE", old.processes))
    if "pairs" in given:
        mine["batch"] = given["pairs"] * mine["processes"]
    apart = {*mine, "pairs"}
    own = {"stop_at": 0, **{k: v for k, v in given.items() if k not in apart}}
    return replace(old, **mine, recipe_options=replace(old.recipe_options, **own))


def _parser() -> argparse.ArgumentParser:
    ap = argparse.ArgumentParser(
        prog="sesami train foundation",
        description="Train the bundled model on endless random scenes.",
        argument_default=argparse.SUPPRESS,
    )
    add = ap.add_argument
    add("folder", type=Path, help="run folder; resumed if it exists")
    add("--steps", type=int, help="default: 4000")
    add("--minutes", type=float, help="of computing, after which it ends, too")
    add("--pairs", type=int, help="of crops a step and process (default: 4)")
    add("--objects", type=int, help="prompted in each crop (default: 4)")
    add(
        "--lr",
        type=float,
        dest="rate",
        metavar="LR",
        help="learning rate (default: 8e-4)",
    )
    add("--vote-weight", type=float, help="of the votes of strokes (default: 1)")
    add("--seed", type=int)
    add("--weights", type=_weights, help="to begin with: a file, or “bundled”")
    add("--documented-share", type=float, help="most crops of them (default: 0.3)")
    add("--device", help="default: a GPU if there is one")
    add("--threads", type=int, help="of a CPU")
    add("--shards", type=int, help="of 32 scenes each (default: 600)")
    add(
        "--processes",
        type=int,
        dest="drawers",
        metavar="N",
        help="that draw scenes meanwhile",
    )
    lessons = "; ".join(f"{name}: {what}" for name, what in LESSONS.items())
    add(
        "--lessons",
        type=_lessons,
        metavar="NAMES",
        help=f"with commas; “all” (of a new run), “none”, or “-NAME,…” for all but "
        f"these ({lessons})",
    )
    add("--iou-weight", type=float, help="of the error of the score (default: 0.5)")
    add("--stop-at", type=int, help="a step to stop at; the run can be resumed")
    return ap


def _lessons(wish: str) -> tuple[str, ...]:
    """Names as they are typed: “all”, “none”, some with commas, or “-” those."""
    if wish in ("all", "none"):
        return tuple(LESSONS) if wish == "all" else ()
    named = wish.lstrip("-").split(",")
    if not wish.startswith("-"):
        return tuple(named)
    if unknown := set(named) - set(LESSONS):
        raise argparse.ArgumentTypeError(f"there is no lesson “{min(unknown)}”")
    return tuple(name for name in LESSONS if name not in named)


def _weights(wish: str) -> str:
    return wish if wish == "bundled" else str(Path(wish).expanduser().resolve())
