"""Lots from tables, folders, boards and labelled scans; pictures good and bad."""

from __future__ import annotations

import os
import sys

import imageio.v3 as iio
import numpy as np
import pytest
from tests.fakes.defects import draw, lot_of, write_klarf
from tests.fakes.texture import Texture

import napari_sesami as sesami
from napari_sesami.classify import (
    ClassifyError,
    DefectPicture,
    Lot,
    PictureReader,
    features_of,
    held_out_groups,
)
from napari_sesami.scan import Scan


def picture(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    iio.imwrite(path, draw("speck", seed))
    return path


def test_a_table_names_pictures_labels_and_places(tmp_path):
    for k in range(3):
        picture(tmp_path / "bilder" / f"{k}h.png", k)
    table = tmp_path / "lot.csv"
    table.write_text(
        "ID;High;Low;Class;Lot;X;Y;nm_high\n"
        "a;bilder/0h.png;;ブリッジ;L1;1,5;-2;2.5\n"
        "b;bilder/1h.png;bilder/2h.png;;L1;;;\n"
        "b;fehlt.png;;x;L2;3;4;1\n"
        "c;bilder/0h.png;;;;word;4;1\n",
        encoding="utf-8-sig",
    )
    lot = sesami.open_lot(tmp_path)
    assert [d.id for d in lot.defects] == ["a", "b", "b-2"]
    first = lot.defects[0]
    assert first.label == "ブリッジ" and first.xy == (1.5, -2.0) and first.lot == "L1"
    assert first.high.nm == 2.5 and lot.defects[1].low.file == "bilder/2h.png"
    told = " ".join(lot.problems)
    assert "a word for a number" in told and "1 pictures" in told and "1 names" in told


def test_names_of_pictures_are_enough(tmp_path):
    for name in ("17_low", "17_high", "18_high", "bridge/2-high", "bridge/2-template"):
        picture(tmp_path / f"{name}.png")
    lot = sesami.open_lot(tmp_path)
    assert [(d.id, d.label) for d in lot.defects] == [
        ("17", None), ("18", None), ("bridge/2", "bridge"),
    ]  # fmt: skip
    assert lot.defects[0].low and not lot.defects[1].low and lot.defects[2].template


def test_boards_in_deeppcbs_layout(tmp_path):
    board = np.zeros((200, 200), np.uint8)
    for name in ("00041001_test", "00041001_temp"):
        iio.imwrite(tmp_path / f"{name}.jpg", board)
    (tmp_path / "00041001.txt").write_text("2 3 20 30 4\n100,100,120,110,1\n")
    lot = sesami.open_lot(tmp_path)
    assert [(d.label, d.lot) for d in lot.defects] == [
        ("spur", "00041"),
        ("open", "00041"),
    ]
    grey = PictureReader().read(lot.defects[0].low)  # over the edge of the board
    assert grey.shape == (144, 144)


def test_objects_of_a_labelled_scan_become_defects():
    pixels = np.zeros((200, 300), np.uint8)
    labels = np.zeros((200, 300), np.uint8)
    labels[10:20, 10:30], labels[100:120, 200:210] = 1, 2
    scan = Scan.from_array(pixels, pixel_size=2.0, units="nm", name="s")
    lot = Lot.from_labels(scan, labels, {1: "void", 2: "bridge"})
    assert [d.label for d in lot.defects] == ["void", "bridge"]
    high, low = (
        PictureReader().read(getattr(lot.defects[1], v)) for v in ("high", "low")
    )
    assert high.shape == (48, 48) and low.shape == (168, 168)
    assert lot.defects[0].high.nm == 2.0
    with pytest.raises(ClassifyError, match="Box 1"):
        Lot.from_boxes(scan, [(5, 5, 5, 9)])


def test_a_broken_picture_is_marked_and_the_rest_goes_on(tmp_path):
    lot = sesami.open_lot(write_klarf(tmp_path / "l.001", [7, 9, 0, 7], broken_page=3))
    found = features_of(lot.defects, Texture())
    assert list(found.broken) == [1] and "Page 4" in found.broken[1]
    assert np.isfinite(found.views["high"][[0, 2, 3]]).all()
    assert not np.isfinite(found.views["high"][1]).any()
    decisions = lot.classifier(encoder=Texture()).decide(0.9)
    assert decisions.reasons[1] == "" and decisions.classes[1] == "Kratzer ß"


def test_missing_pages_and_files_are_sentences(tmp_path):
    reader = PictureReader()
    write_klarf(tmp_path / "l.001", [7])
    with pytest.raises(ClassifyError, match="has 2 pages"):
        reader.read(DefectPicture("review.tif", tmp_path, page=5))
    with pytest.raises(ClassifyError, match="is missing"):
        reader.read(DefectPicture("nothing.png", tmp_path))
    with pytest.raises(ClassifyError, match="lead out"):
        reader.read(DefectPicture("../x.png", tmp_path))
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"x" * 50)
    with pytest.raises(ClassifyError):
        reader.read(DefectPicture("bad.png", tmp_path))
    bare = Lot.joined([lot_of(1, 1), lot_of(1, 1)])
    for defect in bare.defects:
        defect.high, defect.low = DefectPicture("nothing.png", tmp_path), None
        defect.template = None
    with pytest.raises(ClassifyError, match="No picture"):
        features_of(bare.defects, Texture())


