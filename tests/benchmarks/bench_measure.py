"""Speed of measuring: one CD, a whole picture of them, what follows a handle.

pytest tests/benchmarks/bench_measure.py -m benchmark -s
Times are processor seconds, so that a busy machine does not count.
"""

from __future__ import annotations

import resource
import time

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_sesami.lab.metrology.scenes import fins
from napari_sesami.measure import Recipe, Site, Work, measure, results_of
from napari_sesami.scan import Scan

pytestmark = pytest.mark.benchmark
HEAD = 'format = "sesami-measure"\nversion = 1\n'


def cd_recipe(class_, at, window=0.1, kind="object"):
    return Recipe.loads(
        f'{HEAD}[features.it]\nclass = "{class_}"\nkind = "{kind}"\n[[measure]]\n'
        f'name = "CD"\nkind = "cd"\nfeature = "it"\nat = {at}\nwindow = {window}\n'
    )


def test_one_cd():
    drawn = fins(1, count=10).noisy(4.0, 1)
    recipe = cd_recipe("silicon", [0.5], 0.6)
    work = Work(Site(drawn.scan(), drawn.labels, drawn.classes), recipe)
    m = recipe.measure[0]
    results_of(work, m)
    count, start = 0, time.process_time()
    for window in np.linspace(0.55, 0.65, 12):
        moved = m.model_copy(update={"window": float(window)})
        count += sum(r.number > 0 for r in results_of(work, moved))
    seconds = time.process_time() - start
    print(f"\n{count / seconds:.0f} CDs per second and core (bar 250)")
    print(f"ten features follow a handle in {1e3 * seconds / 12:.0f} ms (bar 50)")


def test_a_large_picture():
    side, lines, segments = 4096, 100, 64
    x = np.arange(side)
    phase = (x - 20) % 40.5
    row = (phase < 20).astype(np.float32)
    last = 20 + 40.5 * lines
    row[:20], row[int(last) :] = 0, 0
    image = np.repeat(gaussian_filter(60 + 60 * row, 1.0)[None], side, 0)
    image[:6], image[-6:] = 60, 60
    rng = np.random.default_rng(0)
    image += 6 * rng.standard_normal((side, side), np.float32)
    labels = np.repeat((1 + row).astype(np.uint8)[None], side, 0)
    labels[:6], labels[-6:] = 1, 1
    scan = Scan.from_array(image, pixel_size=0.5, units="nm")
    at = [round((k + 0.5) / segments, 6) for k in range(segments)]
    recipe = cd_recipe("line", at, 1 / segments)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, wall = time.process_time(), time.perf_counter()
    r = measure(scan, labels, {"floor": 1, "line": 2}, recipe)
    seconds, wall = time.process_time() - start, time.perf_counter() - wall
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    ok = sum(v.status == "ok" and v.statistic == "value" for v in r)
    print(
        f"\n{ok} CDs of 4096² in {seconds:.1f} processor seconds ({wall:.1f} s on the "
        f"clock; bar 30), {more:.0f} MB more (bar 300 + picture)"
    )
    assert ok >= 0.98 * lines * segments
