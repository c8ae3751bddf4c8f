"""What scoring costs on top of making the maps, and the memory of a large volume.

Run with: pytest tests/benchmarks/bench_suggest.py -m benchmark -s
"""

from __future__ import annotations

import resource
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from napari_sesami import Session
from napari_sesami.scan import Scan
from napari_sesami.suggest import STRATEGIES, PlaneMaps, State, gather, superpixels

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.benchmark
SIDE, CLASSES, ROUNDS = 1024, 4, 5
PLANES = 512


def painted() -> Session:
    """A FinFET scene tiled to 1024², two strokes of each class."""
    from napari_sesami.lab.scenes import tem

    scene = tem("finfet", seed=0, shape=(512, 512))
    session = Session(Scan.from_array(np.tile(scene.image, (2, 2))))
    strokes = np.zeros((SIDE, SIDE), np.uint8)
    for entry in scene.classes[:CLASSES]:
        session.classes.add(entry.name)
    for number, id_ in enumerate(np.unique(scene.labels[scene.labels > 0])[:CLASSES]):
        places = np.argwhere(scene.labels == id_)
        for y, x in places[:: max(1, len(places) // 3)][:3]:
            box = np.s_[y : min(y + 3, 512), x : min(x + 30, 512)]
            strokes[box][scene.labels[box] == id_] = number + 1
    session.paint(strokes, 0)
    return session


def test_scoring_beside_making_the_maps():
    torch.set_num_threads(1)
    session = painted()
    begun = time.process_time()
    session.retrieval.learner.tokens(0, 1.0)
    read = time.process_time() - begun
    grey = session.scan.grey(0)
    retriever = session.retrieval.learner.retriever(1.0)
    votes, cut, scored, chosen = [], [], [], []
    for _ in range(ROUNDS):
        retriever.forget(0)
        t = [time.process_time()]
        found = retriever.segment(0, refine=False)
        t.append(time.process_time())
        regions = superpixels(grey, 24)
        t.append(time.process_time())
        tokens = retriever.store.plane(0)
        maps = PlaneMaps(0, regions, found.votes, np.minimum(found.novelty, 1), tokens)
        table = gather([maps], "superpixel")
        t.append(time.process_time())
        STRATEGIES["rare"].choose(table, 24, State(np.ones(table.n_classes)))
        t.append(time.process_time())
        for kept, spent in zip((votes, cut, scored, chosen), np.diff(t), strict=True):
            kept.append(1e3 * spent)
    ms = {
        "votes": min(votes),
        "superpixels": min(cut),
        "scores": min(scored),
        "choice": min(chosen),
    }
    extra = ms["scores"] + ms["choice"]
    made = 1e3 * read + ms["votes"]
    print(
        f"\n{SIDE}², {CLASSES} classes: tokens {1e3 * read:.0f} ms, "
        + ", ".join(f"{k} {v:.0f} ms" for k, v in ms.items())
        + f"\nscores and choice / maps: {extra / made:.1%}; with superpixels, which are"
        f" cut once per plane: {(extra + ms['superpixels']) / made:.1%}"
    )
    assert extra / made <= 0.10


def test_a_volume_out_of_core(tmp_path: Path):
    """512 × 1024² read plane by plane from the disk: the same memory as 16 planes."""
    import zarr

    volume = zarr.create_array(
        tmp_path / "volume.zarr",
        shape=(PLANES, SIDE, SIDE),
        chunks=(1, SIDE, SIDE),
        dtype="uint8",
    )
    y, x = np.mgrid[:SIDE, :SIDE]
    picture = (127 + 100 * np.sin(x / 9) * np.sin(y / 11)).astype(np.uint8)
    for z in range(PLANES):
        volume[z] = np.roll(picture, z, 1)

    def planes(n: int) -> Iterator[PlaneMaps]:
        for z in range(n):
            grey = np.asarray(volume[z], np.float32) / 255
            p = np.stack([grey, (1 - grey) * 0.9, (1 - grey) * 0.1], -1)
            yield PlaneMaps(z, superpixels(grey, 24), p)

    tops = []
    for n in (16, PLANES):
        begun, used = time.perf_counter(), time.process_time()
        table = gather(planes(n), "superpixel")
        rows = STRATEGIES["rare"].choose(table, 50, State(np.ones(3))).rows
        tops.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        print(
            f"\n{n} planes of {SIDE}²: {time.perf_counter() - begun:.0f} s "
            f"({time.process_time() - used:.0f} s of processor), {len(table)} rows, "
            f"{len(rows)} chosen, peak {tops[-1]:.0f} MB"
        )
    assert tops[1] < tops[0] + 100
