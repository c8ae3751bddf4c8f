"""Recipes of one's own and of strangers: found without running them, run when agreed.

A `run.toml` may name any class as its recipe. Looking at it imports nothing; before a
run of a recipe that is neither part of the package nor imported already is started, its
user is told which file would run, and agrees. What was agreed to is remembered with the
file's checksum, and asked again when the file has changed.
"""

from __future__ import annotations

import hashlib
import re
import sys
from dataclasses import dataclass
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sesami.common.checked import DamagedFile, read_checked
from napari_sesami.common.disk import write_json
from napari_sesami.common.home import home
from napari_sesami.train.errors import TrainError

if TYPE_CHECKING:
    from napari_sesami.train.config import RunConfig

OURS = "napari_sesami."
_PLACE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
_MEMORY = "recipes.json"


class ForeignRecipe(TrainError):
    """A run needs code that is not part of the package, and nobody agreed to it yet.

    Attributes
    ----------
    code
        "class in file": what would be run, from where.
    """

    def __init__(self, code: Code) -> None:
        self.code = f"{code.recipe.partition(':')[2]} in {code.file}"
        super().__init__(
            "This run would execute code that is not part of napari-sesami: "
            f"{self.code}. Read that file; if you trust it, start the run with "
            "--trust, or with resume(trust=True)."
        )


@dataclass(frozen=True)
class ForeignOptions:
    """Options of a recipe that was not imported: what its table holds, unchecked."""

    table: str
    values: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["values"][name]
        except KeyError:
            raise AttributeError(name) from None


@dataclass(frozen=True)
class Code:
    """Where the code of a recipe lies.

    Attributes
    ----------
    recipe
        As ``"module:Class"``.
    file
        The module's own file.
    folder
        The folder that must be on Python's path for it.
    """

    recipe: str
    file: Path
    folder: Path

    @property
    def checksum(self) -> str:
        """SHA-256 of the file."""
        return hashlib.sha256(self.file.read_bytes()).hexdigest()


def is_place(name: str) -> bool:
    """Whether a recipe's name is written as ``"module:Class"``."""
    return _PLACE.fullmatch(name) is not None


def imported(place: str) -> Any:
    """Return the class if having it runs nothing new; else None."""
    module, _, attribute = place.partition(":")
    if module.startswith(OURS):
        return getattr(import_module(module), attribute)
    found = sys.modules.get(module)
    return None if found is None else getattr(found, attribute)


def code_of(place: str) -> Code:
    """Find the file of a recipe without importing it or the packages around it."""
    module = place.partition(":")[0]
    top, *rest = module.split(".")
    try:
        spec = first = find_spec(top)
        for i, _ in enumerate(rest):
            path = None if spec is None else spec.submodule_search_locations
            name = ".".join([top, *rest[: i + 1]])
            spec = None if path is None else PathFinder.find_spec(name, path)
    except (ImportError, ValueError, AttributeError):
        spec = None
    if spec is None or first is None or not spec.origin:
        raise TrainError(
            f"The recipe “{place}” cannot be loaded (No module named {module!r}); "
            "check the spelling, and that its package is installed."
        )
    origin = first.origin or next(iter(first.submodule_search_locations or ()), "")
    start = Path(origin).absolute()
    package = first.submodule_search_locations is not None
    return Code(
        place,
        Path(spec.origin).absolute(),
        start.parent.parent if package and first.origin else start.parent,
    )


def code_folder(recipe: str) -> Path | None:
    """Return the folder that a worker needs on its path; None for recipes of ours."""
    module = recipe.partition(":")[0]
    if not is_place(recipe) or f"{module}.".startswith(OURS):
        return None
    return code_of(recipe).folder


def check_agreed(config: RunConfig, *, trust: bool = False) -> None:
    """Raise `ForeignRecipe` if the run needs code that nobody agreed to.

    `trust` agrees to it, as its file is now.
    """
    if not isinstance(config.recipe_options, ForeignOptions):
        return  # ours, or imported by the user's own program
    code = code_of(config.recipe)
    if trust:
        told = {**_agreed(), code.recipe: code.checksum}
        home().mkdir(parents=True, exist_ok=True)
        write_json(home() / _MEMORY, told)
    elif _agreed().get(code.recipe) != code.checksum:
        raise ForeignRecipe(code)


def _agreed() -> dict[str, str]:
    try:
        return dict(read_checked(home() / _MEMORY, dict[str, str], most=1 << 20))
    except (FileNotFoundError, DamagedFile):
        return {}
