"""`sesami evaluate`: the numbers of a model's card, or of adapters."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sesami.cli.checks import at_least, check_folder, check_writable
from napari_sesami.common.errors import SesamiError

if TYPE_CHECKING:
    import argparse

    from napari_sesami.models import Nano


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its options."""
    evaluate = commands.add_parser(
        "evaluate", help="print the numbers of a model's card, or of adapters"
    )
    add = evaluate.add_argument
    add("model", help="e.g. nano; adapters compares tuned models with their base")
    add("--protocols", type=Path, help="folder of click/stroke protocols")
    add("--data", type=Path, help="folder of labelled real images")
    add("-n", type=at_least(0), default=40, help="synthetic scans per family")
    add = evaluate.add_argument_group("states of nano on equal objects").add_argument
    add(
        "--weights", type=Path, nargs="+", metavar="FILE",
        help="compare these with the model: families, whole sections, scores, votes",
    )  # fmt: skip
    add("--size", choices=("small", "full"), help="how many objects (default: small)")
    add("--rivals", action="store_true", help="with flood fill and random walker")
    add = evaluate.add_argument_group("adapters").add_argument
    add("--out", type=Path, default=Path("sesami-table1"))
    add("--steps", type=int, default=100, help="of each training")
    add("--rate", type=float, default=1e-2, help="of learning")
    add("--folds", type=int, default=3, help="trainings per real set")
    add("--each", type=int, default=6, help="objects per image")
    add("--decoder", action="store_true", help="train the mask decoder too")


def run(arguments: argparse.Namespace) -> int:
    """Measure a model on fresh scans and real images, or the training of adapters."""
    check_folder(arguments.data, "--data")
    check_folder(arguments.protocols, "--protocols")
    if arguments.model == "adapters":
        from napari_sesami.lab.tables import compare_adapters

        check_writable(arguments.out)
        compare_adapters(
            arguments.out,
            arguments.data,
            folds=arguments.folds,
            each=arguments.each,
            steps=arguments.steps,
            rate=arguments.rate,
            decoder=arguments.decoder,
        )
        return 0
    from napari_sesami.lab.tables import real_report, synthetic_scores, table
    from napari_sesami.models import Nano

    wish = str(arguments.model)
    bundled = wish in ("nano", "sesami-nano")
    nano = Nano.bundled() if bundled else Nano.from_file(wish)
    if arguments.weights or arguments.size or arguments.rivals:
        return _compare(nano, arguments)
    if arguments.n == 0 and not (arguments.protocols and arguments.data):
        raise SesamiError(
            "There is nothing to measure: give -n above 0, or --protocols and --data."
        )
    report: dict[str, Any] = {"model": nano.name, "key": nano.key}
    if arguments.n > 0:
        scores = synthetic_scores(nano, arguments.n, tell=print)
        report["synthetic"] = table(scores)
        _print("Fresh synthetic scans", report["synthetic"])
    if arguments.protocols and arguments.data:
        report["real"] = real_report(nano, arguments.protocols, arguments.data)
        _print("Real images (semiconductor-like proxies)", report["real"])
    print(json.dumps(report))
    return 0


def _compare(nano: Nano, arguments: argparse.Namespace) -> int:
    """Print what states of the model reach on the same objects, side by side."""
    from napari_sesami.lab.tables import compare_states
    from napari_sesami.models import Nano

    states = {nano.name: nano}
    states |= {str(p): Nano.from_file(p) for p in arguments.weights or ()}
    report = compare_states(
        states, arguments.size or "small",
        data=arguments.data, rivals=arguments.rivals,
        tell=lambda line: print(line, file=sys.stderr, flush=True),
    )  # fmt: skip
    parts = list(dict.fromkeys(part for made in report.values() for part in made))
    for part in parts:
        shown = {who: made[part] for who, made in report.items() if part in made}
        for row in next(iter(shown.values())):
            _print(f"{part}, {row}", {who: rows[row] for who, rows in shown.items()})
    print(json.dumps(report))
    return 0


def _print(title: str, rows: dict[str, dict[str, float]]) -> None:
    print(f"\n{title}")
    for name, row in rows.items():
        cells = "  ".join(f"{k} {v:g}" for k, v in row.items())
        print(f"  {name:<28} {cells}")
