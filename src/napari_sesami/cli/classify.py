"""`sesami classify`: sort the defects of a lot, train a model for that, judge one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sesami.cli.checks import check_folder, check_writable
from napari_sesami.cli.runs import in_foreground
from napari_sesami.common.errors import SesamiError

if TYPE_CHECKING:
    import argparse

    from napari_sesami.classify import ConfusionMatrix, Decisions, Lot
    from napari_sesami.common.cancel import Progress

INCOMPLETE, BELOW = 1, 2
TASKS = ("train", "evaluate")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its options."""
    classify = commands.add_parser(
        "classify",
        help="sort the defects of a lot: class, confidence, or unknown",
        description="sesami classify LOT --model M -o OUT decides a lot; sesami "
        "classify train LOT … -o M learns from labelled ones; sesami classify "
        "evaluate LOT … judges labels by heads that never saw their lot, or a model "
        "with --model. Exit status: 0 all well, 1 some pictures could not be read, "
        "2 with --check if the purity found is below the wished one.",
    )
    add = classify.add_argument
    add(
        "lots", nargs="+", metavar="LOT",
        help="[train | evaluate] and lots: a KLARF 1.x, a CSV, a folder of pictures",
    )  # fmt: skip
    add("-m", "--model", type=Path, help="a model written by train or by the page")
    add("-o", "--out", type=Path, help="folder for tables and report; a file for train")
    add("--purity", type=float, default=0.9, help="wished (default: 0.9)")
    add("--check", action="store_true", help="exit 2 if the purity is not reached")
    add(
        "--encoder", default="sesami-nano",
        help="of the catalog, or a file, for train: sesami-nano, lite0 …",
    )  # fmt: skip
    add(
        "--fine-tune", action="store_true",
        help="with train: train the encoder too, from 20 labels a class; lots that it "
        "never sees decide whether it is used",
    )  # fmt: skip
    add("--steps", type=int, default=150, help="of --fine-tune (default: 150)")
    add("--device", default="auto", help="cpu, cuda …")
    add("--labels", type=Path, help="folder where the page keeps its labels")
    add(
        "--order", metavar="VIEWS",
        help="which view each picture of a KLARF is, e.g. high,low",
    )  # fmt: skip
    add("--keep-labels", action="store_true", help="classes in the lot's file stand")
    add = classify.add_argument_group("writing a KLARF back").add_argument
    add(
        "--number", action="append", default=[], metavar="CLASS=N",
        help="CLASSNUMBER of a class that the file does not name",
    )  # fmt: skip
    add("--add-classes", action="store_true", help="add lines to its ClassLookup")
    add("--unknown-number", type=int, metavar="N", help="CLASSNUMBER of the unknown")
    add = classify.add_argument_group("tables of docs/defects.md").add_argument
    add(
        "--table", choices=("pairs", "deeppcb"),
        help="with evaluate: methods side by side, on drawn pairs or on a folder",
    )  # fmt: skip
    add("-n", type=int, default=60, help="drawn pairs a class and lot (default: 60)")
    add("--rivals", action="store_true", help="also ResNet-18 from scratch: minutes")


def run(arguments: argparse.Namespace) -> int:
    """Sort, train or judge; see the exit status in the help."""
    if not 0 < arguments.purity < 1:
        raise SesamiError(
            f"--purity {arguments.purity:g} was given; give a share such as 0.95."
        )
    if arguments.lots[0] in TASKS:
        task, names = arguments.lots[0], arguments.lots[1:]
        if task == "evaluate" and arguments.table:
            return _table(arguments, names)
        if not names:
            raise SesamiError(f"Name a lot: sesami classify {task} LOT ….")
        return _train(arguments, names) if task == "train" else _judge(arguments, names)
    return _decide(arguments)


def _opened(arguments: argparse.Namespace, names: list[str]) -> Lot:
    from napari_sesami.classify import open_lot

    order = None
    if arguments.order:
        order = [word.strip() for word in arguments.order.split(",")]
        wrong = [word for word in order if word not in ("high", "low", "template")]
        if wrong:
            raise SesamiError(
                f"--order names {wrong[0]!r}; the views are high, low and template."
            )
    lot = open_lot(names if len(names) > 1 else names[0], order=order)
    for problem in lot.problems:
        print(f"sesami: {problem}", file=sys.stderr)
    return lot


def _decide(arguments: argparse.Namespace) -> int:
    from napari_sesami.classify import classify_lot, load_model, report_html
    from napari_sesami.common.disk import write_atomic

    if arguments.model is None:
        raise SesamiError(
            "Give a model: sesami classify LOT --model MODEL -o OUT; make one with "
            "sesami classify train LOT … -o MODEL."
        )
    trained, card = load_model(arguments.model)
    worst = 0
    for name in arguments.lots:
        lot = _opened(arguments, [name])
        out = arguments.out
        if out is not None and len(arguments.lots) > 1:
            out = out / Path(name).name
        if out is not None:
            check_writable(out)
        decisions = classify_lot(
            lot, arguments.model, arguments.purity,
            device=arguments.device, keep_labels=arguments.keep_labels,
            progress=_progress(),
        )  # fmt: skip
        print(f"{lot.name}: {decisions.sentence}")
        _tell(decisions)
        if out is not None:
            lot.save_csv(out / "defects.csv", decisions)
            lot.save_json(out / "defects.json", decisions)
            matrix = _of_model(trained, arguments.purity)
            html = report_html(lot, decisions, matrix)
            write_atomic(out / "report.html", html.encode())
            if lot.klarf is not None:
                path = out / lot.klarf.path.name
                lot.save_klarf(
                    path, decisions,
                    _numbers(arguments.number, card.classes, card.numbers),
                    unknown=arguments.unknown_number, add_classes=arguments.add_classes,
                )  # fmt: skip
            print(f"Written to {out}; look at {out / 'report.html'}")
        if decisions.broken:
            worst = INCOMPLETE
    return worst


