"""What a user waits for in the first minutes, in a real window.

    pytest tests/benchmarks/bench_first_hour.py -m benchmark -s
    BESIDE=/another/checkout/src pytest …     each beside that one, in turn

Rounds are run one after the other, each in a napari of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import napari_sesami

pytestmark = [pytest.mark.benchmark, pytest.mark.gui]
ROOT = Path(__file__).parents[2]
ROUNDS = 3
TARGETS = {
    "demo window": 6.0,
    "first click": 1.5,
    "click on another object": 0.15,
    "further click": 0.15,
    "find all alike": 5.0,
    "sample": 2.0,
    "switch of scan": 2.0,
}


def one_round(source: Path) -> dict[str, list[float]]:
    paths = os.pathsep.join((str(source), str(ROOT)))
    made = subprocess.run(
        [sys.executable, "-m", "tests.fakes.first_hour", str(time.time())],
        env=os.environ | {"PYTHONPATH": paths},
        cwd=ROOT,
        timeout=900,
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(made.stdout.splitlines()[-1])


def test_the_first_minutes():
    trees = {"here": Path(napari_sesami.__file__).parents[1]}
    if beside := os.environ.get("BESIDE"):
        trees["beside"] = Path(beside)
    rounds = [
        {name: one_round(tree) for name, tree in trees.items()} for _ in range(ROUNDS)
    ]
    print("\nseconds (of processor), medians of", ROUNDS, "rounds")
    for step in rounds[0]["here"]:
        cells = []
        for name in trees:
            wall, cpu = np.median([each[name][step] for each in rounds], axis=0)
            cells.append(f"{name} {wall:.2f} ({cpu:.2f})")
        aim = f"aim {TARGETS[step]:g}" if step in TARGETS else ""
        print(f"{step:26} {'  '.join(cells)}  {aim}")
