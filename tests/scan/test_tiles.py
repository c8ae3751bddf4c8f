from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sesami.scan import TilePlan


@st.composite
def plans(draw: st.DrawFn) -> TilePlan:
    n = draw(st.integers(1, 3))
    top = 90 if n < 3 else 25
    shape = [draw(st.integers(1, top)) for _ in range(n)]
    align = draw(st.sampled_from([1, 4]))
    tile = draw(st.integers(1, 6)) * align
    overlap = draw(st.integers(0, tile - align))
    return TilePlan.of(shape, tile, overlap, align)


@settings(max_examples=60, deadline=None)
@given(plans())
def test_merging_what_was_cut_gives_the_array_back(plan: TilePlan):
    array = np.random.default_rng(0).random(plan.shape).astype(np.float32)
    whole = plan.merge(lambda i: plan.cut(array, i, pad=True))
    np.testing.assert_allclose(whole, array, atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(plans())
def test_cores_cover_every_pixel_once_and_lie_in_their_tiles(plan: TilePlan):
    seen = np.zeros(plan.shape, int)
    for i, box in enumerate(plan):
        seen[plan.core(i)] += 1
        for core, own in zip(plan.core(i), box, strict=True):
            assert own.start <= core.start <= core.stop <= own.stop
    assert (seen == 1).all()


def test_seams_vanish_when_tiles_disagree_a_little():
    plan = TilePlan.of((64, 300), tile=64, overlap=24)
    tilted = plan.merge(lambda i: np.full(plan.size(i), float(i)))
    assert np.abs(np.diff(tilted[0])).max() <= 1 / 24 + 1e-6


def test_aligned_tiles_start_on_the_token_grid_and_reach_the_edge():
    plan = TilePlan.of((500, 333), tile=128, overlap=32, align=16)
    assert all(s.start % 16 == 0 for box in plan for s in box)
    assert max(box[0].stop for box in plan) == 500
    assert max(box[1].stop for box in plan) == 333


def test_tiles_come_outward_from_the_point_of_interest():
    plan = TilePlan.of((1000, 1000), tile=128, overlap=0)
    order = plan.order(near=(900, 100))
    assert sorted(order) == list(range(len(plan)))
    y, x = plan[order[0]]
    assert y.start <= 900 < y.stop and x.start <= 100 < x.stop
    far = plan[order[-1]]
    assert far[0].start == 0 and far[1].stop == 1000


def test_touching_finds_the_tiles_of_a_box():
    plan = TilePlan.of((100, 100), tile=50, overlap=0)
    assert plan.touching((0, 0), (10, 10)) == [0]
    assert plan.touching((45, 45), (55, 55)) == [0, 1, 2, 3]


@pytest.mark.parametrize("shape", [(8, 8), (64, 30_000), (30_000, 8), (1, 1)])
def test_tiny_and_very_long_arrays_are_cut(shape: tuple[int, int]):
    plan = TilePlan.of(shape, tile=512, overlap=64)
    assert all(n <= 512 for i in range(len(plan)) for n in plan.size(i))
    array = np.arange(shape[0] * shape[1], dtype=np.float32).reshape(shape) % 251
    assert plan.cut(array, len(plan) - 1, pad=True).shape == (512, 512)
    np.testing.assert_allclose(
        plan.merge(lambda i: plan.cut(array, i)), array, rtol=1e-5
    )


def test_channels_in_front_are_kept():
    plan = TilePlan.of((40, 40), tile=16, overlap=4)
    votes = np.random.default_rng(1).random((3, 40, 40)).astype(np.float32)
    merged = plan.merge([plan.cut(votes, i) for i in range(len(plan))])
    np.testing.assert_allclose(merged, votes, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"shape": (0, 5)}, "at least 1"),
        ({"shape": (9, 9), "tile": 4, "overlap": 4}, "smaller than the tile"),
        ({"shape": (9, 9), "tile": 6, "overlap": 0, "align": 4}, "multiple"),
        ({"shape": (9, 9), "tile": (4, 4, 4)}, "3 numbers for 2 axes"),
    ],
)
def test_impossible_plans_are_refused_with_a_sentence(arguments: dict, word: str):
    with pytest.raises(ValueError, match=word):
        TilePlan.of(**arguments)


def test_tiles_do_not_load_torch():
    code = "import sys, napari_sesami.scan.tiles; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
