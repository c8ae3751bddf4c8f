"""`sesami measure`: dimensions with error bars over a lot, without a window."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sesami.common.errors import SesamiError

if TYPE_CHECKING:
    import argparse

    from napari_sesami.measure import LotResults, Recipe

FAILED, OUT_OF_LIMITS = 1, 2


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its options."""
    measure = commands.add_parser(
        "measure",
        help="measure scans by a recipe: lengths with error bars, tables, a report",
        description="Exit status: 0 all measured, 1 some scans failed or lack what the "
        "recipe expects, 2 with --check if a limit is broken.",
    )
    add = measure.add_argument
    add("recipe", nargs="?", type=Path, help="a recipe, .toml")
    add("scans", nargs="*", type=Path, help="scans, folders, or a project *.sesami")
    add("-o", "--out", type=Path, help="folder for tables, report and pictures")
    add(
        "--labels", choices=("project", "files", "bank", "model", "segmenter"),
        help="where labels come from (default: project for *.sesami, else files)",
    )  # fmt: skip
    add(
        "-p",
        "--project",
        type=Path,
        help="the project that holds the labels, or that teaches --labels model",
    )
    add("-b", "--bank", type=Path, help="the bank that makes the labels")
    add(
        "-m", "--model", default="sesami-nano",
        help="the token encoder of --labels bank or model (default: %(default)s), or "
        "the run of --labels segmenter",
    )  # fmt: skip
    add("--classes", type=Path, help="a JSON file of classes, for labels from files")
    add("-j", "--workers", type=int, default=1, help="processes")
    add("--xlsx", action="store_true", help="also write results.xlsx")
    add("--check", action="store_true", help="exit 2 if a value fails its limits")
    add(
        "--repeat", metavar="NAME",
        help="compare repeats of this measurement: EV, AV, GRR, P/T",
    )  # fmt: skip
    add(
        "--verify", type=Path, metavar="OUT",
        help="measure a folder of results again and tell what differs",
    )  # fmt: skip
    add(
        "--self-test", type=int, nargs="?", const=100, metavar="N",
        help="measure drawn scenes with truth N times: bias, scatter, coverage",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Measure, verify or test; see the exit status in the help."""
    if arguments.self_test is not None:
        from napari_sesami.lab.metrology import print_table

        return 0 if print_table(max(10, arguments.self_test)) else FAILED
    if arguments.verify is not None:
        return _verify(arguments)
    from napari_sesami.measure import Recipe, measure_lot, save_xlsx

    if arguments.recipe is None or not arguments.scans:
        raise SesamiError(
            "Give a recipe and scans: sesami measure RECIPE.toml SCANS -o OUT."
        )
    recipe = Recipe.load(arguments.recipe)
    kind, options = _labels(arguments, arguments.scans)
    tell = sys.stderr.isatty()

    def progress(done: int, of: int) -> None:
        if tell:
            print(f"\r{done} of {of} scans", end="", file=sys.stderr, flush=True)

    lot = measure_lot(
        recipe, arguments.scans, kind, arguments.out, workers=arguments.workers,
        progress=progress, **options,
    )  # fmt: skip
    if tell:
        print(file=sys.stderr)
    _tell(lot, recipe)
    if arguments.repeat is not None:
        print(f"{arguments.repeat}: {lot.repeatability(arguments.repeat)}")
    if arguments.out is not None:
        if arguments.xlsx:
            save_xlsx(lot, arguments.out / "results.xlsx")
        print(f"Written to {arguments.out}; look at {arguments.out / 'report.html'}")
    if lot.failures:
        return FAILED
    broken = arguments.check and any(r.verdict == "fail" for r in lot)
    return OUT_OF_LIMITS if broken else 0


def _labels(arguments: Any, scans: list[Path]) -> tuple[str, dict[str, Any]]:
    """Kind of the labels' source and its options."""
    kind = arguments.labels
    if kind is None:
        kind = "bank" if arguments.bank else "files"
        if arguments.project or (scans and all(p.suffix == ".sesami" for p in scans)):
            kind = "project"
    if kind == "project":
        return kind, {"project": arguments.project}
    if kind == "bank":
        if arguments.bank is None:
            raise SesamiError("--labels bank needs --bank FILE.")
        return kind, {"bank": arguments.bank, "model": arguments.model}
    if kind == "segmenter":
        return kind, {"folder": arguments.model}
    if kind == "model":
        if arguments.project is None:
            raise SesamiError("--labels model needs --project FOLDER.sesami.")
        return kind, {"project": arguments.project, "model": arguments.model}
    return kind, {"classes": arguments.classes}


def _tell(lot: LotResults, recipe: Recipe) -> None:
    scans = len({p.scan for p in lot.provenance})
    again = f", {lot.resumed} from before" if lot.resumed else ""
    print(f"{recipe.name}: {scans} scans measured{again}")
    for name in [m.name for m in recipe.measure]:
        values = [r for r in lot[name] if r.statistic in ("value", "3s")]
        groups = dict.fromkeys((r.zone, r.at, r.unit) for r in values if r.has_value)
        for zone, at, unit in groups:
            own = [r for r in values if (r.zone, r.at, r.unit) == (zone, at, unit)]
            good = [r for r in own if r.has_value]
            mean = sum(r.value for r in good) / len(good)
            bar = max(r.U for r in good)
            depth = "" if at is None else f" at {100 * at:g} %"
            judged = {
                v: sum(r.verdict == v for r in good) for v in ("fail", "undecided")
            }
            words = "".join(f", {n} {v}" for v, n in judged.items() if n)
            title = f"{name} {zone}".strip() + depth
            each = f", U of each up to {bar:.3g}" if bar == bar else ""
            print(f"  {title}: mean {mean:.4g} {unit} of {len(good)}{each}{words}")
        bad: dict[str, int] = {}
        for r in values:
            if not r.has_value:
                bad[r.status] = bad.get(r.status, 0) + 1
        for status, count in bad.items():
            print(f"  {name}: {count} × {status}")
    for failure in lot.failures:
        print(f"sesami: {failure}", file=sys.stderr)


def _verify(arguments: argparse.Namespace) -> int:
    from napari_sesami.measure import verify

    kind, options = _labels(arguments, [])
    differences = verify(arguments.verify, arguments.labels or kind, **options)
    for line in differences:
        print(line)
    if not differences:
        print(f"{arguments.verify}: every value is the same, bit for bit.")
    return FAILED if differences else 0
