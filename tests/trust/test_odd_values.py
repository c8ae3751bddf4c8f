"""Odd values in any JSON file are a sentence or do no harm; never a traceback."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.trust import odd


@pytest.mark.parametrize("seed", [20261128])
def test_three_hundred_odd_values(seed: int, capsys) -> None:
    found = odd.main(300, seed)
    total: Counter[str] = sum(found.values(), Counter())
    foreign = {k: v for k, v in total.items() if k.startswith("foreign")}
    assert sum(total.values()) == 300
    assert not foreign, found
    assert total["sentence"] > 50  # they do reach the values


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_thousand_more(seed: int) -> None:
    found = odd.main(1000, seed)
    assert not [k for c in found.values() for k in c if k.startswith("foreign")], found
