"""Draw the pictures of the model card: scenes, answers, failures, votes.

Run it from anywhere: `python scripts/draw_nano.py [SCANS_PER_FAMILY]`. All pictures are
procedural; real images stay out of the repository.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from napari_sesami.lab.scenes.random_scenes.scenes import random_scene
from napari_sesami.lab.tables.real import stroke_owners
from napari_sesami.lab.tables.synthetic import fresh_scenes, objects
from napari_sesami.models import Nano
from napari_sesami.prompt import Predictor
from napari_sesami.retrieve import Retriever, TokenStore
from napari_sesami.scan import Scan
from napari_sesami.train.sesami.clicks import click_through

IMAGES = Path(__file__).parents[1] / "docs" / "images"


def coloured(regions: np.ndarray) -> np.ndarray:
    """Give every region a colour of its own."""
    palette = np.random.default_rng(3).uniform(0.15, 1, (int(regions.max()) + 1, 3))
    return palette[regions]


def draw_scenes(path: Path, rows: int = 4, columns: int = 3) -> None:
    """Show random scenes beside their truth."""
    figure = Figure(figsize=(4 * columns, 2.1 * rows), layout="constrained")
    for i, axis in enumerate(figure.subplots(rows, columns).flat):
        scene = random_scene([99, i], (256, 256))
        grey = np.repeat(scene.image[..., None] / 255, 3, 2)
        axis.imshow(np.hstack([grey, coloured(scene.regions)]))
        axis.set_title(scene.family, fontsize=8)
        axis.axis("off")
    figure.savefig(path, dpi=80)


def draw_answers(nano: Nano, per_family: int, good: Path, bad: Path) -> None:
    """Show typical answers to one click, and the worst ones."""
    predictor, found = Predictor(nano), []
    for i, (family, scan, regions) in enumerate(fresh_scenes(per_family)):
        for truth in objects(regions, np.random.default_rng([5, i]), 2):
            score = click_through(predictor, scan, truth, family, most=3)
            found.append((score, scan, truth))
    found.sort(key=lambda f: f[0].clicks[3])
    middle = [
        found[i] for i in np.linspace(len(found) // 4, len(found) - 1, 10).astype(int)
    ]
    for path, some in ((good, middle), (bad, found[:10])):
        figure = Figure(figsize=(15, 6.4), layout="constrained")
        for axis, (score, scan, truth) in zip(
            figure.subplots(2, 5).flat, some, strict=False
        ):
            _draw_answer(axis, predictor, scan, truth)
            said = " ".join(f"{n}: {v:.2f}" for n, v in score.clicks.items())
            axis.set_title(
                f"{score.group}\nclicks {said} box {score.box:.2f}", fontsize=8
            )
        figure.savefig(path, dpi=80)


def _draw_answer(
    axis: Any, predictor: Predictor, scan: Scan, truth: np.ndarray
) -> None:
    ys, xs = np.nonzero(truth)
    box = (ys.min(), xs.min(), ys.max() + 1, xs.max() + 1)
    answer = predictor.predict(scan, box=box)
    axis.imshow(scan.grey(0), cmap="gray")
    axis.contour(truth, [0.5], colors="lime", linewidths=1)
    if not answer.empty:
        axis.contour(answer.full, [0.5], colors="red", linewidths=1)
    pad = 40
    axis.set_xlim(max(box[1] - pad, 0), min(box[3] + pad, truth.shape[1] - 1))
    axis.set_ylim(min(box[2] + pad, truth.shape[0] - 1), max(box[0] - pad, 0))
    axis.axis("off")


def draw_votes(
    nano: Nano, path: Path, seeds: tuple[int, ...] = (3, 11, 20, 32)
) -> None:
    """Show what three short strokes per class make of a scene, without refinement."""
    figure = Figure(figsize=(3.2 * len(seeds), 9.2), layout="constrained")
    axes = figure.subplots(3, len(seeds))
    for column, seed in enumerate(seeds):
        scene = random_scene([98, seed], (256, 256))
        strokes = _strokes(np.random.default_rng(seed), scene.classes)
        store = TokenStore(Scan.from_array(scene.image), nano.token_encoder())
        store.plane(0)
        retriever = Retriever(store, int(strokes.max()))
        retriever.set_strokes(0, strokes, stroke_owners(strokes))
        retriever.tune()
        found = retriever.segment(0, refine=False).labels
        for axis, picture in zip(
            axes[:, column],
            (scene.image, coloured(scene.classes + 1), coloured(found)),
            strict=True,
        ):  # fmt: skip
            axis.imshow(picture, cmap="gray")
            axis.axis("off")
        y, x = np.nonzero(strokes)
        axes[0, column].scatter(x, y, s=1, c=coloured(strokes)[y, x])
    for axis, title in zip(
        axes[:, 0], ("scan and strokes", "truth", "votes"), strict=True
    ):
        axis.set_title(title, fontsize=9)
    figure.savefig(path, dpi=80)


def _strokes(rng: np.random.Generator, classes: np.ndarray) -> np.ndarray:
    from napari_sesami.lab.pretrain.batches import walks

    out = np.zeros(classes.shape, np.int64)
    for k in np.unique(classes):
        if (classes == k).sum() > 60:
            at = walks(rng, classes == k, 3)
            out[at[:, 0], at[:, 1]] = int(k) + 1
    return out


def main() -> None:
    """Draw everything into docs/images."""
    IMAGES.mkdir(exist_ok=True)
    nano = Nano.bundled()
    draw_scenes(IMAGES / "nano_scenes.png")
    draw_votes(nano, IMAGES / "nano_votes.png")
    per_family = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    draw_answers(
        nano, per_family, IMAGES / "nano_answers.png", IMAGES / "nano_failures.png"
    )


if __name__ == "__main__":
    main()
