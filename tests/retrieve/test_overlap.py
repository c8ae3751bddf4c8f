"""Classes that overlap: a wire over epoxy is both."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sesami.retrieve import (
    METHODS,
    RetrieveError,
    Retriever,
    Rows,
    TokenStore,
    overlapping,
)
from napari_sesami.retrieve.bank import UNLABELLED
from napari_sesami.retrieve.overlap import best_threshold, carries
from napari_sesami.scan import Scan
from tests.fakes.texture import Texture

DIE, EPOXY, WIRE = 1, 2, 3


def scene() -> tuple[np.ndarray, np.ndarray]:
    """Die left, epoxy right; a wire crosses both. Masks are (H, W, 3)."""
    rng = np.random.default_rng(0)
    masks = np.zeros((96, 128, 3), bool)
    masks[:, :64, 0] = masks[:, 64:, 1] = masks[40:56, :, 2] = True
    grey = 0.1 + 0.2 * masks[..., 1] + 0.45 * masks[..., 2]
    grey = grey + 0.01 * rng.normal(size=grey.shape)
    return (grey * 1000).astype(np.uint16), masks


def strokes() -> tuple[np.ndarray, ...]:
    """On top: die, epoxy, wire, twice each; below the wires what they run over."""
    top, below = np.zeros((2, 96, 128), np.uint8)
    owners, under = np.zeros((2, 96, 128), np.int64)
    marks = [
        (DIE, np.s_[8:11, 8:30]), (DIE, np.s_[80:83, 20:50]),
        (EPOXY, np.s_[12:15, 80:110]), (EPOXY, np.s_[76:79, 90:120]),
    ]  # fmt: skip
    for name, (class_id, box) in enumerate(marks, 1):
        top[box], owners[box] = class_id, name
    wires = (np.s_[46:49, 10:24], np.s_[44:47, 34:50])
    wires += (np.s_[46:49, 76:90], np.s_[47:50, 100:116])
    for name, box in enumerate(wires, 10):
        top[box], owners[box] = WIRE, name
        below[box], under[box] = (DIE if name < 12 else EPOXY), name + 10
    return top, owners, below, under


@pytest.fixture
def retriever() -> Retriever:
    made = Retriever(TokenStore(Scan.from_array(scene()[0]), Texture()), 3)
    top, owners, below, under = strokes()
    made.set_strokes(0, top, owners, (below, under))
    return made


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


@pytest.mark.parametrize("method", METHODS)
def test_a_wire_over_epoxy_is_both(retriever, method):
    found = overlapping(retriever, 0, method=method)
    truth = scene()[1]
    assert found.masks.shape == truth.shape and found.masks.dtype == bool
    scores = [iou(found.masks[..., c], truth[..., c]) for c in range(3)]
    assert min(scores) > 0.85, scores
    both = truth[..., WIRE - 1] & truth[..., EPOXY - 1]
    assert found.masks[both].all(-1).sum() == 0  # never all three
    assert found.masks[both][:, [EPOXY - 1, WIRE - 1]].all(-1).mean() > 0.85


def test_without_what_lies_below_the_wire_alone_is_there(retriever):
    top, owners, *_ = strokes()
    retriever.set_strokes(0, top, owners)
    masks = overlapping(retriever, 0).masks
    middle = masks[44:52, 80:120]
    assert middle[..., WIRE - 1].mean() > 0.9 and middle[..., EPOXY - 1].mean() < 0.1


def test_taking_strokes_below_back_forgets_them(retriever):
    top, owners, below, under = strokes()
    fresh = Retriever(retriever.store, 3)
    fresh.set_strokes(0, top, owners)
    changed = retriever.set_strokes(0, top, owners)
    assert changed == [20, 21, 22, 23]
    assert sorted(retriever.bank.strokes) == sorted(fresh.bank.strokes)
    np.testing.assert_array_equal(retriever.segment(0).votes, fresh.segment(0).votes)
    retriever.set_strokes(0, top, owners, (below, under))
    assert len(retriever.bank.strokes) == len(fresh.bank.strokes) + 4


def test_the_threshold_is_the_best_by_f1():
    p = np.array([0.9, 0.8, 0.35, 0.3, 0.1, 0.05])
    truth = np.array([True, True, True, False, False, False])
    assert best_threshold(p, truth) == pytest.approx(0.325)
    assert best_threshold(p, np.ones(6, bool)) == 0.5
    assert best_threshold(p, np.zeros(6, bool)) == 0.5
    rng = np.random.default_rng(0)
    for _ in range(30):
        p, truth = rng.random(40).round(2), rng.random(40) > 0.6
        mine = f1(p, truth, best_threshold(p, truth))
        every = max(f1(p, truth, t) for t in np.arange(0.055, 0.95, 0.01))
        assert mine >= every - 1e-9


def f1(p: np.ndarray, truth: np.ndarray, threshold: float) -> float:
    said = p >= threshold
    return 2 * (said & truth).sum() / max(said.sum() + truth.sum(), 1)


def test_a_class_with_one_stroke_gets_an_even_threshold(retriever):
    top, owners, below, under = strokes()
    alone = np.where(owners == 2, 0, top)
    gone = np.where(under < 22, 0, below)
    retriever.set_strokes(0, alone, owners, (gone, under))
    assert overlapping(retriever, 0).thresholds[DIE - 1] == 0.5


def test_rows_on_one_patch_know_of_each_other_pixel_by_pixel():
    patches = np.full((3, 2, 2), UNLABELLED, np.uint8)
    patches[0] = [[1, 1], [1, UNLABELLED]]
    patches[1] = [[2, UNLABELLED], [UNLABELLED, UNLABELLED]]
    patches[2] = [[2, 2], [2, 2]]
    tokens = np.ones((3, 4), np.float32) / 2
    where = np.array([[0, 1, 1], [0, 1, 1], [0, 5, 5]], np.int32)
    found = carries(Rows(tokens, patches, where, np.arange(3)), 2)
    assert found[0].astype(int).tolist() == [[[1, 1], [1, 0]], [[1, 0], [0, 0]]]
    assert found[1].astype(int).tolist() == [[[1, 0], [0, 0]], [[1, 0], [0, 0]]]
    assert not found[2, 0].any() and found[2, 1].all()


def test_nothing_labelled_asks_for_a_stroke():
    made = Retriever(TokenStore(Scan.from_array(scene()[0]), Texture()), 3)
    with pytest.raises(RetrieveError, match="paint a stroke"):
        overlapping(made, 0)
