"""RunConfig: all that decides the outcome of a run, frozen, and its file `run.toml`."""

from __future__ import annotations

import json
import math
import tomllib
from dataclasses import MISSING, dataclass, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from napari_sesami.train.errors import TrainError
from napari_sesami.train.recipe import recipe_class

__all__ = ["RunConfig", "TrainError"]

FILE = "run.toml"
_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


@dataclass(frozen=True)
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
    seed: int = 0
    steps: int = 200
    batch: int = 4
    micro_batch: int | None = None
    rate: float = 1e-4
    device: str = "auto"
    precision: Literal["full", "bf16", "fp16"] = "full"
    clip: float = 1.0
    checkpoint_minutes: float = 5.0
    evaluate_every: int = 0
    picture_every: int = 0
    take: Literal["last", "best"] = "last"
    workers: int = 0
    processes: int = 1
    recipe_options: Any = None

    def __post_init__(self) -> None:
        for key, least in _LEAST.items():
            value = getattr(self, key)
            if value is not None and value < least:
                raise TrainError(f"“{key}” is {value}, but must be {least} or more.")
        for key in ("rate", "clip", "checkpoint_minutes"):
            value = getattr(self, key)
            if not (math.isfinite(value) and value > 0):
                raise TrainError(f"“{key}” is {value}, but must be a number above 0.")
        if self.batch < self.processes:
            raise TrainError(
                f"A batch of {self.batch} cannot be shared by {self.processes} "
                "processes; take a larger batch or fewer processes."
            )
        if self.recipe_options is None:
            options = recipe_class(self.recipe).Config()
            object.__setattr__(self, "recipe_options", options)

    @classmethod
    def from_toml(cls, source: str | Path) -> RunConfig:
        """Read a config from a file (a `Path`) or from text (a `str`)."""
        name = source.name if isinstance(source, Path) else FILE
        try:
            text = source.read_text("utf-8") if isinstance(source, Path) else source
            tables = tomllib.loads(text)
        except FileNotFoundError as error:
            raise TrainError(f"There is no file {source}.") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise TrainError(f"{name} is no valid TOML: {error}.") from error
        return _from_tables(tables, name)

    def to_toml(self) -> str:
        """Write the config as text that :meth:`from_toml` reads."""
        table = recipe_class(self.recipe).name
        mine = {f.name: getattr(self, f.name) for f in fields(self)}
        options = mine.pop("recipe_options")
        own = {f.name: getattr(options, f.name) for f in fields(options)}
        return f"[run]\n{_lines(mine)}\n[{table}]\n{_lines(own)}"


_LEAST = {
    "seed": 0,
    "steps": 1,
    "batch": 1,
    "micro_batch": 1,
    "evaluate_every": 0,
    "picture_every": 0,
    "workers": 0,
    "processes": 1,
}


def _from_tables(tables: dict[str, Any], name: str) -> RunConfig:
    run = tables.get("run")
    if not isinstance(run, dict) or not isinstance(run.get("recipe"), str):
        raise TrainError(f'{name} needs a table [run] with a key recipe = "…".')
    recipe = recipe_class(run["recipe"])
    _known(tables, ["run", recipe.name], f"{name}: there is no table", "[{}]")
    keys = [f.name for f in fields(RunConfig) if f.name != "recipe_options"]
    mine = _typed(RunConfig, run, keys, f"{name}, [run]")
    own = tables.get(recipe.name, {})
    if not isinstance(own, dict):
        raise TrainError(f"{name}: “{recipe.name}” must be a table [{recipe.name}].")
    where = f"{name}, [{recipe.name}]"
    theirs = _typed(recipe.Config, own, [f.name for f in fields(recipe.Config)], where)
    try:
        return RunConfig(**mine, recipe_options=recipe.Config(**theirs))
    except TrainError as error:
        raise TrainError(f"{name}: {error}") from error


def _known(given: dict[str, Any], keys: list[str], where: str, mark: str) -> None:
    """Refuse a key that does not exist, and name the nearest one that does."""
    for key in given:
        if key not in keys:
            near = get_close_matches(key, keys, 1, 0.4)
            hint = f"did you mean “{mark.format(near[0])}”?" if near else (
                "it may have: " + ", ".join(mark.format(k) for k in keys) + "."
            )  # fmt: skip
            raise TrainError(f"{where} “{mark.format(key)}”; {hint}")


def _typed(
    kind: type, given: dict[str, Any], keys: list[str], where: str
) -> dict[str, Any]:
    """Check the keys and types of one table against a dataclass."""
    _known(given, keys, f"{where}: there is no key", "{}")
    hints = get_type_hints(kind)
    for field in fields(kind):
        needed = field.default is MISSING and field.default_factory is MISSING
        if field.name in keys and needed and field.name not in given:
            raise TrainError(f"{where}: the key “{field.name}” is missing.")
    return {
        key: _fit(value, hints[key], f"{where}: “{key}”")
        for key, value in given.items()
    }


def _fit(value: Any, hint: Any, where: str) -> Any:
    """Give `value` the type of the hint, or say which one it needs."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin is Literal:
        if value in inner:
            return value
        raise TrainError(f"{where} is {value!r}, but must be {_or(inner)}.")
    if origin in (Union, UnionType):
        # TOML knows no None: a key that is absent means it
        kinds = [kind for kind in inner if kind is not NoneType]
        return _fit_any(value, kinds, where)
    if origin in (tuple, list):
        if not isinstance(value, list):
            raise TrainError(f"{where} is {value!r}, but must be a list […].")
        each = (inner[i] if len(inner) > i and inner[-1] is not ... else inner[0]
                for i in range(len(value)))  # fmt: skip
        return origin(_fit(v, k, where) for v, k in zip(value, each, strict=True))
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not hint:
        words = _WORDS.get(hint, f"a {getattr(hint, '__name__', hint)}")
        raise TrainError(f"{where} is {value!r}, but must be {words}.")
    return value


def _fit_any(value: Any, kinds: list[Any], where: str) -> Any:
    problem = TrainError(f"{where} is {value!r}, which fits nothing that it may be.")
    for kind in kinds:
        try:
            return _fit(value, kind, where)
        except TrainError as error:
            problem = error
    raise problem


def _or(choices: tuple[Any, ...]) -> str:
    return " or ".join(f"“{choice}”" for choice in choices)


def _lines(values: dict[str, Any]) -> str:
    rows = (f"{k} = {_toml(v, k)}\n" for k, v in values.items() if v is not None)
    return "".join(rows)


def _toml(value: Any, key: str) -> str:
    """One value as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)  # also inf and nan, which TOML spells like Python
    if isinstance(value, str | Path):
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_toml(v, key) for v in value) + "]"
    kind = "dataclass" if is_dataclass(value) else type(value).__name__
    raise TrainError(f"“{key}” is a {kind}, which {FILE} cannot hold.")
