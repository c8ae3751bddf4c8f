"""The tables of the model card and of the papers."""

from napari_sesami.lab.tables.nano import compare_states
from napari_sesami.lab.tables.real import real_report
from napari_sesami.lab.tables.synthetic import synthetic_scores, table
from napari_sesami.lab.tables.table1 import compare_adapters

__all__ = [
    "compare_adapters",
    "compare_states",
    "real_report",
    "synthetic_scores",
    "table",
]
