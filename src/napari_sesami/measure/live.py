"""Results of one plane that follow a hand: only what changed is measured again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.common.cancel import Cancelled, not_cancelled
from napari_sesami.measure.features import grown, meets
from napari_sesami.measure.kinds import KINDS
from napari_sesami.measure.results import Result, Results
from napari_sesami.measure.run import (
    hash_of_labels,
    missing_features,
    provenance_of,
    results_of,
    statistics_of,
)
from napari_sesami.measure.site import Site
from napari_sesami.measure.work import EDGE_REACH, Work

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sesami.common.box import BBox
    from napari_sesami.common.cancel import IsCancelled, Progress
    from napari_sesami.measure.recipe import Measurement, MeasureRecipe
    from napari_sesami.scan import Scan

ALONE = frozenset(
    {
        "cd",
        "height",
        "angle",
        "tilt",
        "bow",
        "aspect ratio",
        "diameter",
        "ellipticity",
        "area",
        "corner radius",
        "thickness",
    }
)
"""Quantities whose value of one feature does not depend on other features."""


class LiveMeasurement:
    """A recipe at work on one plane, kept between edits of recipe and labels.

    A recipe that changed gives the same bits as measuring from the beginning. After
    labels changed, the frame and the blur of the scan stay as they were until
    `measure_all` (`settled` tells): they depend on all labels.

    Parameters
    ----------
    scan, classes, recipe, plane
        As `measure` takes them.
    labels
        Class ids of the plane (y, x).

    Attributes
    ----------
    settled
        Whether all values are what measuring from the beginning gives.
    anew
        How many values the last edit measured anew.
    """

    def __init__(
        self,
        scan: Scan,
        labels: NDArray[Any],
        classes: Any,
        recipe: MeasureRecipe,
        plane: int = 0,
    ) -> None:
        self._given, self.plane = (scan, classes, plane), plane
        self._labels = labels
        self.recipe = recipe
        self.settled, self.anew = False, 0
        self._rows: dict[str, list[Result]] = {}
        self._begin(recipe)

    def _begin(self, recipe: MeasureRecipe) -> None:
        scan, classes, plane = self._given
        site = Site(scan, self._labels, classes, plane, recipe.sigma_px)
        self.work = Work(site, recipe)
        self.settled = True

    @property
    def rows(self) -> list[Result]:
        """All values in the order of the recipe."""
        return [r for m in self._plane_wise() for r in self._rows.get(m.name, ())]

    @property
    def failures(self) -> list[str]:
        """What the recipe expects and the plane lacks."""
        return missing_features(self.work, None)

    def results(self, labels_source: str = "") -> Results:
        """Give them with where they come from."""
        rows = self.rows
        hash_ = hash_of_labels(self._labels)
        source = provenance_of(self._given[0], hash_, self.recipe, labels_source)
        return Results(rows, self.recipe, [source] * len(rows), self.failures)

    def measure_all(
        self, progress: Progress | None = None, stop: IsCancelled = not_cancelled
    ) -> None:
        """Measure from the beginning, the blur of the scan included."""
        self._begin(self.recipe)
        wanted = self._plane_wise()
        self.anew = 0
        for done, m in enumerate(wanted, start=1):
            if stop():
                raise Cancelled("Measuring was stopped.")
            self._measure(m)
            if progress is not None:
                progress(done, len(wanted))

    def use_recipe(self, recipe: MeasureRecipe) -> None:
        """Measure what differs in another recipe."""
        old, self.recipe = self.recipe, recipe
        before = {m.name: m for m in old.measure}
        self.anew = 0
        if old.sigma_px != recipe.sigma_px:
            self._begin(recipe)
        elif old.frame != recipe.frame or old.features != recipe.features:
            self.work = Work(self.work.site, recipe)
        self.work.recipe = recipe
        shared = ("frame", "features", "scale", "unit", "sigma_px")
        kept = all(getattr(old, name) == getattr(recipe, name) for name in shared)
        self._rows = {m.name: self._rows.get(m.name, []) for m in recipe.measure}
        for m in self._plane_wise():
            if not kept or before.get(m.name) != m or not self._rows[m.name]:
                self._measure(m)

    def relabel(self, labels: NDArray[Any], box: BBox) -> None:
        """Measure what labels that changed within a box (y0, x0, y1, x1) touch."""
        self._labels = self.work.site.labels = np.asarray(labels)
        self.settled, self.anew = False, 0
        renumbered = self.work.look_again(box)
        wide = grown(box, EDGE_REACH + int(5 * self.work.site.sigma))
        for m in self._plane_wise():
            if m.kind in ALONE and m.feature not in {None, *renumbered}:
                assert m.feature is not None
                found = self.work.features(m.feature)
                self._measure_some(m, {f.number for f in found if meets(f.box, wide)})
            else:
                self._measure(m)

    def _plane_wise(self) -> list[Measurement]:
        return [m for m in self.recipe.measure if not KINDS[m.kind].volume]

    def _measure(self, m: Measurement) -> None:
        self._rows[m.name] = results_of(self.work, m)
        self.anew += sum(r.statistic == "value" for r in self._rows[m.name])

    def _measure_some(self, m: Measurement, numbers: set[int]) -> None:
        """Exchange the values of some features; all anew if others are there now."""
        if not numbers:
            return

        def place(r: Result) -> tuple[Any, ...]:
            return r.number, r.zone, r.at, r.statistic

        old = [r for r in self._rows[m.name] if r.number]
        new = {place(r): r for r in results_of(self.work, m, only=numbers) if r.number}
        if {place(r) for r in old if r.number in numbers} != set(new):
            self._measure(m)
            return
        values = [new.get(place(r), r) for r in old]
        self._rows[m.name] = [*values, *statistics_of(m, values, self.work.site.plane)]
        self.anew += len(new)
