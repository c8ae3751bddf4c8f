"""Measurements: what is measured on the scan, as part of its history and project."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.common.cancel import not_cancelled
from napari_sesami.measure import (
    LiveMeasurement,
    Recipe,
    measure,
    with_quantity,
    without_quantity,
)
from napari_sesami.project import RecipeChange
from napari_sesami.session.errors import SessionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from napari_sesami.common.cancel import IsCancelled, Progress
    from napari_sesami.measure import Results
    from napari_sesami.session.checks import Plane
    from napari_sesami.session.document import Document


class Measurements:
    """The recipe of the scan, edited undoably, and what it gives on the labels.

    Script, page and command line call the same parts, so that they give the same bits.
    """

    def __init__(self, document: Document) -> None:
        self._document = document

    @property
    def recipe(self) -> Recipe:
        """What is measured; without a recipe, an empty one."""
        return _read(self._document.work.recipe)

    @recipe.setter
    def recipe(self, recipe: Recipe | str | Path) -> None:
        self.edit(recipe if isinstance(recipe, Recipe) else Recipe.load(recipe))

    def edit(
        self, recipe: Recipe, name: str = "edit the recipe", key: int | None = None
    ) -> None:
        """Exchange the recipe; edits of the same `key` in a row are one step of undo.

        A recipe without measurements is none.
        """
        before = self._document.work.recipe
        after = recipe.to_toml() if recipe.measure else ""
        if before == after:
            return
        with self._document.history.group(name, key):
            self._document.do(name, [RecipeChange(before, after)])

    def add(
        self, kind: str, classes: Sequence[str] = (), plane: Plane = None, **fields: Any
    ) -> str:
        """Add a quantity of one or two classes, by name; gives the name it got."""
        document = self._document
        ids = {entry.name: entry.id for entry in document.classes}
        missing = [name for name in classes if name not in ids]
        if missing:
            raise SessionError(
                f"There is no class {missing[0]!r}; there are "
                f"{', '.join(ids) or 'none'}."
            )
        labels = document.labels.plane(plane)
        recipe, name = with_quantity(self.recipe, kind, classes, labels, ids, **fields)
        self.edit(recipe, f"measure {name}")
        return name

    def change(self, name: str, key: int | None = None, **fields: Any) -> None:
        """Change fields of one quantity, such as ``at=(0.3,)`` or ``window=0.2``."""
        recipe = self.recipe
        if name not in {m.name for m in recipe.measure}:
            raise SessionError(f"The recipe measures no {name!r}.")
        data = recipe.model_dump(by_alias=True, exclude_defaults=True, mode="json")
        for entry in data["measure"]:
            if entry["name"] == name:
                entry.update(fields)
        self.edit(Recipe.of(data), f"change {name}", key)

    def remove(self, name: str) -> None:
        """Measure a quantity no longer."""
        self.edit(without_quantity(self.recipe, name), f"no {name}")

    def measure(
        self,
        planes: Iterable[int] | None = None,
        *,
        votes: Any = None,
        progress: Progress | None = None,
        stop: IsCancelled = not_cancelled,
    ) -> Results:
        """Measure the labels as they are now, in these planes or all with labels."""
        document = self._document
        if not self.recipe.measure:
            raise SessionError(
                "Nothing is to be measured yet: add a quantity, or give a recipe."
            )
        return measure(
            document.scan, document.labels.array, document.classes, self.recipe,
            votes=votes, planes=planes, labels_source=self.source, progress=progress,
            stop=stop,
        )  # fmt: skip

    def live(self, plane: Plane = None) -> LiveMeasurement:
        """Give what measures one plane and then follows edits; nothing is read yet.

        It has labels and classes of its own, so that it may work in another thread.
        """
        document = self._document
        number = document.plane_number(plane)
        return LiveMeasurement(
            document.scan, np.array(document.labels.plane(number)),
            {entry.name: entry.id for entry in document.classes}, self.recipe, number,
        )  # fmt: skip

    @property
    def source(self) -> str:
        """Where the labels come from, for the table."""
        project = self._document.project
        return "session" if project is None else project.path.name


@lru_cache(maxsize=8)
def _read(text: str) -> Recipe:
    return Recipe.loads(text) if text else Recipe()
