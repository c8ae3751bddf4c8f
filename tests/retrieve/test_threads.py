"""Pieces of work in threads of their own: in order, ended at once, and none spins."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest
import torch

from napari_sesami.retrieve import threads


@pytest.fixture
def two(monkeypatch):
    monkeypatch.setattr(threads, "workers", lambda pieces: 2)


def test_results_come_in_order_from_threads_that_let_torch_work_alone(two):
    before, seen = torch.get_num_threads(), set()

    def work(n: int) -> tuple[int, int]:
        time.sleep(0.02 * (n % 3 == 0))
        seen.add(threading.get_ident())
        return n, torch.get_num_threads()

    found = list(threads.in_order(work, range(12)))
    assert found == [(n, 1) for n in range(12)]
    assert len(seen) == 2 and threading.get_ident() not in seen
    assert torch.get_num_threads() == before


def test_closing_ends_the_work_and_errors_come_through(two):
    begun = []

    def work(n: int) -> int:
        begun.append(n)
        time.sleep(0.01)
        if n == 30:
            raise ValueError("thirty")
        return n

    with closing(threads.in_order(work, range(1000))) as results:
        assert next(results) == 0
    assert len(begun) < 20
    with pytest.raises(ValueError, match="thirty"):
        list(threads.in_order(work, range(25, 40)))


@pytest.mark.parametrize("wish", [None, "ACTIVE"])
def test_threads_of_openmp_wait_without_spinning_unless_told_otherwise(wish):
    code = "import os, napari_sesami; print(os.environ['OMP_WAIT_POLICY'])"
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    if wish is not None:
        environment["OMP_WAIT_POLICY"] = wish
    told = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert told.stdout.strip() == (wish or "PASSIVE"), told.stderr
