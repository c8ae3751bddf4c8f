"""Scores mean what their names say; regions are asked once and rare ones are found."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sesami.suggest import (
    Mix,
    SuggestError,
    best_versus_second,
    class_weights,
    disagreement,
    entropy,
    impurity,
    margin,
    near_duplicates,
    patches,
    score,
    score_regions,
    spread,
    stratified,
    superpixels,
)

SURE = np.array([[1.0, 0, 0]], np.float32)
EVEN = np.full((1, 3), 1 / 3, np.float32)
LEVEL = np.array([[0.5, 0.5, 0]], np.float32)


@pytest.mark.parametrize("measure", [entropy, margin, best_versus_second])
def test_uncertainty_runs_from_zero_to_one(measure):
    assert measure(SURE)[0] == pytest.approx(0, abs=1e-6)
    assert measure(EVEN)[0] == pytest.approx(1, abs=1e-6)


def test_margin_sees_a_tie_of_two_where_entropy_sees_half():
    assert margin(LEVEL)[0] == pytest.approx(1)
    assert 0.6 < entropy(LEVEL)[0] < 0.64


def test_agreeing_to_be_unsure_is_no_disagreement():
    assert disagreement([EVEN, EVEN])[0] == pytest.approx(0, abs=1e-6)
    opposite = [SURE, SURE[:, ::-1]]
    assert disagreement(opposite)[0] > 0.6
    with pytest.raises(SuggestError, match="two answers"):
        disagreement([EVEN])


def test_impurity_is_high_only_where_classes_meet():
    p = np.zeros((20, 20, 2), np.float32)
    p[:, :10, 0] = p[:, 10:, 1] = 1
    found = impurity(p)
    assert found[:, 9:11].min() > 0.9
    assert found[:, :8].max() < 1e-3 and found[:, 12:].max() < 1e-3


def test_the_published_weight_saturates_and_ours_tells_rare_from_very_rare():
    shares = np.array([0.85, 0.08, 0.06, 0.009, 0.001])
    published = class_weights(shares, how="exp")
    ours = class_weights(shares, how="sqrt")
    assert published[4] / published[2] == pytest.approx(1.06, abs=0.01)
    assert ours[3] / ours[2] > 2
    assert ours.max() <= 8 and ours.min() == 1


def test_a_class_labelled_but_never_predicted_is_looked_for():
    predicted = np.array([990.0, 10, 0])
    labelled = np.array([50.0, 45, 5])
    assert class_weights(predicted, labelled)[2] == 8


def test_the_rare_void_outranks_equally_uncertain_background():
    p = np.tile(np.array([0.9, 0.08, 0.02], np.float32), (32, 32, 1))
    p[4:8, 4:8] = [0.5, 0.5, 0.0]
    p[20:24, 20:24] = [0.0, 0.5, 0.5]
    predicted = np.array([1e6, 1e4, 100.0])
    total = score(p, predicted=predicted).total
    assert total[21, 21] > total[5, 5] > total[0, 0]
    flat = score(p, predicted=predicted, mix=Mix(rare="none", novelty=0)).total
    assert flat[21, 21] == pytest.approx(flat[5, 5])


def test_novelty_finds_what_no_class_claims():
    p = np.tile(np.array([0.98, 0.02], np.float32), (16, 16, 1))
    novelty = np.zeros((16, 16), np.float32)
    novelty[8, 8] = 0.9
    total = score(p, novelty).total
    assert np.unravel_index(total.argmax(), total.shape) == (8, 8)
    assert 0 <= total.min() and total.max() <= 1


def test_regions_cover_everything_once():
    labels = patches((300, 260), 128)
    assert sorted(np.unique(labels)) == [1, 2, 3, 4]
    rng = np.random.default_rng(0)
    found = superpixels(rng.random((90, 70)).astype(np.float32), 16)
    assert found.min() == 1 and found.shape == (90, 70)


def test_the_best_region_comes_first_and_labelled_ones_are_left_out():
    p = np.tile(np.array([0.95, 0.05], np.float32), (256, 256, 1))
    p[128:, 128:] = 0.5
    regions = patches((256, 256), 128)
    queries = score_regions(score(p), p, regions, 3, "patch")
    assert queries[0].bbox == (128, 128, 256, 256)
    assert queries[0].plane == 3 and len(queries) == 4
    done = regions == 4
    left = score_regions(score(p), p, regions, 3, "patch", labelled=done)
    assert len(left) == 3 and all(q.bbox != (128, 128, 256, 256) for q in left)


def test_asked_regions_do_not_overlap():
    p = np.random.default_rng(0).dirichlet([1, 1], (128, 128)).astype(np.float32)
    queries = score_regions(score(p), p, patches((128, 128), 16), 0, "patch")
    chosen = spread(queries, 10, gap=1)
    covered = np.zeros((128, 128), int)
    for q in chosen:
        covered[q.bbox[0] : q.bbox[2], q.bbox[1] : q.bbox[3]] += 1
    assert covered.max() == 1


def test_stratified_queries_ask_every_class_and_calm_down():
    p = np.zeros((160, 160, 2), np.float32)
    p[..., 0], p[..., 1] = 0.6, 0.4
    p[:16, :16] = [0.1, 0.9]  # the only region of class 2, and a sure one
    queries = score_regions(score(p), p, patches((160, 160), 16), 0, "patch")
    for round_ in (0, 9):
        assert 2 in {q.class_id for q in stratified(queries, 10, round_)}
    first = [q.bbox for q in stratified(queries, 10, 0, seed=1)]
    assert first == [q.bbox for q in stratified(queries, 10, 0, seed=1)]
    assert first != [q.bbox for q in stratified(queries, 10, 0, seed=2)]


def test_slices_that_look_alike_are_asked_once():
    rng = np.random.default_rng(0)
    base = rng.normal(size=(3, 16)).astype(np.float32)
    stack = np.repeat(base, 4, axis=0) + 1e-3 * rng.normal(size=(12, 16))
    assert near_duplicates(stack.astype(np.float32)).sum() == 9
