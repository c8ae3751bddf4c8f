"""SEM pairs: same place twice, every defect there and marked."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sesami.lab.scenes import DEFECTS, SynthError, sem_pair
from napari_sesami.lab.scenes.defect_pairs.defects import ALLOWED

CASES = [(d, p) for d, patterns in ALLOWED.items() for p in patterns]
SMALL = (256, 256)


def marked(scene, defect):
    return scene.labels == scene.class_id(defect)


@pytest.mark.parametrize(("defect", "pattern"), CASES)
def test_the_defect_is_marked_in_both_pictures_and_only_there(defect, pattern):
    pair = sem_pair(defect, 1, SMALL, noise=False, pattern=pattern)
    for scene in (pair.low, pair.high):
        assert scene.image.shape == scene.labels.shape == SMALL
        found = {c.name for c in scene.classes if (scene.labels == c.id).any()}
        wanted = set() if defect == "none" else {defect}
        assert found - {"lower surface", "upper surface"} == wanted
    if defect != "none":
        assert marked(pair.low, defect).mean() < 0.3


@pytest.mark.parametrize(("defect", "pattern"), CASES)
def test_high_magnification_shows_the_middle_of_low(defect, pattern):
    pair = sem_pair(defect, 4, SMALL, noise=False, pattern=pattern)
    assert pair.low.pixel_size[0] / pair.high.pixel_size[0] == pytest.approx(pair.zoom)
    side = 256 / pair.zoom
    y = (pair.center[0] - side / 2 + (np.arange(256) + 0.5) / pair.zoom).astype(int)
    x = (pair.center[1] - side / 2 + (np.arange(256) + 0.5) / pair.zoom).astype(int)
    seen = pair.low.labels[np.ix_(y.clip(0, 255), x.clip(0, 255))]
    # they differ by half a coarse pixel at edges only
    assert (seen == pair.high.labels).mean() > 0.85


@pytest.mark.parametrize("defect", [d for d in DEFECTS if d != "none"])
def test_a_defect_changes_the_picture_where_it_is_marked(defect):
    visible = 0
    for seed in range(6):
        pair = sem_pair(defect, seed, SMALL, noise=False)
        mask = marked(pair.high, defect)
        assert mask.any()
        inside = pair.high.image[mask].astype(float)
        rest = pair.high.image[~mask].astype(float)
        quantiles = np.linspace(0.05, 0.95, 19)
        apart = np.abs(np.quantile(inside, quantiles) - np.quantile(rest, quantiles))
        visible += apart.mean() > 4
    assert visible >= 5


def test_pictures_of_a_pair_have_their_own_noise_and_are_repeatable():
    one, again = (sem_pair("particle", 3, SMALL) for _ in range(2))
    assert np.array_equal(one.low.image, again.low.image)
    assert np.array_equal(one.high.image, again.high.image)
    assert one.low.info["noise"] != one.high.info["noise"]


def test_edges_are_brighter_than_the_surfaces_between():
    pair = sem_pair("none", 0, SMALL, noise=False, pattern="lines")
    labels, image = pair.high.labels, pair.high.image.astype(float)
    edge = np.zeros(SMALL, bool)
    for axis in (0, 1):
        step = np.diff(labels.astype(int), axis=axis) != 0
        pad = [(0, 0), (0, 0)]
        pad[axis] = (0, 1)
        edge |= np.pad(step, pad)
    top = (labels == 2) & ~edge
    assert image[edge].mean() > image[labels == 1].mean()
    assert image[top].max() > np.median(image[top]) + 5


def test_the_defect_is_not_always_in_the_middle_of_the_low_picture():
    centers = np.array(
        [sem_pair("break", s, (64, 64), noise=False).center for s in range(12)]
    )
    assert centers.std(0).min() > 3
    assert (centers > 8).all()
    assert (centers < 56).all()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"defect": "hole"}, "missing_via"),
        ({"defect": "missing_via", "pattern": "lines"}, "vias"),
        ({"zoom": 1.0}, "zoom"),
        ({"shape": (4, 4)}, "32 or more"),
        ({"pixel_size_nm": -1}, "pixel_size_nm"),
    ],
)
def test_impossible_wishes_are_refused_with_a_sentence(arguments, says):
    with pytest.raises(SynthError, match=says):
        sem_pair(**arguments)
