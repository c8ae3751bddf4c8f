"""`sesami train …` and `sesami runs …`: runs on the command line."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sesami.common.home import home
from napari_sesami.train import Run as RunSeen
from napari_sesami.train import (
    RunConfig,
    Runs,
    TrainError,
    estimate,
    make_run,
    submit,
    write_set,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_sesami.train import Status

_NEWS = 2.0
"""Seconds between two lines about the progress."""


def train(arguments: argparse.Namespace) -> int:
    """Run `sesami train RUN.toml`, `sesami train FOLDER`, `sesami train foundation`."""
    if arguments.recipe == "foundation":
        from napari_sesami.lab.pretrain.recipe import train_command

        return train_command(arguments)
    args = _train_parser().parse_args([arguments.recipe, *arguments.options])
    if args.run.is_dir():
        run = RunSeen(args.run)
        return _detach(run) if args.detach else _foreground(run)
    config = RunConfig.from_toml(args.run)
    data = _data(args)
    if args.dry:
        print(estimate(config, data).sentence)
        return 0
    root = args.project / "runs" if args.project else _root()
    run = make_run(config, args.out or Runs(root).new_folder(config), data)
    print(f"Run folder: {run.folder}")
    if args.submit:
        return _submit(run, args)
    return _detach(run) if args.detach else _foreground(run)


def _train_parser() -> argparse.ArgumentParser:
    ap = argparse.ArgumentParser(prog="sesami train", description="Train.")
    ap.add_argument("run", type=Path, help="a run.toml, or a run folder to go on with")
    ap.add_argument("-o", "--out", type=Path, help="the new run folder")
    source = ap.add_mutually_exclusive_group()
    source.add_argument("--project", type=Path, help="learn from what it has labelled")
    source.add_argument("--data", type=Path, help="folder copied to the run's data")
    ap.add_argument("--dry", action="store_true", help="only estimate time and memory")
    ap.add_argument(
        "--detach", action="store_true", help="go on when this terminal is closed"
    )
    cluster = ap.add_argument_group("on a cluster", "the folder must be seen by it")
    cluster.add_argument("--submit", action="store_true", help="queue it with SLURM")
    cluster.add_argument("--gpus", type=int, default=1)
    cluster.add_argument("--hours", type=float, default=4)
    cluster.add_argument("--partition", help="of SLURM")
    return ap


def list_(arguments: argparse.Namespace) -> int:
    """Print the runs of a folder."""
    root = arguments.root or _root()
    runs = Runs(root / "runs" if (root / "project.json").is_file() else root)
    rows = [_row(run) for run in runs.list()]
    header = ("NAME", "STATE", "STEP", "LOSS", "WORD")
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, *rows]:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    for sentence in runs.unreadable.values():
        print(f"sesami: {sentence}", file=sys.stderr)
    return 0


def show(arguments: argparse.Namespace) -> int:
    """Print how a run stands, what it does and what it measured."""
    run = _find(arguments.which)
    status = run.status
    print(f"{run.folder}\n{status.state}, {_progress(run, status)}\n")
    print(run.config.to_toml())
    for title, metrics in (("before", run.before), ("newest", run.metrics)):
        for key, value in metrics.items():
            print(f"{title}: {key} = {value}")
    for line in run.log_tail(10):
        print(f"log: {line}")
    return 0


def resume(arguments: argparse.Namespace) -> int:
    """Go on with a run that was stopped, failed or crashed."""
    return _foreground(_find(arguments.which))


def stop(arguments: argparse.Namespace) -> int:
    """End a run after a checkpoint, wherever it was started."""
    run = _find(arguments.which)
    if not run.alive:
        raise TrainError(f"{run.name} is not running; there is nothing to stop.")
    run.stop()
    print(run.wait(60).sentence)
    return 0 if not run.alive else 1


def _root() -> Path:
    return home() / "runs"


def _find(wish: str) -> RunSeen:
    """Open a run by its folder, or by its name among the user's own runs."""
    path = Path(wish).expanduser()
    return RunSeen(path if path.is_dir() else _root() / wish)


def _data(args: argparse.Namespace) -> Callable[[Path], Any] | None:
    """Tell how a new run gets what it learns from; None if it needs nothing."""
    if args.project is not None:
        return _labelled(args.project)
    if args.data is None:
        return None
    if not args.data.is_dir():
        raise TrainError(f"There is no folder {args.data}; --data needs one.")
    return lambda to: shutil.copytree(args.data, to, dirs_exist_ok=True)


def _labelled(path: Path) -> Callable[[Path], Any]:
    """Collect what is labelled in all scans of a project."""
    from napari_sesami.project import Project, ProjectError, ScanMoved
    from napari_sesami.session import Session

    with Project.open(path, read_only=True) as project:
        gone: ProjectError | TrainError = TrainError(
            f"{path} has no scans; open one and label something."
        )
        for entry in project.scans:
            try:
                found = Session.open(project, entry.key).training_set()
            except ScanMoved as error:  # the others may still be there
                gone = error
                continue
            return lambda to: write_set(to, found)
    raise gone


def _detach(run: RunSeen) -> int:
    """Start a worker that outlives us."""
    run.detach()
    print(f"Started; see it with: sesami runs show {run.folder}")
    return 0


def _submit(run: RunSeen, args: argparse.Namespace) -> int:
    """Queue a run on the cluster."""
    more = {"slurm_partition": args.partition} if args.partition else None
    job = submit(run.folder, gpus=args.gpus, hours=args.hours, more=more)
    print(f"Queued as job {job.job_id}; see it with: sesami runs show {run.folder}")
    return 0


def _foreground(run: RunSeen) -> int:
    """Start a run, tell its progress, and end it with us."""
    run.resume()
    try:
        while not run.wait(_NEWS).over:
            print(_progress(run, run.status), flush=True)
    except KeyboardInterrupt:
        print("Stopping after a checkpoint …", flush=True)
        run.stop()
        run.wait()
    status = run.status
    print(_progress(run, status))
    for key, value in run.metrics.items():
        if isinstance(value, int | float):
            print(f"{key}: {run.before.get(key, '?')} → {value}")
    return {"finished": 0, "cancelled": 130}.get(status.state, 1)


def _progress(run: RunSeen, status: Status) -> str:
    parts = [f"step {status.step} of {status.steps}"]
    _, losses = run.curve()
    if losses:
        parts.append(f"loss {losses[-1]:.4g}")
    if status.eta_seconds is not None:
        parts.append(f"{_time(status.eta_seconds)} left")
    text = ", ".join(parts)
    return f"{text}. {status.sentence}" if status.sentence else text


def _time(seconds: float) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(seconds))


def _row(run: RunSeen) -> Sequence[Any]:
    status = run.status
    _, losses = run.curve()
    loss = f"{losses[-1]:.4g}" if losses else ""
    step = f"{status.step}/{status.steps}"
    return run.folder.name, status.state, step, loss, status.sentence
