"""Bank and votes: thin strokes count, and learning can be taken back exactly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sesami.retrieve import Bank, RetrieveError, VoteTemperature, touched_rows
from napari_sesami.retrieve.bank import UNLABELLED
from napari_sesami.retrieve.voting import balanced, count_votes, shares, tune, with_area

GRID, PATCH, DIM = 8, 4, 6


def unit(rng: np.random.Generator, *shape: int) -> np.ndarray:
    x = rng.normal(size=shape).astype(np.float32)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


@given(y=st.integers(0, 31), x=st.integers(0, 31), c=st.integers(1, 5))
@settings(max_examples=50, deadline=None)
def test_a_stroke_of_one_pixel_always_changes_the_bank(y, x, c):
    tokens = unit(np.random.default_rng(0), GRID, GRID, DIM)
    strokes = np.zeros((32, 32), np.uint8)
    strokes[y, x] = c
    rows = touched_rows(strokes, tokens, plane=3, stroke=7)
    assert len(rows) == 1
    assert rows.where.tolist() == [[3, y // PATCH, x // PATCH]]
    assert (rows.patches != UNLABELLED).sum() == 1
    assert rows.patches[0, y % PATCH, x % PATCH] == c
    assert shares(rows, 5, VoteTemperature())[0, c - 1] > 0


def test_only_labelled_pixels_speak():
    tokens = unit(np.random.default_rng(0), GRID, GRID, DIM)
    strokes = np.zeros((32, 32), np.uint8)
    strokes[0, :3] = 2
    strokes[1, 0] = 1
    rows = touched_rows(strokes, tokens, 0, 0)
    np.testing.assert_array_equal(rows.counts(2), [[1, 3]])
    assert rows.coverage[0] == pytest.approx(4 / 16)
    np.testing.assert_allclose(
        shares(rows, 2, VoteTemperature(alpha=0.5))[0], [0.125, 0.375], atol=2**-12
    )


def test_a_plane_that_is_no_multiple_of_the_patch_keeps_its_border():
    tokens = unit(np.random.default_rng(0), 8, 8, DIM)
    strokes = np.zeros((30, 31), np.uint8)
    strokes[29, 30] = 1
    assert touched_rows(strokes, tokens, 0, 0).where.tolist() == [[0, 7, 7]]


@given(st.permutations(range(6)), st.sets(st.integers(0, 5)))
@settings(max_examples=30, deadline=None)
def test_any_order_of_adding_and_removing_equals_a_fresh_start(order, removed):
    rng = np.random.default_rng(1)
    tokens = torch.from_numpy(unit(rng, 50, DIM))
    grid = unit(rng, GRID, GRID, DIM)
    strokes = {}
    for i in range(6):
        painted = np.zeros((32, 32), np.uint8)
        painted[rng.integers(0, 32, 9), rng.integers(0, 32, 9)] = 1 + i % 3
        strokes[i] = touched_rows(painted, grid, 0, i)
    running = np.zeros((50, 3))
    for i in order:
        running += count_votes(tokens, strokes[i], 3, VoteTemperature())[0]
    for i in removed:
        running -= count_votes(tokens, strokes[i], 3, VoteTemperature())[0]
    fresh = np.zeros((50, 3))
    for i in sorted(set(strokes) - removed):
        fresh += count_votes(tokens, strokes[i], 3, VoteTemperature())[0]
    np.testing.assert_array_equal(running, fresh)


def test_a_rare_class_is_heard_beside_a_common_one():
    rng = np.random.default_rng(2)
    common, rare = unit(rng, DIM), unit(rng, DIM)
    grid = np.tile(common, (GRID, GRID, 1))
    grid[0, 0] = rare
    strokes = np.full((32, 32), 1, np.uint8)
    strokes[:4, :4] = 0
    strokes[0, 0] = 2
    rows = touched_rows(strokes, grid, 0, 0)
    temper = VoteTemperature(tau=0.5)
    votes, best = count_votes(torch.from_numpy(rare[None]), rows, 2, temper)
    mass = shares(rows, 2, temper).sum(0)
    assert votes[0, 0] > votes[0, 1]
    assert balanced(votes, mass, temper)[0].argmax() == 1
    assert best[0] == pytest.approx(1, abs=1e-3)


def test_a_class_without_a_stroke_never_wins():
    votes = np.zeros((4, 3))
    p = balanced(votes, np.array([5.0, 0.0, 5.0]), VoteTemperature())
    np.testing.assert_allclose(p, [[0.5, 0, 0.5]] * 4)


def test_another_encoder_is_refused_in_a_sentence():
    bank = Bank(dim=DIM, patch=PATCH)
    rows = touched_rows(np.ones((8, 8), np.uint8), np.ones((2, 2, 9), np.float32), 0, 0)
    with pytest.raises(RetrieveError, match="another encoder"):
        bank.put(0, rows)


def test_tuning_prefers_the_temperature_that_tells_left_out_strokes_apart():
    rng = np.random.default_rng(3)
    centres = unit(rng, 2, DIM)
    parts = []
    for stroke in range(6):
        grid = centres[stroke % 2] + 0.2 * rng.normal(size=(GRID, GRID, DIM))
        painted = np.zeros((32, 32), np.uint8)
        painted[:, stroke] = 1 + stroke % 2
        parts.append(touched_rows(painted, grid.astype(np.float32), 0, stroke))
    from napari_sesami.retrieve import Rows

    temper, score = tune(Rows.join(parts), 2)
    assert score > 0.9
    assert temper.tau < 0.2


def test_an_undecided_token_goes_to_the_class_that_covers_more():
    p = np.zeros((40, 50, 3), np.float32)
    p[..., 0] = 0.95
    p[..., 1] = 0.05
    p[:2, :2] = [0.05, 0.95, 0]
    p[20, 20] = [0.49, 0.51, 0]
    out = with_area(p)
    assert p[20, 20].argmax() == 1 and out[20, 20].argmax() == 0
    assert (out[:2, :2].argmax(-1) == 1).all()  # what is sure of a rare class stays
    assert (out[..., 2] == 0).all()
    np.testing.assert_allclose(out.sum(-1), 1, atol=1e-5)
    np.testing.assert_array_equal(out, with_area(p))


def test_without_power_the_votes_stay():
    p = np.random.default_rng(0).dirichlet([1, 1, 1], (9, 7)).astype(np.float32)
    np.testing.assert_allclose(with_area(p, power=0), p, atol=1e-6)
