"""Memory volumes: shares, faults, domains, slabs and determinism."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_sesami.lab.scenes import SynthError, hbm
from napari_sesami.lab.scenes.volumes.stack import hbm_slabs, hbm_slice

SMALL = (40, 96, 96)


def share(scene, name: str) -> float:
    return float((scene.labels == scene.class_id(name)).mean())


def test_the_same_seed_draws_the_same_voxels_and_another_seed_others():
    one, again, other = hbm(3, SMALL), hbm(3, SMALL), hbm(4, SMALL)
    assert np.array_equal(one.image, again.image)
    assert np.array_equal(one.labels, again.labels)
    assert not np.array_equal(one.image, other.image)
    assert not np.array_equal(one.labels, other.labels)


def test_noise_leaves_the_truth_alone():
    noisy, clean = hbm(3, SMALL), hbm(3, SMALL, noise=False)
    assert np.array_equal(noisy.labels, clean.labels)
    assert not np.array_equal(noisy.image, clean.image)


@pytest.mark.parametrize("domain", ["logic", "memory", "stack"])
def test_all_parts_are_there_and_faults_are_rare(domain):
    scene = hbm(1, (64, 192, 192), domain, void_rate=0.5, crack_rate=0.3)
    for name in ("Cu pillar", "solder", "Cu pad", "TSV", "silicon", "underfill"):
        assert share(scene, name) > 0.002, name
    faults = share(scene, "void") + share(scene, "crack")
    assert 0 < faults < 0.005
    assert share(scene, "crack") > 0
    assert scene.labels.min() > 0


def test_no_faults_when_none_are_asked_for():
    scene = hbm(1, SMALL, "memory", void_rate=0, crack_rate=0)
    assert share(scene, "void") == share(scene, "crack") == 0


def test_voids_lie_within_solder_or_tsvs_and_are_darker_than_their_host():
    scene = hbm(2, (64, 192, 192), "logic", noise=False, void_rate=0.8, crack_rate=0)
    void = scene.labels == scene.class_id("void")
    rim = ndimage.binary_dilation(void) & ~void
    beside = np.bincount(scene.labels[rim], minlength=9)
    hosts = beside[scene.class_id("solder")] + beside[scene.class_id("TSV")]
    assert hosts > 0.85 * beside.sum()
    solder = scene.image[scene.labels == scene.class_id("solder")].mean()
    core = ndimage.binary_erosion(void)
    assert scene.image[core].mean() < 0.6 * solder


def test_greys_follow_the_absorption_of_the_parts():
    scene = hbm(0, (64, 128, 128), "logic", noise=False)
    order = ("underfill", "silicon", "Cu pillar", "solder")
    means = [
        scene.image[
            ndimage.binary_erosion(scene.labels == scene.class_id(name), iterations=2)
        ].mean()
        for name in order
    ]
    assert means == sorted(means)
    assert means[3] > 1.3 * means[2]


def test_solder_bulges_beyond_its_pillar():
    scene = hbm(0, (40, 192, 192), "logic", noise=False, void_rate=0)
    widest = {
        name: (scene.labels == scene.class_id(name)).sum((1, 2)).max()
        for name in ("solder", "Cu pillar")
    }
    assert widest["solder"] > 1.15 * widest["Cu pillar"]


def bumps(scene) -> tuple[float, float]:
    """Number per mm² and equivalent diameter in µm of the bumps at mid-solder."""
    solder = scene.labels == scene.class_id("solder")
    plane = int(solder.sum((1, 2)).argmax())
    where = ndimage.binary_fill_holes(solder[plane])
    labelled, count = ndimage.label(where)
    sizes = (
        np.bincount(labelled.ravel())[1:] * scene.pixel_size[1] * scene.pixel_size[2]
    )
    area = np.prod(scene.labels.shape[1:]) * scene.pixel_size[1] ** 2 / 1e6
    return count / area, 2 * np.sqrt(sizes.max() / np.pi)


def test_the_domains_differ_in_pitch_size_contrast_and_blur():
    logic = hbm(0, (48, 256, 256), "logic", voxel_um=1.5, noise=False)
    memory = hbm(0, (48, 256, 256), "memory", voxel_um=1.5, noise=False)
    (sparse, large), (dense, small) = bumps(logic), bumps(memory)
    assert dense > 1.3 * sparse
    assert large > 1.5 * small

    def contrast(scene):
        solder = scene.image[scene.labels == scene.class_id("solder")]
        ground = scene.image[scene.labels == scene.class_id("underfill")]
        return np.median(solder) / np.median(ground)

    assert contrast(logic) > 1.3 * contrast(memory)

    def steepest(scene):
        step = np.abs(np.diff(scene.image.astype(float), axis=2)).max()
        return step / (np.percentile(scene.image, 99.5) - np.percentile(scene.image, 5))

    assert steepest(memory) > 1.2 * steepest(logic)


@pytest.mark.parametrize("axis", ["z", "y"])
@pytest.mark.parametrize("slab", [7, 16])
def test_slabs_of_any_thickness_make_up_the_whole_volume(axis, slab):
    whole = hbm(5, SMALL, rotation_axis=axis)
    parts = list(hbm_slabs(5, SMALL, slab=slab, rotation_axis=axis))
    assert [p.info["first_plane"] for p in parts] == list(range(0, SMALL[0], slab))
    assert np.array_equal(np.concatenate([p.labels for p in parts]), whole.labels)
    image = np.concatenate([p.image for p in parts])
    apart = np.abs(image.astype(int) - whole.image.astype(int))
    assert apart.max() <= 2  # of 60000: the last bits of float32 sums


def test_thousands_of_slices_come_slab_by_slab():
    slabs = hbm_slabs(1, (3000, 32, 32), "memory", slab=100, noise=False)
    planes = sum(len(part.image) for part in slabs)
    assert planes == 3000


def ring_residue(axis: str) -> np.ndarray:
    given = {"shape": (4, 160, 160), "voxel_um": 2.0, "rotation_axis": axis}
    plain = [hbm(8, noise=n, **given).image[2].astype(float) for n in (True, False)]
    return ndimage.gaussian_filter(plain[0] - plain[1], 0.7)


def test_rings_are_round_in_planes_across_the_axis_and_straight_along_it():
    round_, straight = ring_residue("z"), ring_residue("y")
    columns = [np.std(r - ndimage.gaussian_filter(r, 8), 0).mean() for r in (straight,)]
    means = np.std((straight - ndimage.gaussian_filter(straight, 8)).mean(0))
    across = np.std((round_ - ndimage.gaussian_filter(round_, 8)).mean(0))
    assert means > 2 * across
    assert means > 0.2 * columns[0]


def test_pixel_sizes_may_differ_per_axis():
    scene = hbm(0, (10, 48, 64), "memory", voxel_um=(2.0, 1.0, 1.5))
    assert scene.pixel_size == (2.0, 1.0, 1.5)
    assert scene.unit == "µm"
    assert scene.modality == "XRM"
    assert scene.image.dtype == np.uint16
    scan = scene.scan()
    assert scan.axes == ("z", "y", "x")
    assert scan.pixel_size == (2.0, 1.0, 1.5)


def test_slices_show_both_domains_and_both_views_with_truth():
    scenes = [hbm_slice(seed, (128, 128)) for seed in range(24)]
    seen = {(s.info["domain"], s.info["view"]) for s in scenes}
    assert len(seen) == 4
    assert all(s.image.shape == s.labels.shape == (128, 128) for s in scenes)
    labels = np.concatenate([s.labels.ravel() for s in scenes])
    faults = np.isin(labels, [scenes[0].class_id("void"), scenes[0].class_id("crack")])
    assert 0 < faults.mean() < 0.005
    again = hbm_slice(3, (128, 128))
    assert np.array_equal(again.image, scenes[3].image)


@pytest.mark.parametrize(
    "given",
    [
        {"domain": "flash"},
        {"shape": (64, 64)},
        {"shape": (0, 64, 64)},
        {"voxel_um": 0},
        {"voxel_um": float("nan")},
        {"void_rate": 2},
        {"rotation_axis": "w"},
        {"seed": -1},
    ],
)
def test_numbers_without_a_meaning_are_refused_in_a_sentence(given):
    with pytest.raises(SynthError, match=r"\.$"):
        hbm(**given)
