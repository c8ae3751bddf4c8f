"""What a stroke costs while 1, 16 and 64 planes are painted.

Run with: pytest tests/benchmarks/bench_dirty.py -m benchmark -s
"""

from __future__ import annotations

from time import perf_counter

import numpy as np
import pytest
from tests.fakes.texture import Texture

from napari_sesami.session import Session

SIDE, PLANES, STROKES = 1024, (1, 16, 64), 15


def seconds_per_stroke(planes: int) -> float:
    """Paint strokes on the first plane; the median time until its labels are known."""
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (SIDE, SIDE), dtype=np.uint8)
    session = Session(np.broadcast_to(picture, (planes, SIDE, SIDE)))
    session.retrieval.encoder = encoder = Texture()
    encoder.tile = SIDE
    for name in ("a", "b"):
        session.classes.add(name)
    for plane in range(planes):
        session.paint(np.full((8, 8), 1), plane=plane, at=(100, 100))
        session.paint(np.full((8, 8), 2), plane=plane, at=(900, 900))
    session.retrieval.learner.retriever(1.0).quick(0)
    times = []
    for _ in range(STROKES):
        y, x = (int(v) for v in rng.integers(200, 800, 2))
        begin = perf_counter()
        session.paint(np.full((4, 16), 1 + y % 2), plane=0, at=(y, x))
        session.retrieval.learner.retriever(1.0, tune=False).quick(0)
        times.append(perf_counter() - begin)
    return float(np.median(times))


@pytest.mark.benchmark
def test_a_stroke_costs_the_same_however_many_planes_are_painted() -> None:
    spent = {planes: seconds_per_stroke(planes) for planes in PLANES}
    print()
    for planes, seconds in spent.items():
        print(f"{planes:3d} painted planes: {1000 * seconds:.1f} ms a stroke")
    assert spent[64] < 1.5 * spent[1] + 0.01
