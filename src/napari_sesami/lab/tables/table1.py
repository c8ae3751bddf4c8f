"""Table 1 of the Samsung paper, measured here: an adapter against its base.

A module is a specimen or a family of scans. On real images every module is measured by
an adapter that saw no image of that specimen. Weights that were trained for this are
deleted with the folder of the runs.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.common.disk import write_json
from napari_sesami.lab.tables.rival import Rival, RivalSettings
from napari_sesami.lab.tables.synthetic import FRESH
from napari_sesami.models import load_prompt_model, use_adapter
from napari_sesami.train import (
    ADAPTER,
    LabelledSet,
    Picture,
    RunConfig,
    SesamiConfig,
    TrainError,
    cut_picture,
    deepest,
    examine,
    overlap,
    start_run,
    targets,
    write_set,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sesami.train import Target

SETS = {
    "nasa_superalloy": {1: "secondary precipitate", 2: "tertiary precipitate"},
    "nasa_ebc": {1: "oxide layer", 2: "crack"},
}
PROMPTS = ("1 click", "3 clicks", "box")
METHODS = ("rival", "base", "adapter")


@dataclass(frozen=True)
class Fold:
    """One training: what it learns from, what it is measured on."""

    name: str
    pictures: tuple[Picture, ...]
    classes: dict[int, str]
    module: Callable[[str], str]


def specimen(stem: str) -> str:
    """The specimen of a real image, by its file name: ``spot1_180d_5`` is spot1."""
    found = re.match(r"spot\d+|\d{6}_\d|[A-Za-z0-9]+", stem)
    return found[0] if found else stem


def real_folds(folder: Path, name: str, count: int) -> Iterator[Fold]:
    """Leave specimens out, so that each is held out once, in `count` trainings."""
    import imageio.v3 as iio

    from napari_sesami.scan import Scan

    if not (folder / name / "images").is_dir():
        raise TrainError(f"{folder} holds no folder {name}; give that of the images.")
    pictures = []
    for path in sorted((folder / name / "images").glob("*.png")):
        scan = Scan.from_array(iio.imread(path), name=path.stem)
        truth = iio.imread(folder / name / "labels" / path.name)
        pictures.append(cut_picture(scan, 0, truth))
    given = [p for p in pictures if p is not None]
    modules = sorted({specimen(p.scan) for p in given})
    for i in range(min(count, len(modules))):
        out = set(modules[i::count])
        parts = [replace(p, held_out=specimen(p.scan) in out) for p in given]
        yield Fold(f"{name}-{i}", tuple(parts), SETS[name], specimen)


def synthetic_fold(train: int = 2, test: int = 1) -> Fold:
    """Every documented family: fresh scenes to learn from, others to measure on."""
    from napari_sesami.lab.scenes import FAMILIES

    names: dict[str, int] = {}
    pictures = []
    for family, draw in sorted(FAMILIES.items()):
        for seed in range(train + test):
            drawn = draw(FRESH + 1000 + seed)
            table = np.zeros(256, np.uint8)
            for spec in drawn.classes:
                table[spec.id] = names.setdefault(spec.name, len(names) + 1)
            made = cut_picture(
                drawn.scan(), 0, table[drawn.labels], name=f"{family}:{seed}"
            )
            if made is not None:
                pictures.append(replace(made, held_out=seed >= train))
    classes = {number: name for name, number in names.items()}
    return Fold("synthetic", tuple(pictures), classes, lambda s: s.partition(":")[0])


def measure(
    fold: Fold, work: Path, options: dict[str, Any], each: int, rival_steps: int
) -> list[dict[str, Any]]:
    """Train on a fold and measure: one row per held-out object."""
    labelled = LabelledSet(fold.pictures, fold.classes)
    held = labelled.held_out
    chosen = _per_picture(labelled, each)
    rows: list[dict[str, Any]] = [
        {"fold": fold.name, "module": fold.module(held[t.picture].scan),
         "image": held[t.picture].scan, "class": t.name}
        for t in chosen
    ]  # fmt: skip
    run, share = _adapted(fold, labelled, work, options)
    model = load_prompt_model(run.config.recipe_options.model, "auto")
    for method, adapter in (
        ("base", None),
        ("adapter", run.folder / "adapter" / ADAPTER),
    ):
        use_adapter(model, adapter)
        for row, score in zip(rows, examine(model, held, chosen, 3), strict=True):
            row[method] = [score.clicks[1], score.clicks[3], score.box]
            row["share"] = share
    rival = Rival(max(fold.classes) + 1, RivalSettings(rival_steps))
    rival.train(labelled.training)
    maps = [rival.classes_of(p) for p in held]
    for row, target in zip(rows, chosen, strict=True):
        found = _answered(maps[target.picture], held[target.picture], target)
        row["rival"], row["rival parameters"] = found, rival.parameters
    return rows


def _per_picture(labelled: LabelledSet, each: int) -> list[Target]:
    """The same number of objects from each held-out picture, classes in turn."""
    chosen = []
    for number, picture in enumerate(labelled.held_out):
        alone = replace(labelled, pictures=(picture,))
        chosen += [replace(t, picture=number) for t in targets(alone, each, number)]
    return chosen


def _adapted(
    fold: Fold, labelled: LabelledSet, work: Path, options: dict[str, Any]
) -> tuple[Any, float]:
    """Train in a process of its own, as a session would."""
    own = dict(options)
    steps, rate = int(own.pop("steps")), float(own.pop("rate"))
    recipe = SesamiConfig(**own, measured=1, gate_clicks=1)
    config = RunConfig("sesami", steps=steps, rate=rate, batch=2, device="auto",
                       checkpoint_minutes=60.0, recipe_options=recipe)  # fmt: skip
    folder = work / f"{fold.name}-{time.strftime('%H%M%S')}"
    run = start_run(config, folder, data=lambda to: write_set(to, labelled))
    status = run.wait()
    if status.state != "finished":
        raise TrainError(f"The training of {fold.name} ended early: {status.sentence}")
    return run, float(run.facts["share"])


def _answered(classes: NDArray[Any], picture: Picture, target: Target) -> float:
    """What a map of classes says of an object: the part of its class under a click."""
    from skimage.measure import label

    truth = picture.regions == target.region
    (y, x), _ = deepest(truth)
    own = int(picture.classes[y, x])
    parts = label(classes == own, connectivity=2, background=0)
    return overlap(parts == parts[y, x], truth) if parts[y, x] else 0.0


# --- the table


def table(rows: Sequence[dict[str, Any]], prompt: int | None = None) -> dict[str, Any]:
    """Average, maximum, minimum and deviation over modules, as Table 1 gives them.

    Parameters
    ----------
    rows
        One per object.
    prompt
        Number of one of `PROMPTS`; None is the mean of all.
    """
    modules = sorted({(r["fold"].rsplit("-", 1)[0], r["module"]) for r in rows})
    per: dict[str, list[float]] = {m: [] for m in METHODS}
    for kind, module in modules:
        own = [
            r for r in rows
            if r["module"] == module and r["fold"].rsplit("-", 1)[0] == kind
        ]  # fmt: skip
        for method in METHODS:
            per[method].append(_by_image(own, method, prompt))
    out: dict[str, Any] = {"modules": [m for _, m in modules], "per module": per}
    for method, values in per.items():
        v = np.array(values)
        out[method] = {"avg": float(v.mean()), "max": float(v.max()),
                       "min": float(v.min()), "std": float(v.std())}  # fmt: skip
    gain = np.array(per["adapter"]) - np.array(per["base"])
    out["improved"] = float((gain > 0).mean())
    out["gain"] = float(gain.mean())
    return out


def _by_image(rows: Sequence[dict[str, Any]], method: str, prompt: int | None) -> float:
    """Mean IoU of each image, then their mean."""
    images = sorted({r["image"] for r in rows})
    means = []
    for image in images:
        values = [
            v if isinstance(v, float) else np.mean(v) if prompt is None else v[prompt]
            for v in (r[method] for r in rows if r["image"] == image)
        ]
        means.append(np.mean(values))
    return float(np.mean(means))


def lines(rows: Sequence[dict[str, Any]], title: str) -> str:
    """Table 1 as Markdown."""
    names = {"rival": "DeepLabV3+", "base": "base", "adapter": "SeSAMI"}
    whole = table(rows)
    out = [
        f"**{title}**: {len(whole['modules'])} modules, {len(rows)} objects", "",
        "| mIoU over modules | " + " | ".join(names[m] for m in METHODS) + " |",
        "|---|" + "---|" * len(METHODS),
    ]  # fmt: skip
    for key, word in (
        ("avg", "Avg."),
        ("max", "Max."),
        ("min", "Min."),
        ("std", "Std."),
    ):
        cells = " | ".join(f"{whole[m][key]:.4f}" for m in METHODS)
        out.append(f"| {word} | {cells} |")
    for i, prompt in enumerate(PROMPTS):
        one = table(rows, i)
        cells = " | ".join(f"{one[m]['avg']:.4f}" for m in METHODS)
        out.append(f"| Avg., {prompt} | {cells} |")
    many, share = rows[0]["rival parameters"] / 1e6, 100 * rows[0]["share"]
    out.append(f"| Trained | all, {many:.1f} M | none | {share:.2f} % |")
    out += ["", f"Better than its base on {100 * whole['improved']:.1f} % of the "
            f"modules; on average {whole['gain']:+.4f}.", ""]  # fmt: skip
    return "\n".join(out)


def compare_adapters(
    out: Path,
    data: Path | None,
    *,
    folds: int = 3,
    each: int = 6,
    steps: int = 100,
    rate: float = 1e-2,
    decoder: bool = False,
) -> None:
    """Train and measure every fold that has no numbers in `out` yet; write the tables.

    Parameters
    ----------
    out
        Folder of the numbers, the tables and the runs.
    data
        Folder of labelled real images; None: procedural scans alone.
    folds, each
        Trainings for each real set; objects from each image.
    steps, rate, decoder
        Options of each training.
    """
    out.mkdir(parents=True, exist_ok=True)
    options = {"steps": steps, "rate": rate, "decoder": decoder}
    given: dict[str, Fold | None] = {}
    if data is not None:
        for name in SETS:
            given |= {fold.name: fold for fold in real_folds(data, name, folds)}
    given["synthetic"] = None  # drawn only if it is not measured yet
    everything: list[dict[str, Any]] = []
    for name, fold in given.items():
        done = out / f"{name}.json"
        if not done.is_file():
            began = time.monotonic()
            rows = measure(fold or synthetic_fold(), out / "runs", options, each, steps)
            facts = {"options": options, "seconds": time.monotonic() - began}
            write_json(done, {**facts, "rows": rows})
        found = json.loads(done.read_text(encoding="utf-8"))["rows"]
        everything += found
        print(lines(found, name), flush=True)
    report(everything, out)


def report(rows: Sequence[dict[str, Any]], out: Path) -> None:
    """Write the tables and the picture of all modules."""
    real = [r for r in rows if not r["fold"].startswith("synthetic")]
    made = [r for r in rows if r["fold"].startswith("synthetic")]
    parts = []
    for title, some in (("Real images, specimens left out", real),
                        ("Procedural families", made)):  # fmt: skip
        if some:
            parts.append(lines(some, title))
    text = "\n".join(parts)
    (out / "table1.md").write_text(text, encoding="utf-8")
    print(text)
    _picture(real, made, out / "table1.png")


def _picture(
    real: Sequence[dict[str, Any]], made: Sequence[dict[str, Any]], path: Path
) -> None:
    """Each module before and after, as Figure 7 shows them; needs matplotlib."""
    try:
        import matplotlib
    except ImportError:
        print("The picture needs matplotlib (the extra docs); it was left out.")
        return
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    for axis, rows, title in zip(
        axes, (real, made), ("real images, specimen left out", "procedural families"),
        strict=True,
    ):  # fmt: skip
        if not rows:
            axis.set_visible(False)
            continue
        found = table(rows)
        per, at = found["per module"], np.arange(len(found["modules"]))
        axis.vlines(at, per["base"], per["adapter"], color="0.7")
        for method, mark, name in (("rival", "x", "DeepLabV3+"), ("base", "o", "base"),
                                   ("adapter", "^", "SeSAMI")):  # fmt: skip
            axis.plot(at, per[method], mark, label=name, ms=5)
        axis.set_xticks(at, found["modules"], rotation=60, ha="right", fontsize=7)
        axis.set_title(title, fontsize=9)
        axis.set_ylim(0, 1)
        axis.set_ylabel("mIoU (1 click, 3 clicks, box)", fontsize=8)
        axis.legend(fontsize=7, loc="lower left")
    figure.savefig(path, dpi=110)
    plt.close(figure)
