"""TEM scenes: repeatable, true to their dimensions, and exact."""

from __future__ import annotations

import sys
from subprocess import run
from time import process_time

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt, gaussian_filter, label

from napari_sesami.lab.scenes import FAMILIES, TEM_KINDS, SynthError, tem

VIEWS = [(kind, view) for kind, views in TEM_KINDS.items() for view in views]
SMOOTH = {"noise": False, "roughness_nm": 0.0, "tilt_deg": 0.0, "contrast": "haadf"}


@pytest.mark.parametrize(("kind", "view"), VIEWS)
def test_a_scene_keeps_the_contract(kind, view):
    scene = tem(kind, 3, (160, 200), view=view)
    assert scene.image.shape == scene.labels.shape == (160, 200)
    assert scene.image.dtype == scene.labels.dtype == np.uint8
    assert [c.id for c in scene.classes] == list(range(1, len(scene.classes) + 1))
    assert 1 <= scene.labels.min() <= scene.labels.max() <= len(scene.classes)
    assert len(np.unique(scene.labels)) >= 3
    assert scene.modality == "TEM"
    assert scene.unit == "nm"
    assert scene.image.std() > 10


@pytest.mark.parametrize(("kind", "view"), VIEWS)
def test_same_seed_same_scene_other_seed_other_scene(kind, view):
    one, again = (tem(kind, 5, (96, 96), view=view) for _ in range(2))
    other = tem(kind, 6, (96, 96), view=view)
    assert np.array_equal(one.image, again.image)
    assert np.array_equal(one.labels, again.labels)
    assert not np.array_equal(one.image, other.image)


@pytest.mark.parametrize(("kind", "view"), VIEWS)
def test_every_pixel_looks_like_the_material_of_its_label(kind, view):
    scene = tem(kind, 2, (256, 256), view=view, noise=False, contrast="haadf")
    grey = scene.image.astype(float)
    medians = {k: np.median(grey[scene.labels == k]) for k in np.unique(scene.labels)}
    own = np.vectorize(medians.get)(scene.labels)
    # only soft edges, a pixel or two wide, may differ from their material
    assert (np.abs(grey - own) > 45).mean() < 0.16
    assert np.corrcoef(own.ravel(), grey.ravel())[0, 1] > 0.9


def test_contrast_orders_the_materials_as_microscopes_do():
    def mean_grey(contrast, kind, name, view):
        scene = tem(kind, 1, noise=False, contrast=contrast, view=view)
        return scene.image[scene.labels == scene.class_id(name)].mean()

    chain = ("tungsten", "high-k", "titanium nitride", "silicon", "oxide")
    haadf = [mean_grey("haadf", "finfet", name, "across") for name in chain]
    field = [mean_grey("bf", "finfet", name, "across") for name in chain]
    assert haadf[0] == max(haadf)
    assert haadf[-1] == min(haadf)
    assert haadf[1] > haadf[2] > haadf[3]
    assert field[0] == min(field)
    assert field[-1] == max(field)


def runs(row: np.ndarray, value: int) -> list[int]:
    """Lengths of the runs of a value that do not touch the border."""
    at = np.flatnonzero(np.diff(np.r_[False, row == value, False].astype(int)))
    pairs = at.reshape(-1, 2)
    return [b - a for a, b in pairs if a > 0 and b < len(row)]


def test_pitch_of_fins_is_the_one_asked_for():
    scene = tem("finfet", 1, pixel_size_nm=0.4, view="across", fin_pitch=30, **SMOOTH)
    silicon = scene.labels == scene.class_id("silicon")
    row = silicon[np.flatnonzero(silicon.sum(1) > 0)[60]]
    starts = np.flatnonzero(np.diff(row.astype(int)) == 1)
    assert np.diff(starts).mean() * 0.4 == pytest.approx(30, abs=0.5)


@pytest.mark.parametrize("thick", [0.8, 1.6, 2.4])
def test_conformal_films_have_the_thickness_asked_for_down_to_two_pixels(thick):
    # 0.8 nm are two pixels
    scene = tem("nand", 4, pixel_size_nm=0.4, view="plan", trap=thick, **SMOOTH)
    nitride = scene.class_id("nitride")
    found = [n for row in scene.labels for n in runs(row, nitride)]
    # most rows cut a ring at a slant; the shortest common run is its thickness
    assert np.percentile(found, 20) * 0.4 == pytest.approx(thick, abs=0.42)


