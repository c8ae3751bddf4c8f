"""KLARF: columns in any order, pictures, and nothing but class numbers written back."""

from __future__ import annotations

import re

import numpy as np
import pytest
from tests.fakes.defects import SPEC, write_klarf

from napari_sesami.classify import ClassifyError, Decisions, PictureReader, open_lot


def decided(lot, classes):
    n = len(lot)
    return Decisions(
        [d.id for d in lot.defects], classes, classes, np.ones(n), np.zeros(n),
        ["machine" if c else "" for c in classes], [""] * n, 0.9,
    )  # fmt: skip


@pytest.mark.parametrize("turn", [0, 3, 5])
def test_the_column_order_is_that_of_the_file(tmp_path, turn):
    head = SPEC[:-2]
    spec = [*head[turn:], *head[:turn], "IMAGECOUNT", "IMAGELIST"]
    lot = open_lot(write_klarf(tmp_path / "lot.001", [0, 7, 9], spec=spec))
    assert [d.id for d in lot.defects] == ["1", "2", "3"]
    assert [d.label for d in lot.defects] == [None, "speck", "Kratzer ß"]
    assert lot.name == "LOT 7" and lot.defects[0].wafer == "W03"
    # XREL + XINDEX · pitch - centre
    assert lot.defects[1].xy == pytest.approx((11.5 - 1000 - 500, 20 + 4000))
    assert [c.number for c in lot.classes] == [7, 9] and lot.problems == []
    reader = PictureReader()
    low, high = (reader.read(p) for p in (lot.defects[2].low, lot.defects[2].high))
    assert low.shape == high.shape == (96, 96) and not np.array_equal(low, high)


def test_only_class_numbers_change_byte_by_byte(tmp_path):
    path = write_klarf(tmp_path / "lot.001", [0, 7, 9, 0])
    before = path.read_bytes()
    lot = open_lot(path)
    out = lot.save_klarf(
        tmp_path / "out.001", decided(lot, ["Kratzer ß", "speck", None, "speck"])
    )
    after = out.read_bytes()
    assert path.read_bytes() == before
    rows = re.compile(rb" (\d+ \S+ \S+ \S+ \S+) \d+ (1 0\.5 2 2)")
    assert rows.sub(rb" \1 ? \2", after) == rows.sub(rb" \1 ? \2", before)
    again = open_lot(out)
    assert [d.label for d in again.defects] == [
        "Kratzer ß",
        "speck",
        "Kratzer ß",
        "speck",
    ]
    same = lot.save_klarf(tmp_path / "same.001", decided(lot, [None] * 4))
    assert same.read_bytes() == before
    with pytest.raises(ClassifyError, match="file that was opened"):
        lot.save_klarf(path, decided(lot, [None] * 4))


def test_a_class_without_a_number_needs_one(tmp_path):
    lot = open_lot(write_klarf(tmp_path / "lot.001", [0, 0]))
    new = decided(lot, ["欠陥", "speck"])
    with pytest.raises(ClassifyError, match="no number for 欠陥"):
        lot.save_klarf(tmp_path / "a.001", new)
    told = open_lot(lot.save_klarf(tmp_path / "b.001", new, {"欠陥": 42}))
    assert [d.label for d in told.defects] == ["class 42", "speck"]
    added = open_lot(lot.save_klarf(tmp_path / "c.001", new, add_classes=True))
    assert [d.label for d in added.defects] == ["欠陥", "speck"]
    assert b"ClassLookup 4" in (tmp_path / "c.001").read_bytes()


def test_no_pictures_and_a_missing_count_are_fine(tmp_path):
    path = write_klarf(tmp_path / "lot.001", [7, 9, 0], images=False)
    lot = open_lot(path)
    path.write_bytes(path.read_bytes().replace(b"0.5 0 0", b"0.5 0"))
    short = open_lot(path)
    assert len(lot) == len(short) == 3 and short.defects[1].high is None


def test_pictures_one_file_a_defect_before_or_after_it(tmp_path):
    spec = "DefectRecordSpec 4 DEFECTID CLASSNUMBER IMAGECOUNT IMAGELIST;\n"
    lists = [f"DefectList\n {k} 0 1 0;\n" for k in (1, 2)]
    names = [f"TiffFileName p{k}.jpg;\n" for k in (1, 2)]
    for order in (
        [names[0], lists[0], names[1], lists[1]],
        [lists[0], names[0], lists[1], names[1]],
    ):
        path = tmp_path / "lot.001"
        path.write_text("FileVersion 1 1;\n" + spec + "".join(order) + "EndOfFile;\n")
        lot = open_lot(path)
        assert [d.high.file for d in lot.defects] == ["p1.jpg", "p2.jpg"]
        assert len(lot.problems) == 2  # both are missing


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('Record FileRecord "1.8"\n{\n}\nEndOfFile;', "KLARF of 1.8"),
        ("FileVersion 1 2;\nEndOfFile;", "no DefectList"),
        ("FileVersion 1 2;\nDefectList\n 1 2;\n", "before it says in which order"),
        (
            "FileVersion 1 2;\nDefectRecordSpec 3 DEFECTID CLASSNUMBER;\n",
            "names 2 columns",
        ),
        (
            "FileVersion 1 2;\nDefectRecordSpec 2 DEFECTID CLASSNUMBER;\n"
            "DefectList\n 1 2 3;\n",
            "Record 2 .* 1 values where 2",
        ),
        (
            "FileVersion 1 2;\nDefectRecordSpec 2 DEFECTID CLASSNUMBER;\n"
            "DefectList\n 1 x;\n",
            "'x' where a whole number",
        ),
        ("FileVersion 1 2;\nDefectRecordSpec 1 DEFECTID;\n", "no CLASSNUMBER"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path, text, words):
    path = tmp_path / "lot.001"
    path.write_text(text)
    with pytest.raises(ClassifyError, match=words):
        open_lot(path)


def test_a_name_that_leads_out_is_not_opened(tmp_path):
    path = write_klarf(tmp_path / "lot.001", [7, 9])
    path.write_bytes(path.read_bytes().replace(b"review.tif", b"../../etc/x.tif"))
    lot = open_lot(path)
    assert lot.defects[0].high is None and "leads out" in lot.problems[0]


def test_any_bytes_are_a_lot_or_a_sentence(tmp_path):
    """Damage of every kind ends in a `ClassifyError` at most."""
    path = write_klarf(tmp_path / "lot.001", [7, 9, 0])
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(150):
        data = bytearray(whole[: rng.integers(20, len(whole))])
        for at in rng.integers(12, len(data), 4):
            data[at] = rng.integers(256)
        path.write_bytes(data)
        try:
            open_lot(path)
        except ClassifyError:
            continue


def test_a_hundred_thousand_open_in_seconds(tmp_path):
    import time

    path = write_klarf(tmp_path / "lot.001", [7] * 3, images=False)
    text = path.read_bytes()
    row = text[text.index(b" 1 10.5") : text.index(b"\r\n 2 ")]
    rows = b"\r\n".join(
        row.replace(b" 1 10.5", b" %d 10.5" % k) for k in range(1, 100_001)
    )
    start, end = text.index(b" 1 10.5"), text.index(b";\r\nSummarySpec")
    path.write_bytes(text[:start] + rows + text[end:])
    began = time.process_time()
    lot = open_lot(path)
    assert len(lot) == 100_000 and time.process_time() - began < 10