def _of_model(trained: Any, purity: float) -> ConfusionMatrix:
    """Judge the labels that a model was trained on, each without its own lot."""
    import numpy as np

    from napari_sesami.classify import confusion_of

    said = trained.held.argmax(1)
    least = np.array([t.confidence for t in trained.thresholds(purity)])
    sure = trained.held[np.arange(len(said)), said]
    said = np.where((sure < least[said]) | (trained.held_novelty >= 1), -1, said)
    return confusion_of(trained.classes, trained.labels, said, [""] * len(said))


def _numbers(
    given: list[str], names: list[str], numbers: list[int | None]
) -> dict[str, int]:
    found = {name: n for name, n in zip(names, numbers, strict=False) if n is not None}
    for text in given:
        name, _, number = text.rpartition("=")
        if not name or not number.strip().lstrip("-").isdigit():
            raise SesamiError(f"--number {text} was given; write CLASS=N.")
        found[name] = int(number)
    return found


def _train(arguments: argparse.Namespace, names: list[str]) -> int:
    if arguments.out is None:
        raise SesamiError("Name the model: sesami classify train LOT … -o MODEL.")
    if arguments.fine_tune and arguments.steps < 1:
        raise SesamiError(f"--steps {arguments.steps} was given; give 1 or more.")
    check_writable(arguments.out.parent)
    check_folder(arguments.labels, "--labels")
    lot = _opened(arguments, names)
    classifier = lot.classifier(
        arguments.labels, encoder=arguments.encoder, device=arguments.device
    )
    classifier.prepare(_progress())
    if arguments.fine_tune:
        run = classifier.train(arguments.steps)
        code = in_foreground(run, begin=False)
        if code:
            print(run.status.sentence, file=sys.stderr)
            return code
        print(classifier.adopt(run))
        classifier.prepare(_progress())
    path = classifier.save(arguments.out)
    matrix = classifier.matrix(arguments.purity)
    print("\n".join(matrix.lines()))
    print(f"{len(classifier.labels)} labels of {lot.name}. Written to {path}")
    return INCOMPLETE if classifier.features.broken else 0


def _judge(arguments: argparse.Namespace, names: list[str]) -> int:
    """Compare with the classes that the lots' files give."""
    import numpy as np

    from napari_sesami.classify import classify_lot, confusion_of

    check_folder(arguments.labels, "--labels")
    lot = _opened(arguments, names)
    if arguments.model is None:
        classifier = lot.classifier(
            arguments.labels, encoder=arguments.encoder, device=arguments.device
        )
        classifier.prepare(_progress())
        matrix = classifier.matrix(arguments.purity)
        broken = bool(classifier.features.broken)
    else:
        decisions = classify_lot(
            lot, arguments.model, arguments.purity, progress=_progress()
        )
        broken = bool(decisions.broken)
        told = [k for k, d in enumerate(lot.defects) if d.label is not None]
        if not told:
            raise SesamiError(
                f"{lot.name} has no classes to compare with; give a lot with labels."
            )
        classes = sorted(
            {str(lot.defects[k].label) for k in told} | set(decisions.thresholds)
        )
        index = {name: k for k, name in enumerate(classes)}
        truth = np.array([index[str(lot.defects[k].label)] for k in told])
        said = np.array(
            [index[c] if (c := decisions.classes[k]) is not None else -1 for k in told]
        )
        matrix = confusion_of(classes, truth, said, [lot.defects[k].id for k in told])
    print("\n".join(matrix.lines()))
    if arguments.check and matrix.right < arguments.purity * matrix.decided:
        return BELOW
    return INCOMPLETE if broken else 0


def _table(arguments: argparse.Namespace, names: list[str]) -> int:
    from napari_sesami.lab.defects import print_table

    if arguments.table == "deeppcb":
        if len(names) != 1:
            raise SesamiError("Name the folder of DeepPCB after --table deeppcb.")
        check_folder(Path(names[0]), "--table deeppcb")
    print_table(
        arguments.table, Path(names[0]) if names else None, each=arguments.n,
        encoder=arguments.encoder, rivals=arguments.rivals, progress=_progress(),
    )  # fmt: skip
    return 0


def _tell(decisions: Decisions) -> None:
    for name, count in decisions.counts().items():
        print(f"  {name or 'unknown'}: {count}")
    for k, why in list(decisions.broken.items())[:20]:
        print(f"sesami: {decisions.ids[k]}: {why}", file=sys.stderr)
    if len(decisions.broken) > 20:
        print(f"sesami: … {len(decisions.broken) - 20} more", file=sys.stderr)


def _progress() -> Progress | None:
    if not sys.stderr.isatty():
        return None

    def tell(done: int, of: int) -> None:
        end = "\n" if done >= of else ""
        print(f"\r{done} of {of} defects", end=end, file=sys.stderr, flush=True)

    return tell
