"""An adapter against its base on specimens that it never saw.

The whole table: ``sesami evaluate adapters --data ../shared/data``.
"""

from __future__ import annotations

import pytest

from napari_sesami.lab.tables.table1 import lines, measure, real_folds, table


@pytest.mark.benchmark
def test_an_adapter_beats_its_base_on_specimens_left_out(shared_data, tmp_path):
    fold = next(real_folds(shared_data, "nasa_superalloy", 3))
    seen = {fold.module(p.scan) for p in fold.pictures if not p.held_out}
    held = {fold.module(p.scan) for p in fold.pictures if p.held_out}
    assert seen.isdisjoint(held)
    rows = measure(fold, tmp_path, {"steps": 60, "rate": 1e-2}, each=4, rival_steps=60)
    print(lines(rows, fold.name))
    found = table(rows)
    assert found["gain"] > 0.01
    assert found["improved"] > 0.5
