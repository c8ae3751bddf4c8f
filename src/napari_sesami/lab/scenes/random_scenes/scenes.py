"""Endless random scenes: the training food of the bundled model.

A scene is a pattern, often with a second pattern inside one of its materials, cracks
through it, and decoys that change the look but not the truth (pores that belong to
their layer). :func:`random_scene` draws one from a seed and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.measure import label

from napari_sesami.lab.scenes.random_scenes.looks import acquire, paint
from napari_sesami.lab.scenes.random_scenes.objects import SECOND, cracks
from napari_sesami.lab.scenes.random_scenes.shapes import FIRST, Layout, random_frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rng = np.random.Generator

PATTERNS = {**FIRST, **SECOND}
WEIGHTS = {
    "layers": 0.2, "fins": 0.08, "holes": 0.09, "grains": 0.08, "bicontinuous": 0.07,
    "precipitates": 0.18, "particles": 0.1, "pools": 0.05, "blocks": 0.05,
    "bumps": 0.03, "cracks": 0.04, "wires": 0.03,
}  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """A picture with its truth: classes by material, regions by connected object."""

    image: NDArray[Any]  # uint8 (y, x)
    classes: NDArray[Any]  # uint8 (y, x), 0..
    regions: NDArray[Any]  # int (y, x), 1.. connected pieces of one class and cell
    family: str


def _choose(rng: Rng, among: list[str]) -> str:
    weights = np.array([WEIGHTS[name] for name in among])
    return str(rng.choice(among, p=weights / weights.sum()))


def name_of_scene(seed: int | list[int]) -> str:
    """Tell the family that :func:`random_scene` draws from a seed, without drawing."""
    return _choose(np.random.default_rng(seed), list(PATTERNS))


def _pattern(
    rng: Rng, shape: tuple[int, int], among: list[str], scale: float = 1.0
) -> tuple[Layout, str]:
    name = _choose(rng, among)
    layout = PATTERNS[name](rng, random_frame(rng, shape, scale))
    return Layout(layout.kinds.astype(np.int16), layout.cells.astype(np.int32)), name


def _inlay(rng: Rng, truth: Layout, looks: NDArray[Any]) -> NDArray[Any]:
    """Put a second pattern into one material: as new classes, or only as its look."""
    shape = (looks.shape[0], looks.shape[1])
    inner, _ = _pattern(
        rng, shape, [n for n in PATTERNS if n not in ("bumps", "wires")]
    )
    host = rng.choice(np.unique(looks))
    where = (looks == host) & (inner.kinds != 0)
    looks = np.where(where, inner.kinds + looks.max() + 1, looks)
    if rng.random() < 0.6:
        truth.cells[where] = inner.cells[where] + truth.cells.max() + 1
        truth.kinds[where] = inner.kinds[where] + truth.kinds.max() + 1
    return looks


def _cut(rng: Rng, truth: Layout, looks: NDArray[Any]) -> NDArray[Any]:
    """Run cracks through one material or through everything; they are a class."""
    shape = (looks.shape[0], looks.shape[1])
    lines = cracks(rng, random_frame(rng, shape)).kinds > 0
    if rng.random() < 0.6:
        lines &= truth.kinds == rng.choice(np.unique(truth.kinds))
    looks = np.where(lines, looks.max() + 1, looks)
    truth.kinds[lines] = truth.kinds.max() + 1
    truth.cells[lines] = 0
    return looks


def _merge(rng: Rng, kinds: NDArray[Any]) -> NDArray[Any]:
    """Call two materials one class, as people do with "background"."""
    present = np.unique(kinds)
    if len(present) < 3 or rng.random() > 0.2:
        return kinds
    a, b = rng.choice(present, 2, replace=False)
    return np.where(kinds == a, b, kinds)


def random_scene(
    seed: int | list[int], shape: tuple[int, int] = (256, 512), *, grown: bool = False
) -> Scene:
    """Draw a random scan with exact truth; the seed alone decides everything.

    With `grown` the largest features of the pattern grow with the shape, so that whole
    objects take up to a third of a large scene; fine ones stay as fine.
    """
    rng = np.random.default_rng(seed)
    scale = min(shape) / 256 if grown else 1.0
    truth, family = _pattern(rng, shape, list(PATTERNS), scale)
    looks = truth.kinds.astype(np.int64)
    for _ in range(int(rng.choice([0, 1, 1, 2]))):
        looks = _inlay(rng, truth, looks)
    if rng.random() < 0.22:
        looks = _cut(rng, truth, looks)
    _, dense = np.unique(looks, return_inverse=True)
    _, cells = np.unique(truth.cells, return_inverse=True)
    looks, cells = dense.reshape(shape), cells.reshape(shape)
    painted, told_apart = paint(rng, looks, cells)
    image = acquire(rng, painted)
    _, kinds = np.unique(_merge(rng, truth.kinds), return_inverse=True)
    kinds = kinds.reshape(shape)
    cells = cells if told_apart else np.zeros_like(cells)
    joint = kinds * (int(cells.max()) + 1) + cells + 1
    regions = label(joint, connectivity=2, background=0)
    return Scene(image, kinds.astype(np.uint8), regions, family)
