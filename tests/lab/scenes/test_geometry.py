"""Distances and the canvas: where labels are true by construction."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sesami.lab.scenes.geometry import (
    Canvas,
    box,
    column,
    crop,
    ellipse,
    grain_tile,
    join,
    noise_tile,
)


def canvas(shape=(200, 200), pixel_nm=0.5, **kwargs) -> Canvas:
    names = {"a": 1, "b": 2}
    grey = {"a": 0.2, "b": 0.8}
    return Canvas(shape, pixel_nm, names, grey, np.random.default_rng(0), **kwargs)


def grid(side=101):
    at = np.arange(side, dtype=np.float32)
    return np.meshgrid(at, at, indexing="ij")


def test_distances_to_a_box_are_euclidean_outside_and_negative_inside():
    y, x = grid()
    away = box(y, x, (50, 50), (20, 10))
    assert away[50, 50] == -10
    assert away[50, 80] == pytest.approx(20)
    assert away[10, 50] == pytest.approx(20)
    corner = box(y, x, (50, 50), (20, 10), radius=5)[26, 64]
    assert corner == pytest.approx(np.hypot(9, 9) - 5, abs=1e-4)


@pytest.mark.parametrize(
    "shape",
    [
        lambda y, x: column(y, x, 20, 80, 50, 15, 8, bow=1, radius=4),
        lambda y, x: ellipse(y, x, (50, 50), (22, 20)),
        lambda y, x: join(
            box(y, x, (50, 50), (30, 8)), box(y, x, (70, 50), (6, 30)), 4
        ),
    ],
    ids=["column", "ellipse", "union"],
)
def test_distances_grow_by_one_per_step_so_films_are_conformal(shape):
    away = shape(*grid())
    steep = np.hypot(*np.gradient(away))
    film = (away > 0) & (away < 6)
    assert np.median(steep[film]) == pytest.approx(1, abs=0.03)
    assert away.dtype == np.float32


def test_labels_are_hard_and_grey_is_soft_at_an_edge_between_pixels():
    picture = canvas()
    picture.fill("a")
    picture.band("b", 25.1, 60.0)
    assert set(np.unique(picture.labels)) == {1, 2}
    # 25.1 nm cut the pixel from 25.0 to 25.5: four fifths of it are covered
    assert picture.grey[50, 100] == pytest.approx(0.2 + 0.8 * 0.6, abs=0.01)
    assert (picture.labels == 2).sum() == 200 * 70


def test_a_window_covers_its_rectangle_even_when_tilted():
    picture = canvas(tilt_deg=10)
    window = picture.window(40, 60, 30, 70)
    everywhere = (slice(None), slice(None))
    y, x = picture.grid(everywhere)
    inside = (y > 40) & (y < 60) & (x > 30) & (x < 70)
    covered = np.zeros(inside.shape, bool)
    covered[window] = True
    assert inside.any()
    assert covered[inside].all()
    assert covered.mean() < 0.3
    assert canvas().window(300, 400) is None


def test_edges_have_the_roughness_and_correlation_asked_for():
    picture = canvas((200, 700), 0.5, roughness_nm=1.5, roughness_length_nm=4.0)
    picture.fill("a")
    picture.band("b", 50, 200)
    edge = (picture.labels == 1).sum(0) * 0.5
    assert edge.std() == pytest.approx(1.5, rel=0.25)
    near = np.corrcoef(edge[:-2], edge[2:])[0, 1]
    far = np.corrcoef(edge[:-120], edge[120:])[0, 1]
    assert near > 0.9
    assert abs(far) < 0.4


@pytest.mark.parametrize(
    "tile", [noise_tile(2.0), grain_tile(12.0)], ids=["noise", "grain"]
)
def test_texture_tiles_are_normalised_and_have_no_seam(tile):
    assert tile.mean() == pytest.approx(0, abs=1e-3)
    assert tile.std() == pytest.approx(1, abs=1e-3)
    seam = np.abs(tile[:, 0] - tile[:, -1]).mean()
    inside = np.abs(np.diff(tile, axis=1)).mean()
    assert seam < 1.5 * inside


def test_crops_may_be_larger_than_a_tile():
    piece = crop(noise_tile(2.0), (1000, 1700), np.random.default_rng(0))
    assert piece.shape == (1000, 1700)
