"""run.toml: what it may say, and the sentence when it says something else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import pytest
from tests.fakes.engine_help import config
from tests.fakes.tiny_recipe import Tiny, TinyConfig

from napari_sesami.train import RunConfig, TrainError

if TYPE_CHECKING:
    from pathlib import Path

HEAD = '[run]\nrecipe = "tests.fakes.tiny_recipe:Tiny"\n'


def test_a_config_survives_its_file(tmp_path: Path) -> None:
    options = TinyConfig(width=8, nap=1e-9, sizes=(3, 4), note='a "b" \\ ü\n')
    wanted = RunConfig(
        "tests.fakes.tiny_recipe:Tiny", name="x", micro_batch=2, recipe_options=options
    )
    path = tmp_path / "run.toml"
    path.write_text(wanted.to_toml(), "utf-8")
    assert RunConfig.from_toml(path) == wanted
    assert RunConfig.from_toml(wanted.to_toml()) == wanted


def test_the_file_of_an_older_run_opens() -> None:
    text = HEAD + (
        'name = "x \\"y\\""\nseed = 0\nsteps = 200\nbatch = 4\nrate = 0.0001\n'
        'device = "auto"\nprecision = "full"\nclip = 1.0\ncheckpoint_minutes = 5.0\n'
        'evaluate_every = 0\npicture_every = 0\ntake = "last"\nworkers = 0\n'
        "processes = 1\n\n[tiny]\nexamples = 10\nnap = 1e-09\nalways = false\n"
        'kind = "and"\nsizes = [3, 4]\n'
    )
    options = TinyConfig(nap=1e-9, kind="and", sizes=(3, 4))
    assert RunConfig.from_toml(text) == RunConfig(
        "tests.fakes.tiny_recipe:Tiny", name='x "y"', recipe_options=options
    )


def test_a_config_can_be_a_key() -> None:
    assert {config(): 1}[config()] == 1


def test_what_is_not_said_has_its_default() -> None:
    assert RunConfig.from_toml(HEAD) == RunConfig("tests.fakes.tiny_recipe:Tiny")
    assert RunConfig("tests.fakes.tiny_recipe:Tiny").recipe_options == TinyConfig()
    assert RunConfig.from_toml(HEAD + "rate = 1").rate == 1.0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "stpes = 3",
            "run.toml, [run]: there is no key “stpes”; did you mean “steps”?",
        ),
        ("xqzw = 1", "there is no key “xqzw”; it may have: recipe, name, "),
        ('steps = "many"', "“steps” is 'many', but must be a whole number."),
        ("steps = 2.5", "“steps” is 2.5, but must be a whole number."),
        ("steps = 2026-01-01", "“steps” is '2026-01-01', but must be a whole number."),
        ("rate = true", "“rate” is True, but must be a number."),
        ("rate = inf", "“rate” is inf, but must be a number above 0."),
        ("name = 3", "run.toml, [run]: “name” is 3, but must be text."),
        ("[tiny]\nnote = 3", "run.toml, [tiny]: “note” is 3, but must be text."),
        ("[tiny]\nplain = 1", "“plain” is 1, but must be true or false."),
        ("steps = true", "“steps” is True, but must be a whole number."),
        ("steps = 0", "“steps” is 0, but must be 1 or more."),
        ("rate = nan", "“rate” is nan, but must be a number above 0."),
        ('take = "first"', "“take” is 'first', but must be “last” or “best”."),
        ("micro_batch = 0", "“micro_batch” is 0, but must be 1 or more."),
        ("micro_batch = 1.5", "“micro_batch” is 1.5, but must be a whole number."),
        ("processes = 3\nbatch = 2", "A batch of 2 cannot be shared by 3 processes"),
        ("[tiny]\nwith = 3", "[tiny]: there is no key “with”; did you mean “width”?"),
        ("[tini]\nwidth = 3", "there is no table “[tini]”; did you mean “[tiny]”?"),
        ("[tiny]\nsizes = 3", "“sizes” is 3, but must be a list […]."),
        ("[tiny]\nsizes = ['a']", "“sizes” is 'a', but must be a whole number."),
        ('[tiny]\nkind = "or"', "“kind” is 'or', but must be “xor” or “and”."),
    ],
)
def test_mistakes_are_named(text: str, sentence: str) -> None:
    with pytest.raises(TrainError) as caught:
        RunConfig.from_toml(HEAD + text)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("steps = 3", 'needs a table [run] with a key recipe = "…".'),
        ("[run", "run.toml is no valid TOML"),
        ("recipe = 'sesam'", "There is no recipe “sesam”; did you mean “sesami”?"),
        ("recipe = 'nowhere:X'", "The recipe “nowhere:X” cannot be loaded (No module"),
        (
            "recipe = 'tests.fakes.tiny_recipe:np'",
            "“tests.fakes.tiny_recipe:np” is no recipe; take",
        ),
    ],
)
def test_a_recipe_must_be_one(text: str, sentence: str) -> None:
    with pytest.raises(TrainError) as caught:
        RunConfig.from_toml(text if "recipe" not in text else f"[run]\n{text}")
    assert sentence in str(caught.value)


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="There is no file"):
        RunConfig.from_toml(tmp_path / "run.toml")


class Needy(Tiny):
    """A recipe with an option that has no default."""

    @dataclass(frozen=True)
    class Config:
        model: str
        rank: int = 4

    name: ClassVar[str] = "needy"


def test_a_key_that_is_needed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.fakes import tiny_recipe

    monkeypatch.setattr(tiny_recipe, "Needy", Needy, raising=False)
    with pytest.raises(TrainError, match=r"\[needy\]: the key “model” is missing"):
        RunConfig.from_toml('[run]\nrecipe = "tests.fakes.tiny_recipe:Needy"\n')

    head = '[run]\nrecipe = "tests.fakes.tiny_recipe:Needy"\n'
    options = RunConfig.from_toml(f'{head}[needy]\nmodel = "m"').recipe_options
    assert options == Needy.Config("m")


def test_what_a_file_cannot_hold_is_told() -> None:
    with pytest.raises(TrainError, match="“note” is a object, which"):
        replace(config(), recipe_options=TinyConfig(note=object())).to_toml()


def test_changes_are_checked_too() -> None:
    with pytest.raises(TrainError, match="“batch” is 0"):
        replace(config(), batch=0)
    with pytest.raises(TrainError, match="“steps” is 'many', but must be"):
        RunConfig("sesami", steps="many")
