"""Random scenes: reproducible, exact, of every family, never degenerate."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.measure import label

from napari_sesami.lab.scenes.random_scenes.looks import acquire, greys
from napari_sesami.lab.scenes.random_scenes.objects import cracks, precipitates
from napari_sesami.lab.scenes.random_scenes.scenes import (
    PATTERNS,
    WEIGHTS,
    random_scene,
)
from napari_sesami.lab.scenes.random_scenes.shapes import (
    SceneFrame,
    layers,
    random_frame,
    smooth_field,
)

SHAPE = (96, 128)


@pytest.mark.parametrize("seed", range(12))
def test_scene_is_well_formed(seed: int) -> None:
    scene = random_scene([1, seed], SHAPE)
    assert scene.image.shape == scene.classes.shape == scene.regions.shape == SHAPE
    assert scene.image.dtype == np.uint8
    assert scene.regions.min() >= 1
    assert scene.family in PATTERNS
    assert np.ptp(scene.image) > 50, "the picture uses its range"


def test_seed_decides_everything() -> None:
    one, two, other = (random_scene(s, SHAPE) for s in (5, 5, 6))
    assert np.array_equal(one.image, two.image)
    assert np.array_equal(one.regions, two.regions)
    assert not np.array_equal(one.image, other.image)


@pytest.mark.parametrize("seed", range(6))
def test_a_region_has_one_class_and_hangs_together(seed: int) -> None:
    scene = random_scene([2, seed], SHAPE)
    for region in np.unique(scene.regions)[:40]:
        mask = scene.regions == region
        assert len(np.unique(scene.classes[mask])) == 1
        assert label(mask, connectivity=2).max() == 1


@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_every_family_draws_more_than_one_material_or_object(name: str) -> None:
    found = 0
    for seed in range(8):
        rng = np.random.default_rng([3, seed])
        layout = PATTERNS[name](rng, random_frame(rng, SHAPE))
        assert layout.kinds.shape == layout.cells.shape == SHAPE
        found += len(np.unique(layout.kinds)) > 1 or len(np.unique(layout.cells)) > 1
    assert found >= 4


def test_all_families_have_a_weight() -> None:
    assert set(WEIGHTS) == set(PATTERNS)
    assert sum(WEIGHTS.values()) == pytest.approx(1)


def test_layers_run_along_the_frame() -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64].astype(np.float32)
    cells = layers(rng, SceneFrame(x, y, 20)).cells
    assert (np.diff(cells, axis=0) >= 0).mean() > 0.99


def test_precipitates_come_in_two_sizes() -> None:
    both = 0
    for seed in range(8):
        rng = np.random.default_rng([4, seed])
        kinds = precipitates(rng, random_frame(rng, (160, 160))).kinds
        both += {1, 2} <= set(np.unique(kinds).tolist())
    assert both >= 3


def test_cracks_are_thin() -> None:
    rng = np.random.default_rng(3)
    shares = [
        float(cracks(rng, random_frame(rng, SHAPE)).kinds.mean()) for _ in range(6)
    ]
    assert 0 < np.mean(shares) < 0.3


def test_grey_levels_keep_their_distance_mostly() -> None:
    rng = np.random.default_rng(0)
    gaps = [np.diff(np.sort(greys(rng, 3))).min() for _ in range(50)]
    assert np.mean(np.array(gaps) > 0.03) > 0.9


def test_picture_survives_a_flat_scene() -> None:
    image = acquire(np.random.default_rng(0), np.zeros((32, 32), np.float32))
    assert image.dtype == np.uint8
    assert np.isfinite(image).all()


def test_field_has_unit_variance_and_the_asked_scale() -> None:
    rng = np.random.default_rng(0)
    fine, coarse = smooth_field(rng, (128, 128), 2), smooth_field(rng, (128, 128), 20)
    assert fine.std() == pytest.approx(1, abs=0.01)
    assert np.abs(np.diff(coarse)).mean() < 0.3 * np.abs(np.diff(fine)).mean()
