"""Voids of bumps in a volume, against balls whose volume is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_sesami.measure import MeasureError, Recipe, measure
from napari_sesami.scan import Scan

RECIPE = """
format = "sesami-measure"
version = 1
[features.void]
class = "void"
[features.bump]
class = "solder"
[[measure]]
name = "voids"
kind = "bump voids"
feature = "void"
to = "bump"
limits = { upper = 25 }
"""
CLASSES = {"underfill": 1, "solder": 2, "void": 3}


def bumps(radii, seed=0, noise=8.0):
    """Bumps of 15 voxels' radius in a row, each with one void of a radius."""
    rng = np.random.default_rng(seed)
    fine, side = 3, 44
    voxels, labels, shares = [], [], []
    at = (np.arange(side * fine) + 0.5) / fine - 0.5
    for radius in radii:
        middle = (side - 1) / 2 + rng.uniform(-0.5, 0.5, 3)
        axes = np.meshgrid(*(at - m for m in middle), indexing="ij", sparse=True)
        away = np.sqrt(sum(a * a for a in axes))

        def share(inside):
            return inside.reshape(side, fine, side, fine, side, fine).mean((1, 3, 5))

        body = share((away < 15).astype(np.float32))
        hole = share((away < radius).astype(np.float32)) if radius else 0 * body
        grey = 60 + 140 * (body - hole)
        voxels.append(gaussian_filter(grey, 1.0))
        labels.append(np.where(hole > 0.5, 3, np.where(body > 0.5, 2, 1)))
        shares.append((radius**3 / 15**3, radius**2 / 15**2))
    image = np.concatenate(voxels, 2)
    image = image + noise * rng.standard_normal(image.shape)
    scan = Scan.from_array(
        image.astype(np.float32), axes=("z", "y", "x"), pixel_size=1.0, units="µm"
    )
    return scan, np.concatenate(labels, 2).astype(np.uint8), 100 * np.array(shares)


def test_shares_by_volume_and_by_projection():
    scan, labels, shares = bumps((6.0, 4.0, 3.0, 2.5, 0))
    r = measure(scan, labels, CLASSES, Recipe.loads(RECIPE))
    by = {
        z: [x for x in r["voids"] if x.zone == z and x.number]
        for z in ("volume", "projection")
    }
    volume = np.array([x.value for x in by["volume"]])
    assert volume == pytest.approx(shares[:, 0], rel=0.06, abs=0.02)
    assert np.abs(volume - shares[:, 0])[:4].max() < 0.4
    assert all(
        abs(x.value - t) <= x.U for x, t in zip(by["volume"][:4], shares, strict=False)
        for t in [t[0]]
    )  # fmt: skip
    projected = np.array([x.value for x in by["projection"]])
    assert projected == pytest.approx(shares[:, 1], rel=0.1)
    assert projected[1] > 2 * volume[1]
    assert {x.verdict for x in by["volume"][:4]} == {"pass"}
    assert {x.unit for x in r} == {"%"}


def test_a_speck_is_counted_and_a_cut_bump_is_told():
    scan, labels, _ = bumps((6.0, 1.0))
    r = measure(scan, labels, CLASSES, Recipe.loads(RECIPE))
    speck = [x for x in r["voids"] if x.number == 2 and x.zone == "volume"]
    assert speck[0].status == "too_thin" and np.isnan(speck[0].value)
    cut = measure(
        Scan.from_array(scan.data[20:], axes=("z", "y", "x")), labels[20:], CLASSES,
        Recipe.loads(RECIPE),
    )  # fmt: skip
    assert {x.status for x in cut} == {"cut_off"}


def test_a_picture_is_no_volume():
    scan, labels, _ = bumps((4.0,))
    with pytest.raises(MeasureError, match="in a volume"):
        measure(
            Scan.from_array(scan.data[20]), labels[20], CLASSES, Recipe.loads(RECIPE)
        )
