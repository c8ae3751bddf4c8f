"""A fixed budget of CPU seconds: from where a segmenter should start.

Each start is trained on 1, 4 or 16 labelled pictures of device A, with noise on half of
the batch, and measured when its CPU seconds are spent; what starts from pretraining is
not charged for it. Retrieval is not trained: its seconds are those of its answers.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_sesami.common.checked import read_checked
from napari_sesami.common.disk import write_json
from napari_sesami.lab.semi.devices import CLASSES, A, pictures
from napari_sesami.train import (
    LabelledSet,
    RunConfig,
    Semi,
    SemiConfig,
    labels_by_retrieval,
    overlaps,
    write_set,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from napari_sesami.train import Picture

RATE = 1e-3
WARM = 20
"""Steps until the rate is reached; then it stays, so that a curve is one training."""
LABELLED, TESTED = 40_000, 50_000


@dataclass(frozen=True)
class Start:
    """Where a segmenter starts from."""

    name: str
    architecture: Literal["unet", "deeplab", "nano"]
    encoder: str
    pretrained: bool


STARTS = (
    Start("scratch", "unet", "lite0", False),
    Start("ImageNet", "unet", "lite0", True),
    Start("bundled", "nano", "nano", True),
)


def evaluate_budget(
    out: Path,
    *,
    seconds: Sequence[float] = (10, 30, 60),
    labels: Sequence[int] = (1, 4, 16),
    seeds: int = 1,
    tests: int = 20,
    tell: Callable[[str], None] = print,
) -> list[dict[str, Any]]:
    """Measure every start under the same CPU seconds; rows are kept in `out`.

    Parameters
    ----------
    out
        Folder for `budget.json`; what is in it already is not trained again.
    seconds, labels, seeds
        Of the table.
    tests
        Pictures that judge.
    tell
        Called with each line.
    """
    out.mkdir(parents=True, exist_ok=True)
    file = out / "budget.json"
    rows: list[dict[str, Any]] = []
    if file.is_file():
        rows = read_checked(file, list[dict[str, Any]])
    held = pictures(A, TESTED, tests)
    for seed in range(seeds):
        for count in labels:
            teachers = pictures(A, LABELLED + 100 * seed, count)
            for start in STARTS:
                told = {"start": start.name, "labels": count, "seed": seed}
                wanted = [told | {"seconds": s} for s in sorted(seconds)]
                if all(any(w.items() <= r.items() for r in rows) for w in wanted):
                    continue
                for spent, steps, answers in _trained(
                    start, teachers, held, sorted(seconds), seed
                ):
                    found = overlaps(held, answers, CLASSES, nothing=False)
                    row = told | {
                        "seconds": spent, "steps": steps, "mIoU": found["mIoU"],
                    }  # fmt: skip
                    rows.append(row)
                    tell(_line(row))
                write_json(file, rows)
            told = {"start": "retrieval", "labels": count, "seed": seed}
            if not any(told.items() <= r.items() for r in rows):
                begun = time.process_time()
                answers = labels_by_retrieval(teachers, held, nothing=False)
                cost = round(time.process_time() - begun, 1)
                found = overlaps(held, answers, CLASSES, nothing=False)
                row = told | {"seconds": cost, "steps": 0, "mIoU": found["mIoU"]}
                rows.append(row)
                tell(_line(row))
                write_json(file, rows)
    tell(budget_table(rows))
    return rows


def _trained(
    start: Start,
    teachers: Sequence[Picture],
    held: Sequence[Picture],
    seconds: Sequence[float],
    seed: int,
) -> Iterator[tuple[float, int, list[Any]]]:
    """Train, and give steps and answers whenever some of the seconds are spent."""
    import torch

    options = SemiConfig(
        preset="supervised+noise", modality="TEM", architecture=start.architecture,
        encoder=start.encoder, pretrained=start.pretrained,
    )  # fmt: skip
    config = RunConfig(
        "semi", seed=seed, steps=10**6, rate=RATE, device="cpu", recipe_options=options
    )
    with tempfile.TemporaryDirectory(prefix="sesami-budget-") as folder:
        write_set(Path(folder) / "data", LabelledSet(tuple(teachers), CLASSES))
        recipe = Semi(config, Path(folder))
        torch.manual_seed(seed)
        net = recipe.prepare(torch.device("cpu")).train()
        optimiser = recipe.optimiser(net)
        rates = [group["lr"] for group in optimiser.param_groups]
        rng = np.random.default_rng([seed, len(teachers)])
        generator = torch.Generator().manual_seed(seed)
        spent, step = 0.0, 0
        for limit in seconds:
            while spent < limit:
                begun = time.process_time()
                some = rng.integers(0, recipe.n_examples, config.batch)
                batch = recipe.collate([recipe.example(int(i), rng) for i in some])
                for group, rate in zip(optimiser.param_groups, rates, strict=True):
                    group["lr"] = rate * min(1.0, (step + 1) / WARM)
                optimiser.zero_grad(set_to_none=True)
                torch.autograd.backward(recipe.loss(batch, generator)["loss"])
                torch.nn.utils.clip_grad_norm_(net.parameters(), config.clip)
                optimiser.step()
                recipe.after_step(step)
                step += 1
                spent += time.process_time() - begun
            segmenter = recipe.segmenter()
            answers = [
                segmenter.labels((p.grey / 65535).astype(np.float32)) for p in held
            ]
            net.train()
            yield float(limit), step, answers


def _line(row: dict[str, Any]) -> str:
    return (
        f"{row['start']:<10} {row['labels']:>3} labels, seed {row['seed']}: "
        f"{row['seconds']:>5.0f} CPU s, {row['steps']} steps: mIoU {row['mIoU']:.3f}"
    )


def budget_table(rows: Sequence[dict[str, Any]]) -> str:
    """Means over seeds, in Markdown: a row for each start and count of labels."""
    at = sorted({r["seconds"] for r in rows if r["start"] != "retrieval"})
    head = " | ".join(f"{s:g} CPU s" for s in at)
    lines = [f"| start | labels | {head} |", "|---|---|" + "---|" * len(at)]
    for count in sorted({r["labels"] for r in rows}):
        for start in [s.name for s in STARTS]:
            own = [r for r in rows if (r["start"], r["labels"]) == (start, count)]
            cells = [_mean([r["mIoU"] for r in own if r["seconds"] == s]) for s in at]
            lines.append(f"| {start} | {count} | {' | '.join(cells)} |")
        own = [r for r in rows if (r["start"], r["labels"]) == ("retrieval", count)]
        if own:
            cost = np.mean([r["seconds"] for r in own])
            told = f"{_mean([r['mIoU'] for r in own])} in {cost:.0f} s"
            lines.append(f"| retrieval | {count} | {told}{' |' * len(at)}")
    return "\n".join(lines)


def _mean(values: Sequence[float]) -> str:
    if not values:
        return ""
    spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{spread}"
