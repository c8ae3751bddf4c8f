"""Speed of measuring: one CD, a whole picture of them, what follows a handle.

pytest tests/benchmarks/bench_measure.py -m benchmark -s
Times are processor seconds, so that a busy machine does not count.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.special import ndtr

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


@contextmanager
def memory():
    """Watch how much memory the process takes at most beyond what it has now, in MB."""

    def resident():
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * 4096 / 2**20

    before, most, over = resident(), [0.0], threading.Event()

    def watch():
        while not over.wait(0.02):
            most[0] = max(most[0], resident() - before)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield most
    finally:
        over.set()
        thread.join()


def test_one_cd():
    drawn = fins(1, count=10).noisy(4.0, 1)
    recipe = cd_recipe("silicon", [0.5], 0.6)
    work = Work(Site(drawn.scan(), drawn.labels, drawn.classes), recipe)
    m = recipe.measure[0]
    results_of(work, m)
    rates = []
    for turn in range(10):
        count, start = 0, time.process_time()
        for window in np.linspace(0.55, 0.65, 12) + 1e-4 * turn:
            moved = m.model_copy(update={"window": float(window)})
            count += sum(r.number > 0 for r in results_of(work, moved))
        rates.append(count / (time.process_time() - start))
    best, usual = max(rates), float(np.median(rates))
    print(
        f"\n{best:.0f} CDs per second and core at best of {len(rates)}, {usual:.0f} in "
        f"the median (bar 250)"
    )
    print(f"ten features follow a handle in {1e4 / usual:.0f} ms (bar 50)")


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
    with memory() as more:
        start, wall = time.process_time(), time.perf_counter()
        r = measure(scan, labels, {"floor": 1, "line": 2}, recipe)
        seconds, wall = time.process_time() - start, time.perf_counter() - wall
    ok = sum(v.status == "ok" and v.statistic == "value" for v in r)
    print(
        f"\n{ok} CDs of 4096² in {seconds:.1f} processor seconds ({wall:.1f} s on the "
        f"clock; bar 30), {more[0]:.0f} MB more (bar 300 + picture)"
    )
    assert ok >= 0.98 * lines * segments


@pytest.mark.timeout(3600)
def test_a_volume_of_2048_cubed(tmp_path):
    """Bumps in a lazy volume of 8.6 GB that is all but empty on disk."""
    zarr = pytest.importorskip("zarr")
    import dask.array as da

    side, pitch, radius, tall = 2048, 256, 24.0, 40
    kind = {"shape": (side,) * 3, "chunks": (64, 256, 256), "dtype": "uint8"}
    grey = zarr.create_array(tmp_path / "grey.zarr", **kind, fill_value=60)
    labels = zarr.create_array(tmp_path / "labels.zarr", **kind, fill_value=1)
    rng = np.random.default_rng(0)
    sizes = {}
    for z in (320, 960, 1600):
        for y in range(pitch // 2, side, 2 * pitch):
            for x in range(pitch // 2, side, 2 * pitch):
                own = radius + float(rng.uniform(-1, 1))
                at = rng.uniform(-0.5, 0.5, 2)
                ys, xs = np.ogrid[-40:40, -40:40]
                away = np.hypot(ys - at[0], xs - at[1]) - own
                step = 60 + 120 * ndtr(-away / 1.1)
                block = step + rng.normal(0, 8, (tall, 80, 80))
                place = np.s_[z : z + tall, y - 40 : y + 40, x - 40 : x + 40]
                grey[place] = np.clip(np.rint(block), 0, 255).astype(np.uint8)
                labels[place] = np.repeat(
                    np.where(away < 0, 2, 1).astype(np.uint8)[None], tall, 0
                )
                sizes[z, y, x] = 2 * own
    scan = Scan.from_array(
        da.from_zarr(grey),
        axes=("z", "y", "x"),
        pixel_size=(0.5,) * 3,
        units=("µm",) * 3,
    )
    recipe = Recipe.loads(
        f'{HEAD}unit = "µm"\n[features.bump]\nclass = "bump"\n'
        f"expect = {{ count = {len(sizes)} }}\n"
        + "".join(
            f'[[measure]]\nname = "{k}"\nkind = "{k}"\nfeature = "bump"\n'
            for k in ("via diameter", "via tilt")
        )
    )
    with memory() as more:
        start, wall = time.process_time(), time.perf_counter()
        r = measure(scan, da.from_zarr(labels), {"host": 1, "bump": 2}, recipe)
        seconds, wall = time.process_time() - start, time.perf_counter() - wall
    found = [v for v in r["via diameter"] if v.has_value and v.number]
    true = np.array(list(sizes.values())) / 2  # layers, rows, columns: as numbered
    error = np.array([v.value for v in found]) - true
    print(
        f"\n{len(found)} bumps of 2048³ in {seconds:.0f} processor seconds ({wall:.0f} "
        f"s on the clock), {more[0]:.0f} MB more (bar 1000); diameters off by at most "
        f"{np.abs(error).max():.2f} µm"
    )
    assert not r.failures
    assert len(found) == len(sizes) and np.abs(error).max() < 0.1
    assert more[0] < 1000
