"""Borders find the step; slices between two corrected ones follow the object."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sesami.prompt import interpolate_masks, snap_to_edges


def disc(shape, y, x, r):
    yy, xx = np.indices(shape)
    return np.hypot(yy - y, xx - x) < r


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


@pytest.mark.parametrize("error", [-2, -1, 1, 2])
def test_a_disc_drawn_too_large_or_small_finds_its_edge(error):
    truth = disc((80, 80), 40, 40, 20)
    noise = np.random.default_rng(0).normal(0, 0.03, truth.shape)
    image = (0.3 + 0.4 * truth + noise).astype(np.float32)
    drawn = disc((80, 80), 40, 40, 20 + error)
    snapped = snap_to_edges(drawn, image, reach=4)
    assert iou(snapped, truth) > 0.97 > iou(drawn, truth)


def test_a_thin_layer_does_not_vanish():
    truth = np.zeros((60, 90), bool)
    truth[30:33] = True
    image = (0.2 + 0.5 * truth).astype(np.float32)
    drawn = np.zeros_like(truth)
    drawn[29:33] = True
    snapped = snap_to_edges(drawn, image, reach=3)
    assert iou(snapped, truth) > 0.7
    assert snapped.any(0).all()


def test_a_flat_image_leaves_the_border_where_it_was():
    drawn = disc((60, 60), 30, 30, 12)
    snapped = snap_to_edges(drawn, np.full((60, 60), 0.5, np.float32), reach=3)
    assert iou(snapped, drawn) > 0.9


@pytest.mark.parametrize("mask", [np.zeros((9, 9), bool), np.ones((9, 9), bool)])
def test_nothing_and_everything_stay(mask):
    np.testing.assert_array_equal(
        snap_to_edges(mask, np.eye(9, dtype=np.float32)), mask
    )


def test_a_via_that_drifts_and_grows_is_followed():
    first, last = disc((80, 120), 30, 30, 8), disc((80, 120), 40, 80, 16)
    slices = interpolate_masks(first, last, 4)
    assert len(slices) == 4
    for i, mask in enumerate(slices, 1):
        t = i / 5
        expected = disc((80, 120), 30 + 10 * t, 30 + 50 * t, 8 + 8 * t)
        assert iou(mask, expected) > 0.9


def test_an_object_that_ends_shrinks_towards_its_core():
    first = disc((60, 60), 30, 30, 15)
    areas = [m.sum() for m in interpolate_masks(first, np.zeros_like(first), 5)]
    assert first.sum() > areas[0] and sorted(areas, reverse=True) == areas


def test_masks_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match="same shape"):
        interpolate_masks(np.ones((4, 4), bool), np.ones((5, 4), bool), 2)
