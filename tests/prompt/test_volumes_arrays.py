"""Objects are followed through slices, searched by grid, and found again in arrays."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sesami.common.cancel import Cancelled
from napari_sesami.prompt import (
    Filters,
    Mask,
    Predictor,
    PromptError,
    Stops,
    find_alike,
    find_everything,
    propagate,
)
from napari_sesami.prompt.propagation import deepest
from napari_sesami.scan import Scan
from tests.fakes.grey_model import GreyModel


def disc(y, x, r, shape=(96, 96)):
    yy, xx = np.indices(shape)
    return np.hypot(yy - y, xx - x) < r


def pillar() -> tuple[Scan, np.ndarray]:
    """A slanted pillar through slices 2…9 of 12, beside another that never ends."""
    truth = np.zeros((12, 96, 96), bool)
    for z in range(2, 10):
        truth[z] = disc(40 + z, 36 + z, 14)
    grey = np.full(truth.shape, 0.2, np.float32)
    grey[:, 70:90, 70:90] = 0.5
    grey[truth] = 0.9
    return Scan.from_array(grey), truth


@pytest.fixture
def predictor() -> Predictor:
    return Predictor(GreyModel(tile=96))


def test_a_pillar_is_followed_to_its_end_and_no_further(predictor):
    scan, truth = pillar()
    start = predictor.predict(scan, 5, points=[(45, 41)])
    forward = list(propagate(predictor, scan, start, to=11))
    backward = list(propagate(predictor, scan, start, to=0))
    assert [s.plane for s in forward if not s.ended] == [6, 7, 8, 9]
    assert [s.plane for s in backward if not s.ended] == [4, 3, 2]
    assert forward[-1].plane == 10 and forward[-1].ended
    for step in forward[:-1] + backward[:-1]:
        full = step.mask.full
        assert (full & truth[step.plane]).sum() / (
            full | truth[step.plane]
        ).sum() > 0.75
        assert 0 < step.confidence <= 1


def test_stopping_keeps_what_was_done(predictor):
    scan, _ = pillar()
    steps = propagate(
        predictor, scan, predictor.predict(scan, 5, points=[(45, 41)]), 11
    )
    first = next(steps)
    steps.close()
    assert first.plane == 6 and first.mask.area > 300


def test_an_area_jump_ends_the_object(predictor):
    scan, _ = pillar()
    grey = np.array(scan.data)
    grey[7, 10:94, 10:66] = 0.9
    start = predictor.predict(scan, 5, points=[(45, 41)])
    flooded = Scan.from_array(grey)
    steps = list(propagate(predictor, flooded, start, to=11, stops=Stops(jump=1.8)))
    assert (steps[-1].plane, steps[-1].ended) == (7, "area")


def test_clicks_for_the_next_slice_lie_inside_and_apart():
    mask = Mask.from_array(disc(30, 30, 6) | disc(60, 70, 7))
    at = deepest(mask)
    assert all(mask.full[int(y), int(x)] for y, x in at)
    assert max(np.linalg.norm(a - b) for a in at for b in at) > 30


def vias(shape=(192, 256)) -> tuple[np.ndarray, list[tuple[int, int]]]:
    centres = [(16 + 32 * i, 16 + 32 * j) for i in range(6) for j in range(8)]
    grey = np.full(shape, 0.2, np.float32)
    for y, x in centres:
        grey[disc(y, x, 9, shape)] = 0.8
    noise = np.random.default_rng(0).normal(0, 0.01, shape)
    return (grey + noise).astype(np.float32), centres


def test_everything_is_found_once_and_filters_need_no_second_search(predictor):
    grey, centres = vias()
    found = find_everything(predictor, Scan.from_array(grey), spacing=11)
    encoded = predictor.model.encoded
    loose = found.select(Filters(score=0, stability=0, largest=0.01))
    middles = {
        (round((m.bbox[0] + m.bbox[2]) / 2 / 8), round((m.bbox[1] + m.bbox[3]) / 2 / 8))
        for m in loose
    }
    assert len(loose) == len(middles) >= 0.9 * len(centres)  # some lie between views
    assert found.select(Filters(score=0, smallest=10_000_000)) == []
    assert predictor.model.encoded == encoded


def test_the_search_can_be_stopped(predictor):
    grey, _ = vias()
    with pytest.raises(Cancelled):
        find_everything(predictor, Scan.from_array(grey), cancel=lambda: True)


def test_one_click_finds_the_whole_array(predictor):
    grey, centres = vias()
    scan = Scan.from_array(grey)
    one = predictor.predict(scan, points=[centres[10]])
    matches = find_alike(predictor, scan, one)
    hit = {
        min(
            range(len(centres)),
            key=lambda i: np.hypot(
                (m.mask.bbox[0] + m.mask.bbox[2]) / 2 - centres[i][0],
                (m.mask.bbox[1] + m.mask.bbox[3]) / 2 - centres[i][1],
            ),
        )
        for m in matches
    }
    assert len(hit) >= 0.9 * len(centres)
    assert len(matches) <= len(centres) + 2
    likeness = [m.likeness for m in matches]
    assert likeness == sorted(likeness, reverse=True)


def test_objects_that_the_border_cuts_are_found_too(predictor):
    grey = np.full((96, 96), 0.2, np.float32)
    truth = [disc(y, x, 9) for y in (0, 48, 95) for x in (0, 48, 95)]
    for one in truth:
        grey[one] = 0.9
    scan = Scan.from_array(grey)
    like = predictor.predict(scan, points=[(48, 48)])
    found = [m.mask.full for m in find_alike(predictor, scan, like, least=0.3)]
    halves = [truth[i] for i in (1, 3, 5, 7)]
    assert len(found) <= len(truth)
    for one in halves:  # corners hold a quarter, too little to be sure of
        best = max((f & one).sum() / (f | one).sum() for f in found)
        assert best > 0.7
    # no match sticks to a border where nothing is
    for f in found:
        assert max((f & one).sum() for one in truth) > 0.7 * f.sum()


def test_nothing_to_look_for_is_said(predictor):
    scan = Scan.from_array(vias()[0])
    empty = Mask((0, 0, 0, 0), np.zeros((0, 0), bool), 0.0, scan.plane_shape)
    with pytest.raises(PromptError, match="click one first"):
        find_alike(predictor, scan, empty)
