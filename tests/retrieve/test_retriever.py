"""Strokes in, labels out; undo, stroke eyes and caches are exact."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sesami.retrieve import RetrieveError, Retriever, TokenStore
from napari_sesami.scan import Scan
from tests.fakes.texture import Texture, stripes, three_strokes


@pytest.fixture
def retriever(tmp_path) -> Retriever:
    scan = Scan.from_array(stripes()[0])
    return Retriever(TokenStore(scan, Texture(), folder=tmp_path), n_classes=3)


def test_three_thin_strokes_label_three_layers(retriever):
    assert retriever.set_strokes(0, *three_strokes()) == [1, 2, 3]
    result = retriever.segment(0)
    truth = stripes()[1]
    assert result.labels.shape == truth.shape
    assert (result.labels == truth).mean() > 0.98
    assert result.margin[10, 30] > result.margin[39:41, 30].min()


def test_undoing_a_stroke_gives_back_the_same_bits(retriever):
    strokes, owners = three_strokes()
    retriever.set_strokes(0, strokes, owners)
    before = retriever.segment(0)
    more, theirs = strokes.copy(), owners.copy()
    more[100:104, 70:90], theirs[100:104, 70:90] = 1, 4
    retriever.set_strokes(0, more, theirs)
    assert (retriever.segment(0).votes != before.votes).any()
    retriever.set_strokes(0, strokes, owners)
    after = retriever.segment(0)
    np.testing.assert_array_equal(after.votes, before.votes)
    np.testing.assert_array_equal(after.novelty, before.novelty)


def test_a_silent_stroke_is_as_good_as_none_and_comes_back(retriever):
    strokes, owners = three_strokes()
    retriever.set_strokes(0, strokes, owners)
    before = retriever.segment(0).votes
    retriever.switch(3, on=False)
    assert (retriever.segment(0, refine=False).labels != 3).all()
    retriever.switch(3, on=True)
    np.testing.assert_array_equal(retriever.segment(0).votes, before)


def test_what_nobody_labelled_is_novel():
    grey, _ = stripes()
    grey[100:120, 90:110] = np.where(np.indices((20, 20)).sum(0) % 2, 1000, 0)
    retriever = Retriever(TokenStore(Scan.from_array(grey), Texture()), 3)
    retriever.set_strokes(0, *three_strokes())
    novelty = retriever.segment(0).novelty
    assert novelty[104:116, 94:106].mean() > 5 * np.median(novelty)


def test_strokes_of_one_slice_label_another():
    grey, truth = stripes()
    scan = Scan.from_array(np.stack([grey, grey[::-1]]))
    retriever = Retriever(TokenStore(scan, Texture()), 3)
    retriever.set_strokes(0, *three_strokes())
    labels = retriever.segment(1).labels
    assert (labels == truth[::-1]).mean() > 0.95


def test_tokens_are_computed_once_and_found_on_disk(tmp_path):
    scan = Scan.from_array(stripes()[0])
    first = TokenStore(scan, Texture(), folder=tmp_path)
    tokens = first.plane(0)
    again = TokenStore(scan, Texture(), folder=tmp_path)
    assert again.ready(0)
    np.testing.assert_allclose(again.plane(0), tokens, atol=1e-3)
    assert again.encoder.calls == 0


def test_another_zoom_or_another_scan_never_takes_stale_tokens(tmp_path):
    grey = stripes()[0]
    store = TokenStore(Scan.from_array(grey), Texture(), folder=tmp_path)
    store.plane(0)
    half = TokenStore(Scan.from_array(grey), Texture(), zoom=0.5, folder=tmp_path)
    other = TokenStore(Scan.from_array(grey[::-1].copy()), Texture(), folder=tmp_path)
    assert not half.ready(0) and not other.ready(0)
    assert half.plane(0).shape[:2] == (17, 15)
    assert half.patch == 8


def test_a_torn_token_file_is_computed_again(tmp_path):
    scan = Scan.from_array(stripes()[0])
    TokenStore(scan, Texture(), folder=tmp_path).plane(0)
    file = next(tmp_path.rglob("*.npy"))
    file.write_bytes(file.read_bytes()[:100])
    again = TokenStore(scan, Texture(), folder=tmp_path)
    assert again.plane(0) is not None
    assert again.encoder.calls > 0


def test_tiles_leave_no_seam():
    rng = np.random.default_rng(0)
    scan = Scan.from_array(rng.random((200, 170)).astype(np.float32))
    small, big = Texture(), Texture()
    big.tile = 256
    ours = TokenStore(scan, small).plane(0)
    whole = TokenStore(scan, big).plane(0)
    assert small.calls > 1 and big.calls == 1
    inner = np.abs(ours - whole)[:-1, :-1]
    assert inner.max() < 0.2 and np.quantile(inner, 0.9) < 1e-6


def test_cancel_stops_encoding(retriever):
    assert retriever.store.plane(0, cancelled=lambda: True) is None


def test_no_strokes_asks_for_one(retriever):
    with pytest.raises(RetrieveError, match="paint a stroke"):
        retriever.segment(0)


@pytest.mark.parametrize("zoom", [0.5, 1.0, 4 / 3, 2.0, 4.0])
@pytest.mark.parametrize("shape", [(130, 118), (97, 65), (129, 113)])
def test_the_quick_answer_is_the_unrefined_one_at_every_scale(shape, zoom):
    image = np.random.default_rng(1).integers(0, 999, shape).astype(np.uint16)
    retriever = Retriever(TokenStore(Scan.from_array(image), Texture(), zoom=zoom), 3)
    strokes, owners = (a[: shape[0], : shape[1]] for a in three_strokes())
    retriever.set_strokes(0, strokes, owners)
    slow = retriever.segment(0, refine=False)
    quick = retriever.quick(0)
    assert quick.shape == slow.labels.shape == shape
    differs = quick != slow.labels
    assert differs.mean() < 1e-3  # ties of the last bit
    top = np.sort(slow.votes[differs], axis=-1)
    assert (top[..., -1] - top[..., -2] < 1e-5).all()


def test_novelty_is_the_same_after_a_stroke_was_taken_back_as_before(retriever):
    strokes, owners = three_strokes()
    retriever.set_strokes(0, strokes, owners)
    retriever.segment(0)
    without = np.where(strokes == 3, 0, strokes)
    retriever.set_strokes(0, without, owners)
    fresh = Retriever(retriever.store, 3)
    fresh.set_strokes(0, without, owners)
    again = retriever.segment(0)
    np.testing.assert_array_equal(again.novelty, fresh.segment(0).novelty)
    assert again.novelty[100].mean() > again.novelty[10].mean()


def test_a_check_that_raises_stops_refining(retriever):
    class Stop(Exception):
        pass

    def check():
        raise Stop

    retriever.set_strokes(0, *three_strokes())
    with pytest.raises(Stop):
        retriever.segment(0, check=check)


def test_planes_looked_at_are_not_all_kept_in_memory():
    image = np.stack([stripes()[0]] * 6)
    retriever = Retriever(TokenStore(Scan.from_array(image), Texture()), 3)
    retriever.set_strokes(0, *three_strokes())
    first = retriever.segment(0).votes
    for plane in range(6):
        retriever.segment(plane, refine=False)
    assert len(retriever._sums) <= 2
    np.testing.assert_array_equal(retriever.segment(0).votes, first)


def dimmed(shape=(200, 170)) -> Scan:
    rng = np.random.default_rng(0)
    return Scan.from_array(rng.random(shape).astype(np.float32))


def test_the_tile_that_is_looked_at_comes_first_then_outward():
    seen = []

    class Watching(Texture):
        def encode(self, view, normalise=False):
            seen.append(float(view.mean()))
            return super().encode(view, normalise)

    scan = dimmed()
    store = TokenStore(scan, Watching())
    plan = store._plan(scan.plane_shape)
    store.plane(0, near=(190, 160))
    means = [float(plan.cut(scan.grey(), i).mean()) for i in plan.order((190, 160))]
    assert seen == pytest.approx(means, abs=1e-6)
    assert plan.order((190, 160))[0] == len(plan) - 1


def test_after_a_crash_only_the_missing_tiles_are_computed(tmp_path):
    scan = dimmed()
    first = TokenStore(scan, Texture(), folder=tmp_path)

    def crash(done, total):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        first.plane(0, progress=crash)
    again = TokenStore(scan, Texture(), folder=tmp_path)
    tokens = again.plane(0)
    assert again.encoder.calls == len(again._plan(scan.plane_shape)) - 4
    np.testing.assert_array_equal(tokens, TokenStore(scan, Texture()).plane(0))
    assert not list(tmp_path.rglob("*.tiles"))
    reopened = TokenStore(scan, Texture(), folder=tmp_path).plane(0)
    np.testing.assert_array_equal(tokens, reopened)


@pytest.mark.parametrize("shape", [(50, 43, 7), (50, 43), (10, 10, 5)])
def test_a_cache_of_another_version_is_computed_again(tmp_path, shape):
    scan = dimmed()
    TokenStore(scan, Texture(), folder=tmp_path).plane(0)
    file = next(tmp_path.rglob("0.npy"))
    np.save(file, np.ones(shape, np.float16))
    again = TokenStore(scan, Texture(), folder=tmp_path)
    expected = TokenStore(scan, Texture()).plane(0)
    np.testing.assert_array_equal(again.plane(0), expected)
    assert again.encoder.calls > 0


def test_a_full_disk_costs_the_cache_and_is_said(tmp_path, monkeypatch):
    import errno
    import os

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    store = TokenStore(dimmed(), Texture(), folder=tmp_path)
    tokens = store.plane(0)
    assert tokens is not None and store.plane(0) is tokens
    assert "No space left on device" in store.trouble
    assert not list(tmp_path.rglob("*.tmp")) and not list(tmp_path.rglob("*.npy"))


def test_the_tile_in_view_comes_first_then_those_under_strokes(tmp_path):
    grey = np.kron(stripes()[0], np.ones((2, 2), np.uint16))
    seen: list[np.ndarray] = []
    store = TokenStore(Scan.from_array(grey), Texture(), folder=tmp_path)
    pixels = np.array([2 * grey.shape[1] + 2, 3])  # the corner at the top left
    store.plane(
        0,
        near=(250.0, 230.0),
        first=pixels,
        partly=lambda tokens, known: seen.append(known.copy()),
    )
    assert seen[0][-1, -1] and not seen[0][0, 0]
    assert seen[1][0, 0] and seen[1].mean() < 0.3


def test_reading_under_strokes_can_be_stopped_and_keeps_what_it_read(tmp_path):
    grey = np.kron(stripes()[0], np.ones((2, 2), np.uint16))
    store = TokenStore(Scan.from_array(grey), Texture(), folder=tmp_path)
    assert store.under(0, np.array([5]), cancelled=lambda: True) is None
    found = store.under(0, np.array([5]))
    calls = store.encoder.calls
    again = TokenStore(Scan.from_array(grey), Texture(), folder=tmp_path)
    np.testing.assert_array_equal(again.under(0, np.array([5])), found)
    assert calls == 1 and again.encoder.calls == 0
    assert not found[-1, -1].any()
