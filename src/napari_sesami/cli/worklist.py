"""`sesami worklist`: the state of a folder of scans, without a window."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from napari_sesami.worklist import WorklistEngine


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its options."""
    worklist = commands.add_parser(
        "worklist", help="state and time of every scan of a folder at work"
    )
    worklist.add_argument("folder", type=Path, help="the folder of scans")
    worklist.add_argument(
        "-p", "--project", type=Path, help="folder *.sesami (default: beside it)"
    )
    worklist.add_argument("--csv", type=Path, help="write the table there, too")


def run(arguments: argparse.Namespace) -> int:
    """Print state and time of every scan, and what proposals were worth."""
    from napari_sesami.project import Project
    from napari_sesami.worklist import WorklistEngine

    folder = arguments.folder
    place = arguments.project or folder.with_name(f"{folder.resolve().name}.sesami")
    with (
        Project.open(place, read_only=True) as project,
        WorklistEngine(project, folder) as engine,
    ):
        _tell(engine)
        if arguments.csv is not None:
            print(f"Written to {engine.worklist.to_csv(arguments.csv)}")
    return 0


def _tell(engine: WorklistEngine) -> None:
    worklist = engine.worklist
    width = max((len(item.name) for item in worklist), default=4)
    for item in worklist:
        spent = f"{item.seconds:8.0f} s" if item.seconds else " " * 10
        print(f"{item.name:<{width}}  {item.state:<9}{spent}  {item.trouble}".rstrip())
    done = worklist.count("accepted")
    print(f"{done} of {len(worklist)} accepted. {worklist.times().sentence}")
    for r in engine.rounds():
        overlap = "" if r.iou is None else f", IoU {r.iou:.3f}"
        print(
            f"{r.name}: {r.scans} scans, {r.accepted} of {r.proposals} proposals "
            f"unchanged, {r.corrected} corrected, {r.rejected} rejected{overlap}"
        )
