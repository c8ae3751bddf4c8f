"""Measure active learning and draw docs/active-learning.md: one command, resumable.

    python scripts/draw_active_learning.py [--data FOLDER] [--seeds 5] [--draw-only]

All strategies run on three sets; what is measured is kept in
scripts/active_learning.json after every run, so an interrupted call goes on where it
was.
With --kept FILE the numbers are kept there and printed, the page stays as it is: rows
that are measured with one encoder are comparable, others are not.
FOLDER holds the real sets nasa_superalloy and nasa_ebc; without it only the synthetic
stack is measured.
"""

from __future__ import annotations

import argparse
import json
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.stats import t as student

from napari_sesami.common.home import home
from napari_sesami.lab import scenes
from napari_sesami.lab.active import Cycle, Plan, Study, judge_fully, run_active
from napari_sesami.scan import Scan
from napari_sesami.suggest import STRATEGIES

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
KEPT = ROOT / "scripts" / "active_learning.json"
PAGE = DOCS / "active-learning.md"
PICTURE = DOCS / "images" / "active_learning.png"
BEGIN, END = "<!-- numbers -->", "<!-- end of numbers -->"

# What matters most is measured first, for all seeds.
FIRST = ("full", "rare", "random", "foreground")
GROUPS = (FIRST, tuple(s for s in STRATEGIES if s not in FIRST))

VOXEL = (3.0, 0.5, 0.5)  # µm
PLANES, SIDE, DIE = 52, 256, 86.0  # planes, pixels, height of the logic die in µm
# Pillar, pad and TSV have one grey and slices show no height: they are one class here.
CLASSES = ("copper", "solder", "void", "silicon", "underfill")
MERGED = np.array([0, 1, 2, 1, 1, 3, 3, 4, 5], np.uint8)
SETS: dict[str, dict[str, Any]] = {
    "memory stack": {
        "rare": 3,
        "rare_name": "void",
        "size": 64,
        "budgets": (0.01, 0.02, 0.04, 0.07, 0.10),
        "apart": 1,
    },
    "nasa_superalloy": {
        "rare": 3,
        "rare_name": "tertiary precipitate",
        "size": 128,
        "budgets": (0.02, 0.04, 0.07, 0.10, 0.15),
        "apart": 0,
        "step": 2,
    },
    "nasa_ebc": {
        "rare": 3,
        "rare_name": "crack",
        "size": 128,
        "budgets": (0.01, 0.02, 0.04, 0.07, 0.10),
        "apart": 0,
        "step": 4,
    },
}


def stack(seed: int) -> Study:
    """A stack to learn from, started in its logic die; memory dies of another judge."""
    drawn = [
        scenes.hbm(s, (PLANES, SIDE, SIDE), "stack", VOXEL, void_rate=1.0)
        for s in (seed, seed + 5000)
    ]
    memory = [int(np.ceil((DIE - d.info["bottom_um"]) / VOXEL[0])) for d in drawn]
    scan = Scan.from_array(
        np.concatenate([d.image for d in drawn]),
        axes=("z", "y", "x"),
        pixel_size=VOXEL,
        units=("µm",) * 3,
        name=f"stack-{seed}",
        modality="XRM",
    )
    return Study(
        scan,
        MERGED[np.concatenate([d.labels for d in drawn])],
        test=range(PLANES + memory[1], 2 * PLANES),
        pool=range(PLANES),
        start=range(memory[0]),
        folder=home() / "cache" / "tokens",
    )


def real(folder: Path, step: int, seed: int) -> Study:
    """Images of a real set as planes; seven to learn from, the others judge."""
    images, truth = _images(folder)
    order = np.random.default_rng([seed, 11]).permutation(len(images))
    n_pool = round(len(images) * 0.64)
    return Study(
        Scan.from_array(images, name=folder.name),
        truth,
        test=order[n_pool:].tolist(),
        step=step,
        folder=home() / "cache" / "tokens",
    )


