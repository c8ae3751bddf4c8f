"""Strokes as people paint them when things go wrong: few, many, of two minds."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sesami.retrieve import Retriever, TokenStore, contradictions
from napari_sesami.scan import Scan
from tests.fakes.texture import Texture, stripes, three_strokes


@pytest.fixture
def retriever(tmp_path) -> Retriever:
    store = TokenStore(Scan.from_array(stripes()[0]), Texture(), folder=tmp_path)
    store.plane(0)
    return Retriever(store, n_classes=3)


def test_a_class_of_one_pixel_is_learned_and_nothing_breaks(retriever):
    strokes, owners = three_strokes()
    strokes[strokes == 3] = 0
    owners[owners == 3] = 0
    strokes[100, 40], owners[100, 40] = 3, 3
    retriever.set_strokes(0, strokes, owners)
    for labels in (retriever.quick(0), retriever.segment(0).labels):
        assert set(np.unique(labels)) <= {1, 2, 3}
        assert (labels[95:105, 35:45] == 3).any()
        assert (labels[5:30] == 1).mean() > 0.9


def test_thirty_classes(tmp_path):
    rng = np.random.default_rng(0)
    truth = np.kron(np.arange(1, 31).reshape(5, 6), np.ones((24, 24), int))
    grey = (truth * 1000 + 60 * rng.normal(size=truth.shape)).astype(np.uint16)
    found = Retriever(TokenStore(Scan.from_array(grey), Texture(), folder=tmp_path), 30)
    found.store.plane(0)
    strokes = np.zeros(truth.shape, np.uint8)
    strokes[12::24] = truth[12::24]
    found.set_strokes(0, strokes, strokes.astype(np.int64))
    labels = found.segment(0).labels
    assert len(np.unique(labels)) == 30
    assert (labels == truth).mean() > 0.7
    assert (found.quick(0) == truth).mean() > 0.6


def test_strokes_that_contradict_each_other_are_named(retriever):
    strokes, owners = three_strokes()
    retriever.set_strokes(0, strokes, owners)
    assert contradictions(retriever.bank.rows(), 3) == []
    strokes[14, 20:60], owners[14, 20:60] = 3, 4  # the first layer, called the third
    retriever.set_strokes(0, strokes, owners)
    told = contradictions(retriever.bank.rows(), 3)
    assert [t.strokes for t in told] == [(1, 4)]
    assert told[0].classes == (1, 3)
    assert told[0].similarity > 0.98


def test_strokes_on_scans_of_other_sizes_teach_a_third(retriever, tmp_path):
    grey, truth = stripes()
    strokes, owners = three_strokes()
    only = strokes == 1  # two classes on one scan, the third on another
    retriever.set_strokes(0, np.where(only, 0, strokes), np.where(only, 0, owners))
    wide = Scan.from_array(np.tile(grey[:50], (1, 2)))
    second = Retriever(TokenStore(wide, Texture(), folder=tmp_path), 3)
    second.store.plane(0)
    second.set_strokes(
        0, *(np.tile(np.where(only, a, 0)[:50], 2) for a in (strokes, owners))
    )
    small = Scan.from_array(grey[20:111, 7:80])
    pupil = Retriever(TokenStore(small, Texture(), folder=tmp_path), 3)
    pupil.store.plane(0)
    for teacher in (retriever, second):
        pupil.teach(teacher.bank.rows(), 3, teacher.samples())
    assert (pupil.segment(0).labels == truth[20:111, 7:80]).mean() > 0.9


def test_a_line_of_one_pixel_is_found_from_one_stroke_along_a_part_of_it(tmp_path):
    rng = np.random.default_rng(1)
    truth = np.ones((160, 160), np.uint8)
    truth[np.arange(160), (80 + 25 * np.sin(np.arange(160) / 25)).astype(int)] = 2
    grey = np.where(truth == 2, 0.75, 0.4) + 0.03 * rng.normal(size=truth.shape)
    scan = Scan.from_array((grey * 1000).astype(np.uint16))
    found = Retriever(TokenStore(scan, Texture(), folder=tmp_path), 2)
    found.store.plane(0)
    strokes = np.zeros(truth.shape, np.uint8)
    strokes[10:40] = np.where(truth[10:40] == 2, 2, 0)
    strokes[60, 5:50] = strokes[120, 110:150] = 1
    found.set_strokes(0, strokes, strokes.astype(np.int64))
    labels = found.segment(0).labels
    line = truth == 2
    line[:45] = False
    near = np.lib.stride_tricks.sliding_window_view(np.pad(labels == 2, 1), (3, 3))
    assert near.any((2, 3))[line].mean() > 0.9  # it is found, within a pixel
    assert (labels[45:] == 2).mean() < 6 * line[45:].mean()  # and stays a line
