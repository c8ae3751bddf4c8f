"""Lots of drawn defects, and the tables of docs/defects.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader as lazy

if TYPE_CHECKING:
    from napari_sesami.lab.defects.draw import draw_lot, save_lot
    from napari_sesami.lab.defects.table import print_table

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={"draw": ["draw_lot", "save_lot"], "table": ["print_table"]},
)
