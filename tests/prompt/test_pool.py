"""The pool: candidates that obey, no seams, and a score from the judge."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage
from skimage.segmentation import flood

from napari_sesami.models import Nano, build_tiny_sam
from napari_sesami.prompt import (
    NAMES,
    PLAIN,
    ClickJudge,
    Predictor,
    beside,
    certainty,
    tally,
)
from napari_sesami.prompt.pool import floods
from napari_sesami.prompt.pool.morphology import box_mean, dilated, eroded, evened
from napari_sesami.prompt.pool.pictures import SIDE, windows
from napari_sesami.scan import Scan


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / max((a | b).sum(), 1))


def layered(side: int = 640) -> tuple[np.ndarray, np.ndarray]:
    """A slab that leaves every small window, on another grey, with noise."""
    rng = np.random.default_rng(3)
    slab = np.zeros((side, side), bool)
    slab[side // 4 : side // 4 + 150] = True
    slab[: side // 4, side // 2 : side // 2 + 90] = True
    grey = np.where(slab, 150, 90) + rng.normal(0, 8, slab.shape)
    return np.clip(grey, 0, 255).astype(np.uint8), slab


@pytest.fixture(scope="module")
def nano() -> Nano:
    return Nano.bundled(device="cpu")


@pytest.fixture
def mask() -> np.ndarray:
    return ndimage.gaussian_filter(np.random.default_rng(0).random((60, 90)), 2) > 0.5


def test_morphology_is_that_of_scipy(mask):
    square = np.ones((7, 7), bool)
    np.testing.assert_array_equal(
        dilated(mask, 3), ndimage.binary_dilation(mask, square)
    )
    np.testing.assert_array_equal(
        eroded(mask, 3), ndimage.binary_erosion(mask, square, border_value=1)
    )
    mean = ndimage.uniform_filter(mask.astype(float), 5, mode="nearest")
    np.testing.assert_allclose(box_mean(mask, 5), mean, atol=1e-6)
    nine = ndimage.uniform_filter(mask.astype(float), 3, mode="nearest")
    np.testing.assert_array_equal(evened(mask), nine > 0.5)


def test_floods_are_nested_and_hold_the_seeds():
    picture = ndimage.gaussian_filter(np.random.default_rng(1).random((80, 100)), 4)
    picture = ((picture - picture.min()) / np.ptp(picture)).astype(np.float32)
    seeds = np.array([[40, 50], [10, 12]])
    far = floods.distance(picture, seeds, np.zeros((0, 2), int))
    found = floods.nested(far, seeds)
    assert [t for t, _ in found] == sorted(t for t, _ in found)
    for tolerance, part in found:
        whole, _ = ndimage.label(far <= tolerance)
        wanted = np.isin(whole, whole[tuple(seeds.T)])
        np.testing.assert_array_equal(part, wanted)
    for (_, inner), (_, outer) in pairwise(found):
        assert (outer | ~inner).all()


def test_windows_grow_to_the_whole_plane_and_hold_the_prompts():
    shape, extent = (3000, 2000), (100.0, 900.0, 101.0, 901.0)
    found = list(windows(shape, extent))
    assert [w.shrink for w in found] == [1, 2, 4, 8, 16]
    assert found[-1].box == (0, 0, *shape)
    for w in found:
        assert max(w.size) <= SIDE
        assert w.box[0] <= 100 and w.box[1] <= 900 - SIDE // 8
    wide = list(windows(shape, (100.0, 100.0, 900.0, 900.0)))
    assert wide[0].shrink == 4  # smaller ones do not hold what was pointed at


def test_a_slab_that_leaves_the_view_has_no_seam(nano):
    image, slab = layered()
    mask = Predictor(nano).predict(Scan.from_array(image), points=[(230, 300)])
    assert overlap(mask.full, slab) > 0.95
    _, count = ndimage.label(mask.full)
    assert count == 1
    fill = floods.held(
        ndimage.gaussian_filter(image / 255, 1) > 0.47, np.array([[230, 300]])
    )
    assert overlap(mask.full, slab) >= overlap(fill, slab) - 0.02


def test_candidates_obey_all_prompts(nano):
    image, _ = layered()
    scan, on, off = Scan.from_array(image), [(230, 300), (260, 310)], (90, 360)
    pool = Predictor(nano).pool(scan, points=[*on, off], labels=[1, 1, 0])
    for level in pool.levels():
        for c in level.found:
            scene = level.scene
            assert (
                c.mask[tuple(scene.on.T)].all() and not c.mask[tuple(scene.off.T)].any()
            )
    mask = Predictor(nano).predict(scan, points=[*on, off], labels=[1, 1, 0])
    assert mask.full[230, 300] and mask.full[260, 310] and not mask.full[off]
    boxed = Predictor(nano).predict(scan, box=(200, 200, 330, 330))
    y0, x0, y1, x1 = boxed.bbox
    assert y0 >= 190 and x0 >= 190 and y1 <= 340 and x1 <= 340


def test_the_same_prompts_give_the_same_bits_whatever_was_asked_before(nano):
    image, _ = layered()
    scan = Scan.from_array(image)
    used = Predictor(nano)
    for at in ((20, 20), (400, 500), (100, 350)):
        used.predict(scan, points=[at])
    first, again = (
        p.predict(scan, points=[(230, 300)]) for p in (Predictor(nano), used)
    )
    assert first.score == again.score
    np.testing.assert_array_equal(first.full, again.full)


def test_plain_is_the_net_alone(nano, big_grey_model):
    image, _ = layered(256)
    scan = Scan.from_array(image)
    plain = Predictor(nano, plain=True)
    assert plain.judge is None
    found = plain.predict(scan, points=[(100, 100)], reach=False)
    said = plain.candidates(scan, points=[(100, 100)])
    assert found.score == said[0].score
    grey = Predictor(big_grey_model, plain=True)
    for mask in grey.candidates(scan, points=[(100, 100)]):
        assert any(mask.score == pytest.approx(s) for s in (0.4, 0.5, 0.9, 0))


def test_other_models_get_the_pool_too():
    image, slab = layered()
    scan = Scan.from_array(image)
    pooled = Predictor(build_tiny_sam()).predict(scan, points=[(230, 300)])
    plain = Predictor(build_tiny_sam(), plain=True).predict(scan, points=[(230, 300)])
    # weights drawn at random know nothing; the greys do
    assert overlap(pooled.full, slab) > overlap(plain.full, slab) + 0.2


def test_the_judge_reads_what_it_wrote_and_needs_no_pickle(tmp_path):
    judge = ClickJudge.bundled()
    judge.write(tmp_path / "judge.safetensors")
    again = ClickJudge.read(tmp_path / "judge.safetensors")
    numbers = np.random.default_rng(0).normal(0.5, 1, (40, len(NAMES)))
    numbers[::3, ::2] = np.nan
    assert again.own == judge.own
    for kind in ("pool", "first", "net"):
        old, new = (getattr(j, kind) for j in (judge, again))
        seen = numbers.astype(np.float32)
        seen = beside(seen) if kind == "pool" else seen
        np.testing.assert_array_equal(old.predict(seen), new.predict(seen))
        assert (np.diff(new.true) >= 0).all() and 0 <= new.expect(0.7) <= 1


def test_words_of_a_score():
    scores = (0.8, 0.79, 0.5, 0.49)
    assert [certainty(s) for s in scores] == ["sure", "check", "check", "poor"]
    assert tally(scores) == "1 sure, 2 to check, 1 poor"
    assert tally([0.9]) == "1 sure"


def test_candidates_are_compared_with_each_other_and_with_the_plain_one():
    numbers = np.zeros((3, len(NAMES)), np.float32)
    numbers[:, NAMES.index("source")] = [0, PLAIN, 3]
    numbers[:, NAMES.index("said")] = [0.2, 0.9, 0.5]
    seen = beside(numbers)
    np.testing.assert_array_equal(seen[:, : len(NAMES)], numbers)
    ranks, apart = seen[:, len(NAMES) :][:, :11], seen[:, len(NAMES) + 11 :]
    np.testing.assert_allclose(ranks[:, -1], [0, 1, 0.5])
    np.testing.assert_allclose(apart[:, -2], [-0.7, 0, -0.4], atol=1e-6)
    assert np.isnan(beside(numbers[::2])[:, -1]).all()  # no plain one to compare with


@pytest.mark.parametrize("shape", ["disc", "plate", "comb"])
def test_an_even_region_with_sharp_borders_is_no_worse_than_a_flood(nano, shape):
    y, x = np.mgrid[:512, :512]
    truth = {
        "disc": np.hypot(y - 200, x - 260) < 30,
        "plate": (abs(y - 250) < 140) & (abs(x - 250) < 150),
        "comb": (abs(y - 256) < 25) | ((x % 120 < 50) & (abs(y - 256) < 170)),
    }[shape]
    noise = np.random.default_rng(4).normal(0, 4, truth.shape)
    scan = Scan.from_array((np.where(truth, 170, 80) + noise).astype(np.uint8))
    at = (200, 260) if shape == "disc" else (256, 250)
    smooth = ndimage.gaussian_filter(scan.grey(0, (0, 0, 512, 512)), 1.0)
    fill = flood(smooth, at, tolerance=0.08)
    mask = Predictor(nano).predict(scan, points=[at])
    assert overlap(mask.full, truth) >= overlap(fill, truth) - 0.005
    assert certainty(mask.score) != "poor"


def test_the_plain_answer_is_among_the_candidates_as_it_is(nano):
    image, _ = layered(512)
    scan, clicks = Scan.from_array(image), [(200, 300), (230, 310)]
    last = None
    for count in (1, 2):
        given = {"points": clicks[:count], "labels": [1] * count, "mask": last}
        plain = Predictor(nano, plain=True).predict(scan, **given)
        pool = Predictor(nano).pool(scan, **given)
        levels = list(pool.levels())
        level = next(one for one in levels if one.is_plain.any())
        (number,) = np.flatnonzero(level.is_plain)
        assert level.numbers[number, NAMES.index("source")] == PLAIN
        drawn = pool.draw(level, int(number), 0.5)
        np.testing.assert_array_equal(drawn.full, plain.full)
        # so the next click goes on from it as it does without a pool
        assert drawn.view == plain.view
        last = plain


def test_a_judge_that_prefers_the_plain_answer_gets_it_with_its_own_score(nano):
    image, _ = layered(256)
    scan, predictor = Scan.from_array(image), Predictor(nano)
    plain = Predictor(nano, plain=True).predict(scan, points=[(100, 140)])
    judge = ClickJudge.bundled()
    far = np.full(3, 9, np.float32)
    for lean, sure, who in ((far, far, "pool"), (far, -far, "first")):
        pool = predictor.pool(scan, points=[(100, 140)])
        pool.judge = replace(judge, lean=lean, sure=sure)
        found = pool.solve()
        np.testing.assert_array_equal(found.full, plain.full)
        assert pool.said[0] == who
        trees = getattr(judge, who)
        assert found.score == pytest.approx(trees.expect(pool.said[1]))


def test_later_clicks_look_at_the_windows_of_the_first():
    shape, anchor = (2000, 2000), (900.0, 900.0)
    one = (900.0, 900.0, 901.0, 901.0)
    two = (860.0, 900.0, 901.0, 961.0)
    assert list(windows(shape, one, anchor)) == list(windows(shape, two, anchor))
    away = (900.0, 900.0, 901.0, 1150.0)
    for window in windows(shape, away, anchor):
        assert window.box[3] >= 1150
