"""Scenes whose every dimension is known, and the table that measuring them gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader as lazy

if TYPE_CHECKING:
    from napari_sesami.lab.metrology.drawn import Drawn, Shape, draw
    from napari_sesami.lab.metrology.scenes import (
        MADE,
        fins,
        holes,
        lines_with_psd,
        nanosheets,
        planar_films,
        spheres,
    )
    from napari_sesami.lab.metrology.table import print_table, self_test
    from napari_sesami.lab.metrology.truth import measure_truth, nearest_truth

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "drawn": ["Drawn", "Shape", "draw"],
        "scenes": [
            "MADE",
            "fins",
            "holes",
            "lines_with_psd",
            "nanosheets",
            "planar_films",
            "spheres",
        ],
        "table": ["print_table", "self_test"],
        "truth": ["measure_truth", "nearest_truth"],
    },
)
