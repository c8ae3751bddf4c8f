"""Retrieval: votes against the bare product, each stage, memory, many strokes.

Run with: pytest tests/benchmarks/bench_retrieve.py -m benchmark -s

Times are of the processor, so that other programs disturb them little.
"""

from __future__ import annotations

import resource
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from napari_sesami import Session
from napari_sesami.retrieve import METHODS, Rows, VoteTemperature, overlapping, worth
from napari_sesami.retrieve.voting import count_votes
from napari_sesami.scan import Scan

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sesami.retrieve import Retriever

pytestmark = pytest.mark.benchmark
SIDE, CLASSES, DIM, PATCH = 2048, 4, 64, 4  # as of sesami-nano
VOLUME = 512  # planes


def processor(work: Callable[[], Any], rounds: int = 3) -> float:
    """The least processor time of some rounds, in milliseconds."""
    times = []
    for _ in range(rounds):
        begun = time.process_time()
        work()
        times.append(1e3 * (time.process_time() - begun))
    return min(times)


def scene(planes: int = 1, side: int = SIDE) -> tuple[Session, np.ndarray]:
    """A FinFET scene tiled to 2048² with four named classes."""
    from napari_sesami.lab.scenes import tem

    made = tem("finfet", seed=0, shape=(512, 512))
    grid = (side // 512, side // 512)
    image = np.tile(made.image, grid)
    data = (
        image if planes == 1 else np.stack([np.roll(image, i) for i in range(planes)])
    )
    session = Session(Scan.from_array(data))
    for entry in made.classes[:CLASSES]:
        session.classes.add(entry.name)
    return session, np.tile(made.labels, grid)


def strokes(truth: np.ndarray, n: int, long: int = 60, seed: int = 0) -> np.ndarray:
    """n strokes 5 px thick, of the classes in turn."""
    rng = np.random.default_rng(seed)
    out = np.zeros(truth.shape, np.uint8)
    ids = np.unique(truth[truth > 0])[:CLASSES]
    places = [np.argwhere(truth == i) for i in ids]
    for k in range(n):
        c = k % len(ids)
        y, x = places[c][rng.integers(len(places[c]))]
        box = np.s_[max(0, y - 2) : y + 3, max(0, x - long // 2) : x + long // 2]
        out[box] = np.where(truth[box] == ids[c], c + 1, out[box])
    return out


def rows_of(n: int) -> Rows:
    rng = np.random.default_rng(n)
    tokens = rng.normal(size=(n, DIM)).astype(np.float32)
    tokens /= np.linalg.norm(tokens, axis=1, keepdims=True)
    patches = np.full((n, PATCH, PATCH), 255, np.uint8)
    patches[:, 2:4] = (np.arange(n) % CLASSES + 1)[:, None, None]
    where = np.zeros((n, 3), np.int32)
    return Rows(tokens, patches, where, np.arange(n, dtype=np.int64) // 12)


def test_votes_against_the_bare_product():
    cells = (SIDE // PATCH) ** 2
    tokens = torch.from_numpy(rows_of(cells).tokens)
    print(
        f"\n{cells} tokens of {DIM} numbers   product   votes   ratio   (ms, processor)"
    )
    for n in (24, 500, 2000, 8000):
        rows = rows_of(n)
        keys = torch.from_numpy(rows.tokens)
        step = max(1, (1 << 23) // n)

        def product(keys: torch.Tensor = keys, step: int = step) -> None:
            for start in range(0, cells, step):
                tokens[start : start + step] @ keys.T

        floor = processor(product, 2)
        votes = processor(
            lambda r=rows: count_votes(tokens, r, CLASSES, VoteTemperature()), 2
        )
        ratio = votes / floor
        print(f"bank of {n:5d} {floor:24.0f} {votes:7.0f} {ratio:7.1f}")
        assert votes < 60 * floor + 50


def test_each_stage_from_stroke_to_labels():
    session, truth = scene()
    session.retrieval.learner.tokens(0, 1.0)
    before, after = strokes(truth, 12), strokes(truth, 13)
    session.paint(before)
    retriever = session.retrieval.learner.retriever(1.0, tune=False)
    retriever.quick(0)

    def swap() -> None:
        now = session.strokes.plane(0)
        session.strokes.write(after if (now == before).all() else before)

    def stroke() -> None:
        swap()
        session.retrieval.learner.retriever(1.0, tune=False).quick(0)

    def follow() -> None:
        swap()
        session.retrieval.learner.retriever(1.0, tune=False)

    write = processor(swap)
    learn = processor(follow) - write
    whole = processor(stroke)
    stages = {
        "strokes told apart, learned, votes added": learn,
        "probabilities of the tokens": processor(lambda: retriever._probability(0)),
        "labels of the pixels": processor(lambda: retriever.quick(0)),
        "stroke to labels": whole - write,
        "choosing the temperature": processor(retriever.tune, 2),
        "fine borders": processor(lambda: retriever.segment(0), 2),
    }
    for method in METHODS[1:]:
        retriever.settings(method)
        stages[f"{method}: first answer"] = processor(
            lambda w=method: retriever.quick(0, w), 1
        )
        stages[f"{method}: as published"] = processor(
            lambda w=method: retriever.segment(0, method=w), 1
        )
    stages["classes that overlap"] = processor(lambda: overlapping(retriever, 0), 1)
    print(f"\nstages at {SIDE}², {len(retriever.bank)} patches   (ms, processor)")
    for name, milliseconds in stages.items():
        print(f"{name:45s} {milliseconds:7.0f}")
    assert stages["stroke to labels"] < 400


def resident() -> float:
    """Most memory that this process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def test_memory_of_a_volume(tmp_path, monkeypatch):
    monkeypatch.setenv("SESAMI_HOME", str(tmp_path))
    session, truth = scene(6)
    store = session.retrieval.learner.token_store(1.0)
    store._memory = 2 * store.plane(0).nbytes  # as of a volume that does not fit
    session.paint(strokes(truth, 12), plane=0)
    grown = []
    for plane in range(6):
        session.segment(plane, zoom=1.0)
        grown.append(resident())
    files = sorted(store._file(p) for p in range(6) if store._file(p) is not None)
    sizes = [f.stat().st_size for f in files if f.is_file()]
    disk, kept = np.mean(sizes) / 1e6, len(store._planes)
    print(
        f"\n{VOLUME} × {SIDE}²: {disk:.2f} MB of tokens per plane on disk, "
        f"{VOLUME * disk / 1e3:.2f} GB for all; in memory at most 1 GB of them "
        f"({kept} planes here). Most memory held after planes 1…6 of a slab: "
        + ", ".join(f"{g:.0f}" for g in grown)
        + " MB"
    )
    assert len(sizes) == 6 and kept <= 2
    assert grown[-1] - grown[1] < 250


@pytest.mark.timeout(1800)
def test_ten_thousand_strokes_stay_usable():
    side = 1024
    session, _ = scene(side=side)
    rng = np.random.default_rng(0)
    painted = np.zeros((side, side), np.uint8)
    ys, xs = np.meshgrid(np.arange(4, side - 6, 10), np.arange(2, side - 8, 10))
    spots = np.stack([ys.ravel(), xs.ravel()], 1)
    spots = spots[rng.permutation(len(spots))[:10_000]]
    for k, (y, x) in enumerate(spots):
        painted[y : y + 2, x : x + 8] = k % CLASSES + 1
    session.retrieval.learner.tokens(0, 1.0)
    session.paint(painted)
    learn = processor(lambda: session.retrieval.learner.retriever(1.0, tune=False), 1)
    retriever = session.retrieval.learner.retriever(1.0, tune=False)
    first = processor(lambda: retriever.quick(0), 1)
    more = np.zeros_like(painted)
    more[0:4, 100:160] = 1

    def stroke() -> None:
        session.paint(np.roll(more, int(rng.integers(900)), 0))
        session.retrieval.learner.retriever(1.0, tune=False).quick(0)

    one = processor(stroke, 2)
    tuned = processor(lambda: session.retrieval.learner.retriever(1.0), 1)
    refined = processor(lambda: session.retrieval.learner.retriever(1.0).segment(0), 1)
    told = session.retrieval.learner.retriever(1.0).voters.condensed
    judged = judging(retriever, 50)
    assert told is not None
    print(
        f"\n{len(retriever.bank.strokes)} strokes, {told.sentence}\nlearned and "
        f"condensed {learn:.0f} ms, first labels {first:.0f} ms, each stroke after "
        f"{one:.0f} ms, temperature and condensing anew {tuned:.0f} ms, fine borders "
        f"{refined:.0f} ms, 50 judged {judged / 1e3:.1f} s; {side}², processor"
    )
    assert one < 3000


def judging(retriever: Retriever, n: int) -> float:
    """Processor time of judging the first n strokes."""

    class Enough(Exception):
        pass

    asked = [0]

    def check() -> None:
        asked[0] += 1
        if asked[0] > n + len(retriever.bank) // 1000 + 1:
            raise Enough

    def judge() -> None:
        with pytest.raises(Enough):
            worth(retriever, check)

    return processor(judge, 1)
