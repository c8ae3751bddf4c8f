"""A lot of drawn defects: pairs of magnifications, templates, and the true classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.classify import Defect, DefectPicture, Lot
from napari_sesami.lab.scenes import DEFECTS, Synthetic, sem_pair

if TYPE_CHECKING:
    from pathlib import Path

SIDE = 224
LOT_SEEDS = 1_000_000
"""Seeds between two lots."""


def draw_lot(
    each: int = 20,
    lot: int = 1,
    *,
    side: int = SIDE,
    defects: tuple[str, ...] = DEFECTS,
    labelled: bool = True,
) -> Lot:
    """Draw a lot: so many pairs of each defect, in turn.

    Parameters
    ----------
    each
        Pairs a class.
    lot
        Its number; every number gives other places, patterns and sessions.
    side
        Rows and columns of each picture.
    defects
        Which kinds, of `napari_sesami.lab.scenes.DEFECTS`.
    labelled
        Whether the lot knows the true classes.
    """
    rng = np.random.default_rng([lot, 17])
    found = []
    for k in range(each * len(defects)):
        name = defects[k % len(defects)]
        pair = sem_pair(
            name, LOT_SEEDS * lot + k, (side, side), marks=False, template=True
        )
        assert pair.template is not None
        angle, away = rng.uniform(0, 2 * np.pi), 140_000 * np.sqrt(rng.random())
        found.append(
            Defect(
                f"L{lot}-{k + 1}",
                _picture(pair.high), _picture(pair.low), _picture(pair.template),
                lot=f"lot {lot}", wafer=f"{lot}-{1 + k % 3}",
                xy=(float(away * np.cos(angle)), float(away * np.sin(angle))),
                label=name if labelled else None,
                labelled_by="file" if labelled else "",
            )
        )  # fmt: skip
    return Lot(found, f"drawn lot {lot}")


def _picture(scene: Synthetic) -> DefectPicture:
    return DefectPicture(scan=scene.scan(), nm=scene.pixel_size[-1])


def save_lot(lot: Lot, folder: Path) -> Path:
    """Write a drawn lot as a folder with a table; gives the table's path."""
    names = {d.id: d.label for d in lot.defects}
    lot.save_folder(folder, names)
    return folder / "defects.csv"
