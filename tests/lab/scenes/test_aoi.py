"""Wire-bond pictures: parts, colours, light and determinism."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_sesami.lab.scenes import SynthError, wire_bond

SHAPE = (192, 192)
NAMES = ("wire", "ball", "wedge", "epoxy", "die", "pad")


def test_the_same_seed_draws_the_same_picture_and_another_seed_another():
    one, again, other = (wire_bond(s, SHAPE, 6.0) for s in (1, 1, 2))
    assert np.array_equal(one.image, again.image)
    assert np.array_equal(one.labels, again.labels)
    assert not np.array_equal(one.labels, other.labels)


def test_noise_leaves_the_truth_alone():
    noisy, clean = wire_bond(1, SHAPE), wire_bond(1, SHAPE, noise=False)
    assert np.array_equal(noisy.labels, clean.labels)
    assert 0.3 < np.std(noisy.image.astype(float) - clean.image) < 8


def test_pictures_have_colour_scale_and_every_class():
    shares = np.zeros(9)
    for seed in range(8):
        scene = wire_bond(seed, SHAPE, 6.0)
        assert scene.image.shape == (*SHAPE, 3)
        assert scene.image.dtype == scene.labels.dtype == np.uint8
        assert scene.labels.min() > 0
        shares += np.bincount(scene.labels.ravel(), minlength=9) / scene.labels.size / 8
    for name in NAMES:
        assert shares[scene.class_id(name)] > 0.003, name
    assert shares[scene.class_id("die")] > 0.1
    scan = scene.scan()
    assert scan.axes == ("y", "x", "c")
    assert scan.pixel_size == (6.0, 6.0, None)
    assert scan.units[:2] == ("µm", "µm")


def test_wires_have_the_width_asked_for_and_end_in_ball_and_wedge():
    scene = wire_bond(4, (384, 384), 3.0, wire_um=30.0)
    wire = scene.labels == scene.class_id("wire")
    inside = ndimage.distance_transform_edt(wire) * 3.0
    assert 12 < np.percentile(inside[wire], 99) < 20
    beside = scene.labels[ndimage.binary_dilation(wire, iterations=2) & ~wire]
    assert (beside == scene.class_id("ball")).any()
    assert (beside == scene.class_id("wedge")).any()


def test_balls_sit_on_pads():
    scene = wire_bond(4, (384, 384), 3.0)
    ball = scene.labels == scene.class_id("ball")
    rim = ndimage.binary_dilation(ball, iterations=2) & ~ball
    beside = np.bincount(scene.labels[rim], minlength=9)
    on_pad = beside[scene.class_id("pad")] + beside[scene.class_id("wire")]
    assert on_pad > 0.9 * beside.sum()


def chroma(scene) -> float:
    image = scene.image.astype(float)
    return float((image.max(2) - image.min(2)).mean())


def test_saturation_goes_from_grey_to_colour_and_some_seeds_are_nearly_grey():
    grey, full = (
        wire_bond(3, SHAPE, noise=False, saturation=value) for value in (0.0, 1.0)
    )
    assert chroma(grey) < 0.5
    assert chroma(full) > 15
    drawn = [
        wire_bond(s, (64, 64), 12.0, noise=False).info["saturation"] for s in range(30)
    ]
    assert 3 <= sum(value < 0.15 for value in drawn) <= 18


def test_light_is_uneven_and_metal_has_specular_spots():
    ratios, spots = [], 0
    for seed in range(6):
        scene = wire_bond(seed, SHAPE, 6.0, noise=False)
        frame = scene.labels == scene.class_id("lead frame")
        grey = scene.image.mean(2)
        left = grey[:, :96][frame[:, :96]].mean()
        right = grey[:, 96:][frame[:, 96:]].mean()
        ratios.append(abs(np.log(left / right)))
        wire = scene.labels == scene.class_id("wire")
        spots += int((grey[wire] > 235).sum())
    assert max(ratios) > 0.04
    assert spots > 20


@pytest.mark.parametrize(
    "given",
    [
        {"shape": (4, 4)},
        {"pixel_um": 0},
        {"pixel_um": float("nan")},
        {"wire_um": -1},
        {"seed": -1},
    ],
)
def test_numbers_without_a_meaning_are_refused_in_a_sentence(given):
    with pytest.raises(SynthError, match=r"\.$"):
        wire_bond(**given)
