"""A first answer from strokes while two other programs are busy.

Run with: pytest tests/benchmarks/bench_busy.py -m benchmark -s

As many threads as torch takes by itself, in a fresh process each: the neighbours make
it wait for the processor, but it must not burn more of it.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.benchmark
NEIGHBOURS, SLOWER, DEARER = 2, 2.5, 1.5
BUSY = "while True: pass"
WORK = """
import time
import numpy as np
from napari_sesami import Session
from napari_sesami.lab.scenes import tem
from napari_sesami.scan import Scan
scene = tem("finfet", seed=0, shape=(512, 512))
session = Session(Scan.from_array(np.tile(scene.image, (2, 2))))
truth = np.tile(scene.labels, (2, 2))
for entry in scene.classes[:3]:
    session.classes.add(entry.name)
strokes = np.zeros(truth.shape, np.uint8)
for c, k in enumerate(np.unique(truth[truth > 0])[:3]):
    y, x = np.argwhere(truth == k)[len(np.argwhere(truth == k)) // 2]
    box = np.s_[max(0, y - 2) : y + 3, max(0, x - 30) : x + 30]
    strokes[box] = np.where(truth[box] == k, c + 1, 0)
session.paint(strokes)
session.retrieval.encoder
import sklearn.ensemble
wall, own = time.perf_counter(), time.process_time()
session.segment()
print(time.perf_counter() - wall, time.process_time() - own)
"""


def first_answer(folder: str) -> tuple[float, float]:
    """Seconds of the clock and of the processor, in a process of its own."""
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    environment["SESAMI_HOME"] = folder
    told = subprocess.run(
        [sys.executable, "-c", WORK], env=environment, capture_output=True, text=True
    )
    assert told.returncode == 0, told.stderr
    wall, processor = map(float, told.stdout.split())
    return wall, processor


def test_busy_neighbours_take_their_share_and_no_more(tmp_path):
    load = os.getloadavg()[0]
    quiet = first_answer(str(tmp_path / "quiet"))
    neighbours = [
        subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(NEIGHBOURS)
    ]
    try:
        busy = first_answer(str(tmp_path / "busy"))
    finally:
        for one in neighbours:
            one.kill()
            one.wait()
    print(
        f"\nfirst answer at 1024², {os.cpu_count()} cores, load {load:.1f} before: "
        f"{quiet[0]:.1f} s ({quiet[1]:.1f} of the processor); with {NEIGHBOURS} busy "
        f"neighbours {busy[0]:.1f} s ({busy[1]:.1f}): {busy[0] / quiet[0]:.2f} and "
        f"{busy[1] / quiet[1]:.2f} times"
    )
    assert busy[1] < DEARER * quiet[1]
    if load < 0.5:  # else the quiet time was none
        assert busy[0] < SLOWER * quiet[0]
