"""Speed of sorting defects, in seconds of one core: `pytest … -m benchmark -s`."""

from __future__ import annotations

import time

import numpy as np
import pytest
from tests.fakes.texture import Texture

from napari_sesami.classify import Defect, Lot, LotFeatures, features_of, load_encoder
from napari_sesami.classify.pooling import alone_length, beside_length
from napari_sesami.lab.defects import draw_lot

pytestmark = pytest.mark.benchmark
N, KINDS, DIM = 10_000, 8, 64


def test_a_label_is_answered_among_ten_thousand():
    rng = np.random.default_rng(0)
    lot = Lot([Defect(str(k), lot=f"lot {k % 5}") for k in range(N)])
    of = rng.integers(KINDS, size=N)
    lengths = {
        "high": alone_length(DIM), "low": alone_length(DIM),
        "difference": beside_length(DIM),
    }  # fmt: skip
    views = {
        v: (rng.normal(0, 1, (KINDS, d))[of] + rng.normal(0, 2, (N, d))).astype("f4")
        for v, d in lengths.items()
    }
    c = lot.classifier(encoder=Texture())
    c.use(LotFeatures(views, {}, "x", "x"))
    for k in range(KINDS):
        c.label([str(i) for i in np.flatnonzero(of == k)[:25]], f"class {k}")
    c.decide(0.9)
    took = []
    for k in range(200, 209):
        began = time.process_time()
        c.label(str(k), f"class {of[k]}")
        c.decide(0.9)
        took.append(time.process_time() - began)
    print(f"\nlabel to decisions of {N} defects: {1000 * np.median(took):.0f} ms")
    assert np.median(took) < 0.3


@pytest.mark.parametrize(("name", "most"), [("lite0", 0.1), ("sesami-nano", 0.5)])
def test_features_of_pairs(name, most):
    lot = draw_lot(1, 77)
    pairs = [Defect(d.id, d.high, d.low) for d in lot.defects]
    encoder = load_encoder(name, "cpu")
    features_of(pairs[:2], encoder)
    began = time.process_time()
    features_of(pairs, encoder)
    each = (time.process_time() - began) / len(pairs)
    print(f"\n{name}: {1000 * each:.0f} ms of one core a pair, {2 / each:.0f}/s on two")
    assert each < most
