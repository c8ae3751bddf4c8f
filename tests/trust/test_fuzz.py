"""Fifteen hundred damaged files: no foreign exception, no crash, nothing hangs."""

from __future__ import annotations

import sys

import pytest


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(sys.platform == "win32", reason="needs fork and limits")
def test_damaged_files_are_refused_in_a_sentence(capsys) -> None:
    from tests.trust import fuzz

    found = fuzz.main(1500)
    with capsys.disabled():
        for (way, result), count in sorted(found.items()):
            print(f"\n{way:20} {result:12} {count}", end="")
    bad = {k: v for k, v in found.items() if k[1] not in ("fine", "sentence")}
    assert sum(found.values()) == 1500
    assert not bad
