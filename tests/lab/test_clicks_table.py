"""The table of clicks: cuts are seen, even regions too, rivals answer."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sesami.lab.tables.clicks import (
    GRID,
    Flood,
    GrabCut,
    Row,
    is_even,
    report,
    seam,
)
from napari_sesami.scan import Scan


@pytest.fixture(scope="module")
def plate() -> tuple[Scan, np.ndarray]:
    truth = np.zeros((160, 160), bool)
    truth[40:121, 30:131] = True
    noise = np.random.default_rng(0).normal(0, 3, truth.shape)
    return Scan.from_array((np.where(truth, 160, 80) + noise).astype(np.uint8)), truth


def test_a_cut_where_a_view_ends_is_a_seam_and_a_true_edge_is_none(plate):
    scan, truth = plate
    assert seam(truth, scan) == 0
    cut = truth.copy()
    cut[3 * GRID :] = False  # nothing is there to be seen
    assert seam(cut, scan) > 0.2


def test_even_regions_are_told_from_others(plate):
    scan, truth = plate
    assert is_even(truth, scan)
    half = truth.copy()
    half[80:] = False
    assert not is_even(half, scan)  # its lower border is no edge


def test_rivals_answer_clicks_and_boxes(plate):
    scan, truth = plate
    rivals: list[Flood | GrabCut] = [Flood()]
    try:
        import cv2  # noqa: F401
    except ImportError:
        pass
    else:
        rivals.append(GrabCut())
    for rival in rivals:
        rival.start(scan)
        for given in (([(80, 80)], [1], None), ([], [], (40, 30, 121, 131))):
            found, _ = rival.answer(*given)
            assert (found & truth).sum() > 0.85 * (found | truth).sum()


def test_the_report_counts_even_regions_apart():
    rows = [
        Row("pool", "f", "TEM", "large", {1: v, 3: v, 5: v}, {1: v, 3: v, 5: v},
            box=v, box_score=v, even=v > 0.5, first=0.1, later=0.1)
        for v in (0.3, 0.9)
    ]  # fmt: skip
    lines = report(rows).splitlines()
    (even,) = [line for line in lines if line.startswith("all, even")]
    assert "0.900  0.900  0.900  0.900" in even
