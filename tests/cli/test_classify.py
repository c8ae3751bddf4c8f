"""`sesami classify`: train, decide, judge; what it writes and how it ends."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.fakes.defects import write_klarf

from napari_sesami.classify import open_lot
from napari_sesami.cli import main


@pytest.fixture(scope="module")
def lots(tmp_path_factory):
    home = tmp_path_factory.mktemp("lots")
    numbers = [7, 9, 0]  # speck, scratch, and clean, which has no number
    known = write_klarf(home / "known.001", [7, 9, 5] * 5)
    (home / "new").mkdir()
    new = write_klarf(home / "new" / "new.001", [0] * 9)
    return home, known, new, numbers


def test_train_decide_and_judge(lots, tmp_path, capsys):
    _, known, new, _ = lots
    model, out = tmp_path / "m.model", tmp_path / "out"
    assert main(["classify", "train", str(known), "-o", str(model)]) == 0
    assert "accuracy" in capsys.readouterr().out
    command = ["classify", str(new), "--model", str(model), "-o", str(out)]
    command += ["--purity", "0.6"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "9 defects" in said and "report.html" in said
    first = json.loads((out / "defects.json").read_text("utf-8"))
    assert {d["class"] for d in first["defects"]} <= {
        "speck", "Kratzer ß", "class 5", None,
    }  # fmt: skip
    back = open_lot(out / "new.001")
    assert [d.label for d in back.defects] == [d["class"] for d in first["defects"]]
    # again: from the cache, the same bits
    assert main(command) == 0
    again = json.loads((out / "defects.json").read_text("utf-8"))
    assert again["defects"] == first["defects"]
    assert main(["classify", "evaluate", str(known), "--model", str(model)]) == 0
    assert "of those decided" in capsys.readouterr().out
    check = ["classify", "evaluate", str(known), "--purity", "0.999", "--check"]
    assert main(check) in (0, 2)


def test_a_broken_picture_ends_with_one(lots, tmp_path, capsys):
    _, known, _, _ = lots
    model = tmp_path / "m.model"
    assert main(["classify", "train", str(known), "-o", str(model)]) == 0
    bad = write_klarf(tmp_path / "bad.001", [0] * 4, broken_page=3)
    assert main(["classify", str(bad), "--model", str(model)]) == 1
    assert "2: Page 4" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["LOT"], "Give a model"),
        (["LOT", "--model", "nothing"], "There is no model"),
        (["LOT", "--model", "m", "--purity", "95"], "a share such as 0.95"),
        (["train"], "Name a lot"),
        (["train", "LOT"], "Name the model"),
        (["evaluate", "nothing"], "There is no nothing"),
        (["evaluate", "LOT", "--order", "high,far"], "'far'"),
        (["evaluate", "--table", "deeppcb"], "Name the folder"),
    ],
)
def test_mistakes_are_a_sentence(lots, capsys, arguments, words):
    known = str(lots[1])
    assert main(["classify", *(known if a == "LOT" else a for a in arguments)]) == 1
    assert words in capsys.readouterr().err


def test_drawn_lots_can_be_written_and_opened(tmp_path):
    from napari_sesami.lab.defects import draw_lot, save_lot

    lot = draw_lot(1, 3, side=64, defects=("particle", "bridge"))
    again = open_lot(save_lot(lot, tmp_path / "lot"))
    assert [(d.id, d.label, d.lot) for d in again.defects] == [
        ("L3-1", "particle", "lot 3"), ("L3-2", "bridge", "lot 3"),
    ]  # fmt: skip
    assert np.hypot(*again.defects[0].xy) < 150_000 and again.defects[1].template