def test_colour_sixteen_bits_and_other_sizes_go_together(tmp_path):
    grey = draw("speck", 1)
    iio.imwrite(tmp_path / "a.png", grey)
    iio.imwrite(tmp_path / "b.png", np.repeat(grey[..., None], 3, 2))
    iio.imwrite(tmp_path / "c.png", grey.astype(np.uint16) * 257)
    iio.imwrite(tmp_path / "d.png", np.kron(grey, np.ones((5, 5), np.uint8))[:, :400])
    found = features_of(sesami.open_lot(tmp_path).defects, Texture())
    views = found.views["high"]
    assert not found.broken and np.isfinite(views).all()
    np.testing.assert_allclose(views[1], views[0], atol=0.01)
    np.testing.assert_allclose(views[2], views[0], atol=0.01)


def test_lots_together_keep_their_names_apart_and_twins_are_found(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_klarf(tmp_path / name / "x.001", [7, 9])
    both = sesami.open_lot([tmp_path / "a" / "x.001", tmp_path / "b" / "x.001"])
    assert len({d.id for d in both.defects}) == 4
    assert both.defects[0].id == "LOT 7 (1)/1"
    assert both.twins() == [[0, 2], [1, 3]]
    with pytest.raises(ClassifyError, match="one by one"):
        both.save_klarf(tmp_path / "o.001", both.classifier(encoder=Texture()).decide())


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may all")
def test_a_read_only_share_can_be_sorted(tmp_path):
    write_klarf(tmp_path / "l.001", [7, 9])
    tmp_path.chmod(0o500)
    try:
        classifier = sesami.open_lot(tmp_path / "l.001").classifier(encoder=Texture())
        assert len(classifier.decide(0.9)) == 2
    finally:
        tmp_path.chmod(0o700)


def test_one_class_only_and_a_class_with_one_example(tmp_path):
    """One class answers nothing, a class with one example answers and promises not."""
    alone = lot_of(4, 1, labelled=False)
    c = alone.classifier(encoder=Texture())
    c.label([d.id for d in alone.defects[::3]], "speck")
    d = c.decide(0.9)
    assert c.model is None and set(d.reasons) == {"", "no labels"}
    assert d.for_people == 8 and "unknown (67 %)" in d.sentence
    with pytest.raises(ClassifyError, match="two classes"):
        c.matrix()
    c.label("d1", "scratch")
    d = c.decide(0.9)
    assert c.matrix().names == ("speck", "scratch") and c.matrix().counts.sum() == 5
    assert "scratch" in d.suggested and d.thresholds["scratch"].of == 0
    assert "scratch" not in {
        n for n, w in zip(d.classes, d.by, strict=True) if w == "machine"
    }


@pytest.mark.parametrize("order", [None, ("high", "low")])
def test_pictures_in_another_order_are_told_by_the_order(tmp_path, order):
    lot = sesami.open_lot(write_klarf(tmp_path / "l.001", [7, 9]), order=order)
    reader = PictureReader()
    high, low = (reader.read(getattr(lot.defects[0], v)) for v in ("high", "low"))
    if order:
        high, low = low, high
    speck = draw("speck", 0) / 255.0
    assert np.corrcoef(high.ravel(), speck.ravel())[0, 1] > 0.95
    assert np.corrcoef(low.ravel(), speck.ravel())[0, 1] < 0.5


def test_missing_pictures_of_a_table_are_counted_and_the_rest_is_sorted(tmp_path):
    for k in (0, 1, 3):
        picture(tmp_path / f"{k}.png", k)
    rows = "".join(f"d{k},{k}.png,クラス{k % 2}\n" for k in range(4))
    (tmp_path / "lot.csv").write_text("id,high,label\n" + rows, "utf-8")
    lot = sesami.open_lot(tmp_path)
    assert "1 pictures" in " ".join(lot.problems)
    c = lot.classifier(encoder=Texture())
    d = c.decide(0.9)
    assert list(d.broken) == [2] and "missing" in d.broken[2]
    assert c.model.classes == ("クラス0", "クラス1") and c.matrix().counts.sum() == 3


def test_the_same_place_in_two_lots_is_one_defect_for_what_is_held_out():
    """Twins of two lots are found; within one lot they are held out together."""
    lot = lot_of(2, 2)
    lot.defects[7].xy, lot.defects[7].wafer = lot.defects[1].xy, lot.defects[1].wafer
    assert [1, 7] in lot.twins()
    same = lot_of(3, 1)
    same.defects[4].high = same.defects[1].high
    same.defects[4].low = same.defects[1].low
    same.defects[4].template = same.defects[1].template
    c = same.classifier(encoder=Texture())
    groups = held_out_groups(same.defects, np.arange(9), np.arange(9) % 3, c.places)
    assert groups[4] == groups[1]


@pytest.mark.parametrize("what", ["nothing", "text.txt", "empty", "x.csv", "utf16.csv"])
def test_what_is_no_lot_is_a_sentence(tmp_path, what):
    (tmp_path / "text.txt").write_text("hello")
    (tmp_path / "empty").mkdir()
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    (tmp_path / "utf16.csv").write_bytes("high\na.png\n".encode("utf-16"))
    with pytest.raises(ClassifyError):
        sesami.open_lot(tmp_path / what)
    with pytest.raises(ClassifyError):
        sesami.open_lot([])
