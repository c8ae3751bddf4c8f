"""Reasons, the worth of strokes, and the scale at which a scan is read."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_sesami.retrieve import (
    PaintedPixels,
    RetrieveError,
    Retriever,
    TokenStore,
    choose_zoom,
    explain,
    looks_that_decided,
    strokes_behind,
    why,
)
from napari_sesami.retrieve import worth as worth_of
from napari_sesami.scan import Scan
from tests.fakes.texture import Texture, stripes, three_strokes


def two_strokes_a_class() -> tuple[np.ndarray, np.ndarray]:
    strokes = np.zeros((130, 118), np.uint8)
    owners = np.zeros((130, 118), np.int64)
    for i, y in enumerate((10, 60, 100, 30, 70, 120)):
        strokes[y, 20:60], owners[y, 20:60] = i % 3 + 1, i + 1
    return strokes, owners


@pytest.fixture
def retriever() -> Retriever:
    return Retriever(TokenStore(Scan.from_array(stripes()[0]), Texture()), 3)


def test_a_pixel_is_explained_by_patches_of_its_own_layer(retriever):
    retriever.set_strokes(0, *two_strokes_a_class())
    reasons = why(retriever, 0, 55, 100)
    assert len(reasons) == 3
    assert {r.class_id for r in reasons} == {2}
    assert {r.stroke for r in reasons} <= {2, 5}
    assert reasons[0].share >= reasons[1].share >= reasons[2].share > 0
    y0, x0, y1, x1 = reasons[0].bbox
    assert (y1 - y0, x1 - x0) == (4, 4)
    assert (two_strokes_a_class()[0][y0:y1, x0:x1] == 2).any()


def test_the_last_row_and_column_have_reasons_too(retriever):
    retriever.set_strokes(0, *two_strokes_a_class())
    assert why(retriever, 0, 129, 117)[0].class_id == 3


def test_every_stroke_behind_a_pixel_is_told_once_with_its_share(retriever):
    retriever.set_strokes(0, *two_strokes_a_class())
    found = strokes_behind(retriever, 0, 55, 100)
    assert sorted(r.stroke for r in found) == [1, 2, 3, 4, 5, 6]
    assert sum(r.share for r in found) == pytest.approx(1)
    assert {r.class_id for r in found[:2]} == {2}
    assert [r.share for r in found] == sorted((r.share for r in found), reverse=True)
    # patches of one stroke are added up
    patches = why(retriever, 0, 55, 100, n=1000)
    own = sum(p.share for p in patches if p.stroke == found[0].stroke)
    assert own > max(p.share for p in patches)


def test_nothing_painted_nothing_to_explain(retriever):
    for ask in (why, strokes_behind):
        with pytest.raises(RetrieveError, match="no reason"):
            ask(retriever, 0, 5, 5)


def test_a_wrong_stroke_is_worth_less_than_nothing(retriever):
    strokes, owners = two_strokes_a_class()
    strokes[90, 60:100], owners[90, 60:100] = 1, 7  # layer 3 painted as class 1
    retriever.set_strokes(0, strokes, owners)
    worths = worth_of(retriever)
    assert worths[7] == min(worths.values())
    assert worths[7] < 0


def test_the_only_stroke_of_a_class_cannot_be_judged(retriever):
    strokes, owners = two_strokes_a_class()
    strokes[owners == 6] = 0
    retriever.set_strokes(0, strokes, owners)
    assert math.isnan(worth_of(retriever)[3])


def test_coarse_textures_are_read_at_a_coarse_scale():
    rng = np.random.default_rng(0)
    coarse = np.kron(rng.random((16, 32)), np.ones((8, 8)))
    fine = rng.random((128, 256))
    grey = np.where(np.indices((128, 256))[1] < 128, coarse, fine).astype(np.float32)
    scan = Scan.from_array(grey)
    strokes = np.zeros((128, 256), np.uint8)
    owners = np.zeros((128, 256), np.int64)
    for i, (y, x, c) in enumerate([(20, 9, 1), (80, 9, 1), (20, 150, 2), (80, 150, 2)]):
        strokes[y, x : x + 100], owners[y, x : x + 100] = c, i + 1
    stores = {z: TokenStore(scan, Texture(), zoom=z) for z in (1.0, 0.5, 2.0)}
    zoom, scores = choose_zoom(
        stores.__getitem__, [(0, PaintedPixels.of(strokes, owners))]
    )
    assert scores[zoom] >= max(scores.values()) - 0.02
    assert len(scores) == 3


def test_one_stroke_only_keeps_native_pixels():
    scan = Scan.from_array(stripes()[0])
    strokes, owners = two_strokes_a_class()
    strokes[owners != 1] = 0
    zoom, scores = choose_zoom(
        lambda z: TokenStore(scan, Texture(), zoom=z),
        [(0, PaintedPixels.of(strokes, owners))],
    )
    assert zoom == 1.0
    assert all(math.isnan(s) for s in scores.values())


def test_worth_is_what_the_others_lose_counted_the_long_way(retriever):
    from napari_sesami.retrieve.voting import left_out_score

    strokes, owners = two_strokes_a_class()
    strokes[40:44, 70:90], owners[40:44, 70:90] = 1, 7  # wrong, and over a border
    retriever.set_strokes(0, strokes, owners)
    retriever.tune()
    rows, temper = retriever.bank.rows(), retriever.temper
    for stroke, found in worth_of(retriever).items():
        others = rows.take(rows.stroke != stroke)
        judged = rows.stroke != stroke
        expected = left_out_score(rows, 3, temper, judged=judged)
        expected -= left_out_score(others, 3, temper)
        assert found == pytest.approx(expected, abs=1e-5)
    assert worth_of(retriever)[7] < 0


def test_looks_that_decided_name_what_tells_the_layers_apart(tmp_path):
    """Stripes differ in grey alone, a checkerboard from its mean in texture alone."""
    grey, _ = stripes()
    store = TokenStore(Scan.from_array(grey), Texture(), folder=tmp_path)
    found = Retriever(store, 3)
    found.set_strokes(0, *three_strokes())
    class_id, shares = looks_that_decided(found, 0, 60, 80)
    assert class_id == 2
    assert shares[0].name in ("grey level", "surroundings")
    positive = [s.share for s in shares if s.share > 0]
    assert sum(positive) == pytest.approx(1)
    by_name = {s.name: s.share for s in shares}
    assert by_name["grey level"] > max(
        (v for k, v in by_name.items() if k.startswith("texture")), default=0
    )

    board = np.full((96, 96), 500, np.uint16)
    board[:, 48:] = np.where(np.indices((96, 48)).sum(0) // 2 % 2, 800, 200)
    rough = Retriever(TokenStore(Scan.from_array(board), Texture()), 2)
    strokes = np.zeros((96, 96), np.uint8)
    strokes[20, 5:40], strokes[20, 55:90] = 1, 2
    rough.set_strokes(0, strokes, strokes.astype(np.int64))
    class_id, shares = looks_that_decided(rough, 0, 70, 70)
    assert class_id == 2
    kinds = {s.name: s.share for s in shares}
    assert sum(v for k, v in kinds.items() if k != "grey level") > 0.7


def test_with_one_class_no_look_decides():
    found = Retriever(TokenStore(Scan.from_array(stripes()[0]), Texture()), 3)
    found.store.plane(0)
    alone = np.where(three_strokes()[0] == 1, 1, 0)
    found.set_strokes(0, alone, alone.astype(np.int64))
    with pytest.raises(RetrieveError, match="two classes"):
        looks_that_decided(found, 0, 5, 5)


def test_scales_are_compared_by_the_tiles_under_strokes_alone(tmp_path):
    """A plane of sixteen tiles, strokes on two of them: the others are not read."""
    grey = np.kron(stripes()[0], np.ones((2, 2), np.uint16))
    encoders: dict[float, Texture] = {}

    def make(zoom: float) -> TokenStore:
        if zoom not in encoders:
            encoders[zoom] = Texture()
            stores[zoom] = TokenStore(
                Scan.from_array(grey), encoders[zoom], zoom=zoom, folder=tmp_path
            )
        return stores[zoom]

    stores: dict[float, TokenStore] = {}
    strokes = np.zeros(grey.shape, np.uint8)
    owners = np.zeros(grey.shape, np.int64)
    for i, x in enumerate((10, 25, 40)):
        strokes[10, x : x + 8], owners[10, x : x + 8] = 1, 2 * i + 1
        strokes[100, x : x + 8], owners[100, x : x + 8] = 2, 2 * i + 2
    painted = [(0, PaintedPixels.of(strokes, owners))]
    choose_zoom(make, painted)
    whole = Texture()
    tokens = TokenStore(Scan.from_array(grey), whole).plane(0)
    assert 0 < encoders[1.0].calls < whole.calls / 2
    before = encoders[1.0].calls
    np.testing.assert_array_equal(stores[1.0].plane(0), tokens)
    assert encoders[1.0].calls == whole.calls  # what was read is not read again
    assert before > 0


@pytest.mark.parametrize(
    ("half", "read", "best"), [(0.8, False, 0.5), (0.5, True, 2.0)]
)
def test_a_finer_scale_is_read_only_if_a_coarser_one_is_worse(
    half, read, best, tmp_path, monkeypatch
):
    said = {1.0: 0.7, 0.5: half, 2.0: 0.9}
    asked: list[float] = []

    def make(zoom: float) -> TokenStore:
        asked.append(zoom)
        scan = Scan.from_array(stripes()[0])
        return TokenStore(scan, Texture(), zoom=zoom, folder=tmp_path)

    monkeypatch.setattr(explain, "tune", lambda rows, n: (None, said[asked[-1]]))
    painted = PaintedPixels.of(*two_strokes_a_class())
    found, scores = choose_zoom(make, [(0, painted)])
    assert found == best
    assert (2.0 in asked) == (2.0 in scores) == read
