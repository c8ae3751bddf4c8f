"""Candidates are gathered plane by plane, in flat memory, from maps of any source."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from napari_sesami.suggest import (
    Cost,
    PlaneMaps,
    SuggestError,
    check_maps,
    cost,
    disagreement,
    from_masks,
    gather,
    patches,
    score,
    slices,
    superpixels,
    unview,
    views,
)


def maps(plane=0, side=64, size=16, p=None, **more) -> PlaneMaps:
    if p is None:
        p = np.tile(np.array([0.9, 0.08, 0.02], np.float32), (side, side, 1))
    return PlaneMaps(plane, patches((side, side), size), p, **more)


def test_the_uncertain_region_has_the_highest_means():
    p = maps().p.copy()
    p[20:28, 36:44] = 1 / 3
    table = gather([maps(p=p)], "patch")
    assert len(table) == 16
    row = int(table.entropy.argmax())
    assert table.bbox[row].tolist() == [16, 32, 32, 48]
    assert row == int(table.margin.argmax()) == int(table.bvsb.argmax())


def test_means_are_those_of_the_pixels():
    rng = np.random.default_rng(0)
    p = rng.dirichlet([1, 1, 1], (64, 64)).astype(np.float32)
    table = gather([maps(p=p, size=64)], "slice", step=1)
    assert table.shares[0] == pytest.approx(p.mean((0, 1)), abs=1e-4)
    scores = score(p)
    assert table.margin[0] == pytest.approx(scores.uncertainty.mean(), abs=1e-4)
    assert table.predicted.tolist() == np.bincount(p.argmax(-1).ravel()).tolist()


def test_a_void_of_a_few_pixels_stands_out_as_a_peak():
    p = maps().p.copy()
    p[4:8, 4:8] = [0.4, 0.1, 0.5]
    table = gather([maps(p=p)], "patch")
    assert table.peak[0, 2] > 10 * table.peak[1:, 2].max()
    assert table.heat[0, 2] < table.peak[0, 2]


def test_what_is_labelled_or_ignored_is_not_asked():
    done = np.zeros((64, 64), bool)
    done[:16, :16] = True
    table = gather([maps(labelled=done)], "patch")
    assert len(table) == 15 and [0, 0, 16, 16] not in table.bbox.tolist()
    everything = gather([maps(labelled=~np.zeros((64, 64), bool))], "patch")
    assert len(everything) == 0
    regions = patches((64, 64), 16)
    regions[:, 32:] = 0
    assert len(gather([PlaneMaps(0, regions, maps().p)], "patch")) == 8


def test_tokens_are_averaged_and_the_oddest_one_is_kept():
    tokens = np.zeros((16, 16, 2), np.float32)
    tokens[..., 0] = 1
    tokens[1, 1] = 0, 1
    novelty = np.zeros((64, 64), np.float32)
    novelty[4:8, 4:8] = 0.9
    table = gather([maps(tokens=tokens, novelty=novelty)], "patch")
    assert table.oddest[0].tolist() == [0, 1]
    assert table.tokens[0, 0] > table.tokens[0, 1] > 0
    assert np.linalg.norm(table.tokens, axis=1) == pytest.approx(1)
    assert table.novel.argmax() == 0 and table.novel[0] > 4 * table.novelty[0]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_probabilities_that_are_no_numbers_are_one_sentence(bad):
    p = maps().p.copy()
    p[3, 3, 0] = p[9, 9, 1] = bad
    with pytest.raises(SuggestError, match="2 pixels are not numbers"):
        check_maps(p)
    with pytest.raises(SuggestError, match="not numbers"):
        gather([maps(p=p)], "patch", step=1)
    with pytest.raises(SuggestError, match="not numbers"):
        score(p)


def test_outputs_that_are_no_probabilities_are_one_sentence():
    with pytest.raises(SuggestError, match="softmax"):
        check_maps(np.full((4, 4, 2), 7.0, np.float32))
    with pytest.raises(SuggestError, match="no classes"):
        check_maps(np.zeros((4, 4, 0), np.float32))


def test_maps_of_another_shape_are_one_sentence():
    with pytest.raises(SuggestError, match="segment this plane again"):
        gather([PlaneMaps(3, patches((32, 32), 16), maps().p)], "patch")
    with pytest.raises(SuggestError, match="novelty map of plane 0"):
        gather([maps(novelty=np.zeros((5, 5), np.float32))], "patch")
    with pytest.raises(SuggestError, match="Novelty"):
        score(maps().p, np.zeros((5, 5), np.float32))
    with pytest.raises(SuggestError, match="plane of"):
        check_maps(maps().p, (32, 32))
    other = maps(1, p=np.full((64, 64, 2), 0.5, np.float32))
    with pytest.raises(SuggestError, match="2 classes"):
        gather([maps(0), other], "patch")
    with pytest.raises(SuggestError, match="no planes"):
        gather([], "patch")


def test_one_class_is_certain_everywhere():
    table = gather([maps(p=np.ones((64, 64, 1), np.float32))], "patch")
    assert len(table) == 16
    assert not table.entropy.any() and not table.margin.any()
    assert score(np.ones((8, 8, 1), np.float32)).total.max() == 0


def test_before_there_are_maps_regions_can_be_gathered():
    table = gather([PlaneMaps(0, patches((64, 64), 16))], "patch")
    assert len(table) == 16 and table.n_classes == 0
    assert table.queries([2], [1.0])[0].class_id == 0


def test_a_table_of_many_regions_keeps_a_fair_draw_and_the_best():
    p = np.tile(np.array([0.99, 0.01], np.float32), (64, 64, 1))
    rare = p.copy()
    rare[8:12, 8:12] = 0.5
    planes = (maps(z, size=4, p=rare if z == 17 else p) for z in range(20))
    table = gather(planes, "patch", most=400)
    assert len(table) == 400 and int(table.drawn.sum()) == 200
    found = table.plane[table.peak[:, 1].argmax()]
    assert found == 17
    counts = np.bincount(table.plane[table.drawn], minlength=20)
    assert counts.min() > 0 and counts.max() < 30


def test_memory_does_not_grow_with_the_planes():
    def peak(n: int) -> int:
        rng = np.random.default_rng(0)

        def planes():
            for z in range(n):
                p = rng.random((192, 192, 4), np.float32)
                p /= p.sum(-1, keepdims=True)
                yield PlaneMaps(z, patches((192, 192), 16), p)

        tracemalloc.start()
        gather(planes(), "patch", most=500)
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak(2)  # what is imported on the way
    assert peak(40) < 1.25 * peak(10)


def test_superpixels_follow_borders_and_leave_the_ignored_out():
    image = np.zeros((100, 90), np.float32)
    image[:, 45:] = 1
    ignore = np.zeros(image.shape, bool)
    ignore[90:] = True
    found = superpixels(image, 16, ignore)
    assert found.shape == image.shape
    assert not found[90:].any() and found[:90].min() >= 1
    sides = [np.unique(found[:88, s]) for s in (slice(0, 43), slice(47, None))]
    assert len(np.intersect1d(*sides)) == 0


def test_masks_from_outside_become_regions_that_do_not_overlap():
    disc = np.hypot(*np.mgrid[-5:6, -5:6]) <= 5
    found = from_masks([((0, 0, 11, 11), disc), ((5, 5, 15, 15), None)], (20, 20))
    assert (found == 1).sum() == disc.sum()
    assert (found == 2).sum() == 100 - disc[5:, 5:].sum()
    with pytest.raises(SuggestError, match="does not lie"):
        from_masks([((0, 0, 30, 4), None)], (20, 20))
    with pytest.raises(SuggestError, match="does not fit its box"):
        from_masks([((0, 0, 4, 4), disc)], (20, 20))
    p = np.full((20, 20, 2), 0.5, np.float32)
    table = gather([PlaneMaps(0, found, p)], "mask", step=1)
    query = table.queries([0], [1.0], lambda plane: found)[0]
    assert np.array_equal(query.mask, disc) and query.clicks == 1


def test_a_slice_is_one_region():
    assert slices((4, 5)).tolist() == np.ones((4, 5)).tolist()


def test_cost_counts_what_a_region_holds():
    assert cost("superpixel", 9) == cost("superpixel") == Cost(1, 2)
    assert cost("patch", 1).clicks == 1 < cost("patch", 4).clicks
    assert (cost("patch", 1) + cost("mask")).clicks == 2


def test_answers_on_turned_planes_compare_pixel_by_pixel():
    plane = np.random.default_rng(1).random((6, 9)).astype(np.float32)
    seen = views(plane)
    assert all(not np.array_equal(plane, v) for v in seen[1:])
    back = unview([np.stack([v, 1 - v], -1) for v in seen])
    assert all(np.array_equal(b[..., 0], plane) for b in back)
    assert disagreement(back).max() == pytest.approx(0, abs=1e-5)


def test_answers_of_different_shapes_do_not_compare():
    with pytest.raises(SuggestError, match="different shapes"):
        disagreement([np.ones((2, 2, 1)), np.ones((2, 3, 1))])
