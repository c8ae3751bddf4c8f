"""Learn the judge beside the bundled weights, in one command.

python -m napari_sesami.lab.judge FOLDER            draws scenes, asks, learns, prints
python -m napari_sesami.lab.judge FOLDER --install  puts it into the package, too
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from napari_sesami.lab.judge.learn import (
    as_arrays,
    calibrate,
    choose,
    grow,
    left_out,
    reliability,
    stopped,
)
from napari_sesami.lab.judge.questions import MODALITY, Asked, answers, collect, load
from napari_sesami.models import Nano
from napari_sesami.prompt import Judge, Predictor

SEEDS = {"pool": 555_000, "net": 556_000, "pool_rare": 557_000}
"""Scenes of these seeds are for the judge alone; tables are made from others."""


def main() -> None:
    """Ask, learn, print how well it chooses on families left out, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("folder", type=Path)
    add("--weights", type=Path, help="of sesami-nano; the bundled ones by default")
    add("--seeds", type=int, default=5, help="scenes of each family")
    add("--each", type=int, default=4, help="objects of each scene")
    add("--calibrate", type=int, default=3, help="scenes to calibrate on, per family")
    add("--anew", action="store_true", help="ask again though questions are there")
    add("--install", action="store_true", help="replace the bundled judge")
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.folder.mkdir(parents=True, exist_ok=True)
    nano = Nano.from_file(given.weights) if given.weights else Nano.bundled()
    families = [*MODALITY, "random"]
    for name, start in SEEDS.items():
        path = given.folder / f"{name}.npz"
        if path.is_file() and not given.anew:
            continue
        # what is near the truth is taken for the last answer, so that a judge can be
        # learnt before there is one
        collect(
            Predictor(nano, plain=True),
            families,
            range(start, start + given.seeds),
            path,
            given.each,
            net_alone=name == "net",
            rare=name == "pool_rare",
            tell=print,
        )
    trees = {}
    for kind in ("pool", "net"):
        questions = load(sorted(given.folder.glob(f"{kind}*.npz")))
        said = left_out(questions)
        _tell(kind, questions, said)
        chosen = [choose(q, s) for q, s in zip(questions, said, strict=True)]
        best = np.array([s[i] for s, i in zip(said, chosen, strict=True)])
        true = np.array([q.overlap[i] for q, i in zip(questions, chosen, strict=True)])
        trees[kind] = as_arrays(grow(questions), best, true)
    judge = Judge(trees["pool"], trees["net"], nano.key)
    raw, real = answers(Predictor(nano), judge, list(MODALITY), given.calibrate)
    if len(raw):
        table = calibrate(raw, real)
        judge = replace(judge, pool=replace(judge.pool, said=table[0], true=table[1]))
        print(f"calibrated on {len(raw)} answers of other scenes")
    judge.write(given.folder / "judge.safetensors")
    if given.install:
        import napari_sesami.prompt

        place = Path(str(napari_sesami.prompt.__file__)).parent / "pool"
        judge.write(place / "judge.safetensors")


def _tell(kind: str, questions: list[Asked], said: list[np.ndarray]) -> None:
    print(
        f"\n{kind}: {len(questions)} questions; each family by trees that never saw it"
    )
    print(f"{'':<22}{'n':>5} {'net':>6} {'judge':>6} {'oracle':>6} {'r':>6} {'ECE':>6}")
    if kind == "pool":
        for stop in (0.7, 0.76, 0.82, 0.9, 9.0):
            took = [stopped(q, s, stop) for q, s in zip(questions, said, strict=True)]
            gain = np.mean(
                [q.overlap[i] for q, (i, _) in zip(questions, took, strict=True)]
            )
            seen = np.mean([n for _, n in took])
            print(f"windows opened until {stop:g}: IoU {gain:.4f}, {seen:.2f} windows")
    groups: dict[str, list[int]] = {}
    for i, q in enumerate(questions):
        count = q.number if q.kind == "click" else ""
        names = ["all", f"{q.kind} {count}", f"  {q.family}"]
        if q.kind == "click" and q.number in (1, 3):
            names.append(f"{q.kind} {count} {q.size}")
        for name in names:
            groups.setdefault(name, []).append(i)
    for name in sorted(groups):
        rows = groups[name]
        chosen = [choose(questions[i], said[i]) for i in rows]
        true = np.array(
            [questions[i].overlap[k] for i, k in zip(rows, chosen, strict=True)]
        )
        best = np.array([said[i][k] for i, k in zip(rows, chosen, strict=True)])
        uncut = [np.where(questions[i].cut, 0, questions[i].overlap) for i in rows]
        related, error, _ = reliability(np.clip(best, 0, 1), true)
        print(
            f"{name:<22}{len(rows):>5} "
            f"{np.mean([questions[i].overlap[0] for i in rows]):>6.3f} "
            f"{true.mean():>6.3f} {np.mean([u.max() for u in uncut]):>6.3f} "
            f"{related:>6.2f} {error:>6.3f}"
        )


if __name__ == "__main__":
    main()
