"""Learn the judge beside the bundled weights, in one command.

python -m napari_sesami.lab.judge FOLDER            draws scenes, asks, learns, prints
python -m napari_sesami.lab.judge FOLDER --install  puts it into the package, too
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from napari_sesami.lab.judge.jobs import answer_on, ask_about, nano_of
from napari_sesami.lab.judge.learn import (
    as_arrays,
    calibrate,
    choose,
    firsts,
    grow,
    left_out,
    plain_overlap,
    preferences,
    reliability,
)
from napari_sesami.lab.judge.questions import (
    CALIBRATION,
    MODALITY,
    AskedPrompt,
    load,
)
from napari_sesami.prompt import ClickJudge

SEEDS = {"net": 556_000, "pool": 655_001}
"""Scenes of these seeds are for the judge alone; tables are made from others."""


def main() -> None:
    """Ask, learn, print how well it chooses on families left out, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("folder", type=Path)
    add("--weights", type=Path, help="of sesami-nano; the bundled ones by default")
    add("--seeds", type=int, default=5, help="scenes of each family")
    add("--each", type=int, default=3, help="objects of each scene")
    add("--calibrate", type=int, default=2, help="scenes to calibrate on, per family")
    add("--jobs", type=int, default=2, help="processes")
    add("--anew", action="store_true", help="ask again though questions are there")
    add("--install", action="store_true", help="replace the bundled judge")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    key = nano_of(given.weights).key
    files: dict[str, list[Path]] = {name: [] for name in SEEDS}
    with ProcessPoolExecutor(given.jobs, get_context("spawn")) as jobs:
        waiting = []
        for name, start in SEEDS.items():
            for seed in range(start, start + given.seeds):
                for family in (*MODALITY, "random"):
                    path = given.folder / f"{name}_{family}_{seed}.npz"
                    files[name].append(path)
                    if given.anew or not path.is_file():
                        work = (name, family, seed, path, given.each, given.weights)
                        waiting.append(jobs.submit(ask_about, *work))
        for asked in waiting:
            print(asked.result(), flush=True)
        judge = _learn(files, key)
        draft = given.folder / "draft.safetensors"
        judge.write(draft)
        # the best of many guesses is too good a guess: other scenes say how much
        half = (list(MODALITY)[::2], list(MODALITY)[1::2])
        told = jobs.map(
            answer_on,
            *zip(
                *(
                    (draft, CALIBRATION + seed, families, given.weights)
                    for seed in range(given.calibrate)
                    for families in half
                ),
                strict=True,
            ),
        )
        pairs = [row for rows in told for row in rows]
    for name in ("pool", "first"):
        rows = np.array([(said, true) for who, said, true in pairs if who == name])
        print(f"{name}: calibrated on {len(rows)} answers of other scenes")
        if len(rows) >= 30:
            said, true = calibrate(rows[:, 0], rows[:, 1])
            trees = replace(getattr(judge, name), said=said, true=true)
            judge = replace(judge, **{name: trees})
    judge.write(given.folder / "judge.safetensors")
    if given.install:
        import napari_sesami.prompt

        place = Path(str(napari_sesami.prompt.__file__)).parent / "pool"
        judge.write(place / "judge.safetensors")


def _learn(files: dict[str, list[Path]], key: str) -> ClickJudge:
    """Grow all trees; choose how far the plain answer is preferred."""
    questions = load([p for p in files["pool"] if p.is_file()])
    sets = {
        "pool": questions,
        "first": firsts(questions),
        "net": load([p for p in files["net"] if p.is_file()]),
    }
    trees, guesses = {}, {}
    for name, some in sets.items():
        guesses[name] = said = left_out(some)
        _tell(name, some, said)
        chosen = [choose(q, s) for q, s in zip(some, said, strict=True)]
        if name == "first":
            chosen = [0] * len(some)
        best = np.array([s[i] for s, i in zip(said, chosen, strict=True)])
        true = np.array([q.overlap[i] for q, i in zip(some, chosen, strict=True)])
        trees[name] = as_arrays(grow(some), best, true)
    whole = [i for i, q in enumerate(questions) if len(q.first)]
    early = {i: float(said[0]) for i, said in zip(whole, guesses["first"], strict=True)}
    lean, sure = preferences(questions, guesses["pool"], early, print)
    return ClickJudge(**trees, lean=lean, sure=sure, model=key)


def _tell(kind: str, questions: list[AskedPrompt], said: list[np.ndarray]) -> None:
    print(
        f"\n{kind}: {len(questions)} questions; each family by trees that never saw it"
    )
    print(
        f"{'':<22}{'n':>5} {'plain':>6} {'judge':>6} {'oracle':>6} {'r':>6} {'ECE':>6}"
    )
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
            f"{np.mean([plain_overlap(questions[i]) for i in rows]):>6.3f} "
            f"{true.mean():>6.3f} {np.mean([u.max() for u in uncut]):>6.3f} "
            f"{related:>6.2f} {error:>6.3f}"
        )


if __name__ == "__main__":
    main()
