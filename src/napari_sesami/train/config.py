"""RunConfig: all that decides the outcome of a run, frozen, and its file `run.toml`."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import fields
from difflib import get_close_matches
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tomli_w
from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticSerializationError

from napari_sesami.train.errors import TrainError
from napari_sesami.train.foreign import ForeignOptions, code_of
from napari_sesami.train.recipe import loaded_recipe, recipe_class

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["RunConfig", "TrainError"]

FILE = "run.toml"
MOST_TEXT = 1 << 20
_WORDS = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "string": "text",
    "list": "a list […]",
    "tuple": "a list […]",
    "finite_number": "a number above 0",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "{ge} or more",
}
"""Type of a pydantic error, or its first word → what is needed."""

Count = Annotated[int, Field(ge=0)]
Number = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def sentence(error: ValidationError) -> str:
    """Say in one sentence what the first value was that does not fit."""
    first = error.errors(include_url=False)[0]
    kind, context = first["type"], first.get("ctx", {})
    if kind == "value_error":  # a sentence of the dataclass itself
        return str(context["error"])
    key = first["loc"][0] if first["loc"] else "?"
    if kind == "missing" and len(first["loc"]) == 1:
        return f"the key “{key}” is missing."
    needed = _WORDS.get(kind) or _WORDS.get(kind.partition("_")[0], "")
    needed = needed.format(**context)
    if kind == "literal_error":
        needed = re.sub(r"'([^']*)'", r"“\1”", context["expected"])
    given = f"“{key}” is {first['input']!r}"
    if not needed:
        return f"{given}, which does not fit ({first['msg'].lower()})."
    return f"{given}, but must be {needed}."


def in_a_sentence(kind: Any) -> Any:
    """Let a pydantic dataclass refuse values with a `TrainError`."""
    check = kind.__init__

    @wraps(check)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            check(self, *args, **kwargs)
        except ValidationError as error:
            raise TrainError(sentence(error)) from error

    kind.__init__ = __init__
    return kind


@in_a_sentence
@dataclass(frozen=True, config={"extra": "forbid"})
class RunConfig:
    """What a run does; the same config, data and device give the same weights.

    Attributes
    ----------
    recipe
        Name of a known recipe, or ``"module:Class"`` of one's own.
    steps, batch, rate
        Updates, examples per update (over all processes together), learning rate.
    micro_batch
        Examples that go through the net at a time; fewer need less memory and give
        the same update. None: as many as possible.
    checkpoint_minutes
        Time between checkpoints.
    evaluate_every, picture_every
        Steps between measurements and between pictures; 0: only before and after.
    workers, processes
        Processes that prepare examples, and processes that train (by torchrun).
    precision
        ``"full"``, ``"bf16"`` or ``"fp16"``.
    clip
        Longest gradient that an update may follow.
    take
        The weights that the run ends with: the ``"last"``, or those that were measured
        ``"best"``.
    recipe_options
        The recipe's own frozen dataclass; None takes its defaults.
    """

    recipe: str
    name: str = ""
    seed: Count = 0
    steps: Number = 200
    batch: Number = 4
    micro_batch: Number | None = None
    rate: Positive = 1e-4
    device: str = "auto"
    precision: Literal["full", "bf16", "fp16"] = "full"
    clip: Positive = 1.0
    checkpoint_minutes: Positive = 5.0
    evaluate_every: Count = 0
    picture_every: Count = 0
    take: Literal["last", "best"] = "last"
    workers: Count = 0
    processes: Number = 1
    recipe_options: Any = None

    def __post_init__(self) -> None:
        if self.batch < self.processes:
            raise TrainError(
                f"A batch of {self.batch} cannot be shared by {self.processes} "
                "processes; take a larger batch or fewer processes."
            )
        if self.recipe_options is None:
            options = recipe_class(self.recipe).Config()
            object.__setattr__(self, "recipe_options", options)

    @classmethod
    def from_toml(cls, source: str | Path, *, run: bool = False) -> RunConfig:
        """Read a config from a file (a `Path`) or from text (a `str`).

        A recipe of somebody else is imported only to `run` it; until then its options
        are kept as they stand in the file.
        """
        name = source.name if isinstance(source, Path) else FILE
        try:
            text = source.read_text("utf-8") if isinstance(source, Path) else source
            if len(text) > MOST_TEXT:
                raise TrainError(f"{name} is too long for a {FILE}; it is not ours.")
            tables = tomllib.loads(text)
        except FileNotFoundError as error:
            raise TrainError(f"There is no file {source}.") from error
        except (ValueError, RecursionError) as error:
            if isinstance(error, TrainError):
                raise
            raise TrainError(f"{name} is no valid TOML: {error}.") from error
        except OSError as error:
            raise TrainError(f"{source} cannot be read ({error.strerror}).") from error
        table = tables.get("run")
        if not isinstance(table, dict) or not isinstance(table.get("recipe"), str):
            raise TrainError(f'{name} needs a table [run] with a key recipe = "…".')
        recipe = (recipe_class if run else loaded_recipe)(table["recipe"])
        if recipe is None:
            return cls._foreign(tables, table, name)
        _known(tables, ["run", recipe.name], f"{name}: there is no table", "[{}]")
        own = tables.get(recipe.name, {})
        if not isinstance(own, dict):
            raise TrainError(
                f"{name}: “{recipe.name}” must be a table [{recipe.name}]."
            )
        mine = [f.name for f in fields(cls) if f.name != "recipe_options"]
        theirs = [f.name for f in fields(recipe.Config)]
        where = f"{name}, [{recipe.name}]"
        _known(table, mine, f"{name}, [run]: there is no key", "{}")
        _known(own, theirs, f"{where}: there is no key", "{}")
        options = _read_table(recipe.Config, own, where)
        return cls._whole(table, options, name)

    @classmethod
    def _foreign(
        cls, tables: dict[str, Any], table: dict[str, Any], name: str
    ) -> RunConfig:
        """Take a recipe of somebody else as the file has it; nothing is imported."""
        code_of(table["recipe"])  # a sentence if it is not there
        theirs = [key for key in tables if key != "run"]
        if len(theirs) > 1 or not all(isinstance(tables[k], dict) for k in theirs):
            raise TrainError(f"{name} has more than one table beside [run].")
        mine = [f.name for f in fields(cls) if f.name != "recipe_options"]
        _known(table, mine, f"{name}, [run]: there is no key", "{}")
        own = theirs[0] if theirs else "options"
        return cls._whole(table, ForeignOptions(own, tables.get(own, {})), name)

    @classmethod
    def _whole(cls, table: dict[str, Any], options: Any, name: str) -> RunConfig:
        table = table | {"recipe_options": ""}  # None would ask for their defaults
        config: RunConfig = _read_table(cls, table, f"{name}, [run]")
        object.__setattr__(config, "recipe_options", options)
        return config

    def to_toml(self) -> str:
        """Write the config as text that :meth:`from_toml` reads."""
        mine = {f.name: getattr(self, f.name) for f in fields(self)}
        options = mine.pop("recipe_options")
        if isinstance(options, ForeignOptions):
            tables = {"run": mine, options.table: options.values}
        else:
            own = {f.name: getattr(options, f.name) for f in fields(options)}
            tables = {"run": mine, recipe_class(self.recipe).name: own}
        return tomli_w.dumps({name: _plain(table) for name, table in tables.items()})


def _read_table(kind: type, table: dict[str, Any], where: str) -> Any:
    """Make a dataclass from a table; nothing is taken for what it is not."""
    try:
        # as JSON, in which lists may be tuples and text may be paths, yet 2.5 is no int
        text = json.dumps(table, default=str)
        return TypeAdapter(kind).validate_json(text, strict=True)
    except ValidationError as error:
        raise TrainError(f"{where}: {sentence(error)}") from error


def _known(given: Iterable[str], names: list[str], where: str, mark: str) -> None:
    """Refuse a name that does not exist, and tell the nearest one that does."""
    for key in given:
        if key in names:
            continue
        near = get_close_matches(key, names, 1, 0.4)
        hint = f"did you mean “{mark.format(near[0])}”?" if near else (
            "it may have: " + ", ".join(mark.format(name) for name in names) + "."
        )  # fmt: skip
        raise TrainError(f"{where} “{mark.format(key)}”; {hint}")


def _plain(table: dict[str, Any]) -> dict[str, Any]:
    """Turn paths, tuples and the like into what TOML holds; it knows no None."""
    plain = {}
    for key, value in table.items():
        if value is None:
            continue
        try:
            plain[key] = TypeAdapter(Any).dump_python(value, mode="json")
        except PydanticSerializationError as error:
            kind = type(value).__name__
            raise TrainError(
                f"“{key}” is a {kind}, which {FILE} cannot hold."
            ) from error
    return plain
