"""What strokes say of pixels: looks by tiles, trees that forget, banks with both."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from scipy import ndimage

from napari_sesami.retrieve import (
    PaintedPixels,
    PixelSamples,
    RetrieveError,
    Retriever,
    TokenStore,
    pixel_features,
    pixel_forest,
    threads,
)
from napari_sesami.retrieve.pixel_features import (
    N_LOOKS,
    PixelFeatures,
    looks_of,
    sample,
    spaced,
)
from napari_sesami.retrieve.pixel_forest import PER_CLASS, PixelForest, joined
from napari_sesami.scan import Scan
from tests.fakes.texture import Texture, stripes, three_strokes


def go_on() -> None:
    """Never stops anything."""


def noise(shape: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(0).random(shape).astype(np.float32)


def painted(strokes: np.ndarray, owners: np.ndarray) -> dict:
    return {(0, 0): PaintedPixels.of(strokes, owners)}


def decided(evidence: PixelForest, strokes, owners, version, off=(), **how):
    """What the forests of these strokes say of plane 0."""
    trees = evidence.learn(painted(strokes, owners), set(off), version, go_on)
    return evidence.decide(0, trees, 3, go_on, **how)


@pytest.fixture
def evidence(tmp_path) -> PixelForest:
    scan = Scan.from_array(stripes()[0])
    return PixelForest(TokenStore(scan, Texture(), folder=tmp_path))


def test_looks_hold_what_they_say():
    image = noise((90, 70))
    y, x = np.array([40, 33]), np.array([30, 41])
    found = PixelFeatures(image).at(y, x, go_on)
    assert found.shape == (2, N_LOOKS)
    np.testing.assert_allclose(found[:, 0], image[y, x], atol=1e-3)
    smooth = ndimage.gaussian_filter(image, 1.0, mode="nearest", truncate=3.0)
    np.testing.assert_allclose(found[:, 1], smooth[y, x], atol=2e-3)


def test_a_dark_line_and_a_bright_line_look_different():
    image = np.full((64, 64), 0.5, np.float32)
    image[20], image[44] = 0.1, 0.9
    dark, bright = PixelFeatures(image).at(
        np.array([20, 44]), np.array([30, 30]), go_on
    )
    ridges = slice(3, 5)  # the Hessian of the finest scale
    assert dark[ridges].max() > 0.05 > bright[ridges].max()
    assert bright[ridges].min() < -0.05 < dark[ridges].min()


def test_tiles_give_what_the_whole_plane_gives(monkeypatch):
    image = noise((200, 180))
    rows, columns = spaced(200, 4), spaced(180, 4)
    whole = PixelFeatures(image).grid(rows, columns, go_on)
    monkeypatch.setattr(pixel_features, "TILE", 64)
    np.testing.assert_allclose(
        PixelFeatures(image).grid(rows, columns, go_on), whole, atol=2e-3
    )


def test_the_grid_holds_the_same_as_single_pixels():
    looks, rows, columns = PixelFeatures(noise((50, 61))), spaced(50, 2), spaced(61, 2)
    grid = looks.grid(rows, columns, go_on)
    y, x = np.meshgrid(rows, columns, indexing="ij")
    np.testing.assert_array_equal(
        grid.reshape(-1, N_LOOKS), looks.at(y.ravel(), x.ravel(), go_on)
    )


def test_maps_are_sampled_between_their_points_and_held_at_the_border():
    maps = np.array([[[0.0, 1.0], [2.0, 3.0]]], np.float32)
    y, x = np.array([0.5, -4.0, 9.0]), np.array([0.5, -4.0, 9.0])
    np.testing.assert_allclose(sample(maps, y, x)[:, 0], [1.5, 0.0, 3.0])


def test_pixels_of_three_layers_are_told_apart(evidence):
    strokes, owners = three_strokes()
    said = decided(evidence, strokes, owners, 1)
    truth = stripes()[1][np.ix_(spaced(130, 2), spaced(118, 2))]
    assert said.shape == (65, 59, 3)
    np.testing.assert_allclose(said.sum(-1), 1, atol=1e-5)
    assert (said.argmax(-1) + 1 == truth).mean() > 0.97


def test_an_erased_stroke_leaves_nothing_behind(evidence, tmp_path):
    strokes, owners = three_strokes()
    before = decided(evidence, strokes, owners, 1)
    more, names = strokes.copy(), owners.copy()
    more[5, 5:50], names[5, 5:50] = 3, 9
    changed = decided(evidence, more, names, 2)
    assert not np.array_equal(changed, before)
    again = decided(evidence, strokes, owners, 3)
    silent = decided(evidence, more, names, 4, {9})
    np.testing.assert_array_equal(again, before)
    np.testing.assert_array_equal(silent, before)


def test_one_class_decides_nothing(evidence):
    strokes, owners = three_strokes()
    strokes[strokes > 1] = 0
    assert evidence.learn(painted(strokes, owners), set(), 1, go_on) is None


def test_a_class_of_thousands_of_pixels_is_thinned_and_mostly_keeps_its_choice(
    evidence,
):
    strokes = np.zeros((130, 118), np.uint8)
    strokes[:30], strokes[60, :50] = 1, 2
    owners = strokes.astype(np.int64)
    first = evidence.samples(painted(strokes, owners), set(), go_on)
    assert np.bincount(first.classes).tolist() == [0, PER_CLASS, 50]
    strokes[30:33] = owners[30:33] = 1
    second = evidence.samples(painted(strokes, owners), set(), go_on)
    rows = {row.tobytes() for row in first.features}
    kept = sum(row.tobytes() in rows for row in second.features)
    assert kept > 0.85 * len(first)


def test_of_a_class_that_no_tree_knows_the_votes_decide():
    votes = np.array([[[0.1, 0.1, 0.8], [0.5, 0.4, 0.1]]], np.float32)
    said = np.array([[[0.5, 0.5, -1], [0.1, 0.9, -1]]], np.float32)
    p = joined(said, votes)
    np.testing.assert_allclose(p.sum(-1), 1, rtol=1e-6)
    assert p.argmax(-1).tolist() == [[2, 1]]


def test_the_work_can_be_stopped(evidence):
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evidence.learn(painted(*three_strokes()), set(), 1, stop)
    trees = evidence.learn(painted(*three_strokes()), set(), 1, go_on)
    with pytest.raises(KeyboardInterrupt):
        evidence.decide(0, trees, 3, stop)


def test_the_same_strokes_give_the_same_bits_whoever_else_was_asked(evidence, tmp_path):
    strokes, owners = three_strokes()
    slow = decided(evidence, strokes, owners, 1)
    quick = decided(evidence, strokes, owners, 1, quick=True)
    assert not np.array_equal(slow, quick)  # fewer trees
    other = PixelForest(evidence.store)
    np.testing.assert_array_equal(decided(other, strokes, owners, 1, quick=True), quick)
    np.testing.assert_array_equal(decided(other, strokes, owners, 1), slow)


def test_threads_and_tiles_change_no_bit(evidence, monkeypatch):
    strokes, owners = three_strokes()
    whole = decided(evidence, strokes, owners, 1)
    monkeypatch.setattr(pixel_forest, "TILE", 32)
    monkeypatch.setattr(threads, "workers", lambda pieces: 4)
    tiled = decided(PixelForest(evidence.store), strokes, owners, 1)
    np.testing.assert_array_equal(tiled, whole)
    part = decided(evidence, strokes, owners, 1, box=(32, 64, 130, 118))
    np.testing.assert_array_equal(part, whole[16:, 32:])


def test_pixels_of_another_scan_are_learned_from_and_silenced_by_name(tmp_path):
    def fresh() -> Retriever:
        scan = Scan.from_array(stripes()[0])
        return Retriever(TokenStore(scan, Texture(), folder=tmp_path), n_classes=3)

    teacher, pupil, poor = fresh(), fresh(), fresh()
    teacher.set_strokes(0, *three_strokes())
    rows, pixels = teacher.bank.rows(), teacher.samples()
    pupil.teach(rows, 3, pixels)
    poor.teach(rows, 3)
    truth = stripes()[1]
    assert (pupil.segment(0).labels == truth).mean() > 0.97
    assert not np.array_equal(pupil.segment(0).votes, poor.segment(0).votes)
    assert len(pupil.samples()) == len(pixels)
    name = next(s for s, r in pupil.bank if (r.counts(3).argmax(1) == 2).all())
    pupil.switch(name, False)
    assert set(pupil.samples().classes) == {1, 2}


def test_samples_join_in_order():
    a = PixelSamples(
        np.zeros((2, 3), np.float32), np.array([1, 2], np.uint8), np.arange(2)
    )
    both = PixelSamples.join([a, a.take(np.array([True, False]))])
    assert both.classes.tolist() == [1, 2, 1]


def test_trees_agree_where_strokes_are_and_contradict_each_other_far_away(tmp_path):
    scan = Scan.from_array(stripes()[0])
    found = Retriever(TokenStore(scan, Texture(), folder=tmp_path), n_classes=3)
    found.store.plane(0)
    with pytest.raises(RetrieveError, match="two classes"):
        found.disagreement(0)
    found.set_strokes(0, *three_strokes())
    map_ = found.disagreement(0)
    assert map_.shape == (130, 118)
    assert 0 <= map_.min() <= map_.max() <= 1
    assert map_[[10, 60, 100], 20:60].mean() < 0.4 * map_.mean()


def test_features_go_with_their_scan():
    scan = Scan.from_array(stripes()[0])
    looks_of(scan, 0).at(np.array([3, 40]), np.array([5, 60]), go_on)
    gone = weakref.ref(scan)
    del scan
    gc.collect()
    assert gone() is None
