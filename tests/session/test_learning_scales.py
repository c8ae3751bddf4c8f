"""Banks and strokes at whatever scale the scan has to be read."""

from __future__ import annotations

import numpy as np
import pytest
from tests.fakes.texture import Texture, stripes

from napari_sesami import Session
from napari_sesami.scan import Scan
from napari_sesami.session.owners import stroke_owners


def session_of(size: float) -> Session:
    session = Session(Scan.from_array(stripes()[0], pixel_size=size, units="nm"))
    session.retrieval.encoder = Texture()
    for name in ("substrate", "oxide", "metal"):
        session.classes.add(name)
    return session


def three_lines() -> np.ndarray:
    strokes = np.zeros((130, 118), np.uint8)
    for i, y in enumerate((10, 60, 100)):
        strokes[y, 20:60] = i + 1
    return strokes


@pytest.mark.parametrize("size", [0.5, 0.75, 1.3, 1.45, 2.0])
def test_a_bank_of_another_pixel_size_and_new_strokes_go_together(size, tmp_path):
    home = session_of(1.0)
    home.paint(three_lines())
    bank = home.retrieval.export_bank(tmp_path / "device.bank", zoom=1.0)
    other = session_of(size)
    other.retrieval.teach(bank)
    found = other.segment(0)
    assert found.labels.shape == (1, 130, 118)
    other.paint(three_lines())
    labels = other.segment(0).labels[0]
    assert (labels == stripes()[1]).mean() > 0.9


def test_a_stroke_is_found_again_by_its_name():
    session = session_of(1.0)
    session.paint(three_lines())
    _, painted = session.retrieval.learner.painted()[0]
    owners = painted.dense(session.scan.plane_shape)[1]
    plane, box, pixels = session.retrieval.learner.stroke_pixels(int(owners[60, 30]))
    assert (plane, box) == (0, (60, 20, 61, 60))
    assert pixels.all()
    assert session.retrieval.learner.stroke_pixels(-1) is None


@pytest.mark.parametrize("density", [0.002, 0.3])
def test_strokes_are_the_connected_parts_of_a_class(density):
    from skimage.measure import label

    rng = np.random.default_rng(0)
    classes = np.where(rng.random((90, 70)) < density, rng.integers(1, 4, (90, 70)), 0)
    classes[5, :] = 2
    classes = classes.astype(np.uint8)
    owners = stroke_owners(classes, 1)
    parts = label(classes, background=0, connectivity=2)
    pairs = np.unique(np.stack([owners.ravel(), parts.ravel()]), axis=1)
    assert pairs.shape[1] == len(np.unique(parts)) == len(np.unique(owners))
    assert owners[owners > 0].min() > classes.size