def test_a_film_of_two_pixels_is_closed_all_around():
    # this seed cuts through oxide, and shows no slit that is filled with polysilicon
    scene = tem("nand", 0, (400, 400), 0.4, view="plan", trap=0.8, **SMOOTH)
    parts, _ = label(scene.labels != scene.class_id("nitride"))
    inside = set(parts[scene.labels == scene.class_id("polysilicon")].tolist())
    outside = int(np.bincount(parts[parts > 0]).argmax())
    assert len(inside) == 3
    assert outside not in inside


def test_roughness_changes_edges_and_nothing_else():
    kwargs = {**SMOOTH, "view": "cut", "pixel_size_nm": 0.5}
    smooth = tem("beol", 8, **kwargs).labels
    rough = tem("beol", 8, **{**kwargs, "roughness_nm": 1.0}).labels
    far = distance_transform_edt(~find_edges(smooth)) * 0.5
    assert (smooth != rough).any()
    assert far[smooth != rough].max() < 6


def find_edges(labels: np.ndarray) -> np.ndarray:
    edges = np.zeros(labels.shape, bool)
    edges[:-1] |= labels[:-1] != labels[1:]
    edges[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    return edges


@pytest.mark.parametrize("tilt", [-4.0, 0.0, 6.0])
def test_edges_of_a_tilted_picture_are_turned_by_the_tilt(tilt):
    kwargs = {**SMOOTH, "tilt_deg": tilt, "view": "levels", "taper": 0}
    image = gaussian_filter(tem("beol", 3, **kwargs).image.astype(float), 2)
    gy, gx = np.gradient(image)
    # edges are along two directions at right angles: the fourth power makes them one
    found = np.rad2deg(np.angle(((gx + 1j * gy) ** 4).sum()) / 4)
    assert abs(found) == pytest.approx(abs(tilt), abs=0.5)


def test_noise_moves_labels_with_the_image_and_marks_what_to_ignore():
    moved = marked = 0
    for seed in range(8):
        clean = tem("gaa", seed, (256, 256), noise=False, contrast="haadf")
        noisy = tem("gaa", seed, (256, 256), contrast="haadf")
        moved += not np.array_equal(clean.labels, noisy.labels)
        marked += noisy.ignore is not None
        assert noisy.info["noise"]
    assert moved >= 3
    assert 1 <= marked <= 7


def test_a_scene_is_a_scan_with_its_pixel_size():
    scene = tem("dram", 1, (64, 96), pixel_size_nm=0.6)
    scan = scene.scan()
    assert scan.pixel_size == (0.6, 0.6)
    assert scan.units == ("nm", "nm")
    assert np.array_equal(scan.plane(), scene.image)


def test_dimensions_are_reported_and_kept():
    scene = tem("finfet", 1, (64, 64), fin_width=6.5)
    assert scene.info["dimensions_nm"]["fin_width"] == 6.5
    assert 24 <= scene.info["dimensions_nm"]["fin_pitch"] <= 36


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"kind": "cmos"}, "finfet, gaa, dram, nand, beol"),
        ({"kind": "nand", "view": "side"}, "upright or plan"),
        ({"contrast": "dark"}, "haadf"),
        ({"shape": (8, 8)}, "32 or more"),
        ({"pixel_size_nm": float("nan")}, "pixel_size_nm"),
        ({"fin_pich": 30}, "fin_pitch"),
        ({"fin_width": float("inf")}, "finite"),
        ({"fin_pitch": 0}, "larger pitch"),
    ],
)
def test_impossible_wishes_are_refused_with_a_sentence(arguments, says):
    with pytest.raises(SynthError, match=says):
        tem(**{"kind": "finfet", "view": None, **arguments})


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_family_gives_a_labelled_two_dimensional_scene(family):
    scene = FAMILIES[family](11)
    assert scene.labels.ndim == 2
    assert scene.image.shape[:2] == scene.labels.shape
    assert scene.labels.max() <= len(scene.classes)
    assert len(np.unique(scene.labels)) >= 2


def test_the_room_loads_without_torch():
    code = (
        "import sys, napari_sesami.lab.scenes, napari_sesami.noise; "
        "sys.exit('torch' in sys.modules or 'napari' in sys.modules)"
    )
    assert run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.benchmark
def test_thirty_clean_pictures_per_second_and_core():
    torch.set_num_threads(1)
    for kind, view in VIEWS:
        for seed in range(4):  # textures are drawn once
            tem(kind, seed, view=view, noise=False)
    start = process_time()
    for kind, view in VIEWS:
        for seed in range(4):
            tem(kind, seed, view=view, noise=False)
    assert 4 * len(VIEWS) / (process_time() - start) >= 30
