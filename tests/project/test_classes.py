from __future__ import annotations

import numpy as np
import pytest

from napari_sesami.project import ClassChange, ClassError, ClassTable, default_color


def test_ids_count_up_and_are_never_given_again() -> None:
    table = ClassTable()
    assert [table.add(name).id for name in ("oxide", "void", "metal")] == [1, 2, 3]
    table.remove("metal")
    assert table.add("liner").id == 4
    assert table.ids == (1, 2, 4)
    assert table.names == ("oxide", "void", "liner")


def test_an_entry_stands_for_its_id() -> None:
    oxide = ClassTable().add("oxide")
    plane = np.zeros((2, 2), int)
    plane[0] = oxide
    assert plane.sum() == 2
    assert int(oxide) == 1


def test_lookup_by_id_name_and_entry() -> None:
    table = ClassTable()
    oxide = table.add("oxide")
    assert table[1] == table["oxide"] == table[oxide] == oxide
    assert 1 in table
    assert "oxide" in table
    assert "void" not in table
    assert 0 not in table


def test_default_colors_differ_and_are_hex() -> None:
    table = ClassTable()
    colors = [table.add(f"class {n}").color for n in range(60)]
    assert len(set(colors)) == 60
    assert all(len(c) == 7 and c.startswith("#") for c in colors)


def test_a_default_color_that_is_taken_is_skipped() -> None:
    table = ClassTable()
    table.add("a", default_color(1).lower())
    assert table.add("b").color == default_color(0)
    assert table.add("c").color == default_color(2)


def test_rename_and_recolor_keep_the_id() -> None:
    table = ClassTable()
    table.add("oxid")
    table.rename("oxid", " oxide ")
    table.recolor(1, "#abc")
    assert table[1].to_dict() == {"id": 1, "name": "oxide", "color": "#AABBCC"}


def test_every_edit_is_told_and_its_inverse_takes_it_back() -> None:
    table = ClassTable()
    seen: list[ClassChange] = []
    table.changed.connect(seen.append)
    table.add("oxide")
    table.rename(1, "liner")
    table.rename(1, "liner")  # no change, not told
    table.remove(1)
    assert len(seen) == 3
    for change in reversed(seen[:]):
        table.apply(change.inverse())
    assert len(table) == 0


@pytest.mark.parametrize(
    ("name", "says"),
    [("", "needs a name"), ("  ", "needs a name"), ("OXIDE", "already")],
)
def test_names_that_cannot_be_used(name: str, says: str) -> None:
    table = ClassTable()
    table.add("oxide")
    with pytest.raises(ClassError, match=says):
        table.add(name)


def test_a_class_may_change_the_case_of_its_own_name() -> None:
    table = ClassTable()
    table.add("oxide")
    assert table.rename(1, "Oxide").name == "Oxide"


@pytest.mark.parametrize("color", ["red", "#12345", "123456", "#ggg", ""])
def test_colors_that_cannot_be_used(color: str) -> None:
    with pytest.raises(ClassError, match="#rrggbb"):
        ClassTable().add("oxide", color)


def test_unknown_classes_are_named_together_with_the_known_ones() -> None:
    table = ClassTable()
    with pytest.raises(ClassError, match="add one first"):
        table["void"]
    table.add("oxide")
    with pytest.raises(ClassError, match=r"id 7; there are 1 'oxide'"):
        table[7]


def test_not_more_classes_than_a_byte_can_name() -> None:
    table = ClassTable()
    for n in range(255):
        table.add(f"class {n}")
    with pytest.raises(ClassError, match="255"):
        table.add("one more")


def test_json_round_trip_remembers_ids_that_are_gone() -> None:
    table = ClassTable()
    table.add("oxide")
    table.remove(table.add("void"))
    again = ClassTable.from_dict(table.to_dict())
    assert list(again) == list(table)
    assert again.add("metal").id == 3