@lru_cache(1)
def _images(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    images, truth = [], []
    for path in sorted((folder / "images").glob("*.png")):
        image = iio.imread(path).astype(np.float32)
        low, high = np.percentile(image, [0.5, 99.5])
        images.append(((image - low) / (high - low + 1e-6)).clip(0, 1))
        truth.append(iio.imread(folder / "labels" / path.name).astype(np.uint8) + 1)
    return np.stack(images), np.stack(truth)


def measure(
    data: Path | None, seeds: int, file: Path, sets: list[str], strategies: list[str]
) -> dict[str, Any]:
    """Run what is not measured yet."""
    kept: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    for name in sets:
        how = SETS[name]
        folder = None if data is None else data / name
        if "step" in how and (folder is None or not folder.is_dir()):
            print(f"{name}: not there, left out")
            continue
        for seed, group in ((s, g) for g in GROUPS for s in range(seeds)):
            missing = [
                s for s in group if s in strategies and f"{name}/{seed}/{s}" not in kept
            ]
            if not missing:
                continue
            study = real(folder, how["step"], seed) if "step" in how else stack(seed)
            first: list[Cycle] = []
            for strategy in missing:
                begun = time.perf_counter()
                kept[f"{name}/{seed}/{strategy}"] = one(
                    study, how, strategy, seed, first
                )
                file.write_text(json.dumps(kept, separators=(",", ":")) + "\n")
                spent = time.perf_counter() - begun
                print(f"{name} seed {seed} {strategy}: {spent:.0f} s", flush=True)
    return kept


def one(
    study: Study, how: dict[str, Any], strategy: str, seed: int, first: list[Cycle]
) -> list[Any]:
    """All cycles of a strategy: [share, clicks, mIoU, IoU of the rare class] each.

    `first` keeps how the start set was judged, which all strategies share.
    """
    if strategy == "full":
        cycles = [judge_fully(study, seed=seed)]
    else:
        plan = Plan(
            strategy,
            how["budgets"],
            size=how["size"],
            seed=seed,
            apart=how["apart"],
        )
        cycles = run_active(study, plan, first=first[0] if first else None)
        first[:] = cycles[:1]
    return [
        [round(x, 4) for x in (c.share, c.clicks, c.miou, c.iou.get(how["rare"], 0.0))]
        for c in cycles
    ]


# --- the page


def seeds_of(kept: dict[str, Any], name: str, *strategies: str) -> list[str]:
    """Seeds for which all of some strategies are measured."""
    found = [
        {k.split("/")[1] for k in kept if k.startswith(f"{name}/") and k.endswith(s)}
        for s in (f"/{strategy}" for strategy in strategies)
    ]
    return sorted(set.intersection(*found))


def table(
    kept: dict[str, Any], name: str, strategy: str, seeds: list[str] | None = None
) -> np.ndarray:
    """Every seed's cycles, (seeds, cycles, 4)."""
    seeds = seeds_of(kept, name, strategy) if seeds is None else seeds
    return np.array([kept[f"{name}/{seed}/{strategy}"] for seed in seeds])


def interval(values: np.ndarray) -> tuple[float, float]:
    """Mean and half of its 95 % interval, over seeds."""
    n = len(values)
    half = student.ppf(0.975, n - 1) * values.std(ddof=1) / n**0.5 if n > 1 else np.nan
    return float(values.mean()), float(half)


def words(kept: dict[str, Any]) -> str:
    """The tables as Markdown."""
    parts = []
    for name, how in SETS.items():
        if not len(table(kept, name, "rare")):
            continue
        full = table(kept, name, "full")
        shares = " | ".join(f"{100 * b:.0f} %" for b in how["budgets"])
        ruler = "---|" * (len(how["budgets"]) + 2)
        parts.append(f"### {name}\n")
        for column, title in ((3, f"IoU of {how['rare_name']}"), (2, "mIoU")):
            seeds = len(table(kept, name, "rare"))
            line = f"{title}, × 100, mean ± 95 % interval over {seeds} seeds"
            if len(full):
                mean, half = interval(full[:, 0, column])
                line += f" (all labelled: {100 * mean:.1f} ± {100 * half:.1f})"
            parts.append(line + "\n")
            parts.append(f"| strategy | {shares} | clicks |\n|{ruler}")
            known = [s for s in STRATEGIES if len(table(kept, name, s))]
            parts += [_row(kept, name, s, column) for s in known]
            parts.append("")
        parts.append("Rareness-aware minus the baseline, same seeds, × 100\n")
        parts.append(f"| rare IoU against | {shares} |\n|{ruler[:-4]}")
        others = [s for s in ("random", "foreground", "clasp", "bald") if s in known]
        parts += [_against(kept, name, s) for s in others]
        parts.append("")
    return "\n".join(parts)


def _row(kept: dict[str, Any], name: str, strategy: str, column: int) -> str:
    runs = table(kept, name, strategy)
    cells = []
    for i in range(runs.shape[1]):
        mean, half = interval(runs[:, i, column])
        cells.append(f"{100 * mean:.1f} ± {100 * half:.1f}")
    label = STRATEGIES[strategy].label
    label = f"**{label}**" if strategy == "rare" else label
    if len(runs) < len(table(kept, name, "rare")):
        label += f" ({len(runs)} seeds)"
    return f"| {label} | {' | '.join(cells)} | {runs[:, -1, 1].mean():.0f} |"


def _against(kept: dict[str, Any], name: str, strategy: str) -> str:
    both = seeds_of(kept, name, "rare", strategy)
    ours, theirs = (table(kept, name, s, both) for s in ("rare", strategy))
    cells = []
    for i in range(ours.shape[1]):
        mean, half = interval(ours[:, i, 3] - theirs[:, i, 3])
        cells.append(f"{100 * mean:+.1f} ± {100 * half:.1f}")
    return f"| {STRATEGIES[strategy].label} | {' | '.join(cells)} |"


def draw(kept: dict[str, Any]) -> None:
    """Two curves per set: IoU of the rare class, and mIoU."""
    names = [n for n in SETS if len(table(kept, n, "rare"))]
    figure = Figure(figsize=(4.6 * len(names), 7.4), layout="constrained")
    axes = figure.subplots(2, len(names), squeeze=False)
    for column, name in enumerate(names):
        how = SETS[name]
        for row, (value, title) in enumerate(
            ((3, f"IoU of {how['rare_name']}"), (2, "mIoU"))
        ):
            axis = axes[row, column]
            for number, strategy in enumerate(STRATEGIES):
                runs = table(kept, name, strategy)
                if len(runs):
                    _curve(axis, runs, value, strategy, number)
            full = table(kept, name, "full")[:, 0, value].mean()
            axis.axhline(full, color="black", lw=0.8, ls=":")
            axis.set_title(f"{name}: {title}", fontsize=10)
            axis.set_xlabel("labelled pixels, % of the pool")
    lines, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside lower center", ncols=4, fontsize=9)
    figure.savefig(PICTURE, dpi=80)


def _curve(axis: Any, runs: np.ndarray, value: int, strategy: str, number: int) -> None:
    x = 100 * runs[..., 0].mean(0)
    found = [interval(runs[:, i, value]) for i in range(runs.shape[1])]
    mean, half = np.array(found).T
    strong = strategy == "rare"
    (line,) = axis.plot(
        x,
        mean,
        color="crimson" if strong else f"C{number}",
        lw=2.5 if strong else 1.2,
        ls="-" if strategy in ("rare", "random", "foreground") else "--",
        label=STRATEGIES[strategy].label,
        zorder=3 if strong else 2,
    )
    if strategy in ("rare", "random"):
        low, high = np.maximum(mean - half, 0), np.minimum(mean + half, 1)
        axis.fill_between(x, low, high, color=line.get_color(), alpha=0.12)


def main() -> None:
    """Measure what is missing, write the tables into the page, draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--draw-only", action="store_true")
    parser.add_argument("--kept", type=Path, default=KEPT)
    parser.add_argument("--sets", nargs="*", choices=list(SETS), default=list(SETS))
    everything = ["full", *STRATEGIES]
    parser.add_argument("--strategies", nargs="*", default=everything)
    given = parser.parse_args()
    torch.set_num_threads(1)
    kept = (
        json.loads(given.kept.read_text())
        if given.draw_only
        else measure(given.data, given.seeds, given.kept, given.sets, given.strategies)
    )
    if given.kept != KEPT:
        print(words(kept))
        return
    draw(kept)
    if PAGE.is_file() and BEGIN in PAGE.read_text():
        before, rest = PAGE.read_text().split(BEGIN)
        after = rest.split(END)[1]
        PAGE.write_text(f"{before}{BEGIN}\n\n{words(kept)}\n{END}{after}")
    else:
        print(words(kept))


if __name__ == "__main__":
    main()
