"""`sesami train`: train, and go on with a training."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sesami.cli.checks import check_writable
from napari_sesami.cli.runs import add_trust, agree, in_foreground, own_runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sesami.train import Run, RunConfig


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command; its options depend on what is trained."""
    train = commands.add_parser("train", help="train, and go on with a training")
    train.add_argument("recipe", metavar="RUN", help="run.toml, a folder, foundation")
    train.add_argument(
        "options", nargs=argparse.REMAINDER, help="RUN --help shows them"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run `sesami train RUN.toml`, `sesami train FOLDER`, `sesami train foundation`."""
    from napari_sesami.train import Run, RunConfig, Runs, estimate, make_run

    if arguments.recipe == "foundation":
        from napari_sesami.lab.pretrain import prepare_run

        run = Run(prepare_run(arguments.options))
        code = in_foreground(run)
        as_asked = run.status.step == run.config.recipe_options.stop_at
        return 0 if as_asked else code
    args = _options().parse_args([arguments.recipe, *arguments.options])
    if args.run.is_dir():
        old = Run(args.run)
        agree(old.config, args.trust)
        return _detach(old) if args.detach else in_foreground(old)
    config = RunConfig.from_toml(args.run)
    agree(config, args.trust)
    if args.out is not None and not args.dry:
        check_writable(args.out)
    data = _data(args, config)
    if args.dry:
        print(estimate(config, data).sentence)
        return 0
    root = args.project / "runs" if args.project else own_runs()
    new = make_run(config, args.out or Runs(root).new_folder(config), data)
    print(f"Run folder: {new.folder}")
    if args.submit:
        return _submit(new, args)
    return _detach(new) if args.detach else in_foreground(new)


def _options() -> argparse.ArgumentParser:
    ap = argparse.ArgumentParser(prog="sesami train", description="Train.")
    ap.add_argument("run", type=Path, help="a run.toml, or a run folder to go on with")
    ap.add_argument("-o", "--out", type=Path, help="the new run folder")
    source = ap.add_mutually_exclusive_group()
    source.add_argument("--project", type=Path, help="learn from what it has labelled")
    source.add_argument("--data", type=Path, help="folder copied to the run's data")
    ap.add_argument(
        "--unlabelled", type=Path, help="recipe semi: a folder of scans without labels"
    )
    add_trust(ap)
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


def _data(args: argparse.Namespace, config: RunConfig) -> Callable[[Path], Any] | None:
    """Tell how a new run gets what it learns from; None if it needs nothing."""
    from napari_sesami.train import TrainError

    if args.project is not None:
        return _labelled(args.project, config, args.unlabelled)
    if args.data is None:
        return None
    if not args.data.is_dir():
        raise TrainError(f"There is no folder {args.data}; --data needs one.")
    return lambda to: shutil.copytree(args.data, to, dirs_exist_ok=True)


def _labelled(
    path: Path, config: RunConfig, unlabelled: Path | None
) -> Callable[[Path], Any]:
    """Collect what is labelled in all scans of a project."""
    from napari_sesami.project import Project, ProjectError, ScanMoved
    from napari_sesami.session import Session
    from napari_sesami.train import TrainError

    with Project.open(path, read_only=True) as project:
        gone: ProjectError | TrainError = TrainError(
            f"{path} has no scans; open one and label something."
        )
        for entry in project.scans:
            try:
                session = Session.open(project, entry.key)
                return session.runs.collect(config, unlabelled)
            except ScanMoved as error:  # the others may still be there
                gone = error
    raise gone


def _detach(run: Run) -> int:
    """Start a worker that outlives us."""
    run.detach()
    print(f"Started; see it with: sesami runs show {run.folder}")
    return 0


def _submit(run: Run, args: argparse.Namespace) -> int:
    """Queue a run on the cluster."""
    from napari_sesami.train import submit

    more = {"slurm_partition": args.partition} if args.partition else None
    job = submit(run.folder, gpus=args.gpus, hours=args.hours, more=more)
    print(f"Queued as job {job.job_id}; see it with: sesami runs show {run.folder}")
    return 0
