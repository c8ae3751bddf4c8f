"""Tables 2 and 3's form on procedural devices: presets × seeds, A and across to B.

Every cell is one run of the product's own recipe in a process of its own; CPU seconds
are those of that process, import and writing included.
"""

from __future__ import annotations

import resource
import shutil
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from napari_sesami.common.checked import read_checked
from napari_sesami.common.disk import write_json
from napari_sesami.lab.semi.devices import (
    CLASSES,
    DEFECT,
    NOISY_A,
    A,
    B,
    pictures,
)
from napari_sesami.models import Segmenter
from napari_sesami.train import (
    PRESETS,
    LabelledSet,
    Pool,
    RunConfig,
    SemiConfig,
    TrainError,
    draw_labels,
    overlaps,
    start_run,
    write_pool,
    write_set,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari_sesami.train import Picture

LABELLED, POOLED, TESTED = 0, 10_000, 20_000
"""First picture of each part of a device; seeds are 1000 apart."""
POOL_A, POOL_B = 70, 100
"""As in the paper."""


def evaluate_semi(
    out: Path,
    *,
    presets: Sequence[str] = tuple(PRESETS),
    seeds: int = 3,
    labels: int = 20,
    steps: int = 300,
    tests: int = 30,
    tell: Callable[[str], None] = print,
) -> list[dict[str, Any]]:
    """Train every preset on A and measure it on A, noisy A and B.

    What is in `out` already is not trained again.

    Parameters
    ----------
    out
        Folder for the rows (`semi.json`) and pictures.
    presets, seeds
        Of the table; a seed draws other labelled pictures and another training.
    labels
        Labelled pictures of A: 20 or 60 in the paper.
    steps
        Of each training, the same for all.
    tests
        Pictures of each test set.
    tell
        Called with each line.
    """
    out.mkdir(parents=True, exist_ok=True)
    file = out / "semi.json"
    rows: list[dict[str, Any]] = []
    if file.is_file():
        rows = read_checked(file, list[dict[str, Any]])
    judged = {d.name: pictures(d, TESTED, tests) for d in (A, NOISY_A, B)}
    pool = [*pictures(A, POOLED, POOL_A), *pictures(B, POOLED, POOL_B)]
    for seed in range(seeds):
        teachers = pictures(A, LABELLED + 1000 * seed, labels)
        for preset in presets:
            told = {"preset": preset, "seed": seed, "labels": labels, "steps": steps}
            if any(all(r[k] == v for k, v in told.items()) for r in rows):
                continue
            cost = _train(out / "run", preset, seed, steps, teachers, pool)
            segmenter = Segmenter.load(out / "run", "cpu")
            row: dict[str, Any] = {**told, "cpu s": round(cost, 1)}
            for name, held in judged.items():
                answers = [
                    segmenter.labels((p.grey / 65535).astype(np.float32)) for p in held
                ]
                found = overlaps(held, answers, CLASSES, nothing=False)
                each = {k: v["IoU"] for k, v in found["classes"].items()}
                rare = each.pop(DEFECT, 0.0)
                row[name] = {
                    "all": found["mIoU"],
                    "materials": round(float(np.mean(list(each.values()))), 4),
                    "defect": rare,
                }
                if not seed and name == B.name:
                    safe = preset.replace("+", "-")
                    draw_labels(out / f"B-{safe}.png", held[0], answers[:1])
            rows.append(row)
            write_json(file, rows)
            tell(_line(row))
            shutil.rmtree(out / "run")
    tell(table(rows, labels, steps))
    return rows


def _train(
    folder: Path,
    preset: str,
    seed: int,
    steps: int,
    teachers: Sequence[Picture],
    pool: Sequence[Picture],
) -> float:
    """Run the recipe on labelled pictures and a pool; CPU seconds of the process."""
    shutil.rmtree(folder, ignore_errors=True)
    config = RunConfig(
        "semi", seed=seed, steps=steps, batch=4, rate=1e-3, device="cpu",
        checkpoint_minutes=60,
        recipe_options=SemiConfig(preset=cast("Any", preset), modality="TEM"),
    )  # fmt: skip

    def data(place: Path) -> None:
        write_set(place, LabelledSet(tuple(teachers), CLASSES))
        if config.recipe_options.unlabelled:
            names = tuple(p.scan for p in pool)
            write_pool(place, Pool(tuple(p.grey for p in pool), names))

    before = _spent()
    run = start_run(config, folder, data=data)
    status = run.wait()
    if status.state != "finished":
        raise TrainError(f"A run of the table ended early: {status.sentence}")
    return _spent() - before


def _spent() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _line(row: dict[str, Any]) -> str:
    cells = "  ".join(
        f"{d.name} {row[d.name]['all']:.3f}/{row[d.name]['defect']:.3f}"
        for d in (A, NOISY_A, B)
    )
    return f"{row['preset']:<17} seed {row['seed']}  {cells}  {row['cpu s']:.0f} CPU s"


def table(rows: Sequence[dict[str, Any]], labels: int, steps: int) -> str:
    """Means over seeds with half of a 95 % interval, in Markdown."""
    names = [d.name for d in (A, NOISY_A, B)]
    head = " | ".join(f"{n}: all | defect" for n in names)
    lines = [
        f"A_{labels}, {steps} steps",
        f"| preset | seeds | {head} | CPU s |",
        "|---|---|" + "---|---|" * len(names) + "---|",
    ]
    for preset in PRESETS:
        own = [
            r for r in rows
            if (r["preset"], r["labels"], r["steps"]) == (preset, labels, steps)
        ]  # fmt: skip
        if not own:
            continue
        cells = [
            _mean([r[n][key] for r in own]) for n in names for key in ("all", "defect")
        ]
        cost = np.mean([r["cpu s"] for r in own])
        told = " | ".join(cells)
        lines.append(f"| {preset} | {len(own)} | {told} | {cost:.0f} |")
    return "\n".join(lines)


def _mean(values: Sequence[float]) -> str:
    """Mean ± half of the 95 % interval of Student's t."""
    from scipy.stats import t

    n = len(values)
    mean = float(np.mean(values))
    if n < 2:
        return f"{mean:.3f}"
    half = float(np.std(values, ddof=1) / n**0.5 * t.ppf(0.975, n - 1))
    return f"{mean:.3f} ± {half:.3f}"
