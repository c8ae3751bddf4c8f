"""The bundled architecture behind the predictor; its weights are random here."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_sesami.models import Nano, NanoNet
from napari_sesami.prompt import EmbeddingStore, Predictor
from napari_sesami.scan import Scan


@pytest.fixture(scope="module")
def nano() -> Nano:
    torch.manual_seed(0)
    return Nano(NanoNet(), device="cpu")


@pytest.fixture
def scan() -> Scan:
    rng = np.random.default_rng(0)
    return Scan.from_array(rng.integers(0, 255, (300, 420)).astype(np.uint8))


@pytest.mark.parametrize(
    "given",
    [
        {"points": [(150, 200)]},
        {"points": [(150, 200), (10, 10)], "labels": [1, 0]},
        {"box": (100, 100, 180, 240)},
        {"box": (0, 0, 300, 420)},
        {"strokes": [[(20, 20), (30, 90)]]},
        {"lasso": [(20, 20), (90, 30), (60, 100)]},
        {"points": [(150, 200)], "box": (100, 100, 180, 240)},
    ],
)
def test_every_kind_of_prompt_is_answered(nano: Nano, scan: Scan, given: dict):
    mask = Predictor(nano).predict(scan, **given, reach=False)
    assert mask.full.shape == (300, 420)
    assert 0 <= mask.score <= 1


def test_clicks_are_corrected_with_the_last_answer(nano: Nano, scan: Scan):
    predictor = Predictor(nano)
    first = predictor.predict(scan, points=[(150, 200)], reach=False)
    second = predictor.predict(
        scan, points=[(150, 200), (160, 210)], labels=[1, 0], mask=first, reach=False
    )
    assert second.view == first.view
    assert second.logits is not None and first.logits is not None
    assert second.logits.shape == first.logits.shape


def test_embeddings_from_disk_give_the_same_mask(nano: Nano, scan: Scan, tmp_path):
    there = Predictor(nano, EmbeddingStore(folder=tmp_path)).predict(
        scan, points=[(150, 200)], reach=False
    )
    back = Predictor(nano, EmbeddingStore(folder=tmp_path)).predict(
        scan, points=[(150, 200)], reach=False
    )
    np.testing.assert_array_equal(there.full, back.full)


@pytest.mark.parametrize("shape", [(8, 8), (8, 900), (1, 1), (17, 33)])
def test_odd_sizes_are_answered(nano: Nano, shape: tuple[int, int]):
    image = np.arange(shape[0] * shape[1], dtype=np.float32).reshape(shape)
    mask = Predictor(nano).predict(image, points=[(0, 0)], reach=False)
    assert mask.full.shape == shape
    many = Predictor(nano).predict_many(image, points=[(0, 0), (shape[0] - 1, 0)])
    assert [m.full.shape for m in many] == [shape, shape]


def test_small_objects_are_looked_at_enlarged_and_stay_so(scan: Scan) -> None:
    from napari_sesami.models import Nano

    y, x = np.mgrid[:300, :420]
    dot = np.hypot(y - 150, x - 200) < 7
    noise = np.random.default_rng(0).normal(0, 8, dot.shape)
    dots = Scan.from_array(np.clip(90 + 90 * dot + noise, 0, 255).astype(np.uint8))
    predictor = Predictor(Nano.bundled(device="cpu"))
    first = predictor.predict(dots, points=[(150, 200)])
    assert first.view is not None and first.view.grow == 2
    second = predictor.predict(
        dots, points=[(150, 200), (150, 215)], labels=[1, 0], mask=first
    )
    assert second.view == first.view
    for mask in (first, second):
        assert (mask.full & dot).sum() / (mask.full | dot).sum() > 0.8
