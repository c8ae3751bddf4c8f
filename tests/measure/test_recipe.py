"""Recipes: read, written, and told where they are wrong."""

from __future__ import annotations

import pytest

from napari_sesami.measure import MeasureError, Recipe

FULL = """
format = "sesami-measure"
version = 1
name = "gaa-across"
needs = ["silicon", "high-k", "titanium nitride", "oxide"]   # classes, by name

[scale]
u_rel = 0.005
source = "Si lattice, 2026-11-03"

[frame]
axis = { level = ["silicon", "oxide"] }
origin = "axis"

[features.sheet]
class = "silicon"
kind = "object"
area_nm2 = [60, 400]
index = "lattice"
expect = { rows = 3 }

[[measure]]
name = "sheet CD"
kind = "cd"
feature = "sheet"
at = [0.5]
window = 0.1
limits = { lower = 24, target = 26, upper = 28 }

[[measure]]
name = "high-k"
kind = "thickness"
between = ["silicon", "high-k", "titanium nitride"]
feature = "sheet"
zones = { top = "north", side = ["east", "west"], bottom = "south" }
report = ["mean", "min", "3s", "conformality"]

[[measure]]
name = "pitch"
kind = "pitch"
feature = "sheet"
along = "column"
period = 2

[lot]
pattern = '(?P<lot>\\w+)_(?P<wafer>W\\d+)_(?P<site>[A-Z]\\d+)'
"""


def test_a_recipe_is_the_same_after_writing_and_reading(tmp_path):
    recipe = Recipe.loads(FULL)
    recipe.save(tmp_path / "gaa.toml")
    again = Recipe.load(tmp_path / "gaa.toml")
    assert again == recipe
    assert again.hash == recipe.hash
    assert again.to_toml() == recipe.to_toml()


def test_the_hash_follows_the_content_not_the_spelling():
    recipe = Recipe.loads(FULL)
    spaced = Recipe.loads(FULL.replace("window = 0.1", "window   =  0.10 # same"))
    other = Recipe.loads(FULL.replace("window = 0.1", "window = 0.2"))
    assert recipe.hash == spaced.hash != other.hash


def test_check_says_what_labels_lack():
    lacks = Recipe.loads(FULL).check({"silicon": 1, "high k": 2, "oxide": 3})
    assert lacks == [
        "the class \"high-k\" (did you mean 'high k'?)",
        'the class "titanium nitride"',
    ]
    everything = ["silicon", "high-k", "titanium nitride", "oxide"]
    assert Recipe.loads(FULL).check(everything) == []


def line_of(text):
    return next(n for n, t in enumerate(FULL.splitlines(), 1) if text in t)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("window = 0.1", "windw = 0.1", ["'windw'", "'window'"]),
        ("window = 0.1", "window = 7", ["window"]),
        ('kind = "pitch"', 'kind = "pich"', ["'pich'", "'pitch'"]),
        ("area_nm2 = [60, 400]", "area_nm2 = 60", ["area_nm2"]),
        ("u_rel = 0.005", "u_rel = -1", ["u_rel"]),
    ],
)
def test_a_mistake_is_told_with_its_line(old, new, words):
    with pytest.raises(MeasureError) as error:
        Recipe.loads(FULL.replace(old, new), "gaa.toml")
    message = str(error.value)
    assert all(word in message for word in words), message
    told = int(message.split("line ")[1].split(":")[0])
    table = old == 'kind = "pitch"'  # a word of the whole table points at its head
    assert told in ([line_of(old) - 2, line_of(old)] if table else [line_of(old)])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (FULL.replace("version = 1", "version = 9"), "version 9"),
        (FULL.replace("sesami-measure", "other"), "'other'"),
        ("a = = 1", "no valid TOML"),
        (FULL.replace('"sheet"\nat', '"shet"\nat'), "'sheet'"),
        (FULL.replace("lower = 24", "lower = 240"), "must rise"),
        (FULL.replace('"pitch"\nkind', '"high-k"\nkind'), "named 'high-k'"),
        (FULL.replace("(?P<lot>", "(?P<lot"), "regular expression"),
    ],
)
def test_a_recipe_that_cannot_be_used_is_one_sentence(text, words):
    with pytest.raises(MeasureError, match=words):
        Recipe.loads(text)
