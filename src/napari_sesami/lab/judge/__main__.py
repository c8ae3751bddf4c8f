"""Learn the judge beside the bundled weights, in one command.

python -m napari_sesami.lab.judge FOLDER            draws scenes, asks, learns, prints
python -m napari_sesami.lab.judge FOLDER --install  puts it into the package, too
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from napari_sesami.lab.judge.jobs import ask_about, nano_of
from napari_sesami.lab.judge.learn import (
    all_beside,
    as_arrays,
    by_family,
    by_seed,
    choose,
    firsts,
    grow,
    left_out,
    own_preference,
    plain_overlap,
    preferences,
    reliability,
)
from napari_sesami.lab.judge.questions import (
    MODALITY,
    AskedPrompt,
    load,
)
from napari_sesami.prompt import ClickJudge, favourite

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
    add("--families", action="store_true", help="also leave out families in turn")
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
                for family in (*MODALITY, "random", "even"):
                    path = given.folder / f"{name}_{family}_{seed}.npz"
                    files[name].append(path)
                    if given.anew or not path.is_file():
                        work = (name, family, seed, path, given.each, given.weights)
                        waiting.append(jobs.submit(ask_about, *work))
        for asked in waiting:
            print(asked.result(), flush=True)
    judge = _learn(files, key, given.families)
    judge.write(given.folder / "judge.safetensors")
    if given.install:
        import napari_sesami.prompt

        place = Path(str(napari_sesami.prompt.__file__)).parent / "pool"
        judge.write(place / "judge.safetensors")


def _learn(
    files: dict[str, list[Path]], key: str, families: bool = False
) -> ClickJudge:
    """Grow all trees; choose how far the plain answer is preferred."""
    questions = all_beside(load([p for p in files["pool"] if p.is_file()]))
    sets = {
        "pool": questions,
        "first": firsts(questions),
        "net": load([p for p in files["net"] if p.is_file()]),
    }
    if families:
        print(f"pool: {len(questions)} questions; families left out in turn")
        _tell(questions, left_out(questions, by_family(questions)))
    guesses = {}
    for name, some in sets.items():
        print(f"\n{name}: {len(some)} questions; seeds left out in turn")
        guesses[name] = left_out(some, by_seed(some))
        _tell(some, guesses[name])
    whole = [i for i, q in enumerate(questions) if len(q.first)]
    early = {i: float(said[0]) for i, said in zip(whole, guesses["first"], strict=True)}
    lean, sure = preferences(questions, guesses["pool"], early, print)
    own = own_preference(sets["net"], guesses["net"], print)
    # the best of many guesses is too good a guess: what the chosen ones were says how
    chosen = {
        "pool": [
            choose(q, said, float(lean[q.prompts]))
            for q, said in zip(questions, guesses["pool"], strict=True)
        ],
        "first": [0] * len(sets["first"]),
        "net": [
            int(np.argmax(said + own * (np.arange(len(said)) == favourite(q.numbers))))
            for q, said in zip(sets["net"], guesses["net"], strict=True)
        ],
    }
    trees = {}
    for name, some in sets.items():
        rows = list(zip(some, guesses[name], chosen[name], strict=True))
        best = np.array([said[i] for _, said, i in rows])
        true = np.array([q.overlap[i] for q, _, i in rows])
        trees[name] = as_arrays(grow(some), best, true)
    return ClickJudge(**trees, lean=lean, sure=sure, own=own, model=key)


def _tell(questions: list[AskedPrompt], said: list[np.ndarray]) -> None:
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
