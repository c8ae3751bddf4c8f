"""`sesami runs`: list, show, resume or stop runs."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sesami.common.home import home
from napari_sesami.common.inside import inside

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from napari_sesami.train import Run, RunConfig, Status

_NEWS = 2.0
"""Seconds between two lines about the progress."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its options."""
    runs = commands.add_parser("runs", help="list, show, resume or stop runs")
    actions = runs.add_subparsers(dest="action", required=True, metavar="ACTION")
    found = actions.add_parser("list", help="all runs of a folder or project")
    found.add_argument("root", type=Path, nargs="?", help="default: your own runs")
    for name, help_ in (
        ("show", "how a run stands, what it does, what it measured"),
        ("resume", "go on with a run that was stopped or cut off"),
        ("stop", "end a run after a checkpoint"),
    ):
        action = actions.add_parser(name, help=help_)
        action.add_argument("which", metavar="RUN", help="a run folder, or its name")
        if name == "resume":
            add_trust(action)


def run(arguments: argparse.Namespace) -> int:
    """Do the action that was asked for."""
    from napari_sesami.train import Run

    if arguments.action == "list":
        return _list(arguments.root or own_runs())
    path = Path(arguments.which).expanduser()
    found = Run(path if path.is_dir() else inside(own_runs(), arguments.which))
    match arguments.action:
        case "show":
            return _show(found)
        case "resume":
            agree(found.config, arguments.trust)
            return in_foreground(found)
        case _:
            return _stop(found)


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Add the option that agrees to code of somebody else."""
    parser.add_argument(
        "--trust",
        action="store_true",
        help="run the recipe that it names, though it is not part of napari-sesami",
    )


def agree(config: RunConfig, trust: bool) -> None:
    """Say what a foreign recipe would run from where, and ask where one can answer."""
    from napari_sesami.train import ForeignRecipe, check_agreed

    try:
        check_agreed(config, trust=trust)
    except ForeignRecipe as error:
        if not sys.stdin.isatty():
            raise
        print(error, file=sys.stderr)
        if input("Run it? [y/N] ").strip().lower() != "y":
            raise
        check_agreed(config, trust=True)


def own_runs() -> Path:
    """Where the user's runs are that belong to no project."""
    return home() / "runs"


def in_foreground(run: Run, *, begin: bool = True) -> int:
    """Start a run or go on with it, tell its progress, and end it with us.

    `begin=False` follows one that was started.
    """
    if begin:
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


def _list(root: Path) -> int:
    """Print the runs of a folder."""
    from napari_sesami.train import Runs, TrainError

    root = root.expanduser()
    if root != own_runs() and not root.is_dir():
        raise TrainError(f"There is no folder {root}; give one of runs, or a project.")
    project = (root / "project.json").is_file()
    runs = Runs(root / "runs" if project else root)
    rows = [_row(run) for run in runs.list()]
    if not rows and not runs.unreadable and not project and root != own_runs():
        raise TrainError(f"{root} holds no runs and is no project.")
    header = ("NAME", "STATE", "STEP", "LOSS", "WORD")
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, *rows]:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    for sentence in runs.unreadable.values():
        print(f"sesami: {sentence}", file=sys.stderr)
    return 0


def _row(run: Run) -> Sequence[Any]:
    status = run.status
    _, losses = run.curve()
    loss = f"{losses[-1]:.4g}" if losses else ""
    step = f"{status.step}/{status.steps}"
    return run.folder.name, status.state, step, loss, status.sentence


def _show(run: Run) -> int:
    """Print how a run stands, what it does and what it measured."""
    status = run.status
    print(f"{run.folder}\n{status.state}, {_progress(run, status)}\n")
    print(run.config.to_toml())
    for title, metrics in (("before", run.before), ("newest", run.metrics)):
        for key, value in metrics.items():
            print(f"{title}: {key} = {value}")
    for line in run.log_tail(10):
        print(f"log: {line}")
    return 0


def _stop(run: Run) -> int:
    """End a run after a checkpoint, wherever it was started."""
    from napari_sesami.train import TrainError

    if not run.alive:
        raise TrainError(f"{run.name} is not running; there is nothing to stop.")
    run.stop()
    print(run.wait(60).sentence)
    return 0 if not run.alive else 1


def _progress(run: Run, status: Status) -> str:
    parts = [f"step {status.step} of {status.steps}"]
    _, losses = run.curve()
    if losses:
        parts.append(f"loss {losses[-1]:.4g}")
    if status.eta_seconds is not None:
        left = time.strftime("%H:%M:%S", time.gmtime(status.eta_seconds))
        parts.append(f"{left} left")
    text = ", ".join(parts)
    return f"{text}. {status.sentence}" if status.sentence else text
