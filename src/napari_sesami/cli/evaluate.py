"""`sesami evaluate`: numbers of a model's card, of clicks, trainings, noise."""

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
        "evaluate",
        help="print the numbers of a model's card, of clicks, or of adapters",
    )
    add = evaluate.add_argument
    add(
        "model",
        help="e.g. nano; clicks: beside simple rivals; adapters: tuned models; semi: "
        "segmenters across devices; budget: starts under equal CPU seconds; noise: "
        "how well it is fitted",
    )
    add("--protocols", type=Path, help="folder of click/stroke protocols")
    add("--data", type=Path, help="folder of labelled real images")
    add("-n", type=at_least(0), default=40, help="synthetic scans per family")
    add = evaluate.add_argument_group("clicks, noise").add_argument
    add("--seeds", type=int, default=3, help="fresh scans of each family")
    add("--first", type=int, default=0, help="seed to begin with")
    add("--methods", nargs="+", help="of the table; all by default")
    add("--families", nargs="+", help="of scenes; all by default")
    add("--balanced", action="store_true", help="as many large as thin objects")
    add("--jobs", type=at_least(1), default=1, help="processes")
    add("--json", type=Path, help="write every answer, for curves")
    add = evaluate.add_argument_group("states of nano on equal objects").add_argument
    add(
        "--weights", type=Path, nargs="+", metavar="FILE",
        help="compare these with the model: families, whole sections, scores, votes",
    )  # fmt: skip
    add("--size", choices=("small", "full"), help="how many objects (default: small)")
    add("--rivals", action="store_true", help="with flood fill and random walker")
    add = evaluate.add_argument_group("adapters").add_argument
    add("--out", type=Path, help="folder for tables (default: sesami-NAME)")
    add("--steps", type=int, help="of each training (100; semi: 300)")
    add("--rate", type=float, default=1e-2, help="of learning")
    add("--folds", type=int, default=3, help="trainings per real set")
    add("--each", type=int, help="objects per image; 6, for clicks 3")
    add("--decoder", action="store_true", help="train the mask decoder too")
    add = evaluate.add_argument_group("semi and budget").add_argument
    add("--presets", nargs="+", help="of the recipe semi; all by default")
    add("--labels", type=at_least(1), nargs="+", help="labelled pictures")
    add("--seconds", type=float, nargs="+", help="CPU seconds of a budget")
    add("--tests", type=at_least(1), default=30, help="pictures that judge")


def run(arguments: argparse.Namespace) -> int:
    """Measure a model on fresh scans and real images, or the training of adapters."""
    check_folder(arguments.data, "--data")
    check_folder(arguments.protocols, "--protocols")
    if arguments.model == "adapters":
        from napari_sesami.lab.tables import compare_adapters

        out = arguments.out or Path("sesami-table1")
        check_writable(out)
        compare_adapters(
            out,
            arguments.data,
            folds=arguments.folds,
            each=arguments.each or 6,
            steps=arguments.steps or 100,
            rate=arguments.rate,
            decoder=arguments.decoder,
        )
        return 0
    if arguments.model in ("semi", "budget"):
        return _segmenters(arguments)
    if arguments.model == "clicks":
        return _clicks(arguments)
    if arguments.model == "noise":
        from napari_sesami.lab.tables.noise import noise_report

        first = arguments.first
        print(noise_report(range(first, first + arguments.seeds)))
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


def _segmenters(arguments: argparse.Namespace) -> int:
    """Compare presets across devices, or starts under equal CPU seconds."""
    from napari_sesami.lab.semi import evaluate_budget, evaluate_semi

    out = arguments.out or Path(f"sesami-{arguments.model}")
    check_writable(out)
    if arguments.model == "budget":
        given: dict[str, Any] = {"seconds": arguments.seconds}
        given = {k: v for k, v in given.items() if v is not None}
        if arguments.labels:
            given["labels"] = arguments.labels
        evaluate_budget(out, seeds=arguments.seeds, tests=arguments.tests, **given)
        return 0
    more = {"presets": arguments.presets} if arguments.presets else {}
    steps = arguments.steps or 300
    for labels in arguments.labels or [20]:
        evaluate_semi(
            out, seeds=arguments.seeds, labels=labels, steps=steps,
            tests=arguments.tests, **more,
        )  # fmt: skip
    return 0


def _clicks(arguments: argparse.Namespace) -> int:
    """Compare clicks with the pool, the net alone, flood fill and random walker."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    from napari_sesami.common.disk import write_json
    from napari_sesami.lab.tables.clicks import FAMILIES, as_json, click_rows, report

    weights = arguments.weights[0] if arguments.weights else None
    rows = []
    with ProcessPoolExecutor(arguments.jobs, get_context("spawn")) as jobs:
        waiting = [
            jobs.submit(
                click_rows, family, arguments.first + seed, arguments.each or 3,
                arguments.methods, arguments.balanced, weights,
            )
            for seed in range(arguments.seeds)
            for family in arguments.families or FAMILIES
        ]  # fmt: skip
        for done in waiting:
            rows += done.result()
            if arguments.json:
                write_json(arguments.json, as_json(rows))
    print(report(rows))
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
