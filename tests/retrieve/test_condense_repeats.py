"""Condensing keeps what matters; repeats are found and the odd one stands out."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sesami.retrieve import (
    RetrieveError,
    Rows,
    TokenStore,
    VoteTemperature,
    find_repeats,
    transfer_labels,
)
from napari_sesami.retrieve.condense import condense
from napari_sesami.scan import Scan
from tests.fakes.texture import Texture


def many_rows(n: int = 3000) -> Rows:
    rng = np.random.default_rng(0)
    classes = np.where(np.arange(n) < 40, 2, 1)  # class 2 is rare
    centres = rng.normal(size=(2, 16))
    tokens = centres[classes - 1] + 0.5 * rng.normal(size=(n, 16))
    tokens /= np.linalg.norm(tokens, axis=1, keepdims=True)
    patches = np.tile(classes[:, None, None], (1, 4, 4)).astype(np.uint8)
    where = np.zeros((n, 3), np.int32)
    return Rows(tokens.astype(np.float32), patches, where, np.arange(n) % 7)


def test_condensing_keeps_the_rare_class_and_reports_its_cost():
    rows = many_rows()
    small = condense(rows, 2, VoteTemperature(), cap=200)
    assert len(small.rows) == 200
    assert (small.rows.patches[:, 0, 0] == 2).sum() == 40
    assert small.accuracy_before > 0.95
    assert small.accuracy_after > small.accuracy_before - 0.03


def test_a_small_bank_stays_as_it_is():
    rows = many_rows(100)
    assert condense(rows, 2, cap=200).rows is rows


def vias(missing: bool) -> np.ndarray:
    grey = np.full((200, 240), 0.3, np.float32)
    y, x = np.indices((30, 30)) - 14.5
    via = 0.5 * (np.hypot(y, x) < 9)
    for row in range(6):
        for column in range(7):
            if not (missing and (row, column) == (2, 3)):
                top, left = 8 + row * 31, 10 + column * 32
                grey[top : top + 30, left : left + 30] += via
    noise = np.random.default_rng(0).normal(size=grey.shape)
    return (grey + 0.02 * noise).astype(np.float32)


def test_every_via_of_an_array_is_found_from_one():
    store = TokenStore(Scan.from_array(vias(missing=False)), Texture())
    repeats = find_repeats(store, 0, (8, 10, 38, 40), least=0.9)
    corners = {
        (round((y - 8) / 31), round((x - 10) / 32)) for y, x, *_ in repeats.boxes
    }
    assert len(corners) == len(repeats.boxes) == 42
    assert np.abs((repeats.boxes[:, 0] - 8) % 31 - 0).max() in (0, 1, 30)


def test_a_particle_on_one_repeat_stands_out():
    grey = vias(missing=False)
    grey[8 + 2 * 31 + 4 : 8 + 2 * 31 + 8, 10 + 3 * 32 + 4 : 10 + 3 * 32 + 8] += 0.4
    store = TokenStore(Scan.from_array(grey), Texture())
    difference = find_repeats(store, 0, (8, 10, 38, 40), least=0.85).difference
    y, x = np.unravel_index(difference.argmax(), difference.shape)
    assert 74 <= y <= 77 and 110 <= x <= 113
    assert difference[74:78, 110:114].mean() > 3 * np.quantile(difference, 0.99)


def test_labels_are_carried_to_every_repeat_and_existing_ones_kept():
    store = TokenStore(Scan.from_array(vias(missing=False)), Texture())
    box = (8, 10, 38, 40)
    repeats = find_repeats(store, 0, box, least=0.9)
    labels = np.zeros((200, 240), np.uint8)
    labels[20:26, 22:28] = 1
    labels[51:55, 54:58] = 2
    out = transfer_labels(labels, box, repeats)
    assert (out == 1).sum() >= 36 * 41
    np.testing.assert_array_equal(out[51:55, 54:58], 2)


def test_a_cell_too_small_is_refused():
    store = TokenStore(Scan.from_array(vias(missing=False)), Texture())
    with pytest.raises(RetrieveError, match="at least 8 pixels"):
        find_repeats(store, 0, (0, 0, 5, 30))
