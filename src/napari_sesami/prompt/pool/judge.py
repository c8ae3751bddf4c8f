"""ClickJudge: boosted trees that predict how well a candidate covers what was meant.

The trees are plain arrays, learnt on procedural scans by `napari_sesami.lab.judge`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.prompt.errors import PromptError
from napari_sesami.prompt.pool.features import COMPARED, NAMES, RANKED

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sesami.prompt.prompts import Prompt

SETS = ("pool", "first", "net")
KINDS = ("one click", "clicks", "box")
FILE = "judge.safetensors"
ARRAYS = ("feature", "threshold", "left", "right", "value", "missing")


@dataclass(frozen=True, eq=False)
class JudgeTrees:
    """Regression trees as arrays (trees, nodes); leaves point at themselves.

    `missing` says whether an unknown number goes left. The sum of all leaves and `base`
    is the overlap; `said` to `true` turns that of the chosen one into what to expect of
    it (the best of many guesses is too good a guess).
    """

    feature: NDArray[np.int16]
    threshold: NDArray[np.float32]
    left: NDArray[np.int16]
    right: NDArray[np.int16]
    value: NDArray[np.float32]
    missing: NDArray[np.bool_]
    base: float
    depth: int
    said: NDArray[np.float32]
    true: NDArray[np.float32]

    def predict(self, numbers: NDArray[np.float32]) -> NDArray[np.float32]:
        """Predict the overlap (K,) of candidates from their numbers (K, F)."""
        rows = np.arange(len(numbers))[:, None]
        trees = np.arange(len(self.feature))[None]
        node = np.zeros((len(numbers), len(self.feature)), np.intp)
        for _ in range(self.depth):
            seen = numbers[rows, self.feature[trees, node]]
            go = np.where(
                np.isnan(seen),
                self.missing[trees, node],
                seen <= self.threshold[trees, node],
            )
            node = np.where(go, self.left[trees, node], self.right[trees, node])
        return np.asarray(self.base + self.value[trees, node].sum(1), np.float32)

    def expect(self, predicted: float) -> float:
        """What overlap to expect of the chosen candidate, 0 to 1."""
        return float(np.interp(predicted, self.said, self.true))


@dataclass(frozen=True, eq=False)
class ClickJudge:
    """Three sets of trees, and how far the net's own choice is preferred.

    `pool` judges all candidates, `beside` each other, `first` the plain answer before
    others are asked, `net` the net's masks of one quick look. By `KINDS` of prompts:
    `lean` is added to the plain answer when choosing, and from `sure` on nobody else is
    asked. `own` is added to the net's favourite when choosing among its masks alone.
    """

    pool: JudgeTrees
    first: JudgeTrees
    net: JudgeTrees
    lean: NDArray[np.float32]
    sure: NDArray[np.float32]
    own: float
    model: str = ""
    """Key of the weights that it was learnt beside."""

    @classmethod
    @cache
    def bundled(cls) -> ClickJudge:
        """Read the judge that comes with the package."""
        with as_file(files("napari_sesami.prompt.pool") / FILE) as path:
            return cls.read(path)

    @classmethod
    def read(cls, path: Path) -> ClickJudge:
        """Read what `write` wrote."""
        from safetensors import safe_open

        with safe_open(path, framework="np") as file:
            facts = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}
        if json.loads(facts.get("names", "[]")) != _known_names():
            raise PromptError(
                f"{path} was learnt from other numbers than this version counts; "
                "learn it anew: python -m napari_sesami.lab.judge."
            )
        if "own" not in arrays:
            raise PromptError(
                f"{path} was learnt for an earlier version; learn it anew: "
                "python -m napari_sesami.lab.judge."
            )
        trees = {name: _trees(arrays, name) for name in SETS}
        return cls(
            trees["pool"], trees["first"], trees["net"],
            arrays["lean"], arrays["sure"], float(arrays["own"]),
            facts.get("model", ""),
        )  # fmt: skip

    def write(self, path: Path) -> None:
        """Write all arrays and the names of the numbers."""
        from safetensors.numpy import save

        from napari_sesami.common.disk import write_atomic

        arrays: dict[str, NDArray[Any]] = {"lean": self.lean, "sure": self.sure}
        arrays["own"] = np.array(self.own, np.float32)
        for name in SETS:
            trees: JudgeTrees = getattr(self, name)
            for key in (*ARRAYS, "said", "true"):
                arrays[f"{name}.{key}"] = np.ascontiguousarray(getattr(trees, key))
            arrays[f"{name}.base"] = np.array([trees.base, trees.depth], np.float64)
        facts = {"names": json.dumps(_known_names()), "model": self.model}
        write_atomic(path, save(arrays, facts))


def kind_of(prompt: Prompt) -> int:
    """Which of `KINDS` a prompt is."""
    if prompt.box is not None:
        return 2
    return 0 if prompt.is_one_click else 1


def _known_names() -> list[str]:
    """Everything that is counted, in order: what a judge must have been learnt from."""
    return [*NAMES, *RANKED, *COMPARED]


def _trees(arrays: Mapping[str, NDArray[Any]], name: str) -> JudgeTrees:
    base, depth = arrays[f"{name}.base"]
    given = {key: arrays[f"{name}.{key}"] for key in (*ARRAYS, "said", "true")}
    return JudgeTrees(**given, base=float(base), depth=int(depth))
