"""Retrieval, sessions and prompts on other processors, as far as one can be another.

Run with: pytest tests/test_other_processors.py -m slow

Each case runs the tests of three rooms in a process whose libraries were told to do
without newer instructions, or in one and two threads.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("retrieve", "session", "prompt")
PROCESSORS = {
    "no vectors": {"ATEN_CPU_CAPABILITY": "default", "OMP_NUM_THREADS": "1"},
    "AVX2": {"ATEN_CPU_CAPABILITY": "avx2", "OMP_NUM_THREADS": "2"},
    "MKL for any processor": {"MKL_CBWR": "COMPATIBLE", "OMP_NUM_THREADS": "1"},
    "two threads": {"OMP_NUM_THREADS": "2"},
}


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("processor", PROCESSORS)
def test_tests_pass_on_another_processor(processor: str, room: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", f"tests/{room}", "-q", "-x"],
        env={**os.environ, **PROCESSORS[processor]},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
