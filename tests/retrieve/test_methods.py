"""The published ways on a real store, and who votes in a large bank."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from napari_sesami.retrieve import (
    METHODS,
    RetrieveError,
    Retriever,
    TokenStore,
    retrieve,
    to_pixels,
)
from napari_sesami.retrieve.methods import GRID_BETA, GRID_K, choose
from napari_sesami.retrieve.voting_rows import VotingRows
from napari_sesami.scan import Scan
from tests.fakes.texture import Texture, stripes, three_strokes

if TYPE_CHECKING:
    from napari_sesami.retrieve import Rows

PUBLISHED = [method for method in METHODS if method != "ours"]


@pytest.fixture
def retriever() -> Retriever:
    made = Retriever(TokenStore(Scan.from_array(stripes()[0]), Texture()), 3)
    strokes, owners = three_strokes()
    for i, y in enumerate((20, 70, 115)):  # a second stroke of each
        strokes[y : y + 3, 60:90], owners[y : y + 3, 60:90] = i + 1, i + 4
    made.set_strokes(0, strokes, owners)
    return made


@pytest.mark.parametrize("method", PUBLISHED)
def test_a_published_way_on_a_scan_is_the_reference_on_its_tokens(retriever, method):
    found = retriever.segment(0, method=method)
    how, rows = retriever.settings(method), retriever.bank.rows()
    tokens = retriever.store.plane(0)
    h, w, dim = tokens.shape
    flat = torch.from_numpy(tokens.reshape(-1, dim))
    said = retrieve(flat, rows, 3, method, how.k, how.beta)
    expected = to_pixels(said, (h, w), 4).permute(1, 2, 0).numpy()[:130, :118]
    np.testing.assert_allclose(found.votes, expected, atol=1e-5)
    assert (found.labels == stripes()[1]).mean() > 0.9
    assert found.novelty.shape == (130, 118)


@pytest.mark.parametrize("method", PUBLISHED)
def test_bands_of_tokens_change_nothing(retriever, method, monkeypatch):

    whole = retriever.segment(0, method=method).votes
    from napari_sesami.retrieve import methods

    monkeypatch.setattr(methods, "PAIRS", 40 * len(retriever.bank))
    np.testing.assert_allclose(
        retriever.segment(0, method=method).votes, whole, atol=1e-5
    )


@pytest.mark.parametrize("method", PUBLISHED)
def test_the_quick_answer_of_a_published_way_is_close_to_the_whole(retriever, method):
    quick = retriever.quick(0, method)
    assert (quick == retriever.segment(0, method=method).labels).mean() > 0.95


@pytest.mark.parametrize("method", PUBLISHED)
def test_neighbours_and_temperature_are_the_best_of_the_grid(retriever, method):
    rows = retriever.bank.rows()
    how = choose(rows, 3, method)
    assert how.k in GRID_K[method] and how.beta in GRID_BETA
    best = 0.0
    for k in GRID_K[method]:
        for beta in GRID_BETA:
            best = max(best, left_out(rows, method, k, beta))
    assert how.score == pytest.approx(best, abs=1e-3)
    assert how.score == pytest.approx(left_out(rows, method, how.k, how.beta), abs=1e-5)


def left_out(rows: Rows, method: str, k: int, beta: float) -> float:
    """The score by `retrieve` itself, without one stroke at a time."""
    truth = rows.counts(3).argmax(1)
    said = np.zeros(len(rows))
    for stroke in np.unique(rows.stroke):
        mine = rows.stroke == stroke
        tokens = torch.from_numpy(rows.tokens[mine])
        others = rows.take(~mine)
        histogram = others.counts(3) / others.counts(3).sum(1, keepdims=True)
        near, index = (tokens @ torch.from_numpy(others.tokens).T).topk(
            min(k, len(others)), dim=1
        )
        weight = (near / beta).softmax(1)
        if method == "distance":
            weight = 1 / (1 - near).clamp(min=1e-6)
            weight = weight / weight.sum(1, keepdim=True)
        p = np.einsum("nk,nkc->nc", weight.numpy(), histogram[index.numpy()])
        said[mine] = p[np.arange(mine.sum()), truth[mine]]
    logs = np.log(np.clip(said, 1e-3, 1))
    return float(np.exp(np.mean([logs[truth == c].mean() for c in range(3)])))


def test_with_one_stroke_of_a_class_the_published_values_stand():
    made = Retriever(TokenStore(Scan.from_array(stripes()[0]), Texture()), 3)
    made.set_strokes(0, *three_strokes())
    how = made.settings("attention")
    assert (how.k, how.beta) == (30, 0.02) and math.isnan(how.score)


def test_an_unknown_way_is_said(retriever):
    with pytest.raises(RetrieveError, match="method is one of ours, distance"):
        retriever.segment(0, method="nearest")
    with pytest.raises(RetrieveError, match="'nearest' was given"):
        retriever.quick(0, "nearest")


@pytest.mark.parametrize("method", PUBLISHED)
def test_undoing_a_stroke_takes_its_part_in_a_published_way_back(retriever, method):
    before = retriever.segment(0, method=method).votes
    retriever.switch(4, on=False)
    assert (retriever.segment(0, method=method).votes != before).any()
    retriever.switch(4, on=True)
    np.testing.assert_array_equal(retriever.segment(0, method=method).votes, before)


# --- large banks


def small_cap(retriever: Retriever, cap: int, kept: int) -> Retriever:
    retriever.voters = VotingRows(retriever.bank, cap, kept)
    retriever._sums.clear()
    return retriever


def test_beyond_the_cap_a_selection_votes_and_the_bank_keeps_every_row(retriever):
    full = len(retriever.bank)
    small_cap(retriever, 30, 24).condense()
    assert len(retriever.bank) == full > 30
    assert len(retriever.voters.rows()) == 24
    told = retriever.voters.condensed
    assert told.total == full
    assert f"{full} patches condensed to 24: " in told.sentence
    assert (retriever.segment(0).labels == stripes()[1]).mean() > 0.9


def test_below_the_cap_everybody_votes_and_nothing_is_said(retriever):
    retriever.condense()
    assert retriever.voters.condensed is None
    assert len(retriever.voters.rows()) == len(retriever.bank)


def test_a_silent_stroke_leaves_the_selection_and_comes_back(retriever):
    small_cap(retriever, 30, 24).condense()
    first = retriever.voters.rows()
    retriever.switch(5, on=False)
    retriever.condense()
    assert (retriever.voters.rows().stroke != 5).all()
    retriever.switch(5, on=True)
    retriever.condense()
    again = retriever.voters.rows()
    np.testing.assert_array_equal(again.where, first.where)
    np.testing.assert_array_equal(again.stroke, first.stroke)


def test_a_new_stroke_votes_beside_the_selection_and_leaves_no_trace(retriever):
    small_cap(retriever, 30, 24).condense()
    before = retriever.segment(0, refine=False).votes
    strokes = retriever._strokes[0, 0].dense((130, 118))[0]
    more, owners = strokes.copy(), np.where(strokes > 0, 0, 0).astype(np.int64)
    owners[strokes > 0] = three_and_three()[strokes > 0]
    more[90:93, 10:40], owners[90:93, 10:40] = 1, 9
    retriever.set_strokes(0, more, owners)
    assert (retriever.voters.rows().stroke == 9).any()
    assert (retriever.segment(0, refine=False).votes != before).any()
    retriever.set_strokes(0, strokes, owners)
    np.testing.assert_array_equal(retriever.segment(0, refine=False).votes, before)


def three_and_three() -> np.ndarray:
    owners = three_strokes()[1]
    for i, y in enumerate((20, 70, 115)):
        owners[y : y + 3, 60:90] = i + 4
    return owners


def test_thinning_keeps_rare_classes_and_is_always_the_same(retriever):
    rows = retriever.bank.rows()
    thin = rows.thinned(9, 3)
    assert len(thin) == 9
    assert np.bincount(thin.counts(3).argmax(1)).tolist() == [3, 3, 3]
    np.testing.assert_array_equal(thin.where, rows.thinned(9, 3).where)


def test_a_selection_stands_while_new_strokes_fit_beside_it(retriever):
    small_cap(retriever, 30, 24).condense()
    first = retriever.voters.condensed
    strokes, owners = retriever._strokes[0, 0].dense((130, 118))
    for name, y in ((8, 90), (9, 94)):
        strokes, owners = strokes.copy(), owners.copy()
        strokes[y : y + 2, 10:26], owners[y : y + 2, 10:26] = 3, name
        retriever.set_strokes(0, strokes, owners)
        retriever.condense()
        stands = retriever.voters.condensed is first
        assert stands == (name == 8)
    assert len(retriever.voters.rows()) == 24


def test_choosing_who_votes_can_be_stopped(retriever):
    class Stop(Exception):
        pass

    def check():
        raise Stop

    small_cap(retriever, 30, 24)
    before = retriever.voters.rows()
    with pytest.raises(Stop):
        retriever.condense(check)
    assert retriever.voters.rows() is before
    retriever.condense()
    assert len(retriever.voters.rows()) == 24
