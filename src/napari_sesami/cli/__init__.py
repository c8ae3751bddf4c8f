"""The command line `sesami`: the same rooms as the docks, without a window."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sesami import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_sesami.scan import Scan

    Command = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return 0, or 1 after one plain sentence on stderr."""
    arguments = build_parser().parse_args(argv)
    command: Command = arguments.run
    try:
        return command(arguments)
    except (ValueError, OSError) as error:  # the errors made for people
        print(f"sesami: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("sesami: stopped.", file=sys.stderr)
        return 130


def build_parser() -> argparse.ArgumentParser:
    """Every command with its options."""
    parser = argparse.ArgumentParser(
        prog="sesami",
        description="Clicks and strokes on semiconductor scans become masks.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_demo(commands)
    _add_doctor(commands)
    _add_info(commands)
    _add_models(commands)
    _add_segment(commands)
    _add_replay(commands)
    _add_worklist(commands)
    _add_evaluate(commands)
    _add_active(commands)
    _add_train(commands)
    _add_runs(commands)
    return parser


def _add_demo(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    demo = commands.add_parser(
        "demo", help="open a sample, ready to click; without a screen, do it headless"
    )
    demo.add_argument("-s", "--sample", help="key of the sample (default: the first)")
    demo.add_argument(
        "-o",
        "--out",
        type=Path,
        default=Path("sesami-demo"),
        help="folder for the pictures and the table of a headless run",
    )
    demo.add_argument("--headless", action="store_true", help="open no window")
    demo.set_defaults(run=_lazy("napari_sesami.cli.demo", "run"))


def _add_doctor(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    doctor = commands.add_parser(
        "doctor", help="say what is wrong with this installation"
    )
    doctor.set_defaults(run=_doctor)


def _add_info(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    info = commands.add_parser("info", help="say what a file holds and its pixel size")
    info.add_argument("scan", type=Path, nargs="+")
    info.set_defaults(run=_info)


def _add_models(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    models = commands.add_parser(
        "models", help="list, import, download or remove models"
    )
    actions = models.add_subparsers(required=True, metavar="ACTION")
    home = "napari_sesami.cli.models"
    actions.add_parser("list", help="what is installed, and what can be downloaded")
    info = actions.add_parser("info", help="one model in full")
    info.add_argument("name")
    take = actions.add_parser("import", help="install weights from a file")
    take.add_argument("file", type=Path)
    take.add_argument("--name", help="name in the catalog (default: the file's name)")
    take.add_argument("--licence", default="", help="licence of the weights")
    fetch = actions.add_parser("download", help="fetch known weights over the network")
    fetch.add_argument("name")
    fetch.add_argument("--yes", action="store_true", help="accept the licence shown")
    remove = actions.add_parser("remove", help="delete an installed model")
    remove.add_argument("name")
    for name, action in actions.choices.items():
        action.set_defaults(
            run=_lazy(home, {"list": "list_", "import": "import_"}.get(name, name))
        )


def _add_segment(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    segment = commands.add_parser("segment", help="label scans by a bank")
    segment.add_argument("scan", type=Path, help="a scan, or a folder of scans")
    segment.add_argument("-b", "--bank", type=Path, required=True, help="a .bank file")
    segment.add_argument(
        "-o",
        "--out",
        type=Path,
        default=Path(),
        help="a file (.ome.tif, .ome.zarr) or a folder for the labels",
    )
    segment.add_argument(
        "-m", "--model", default="sesami-nano", help="the token encoder of the bank"
    )
    segment.set_defaults(run=_lazy("napari_sesami.cli.segment", "segment"))


def _add_replay(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    replay = commands.add_parser(
        "replay", help="repeat a project's prompts and write the labels, headless"
    )
    replay.add_argument("project", type=Path, help="folder *.sesami")
    replay.add_argument("--model", help="name in the catalog, or a file of weights")
    replay.add_argument(
        "-o", "--out", type=Path, help="folder for the labels (default: beside it)"
    )
    replay.set_defaults(run=_lazy("napari_sesami.cli.replay", "run"))


def _add_worklist(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
) -> None:
    worklist = commands.add_parser(
        "worklist", help="state and time of every scan of a folder at work"
    )
    worklist.add_argument("folder", type=Path, help="the folder of scans")
    worklist.add_argument(
        "-p", "--project", type=Path, help="folder *.sesami (default: beside it)"
    )
    worklist.add_argument("--csv", type=Path, help="write the table there, too")
    worklist.set_defaults(run=_lazy("napari_sesami.cli.worklist", "worklist"))


def _add_evaluate(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
) -> None:
    evaluate = commands.add_parser(
        "evaluate", help="print the numbers of a model's card, or of adapters"
    )
    evaluate.add_argument(
        "model", help="e.g. nano; adapters compares tuned models with their base"
    )
    evaluate.add_argument(
        "--protocols", type=Path, help="folder of click/stroke protocols"
    )
    evaluate.add_argument("--data", type=Path, help="folder of labelled real images")
    evaluate.add_argument("-n", type=int, default=40, help="synthetic scans per family")
    adapters = evaluate.add_argument_group("adapters")
    adapters.add_argument("--out", type=Path, default=Path("sesami-table1"))
    adapters.add_argument("--steps", type=int, default=100, help="of each training")
    adapters.add_argument("--rate", type=float, default=1e-2, help="of learning")
    adapters.add_argument("--folds", type=int, default=3, help="trainings per real set")
    adapters.add_argument("--each", type=int, default=6, help="objects per image")
    adapters.add_argument(
        "--decoder", action="store_true", help="train the mask decoder too"
    )
    evaluate.set_defaults(
        run=_lazy("napari_sesami.lab.tables.synthetic", "evaluate_command")
    )


def _add_active(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from napari_sesami.cli.active import add_arguments

    active = commands.add_parser(
        "active", help="what choosing what to label saves, on a scan with truth"
    )
    add_arguments(active)
    active.set_defaults(run=_lazy("napari_sesami.cli.active", "active"))


def _add_train(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    train = commands.add_parser("train", help="train, and go on with a training")
    train.add_argument("recipe", metavar="RUN", help="run.toml, a folder, foundation")
    train.add_argument(
        "options", nargs=argparse.REMAINDER, help="RUN --help shows them"
    )
    train.set_defaults(run=_lazy("napari_sesami.cli.runs", "train"))


def _add_runs(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    runs = commands.add_parser("runs", help="list, show, resume or stop runs")
    actions = runs.add_subparsers(required=True, metavar="ACTION")
    found = actions.add_parser("list", help="all runs of a folder or project")
    found.add_argument("root", type=Path, nargs="?", help="default: your own runs")
    found.set_defaults(run=_lazy("napari_sesami.cli.runs", "list_"))
    for name, help_ in (
        ("show", "how a run stands, what it does, what it measured"),
        ("resume", "go on with a run that was stopped or cut off"),
        ("stop", "end a run after a checkpoint"),
    ):
        action = actions.add_parser(name, help=help_)
        action.add_argument("which", metavar="RUN", help="a run folder, or its name")
        action.set_defaults(run=_lazy("napari_sesami.cli.runs", name))


def _lazy(module: str, function: str) -> Command:
    """Import a command's module when the command runs, not before."""

    def run(arguments: argparse.Namespace) -> int:
        command: Command = getattr(import_module(module), function)
        return command(arguments)

    return run


def _doctor(arguments: argparse.Namespace) -> int:
    from napari_sesami.cli.doctor import examine

    marks = {"ok": "ok     ", "note": "note   ", "problem": "PROBLEM"}
    problems = 0
    for finding in examine():
        print(f"{marks[finding.verdict]}  {finding.title}: {finding.text}", flush=True)
        if finding.advice:
            print(f"         → {finding.advice}")
        problems += finding.verdict == "problem"
    print("Something needs your hand." if problems else "All is well.")
    return 1 if problems else 0


def _info(arguments: argparse.Namespace) -> int:
    from napari_sesami.scan import ScanError, list_images, open_scan

    failed = 0
    for path in arguments.scan:
        try:
            images = list_images(path)
            for image in images:
                scan = open_scan(path, image.key)
                print(_describe(path, scan, image.key if len(images) > 1 else ""))
        except ScanError as error:
            print(f"sesami: {error}", file=sys.stderr)
            failed = 1
    return failed


def _describe(path: Path, scan: Scan, key: str) -> str:
    sizes = [
        f"{axis} unknown" if size is None else f"{axis} {size:.6g} {unit}"
        for axis, size, unit in zip(scan.axes, scan.pixel_size, scan.units, strict=True)
        if axis != "c"
    ]
    shape = " × ".join(str(n) for n in scan.shape)
    label = f"{path} [{key}]" if key else f"{path}"
    return f"{label}: {shape} {scan.data.dtype}, pixel size {', '.join(sizes)}"
