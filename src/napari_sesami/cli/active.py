"""`sesami active`: what active learning would have cost on a scan with truth."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.cli.checks import check_writable
from napari_sesami.common.errors import SesamiError

if TYPE_CHECKING:
    import argparse

    from napari_sesami.lab.active import Cycle, Study


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its options."""
    active = commands.add_parser(
        "active", help="what choosing what to label saves, on a scan with truth"
    )
    add = active.add_argument
    add("scan", type=Path, help="a scan of several planes")
    add("--truth", type=Path, required=True, help="its labels: 0 unknown, k class k")
    add(
        "--strategy",
        default="rare",
        help="names with commas between, or all (default: rare)",
    )
    add("--budget", type=float, default=0.1, help="labelled share of the pool at last")
    add("--start", type=float, default=0.01, help="share labelled at random at first")
    add("--cycles", type=int, default=5, help="rounds of asking after the start")
    add("--seeds", type=int, default=1, help="how often, each with its own start")
    add("--test", type=float, default=0.3, help="share of the planes that judge")
    add("--kind", default="patch", help="patch, superpixel or slice")
    add("--size", type=int, default=128, help="side of a region in pixels")
    add("--learner", default="head", help="head (trained) or retrieve (votes)")
    add(
        "--carry-on",
        action="store_true",
        help="go on from the last cycle's weights, not from the pretrained encoder",
    )
    add("--step", type=int, default=2, help="read every so many pixels")
    add("--apart", type=int, default=0, help="ask a place once within so many planes")
    add("--model", default="sesami-nano", help="the token encoder")
    add("-o", "--out", type=Path, required=True, help="folder for active.csv and .json")


def run(arguments: argparse.Namespace) -> int:
    """Run the cycles for every strategy and seed; write and print what came out."""
    from napari_sesami.suggest import STRATEGIES

    given = arguments.strategy
    names = list(STRATEGIES) if given == "all" else given.split(",")
    unknown = [n for n in names if n not in STRATEGIES]
    if unknown:
        raise SesamiError(
            f"There is no strategy {unknown[0]!r}; there are all, "
            f"{', '.join(STRATEGIES)}."
        )
    _check(arguments)
    check_writable(arguments.out)
    rows: list[dict[str, Any]] = []
    for seed in range(arguments.seeds):
        study = _study(arguments, seed)
        for name in names:
            cycles = _cycles(study, arguments, name, seed)
            rows += [{"strategy": name, "seed": seed, **c.as_dict()} for c in cycles]
            _write(rows, study, arguments)
    print(f"{arguments.out / 'active.csv'}")
    return 0


def _check(arguments: argparse.Namespace) -> None:
    shares = {k: getattr(arguments, k) for k in ("budget", "start", "test")}
    for key, value in shares.items():
        if not 0 < value < 1:
            raise SesamiError(f"--{key} is a share above 0 and below 1, not {value:g}.")
    if arguments.start > arguments.budget:
        raise SesamiError(
            f"--start {arguments.start:g} is more than --budget {arguments.budget:g}."
        )
    for key in ("cycles", "seeds", "size", "step"):
        if getattr(arguments, key) < 1:
            raise SesamiError(f"--{key} must be at least 1.")
    if arguments.kind not in ("patch", "superpixel", "slice"):
        raise SesamiError(
            f"--kind is patch, superpixel or slice, not {arguments.kind!r}."
        )


def _study(arguments: argparse.Namespace, seed: int) -> Study:
    from napari_sesami.common.home import home
    from napari_sesami.lab.active import Study
    from napari_sesami.models import load_token_encoder
    from napari_sesami.scan import open_scan

    scan = open_scan(arguments.scan)
    truth = open_scan(arguments.truth)
    n = scan.n_planes
    if n < 2:
        raise SesamiError(
            f"{arguments.scan} has one plane: some planes must judge while others are "
            "labelled, so give a scan of several."
        )
    k = int(np.clip(round(arguments.test * n), 1, n - 1))
    drawn = np.random.default_rng([seed, 11]).permutation(n)[:k]
    return Study(
        scan,
        truth.data,
        test=drawn.tolist(),
        step=arguments.step,
        encoder=load_token_encoder(arguments.model),
        folder=home() / "cache" / "tokens",
    )


def _cycles(
    study: Study, arguments: argparse.Namespace, name: str, seed: int
) -> list[Cycle]:
    from napari_sesami.lab.active import Plan, run_active

    steps = np.linspace(arguments.start, arguments.budget, arguments.cycles + 1)
    plan = Plan(
        name,
        tuple(float(b) for b in steps),
        arguments.kind,
        arguments.size,
        arguments.learner,
        not arguments.carry_on,
        seed,
        arguments.apart,
    )

    def progress(done: int, all_: int) -> None:
        print(f"\r{name}, seed {seed}: {done} of {all_}", end="", file=sys.stderr)

    cycles = run_active(study, plan, progress=progress)
    print(file=sys.stderr)
    for c in cycles:
        print(
            f"{name}\tseed {seed}\t{100 * c.share:.1f} %\t{c.clicks:.0f} clicks\t"
            f"mIoU {c.miou:.3f}\trarest {_rarest(study, c):.3f}"
        )
    return cycles


def _rarest(study: Study, cycle: Cycle) -> float:
    return cycle.iou[study.rarest]


def _write(
    rows: list[dict[str, Any]], study: Study, arguments: argparse.Namespace
) -> None:
    """Write what is there so far; a long run that is stopped loses one strategy."""
    folder: Path = arguments.out
    folder.mkdir(parents=True, exist_ok=True)
    options = {
        k: str(v) if isinstance(v, Path) else v
        for k, v in vars(arguments).items()
        if k != "verb"
    }
    whole = {"options": options, "rarest": study.rarest, "cycles": rows}
    (folder / "active.json").write_text(json.dumps(whole, indent=1) + "\n")
    plain = ["strategy", "seed", "cycle", "share", "regions", "clicks", "seconds"]
    ids = sorted({c for row in rows for c in row["iou"]})
    with open(folder / "active.csv", "w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow([*plain, "miou", *(f"iou_{c}" for c in ids)])
        for row in rows:
            ious = [row["iou"].get(c, "") for c in ids]
            table.writerow([*(row[k] for k in plain), row["miou"], *ious])
