"""All families of two-dimensional scenes, for training and evaluation."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari_sesami.lab.scenes.cross_sections.section import TEM_KINDS, tem
from napari_sesami.lab.scenes.defect_pairs.pair import DEFECTS, sem_pair
from napari_sesami.lab.scenes.volumes.stack import hbm_slice
from napari_sesami.lab.scenes.wire_bonds.scan import wire_bond

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sesami.lab.scenes.types import Synthetic


def sem(seed: int, magnification: str = "high") -> Synthetic:
    """Draw one picture of a SEM pair; the seed also picks the defect."""
    pair = sem_pair(DEFECTS[seed % len(DEFECTS)], seed)
    return pair.low if magnification == "low" else pair.high


FAMILIES: dict[str, Callable[[int], Synthetic]] = {
    **{
        f"{kind}_{view}": partial(tem, kind, view=view)
        for kind, views in TEM_KINDS.items()
        for view in views
    },
    "sem_low": partial(sem, magnification="low"),
    "sem_high": partial(sem, magnification="high"),
    "hbm_slice": hbm_slice,
    "wire_bond": wire_bond,
}
"""Name of a family to a function from a seed to a scene with noise."""
