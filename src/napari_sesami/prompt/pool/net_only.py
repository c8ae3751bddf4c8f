"""The judge on the net's masks alone, at their resolution: for many prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.prompt.pool.candidates import NET, Candidate, PromptScene, Witness
from napari_sesami.prompt.pool.features import NAMES, describe
from napari_sesami.prompt.pool.level import WindowLevel
from napari_sesami.prompt.view import View

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sesami.prompt.on_view import PromptOnView
    from napari_sesami.prompt.pool.judge import ClickJudge


def judge_net(
    judge: ClickJudge,
    task: PromptOnView,
    logits: Sequence[NDArray[np.float32]],
    said: NDArray[np.float32],
    view: View,
) -> tuple[NDArray[np.intp], NDArray[np.float32]] | None:
    """Rank the net's masks and say what overlap to expect of each; None if it cannot.

    Masks that go against the clicks come last.
    """
    level = net_level(task, logits, said, view)
    if level is None:
        return None
    numbers = [c.number for c in level.found]
    ranks = np.full(len(said), -9.0)
    ranks[numbers] = judge.net.predict(level.numbers)
    scores = np.zeros(len(said), np.float32)
    scores[numbers] = [judge.net.expect(float(r)) for r in ranks[numbers]]
    ranks[numbers[favourite(level.numbers)]] += judge.own
    for i, c in zip(numbers, level.found, strict=True):
        on = c.mask[tuple(level.scene.on.T)]
        off = ~c.mask[tuple(level.scene.off.T)]
        ranks[i] -= 0.5 * (1 - np.concatenate([on, off]).mean())
    return np.argsort(-ranks, kind="stable"), scores


def favourite(numbers: NDArray[np.float32]) -> int:
    """Which of its masks the net itself likes best: surest and steadiest."""
    said, steady = (numbers[:, NAMES.index(name)] for name in ("said", "steady"))
    return int(np.argmax(said + 0.25 * steady))


def net_level(
    task: PromptOnView,
    logits: Sequence[NDArray[np.float32]],
    said: NDArray[np.float32],
    view: View,
) -> WindowLevel | None:
    """Number those of the net's masks that are not empty."""
    if view.cell < 1:
        return None
    window = View(view.box, round(view.cell))
    pictures = task.predictor.shelf.get(task.scan, task.plane, window)
    if pictures.grey.shape != view.cells:
        return None
    rows, columns = view.cells
    inside = np.stack([m[:rows, :columns] for m in logits])
    which = np.flatnonzero((inside > 0).any((1, 2)))
    if not len(which):
        return None
    scene = PromptScene.of(
        pictures, task.prompt, [Witness(view, inside, said, None)], task.shape
    )
    found = []
    for i in which:
        lax = int(np.count_nonzero(inside[i] > -1))
        steady = int(np.count_nonzero(inside[i] > 1)) / max(lax, 1)
        found.append(Candidate(inside[i] > 0, NET, float(said[i]), steady, 0, int(i)))
    numbers = describe(scene, found, task.shape[0] * task.shape[1])
    return WindowLevel(scene, found, numbers, view.inner_sides(task.shape))
