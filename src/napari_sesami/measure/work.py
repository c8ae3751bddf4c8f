"""A recipe at work on one site: frame and features found once, readings made from them.

A reading is a value in pixels with its budget and what to draw; `results.py` gives it a
unit, the errors that the whole scan shares, and a verdict.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.measure.budget import ErrorBudget
from napari_sesami.measure.edge import polynomial
from napari_sesami.measure.features import (
    features_again,
    find_features,
    grown,
    meets,
)
from napari_sesami.measure.frame import MeasureFrame
from napari_sesami.measure.guide import StraightGuide, robust_line
from napari_sesami.measure.kinds import KINDS
from napari_sesami.measure.site import CLEAR

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from napari_sesami.common.box import BBox
    from napari_sesami.measure.features import FoundFeature
    from napari_sesami.measure.recipe import Measurement, MeasureRecipe
    from napari_sesami.measure.sem_look import RimLook
    from napari_sesami.measure.site import FoundEdge, Site

    Points = NDArray[np.float64]

EDGE_REACH = 16
"""Pixels from a feature's box within which labels may change its edges, beside blur."""


@dataclass(eq=False)
class Reading:
    """One value in steps of the site, or the reason why there is none.

    Attributes
    ----------
    value
        NaN unless `status` is "ok".
    power
        1 for a length, 2 an area, 3 a volume, 0 for what has a unit of its own.
    budget
        In the same steps.
    unit
        "°", "%" or "" where `power` is 0.
    status
        "ok" or the reason.
    feature, zone, at, statistic
        What the value is of.
    n
        How many values or blocks it is made of.
    edges, lines
        Fitted edges (n, 2) and dimension lines (2, 2), points (y, x) in equal steps.
    sigma, cnr, length, step
        Blur in pixels, step over noise, length evaluated and distance of its samples.
    profile
        Curves to plot: name → values.
    plane
        Of a volume's values: the slice that `edges` and `lines` (in pixels) lie in.
    """

    value: float = float("nan")
    power: int = 1
    budget: ErrorBudget = field(default_factory=lambda: ErrorBudget({}))
    unit: str = ""
    status: str = "ok"
    feature: FoundFeature | None = None
    zone: str = ""
    at: float | None = None
    statistic: str = "value"
    n: int = 1
    edges: list[Points] = field(default_factory=list)
    lines: list[Points] = field(default_factory=list)
    sigma: float = float("nan")
    cnr: float = float("nan")
    length: float = float("nan")
    step: float = float("nan")
    profile: dict[str, Any] = field(default_factory=dict)
    plane: int = 0

    def __post_init__(self) -> None:
        if self.status != "ok" or not np.isfinite(self.value):
            self.status = "not_found" if self.status == "ok" else self.status
            self.value, self.budget = float("nan"), ErrorBudget({})


class Work:
    """Frame, features and edges of one site under one recipe.

    Kept while a recipe is edited: another window or depth measures again without
    finding the features again.
    """

    def __init__(self, site: Site, recipe: MeasureRecipe) -> None:
        self.site, self.recipe = site, recipe
        self._features: dict[str, list[FoundFeature]] = {}
        self._edges: dict[Any, FoundEdge] = {}
        self.looks: dict[str, RimLook | None] = {}

    @cached_property
    def frame(self) -> MeasureFrame:
        """The frame that the recipe asks for."""
        spec = self.recipe.frame
        if spec.axis.level is not None:
            return _level_frame(self.site, *spec.axis.level, spec.origin)
        if spec.axis.angle is not None:
            angle = float(np.deg2rad(spec.axis.angle))
            return MeasureFrame(angle=angle, source=f"{spec.axis.angle:g}° by hand")
        if spec.axis.feature is not None:
            return _own_frame(self.site, self.recipe, spec.axis.feature)
        return MeasureFrame()

    def features(self, name: str) -> list[FoundFeature]:
        """Give all instances of a feature, found once."""
        if name not in self._features:
            spec = self.recipe.features[name]
            self._features[name] = find_features(self.site, self.frame, name, spec)
        return self._features[name]

    def look_again(self, box: BBox) -> set[str]:
        """Find features anew where labels changed within a box, and drop edges there.

        The frame and the scan's blur stay as they were. Gives the names of features of
        which there are more, fewer or others now.
        """
        reach = EDGE_REACH + int(2 * CLEAR * self.site.sigma)
        wide = grown(box, reach)
        self._edges = {
            key: edge for key, edge in self._edges.items() if not meets(key[1][1], wide)
        }
        renumbered = set()
        for name, old in self._features.items():
            spec = self.recipe.features[name]
            new = features_again(self.site, self.frame, name, spec, old, box)
            if [f.number for f in new] != [f.number for f in old] or any(
                (a.row, a.column) != (b.row, b.column)
                for a, b in zip(old, new, strict=True)
            ):
                renumbered.add(name)
            self._features[name] = new
        return renumbered

    def edge(self, key: Any, make: Any) -> FoundEdge:
        """Give an edge made by `make()`, once for a key (what, key of a feature, …)."""
        if key not in self._edges:
            self._edges[key] = make()
        return self._edges[key]

    def measure(
        self, measurement: Measurement, only: Collection[int] | None = None
    ) -> list[Reading]:
        """Measure one quantity on all features, or only on those with these numbers."""
        home, name = KINDS[measurement.kind].home
        module = import_module(f"napari_sesami.measure.quantities.{home}")
        found: list[Reading] = getattr(module, name)(self, measurement, only)
        return found

    def relative(self, points: Points, feature: FoundFeature) -> Points:
        """Give (y, x) in pixels as (depth, across) from the middle of a feature."""
        return self.frame.coordinates(self.site.from_data(points)) - feature.centre

    def chosen(
        self, measurement: Measurement, only: Collection[int] | None
    ) -> list[FoundFeature]:
        """Give the features of a measurement, all or only some."""
        assert measurement.feature is not None
        found = self.features(measurement.feature)
        return [f for f in found if only is None or f.number in only]


def _level_points(
    labels: NDArray[Any], upper: int, lower: int
) -> tuple[Points, Points]:
    """Row and column of every pixel side between two classes, in either order."""
    found = []
    for a, b in ((upper, lower), (lower, upper)):
        y, x = np.nonzero((labels[:-1] == a) & (labels[1:] == b))
        found.append((y + 0.5, x.astype(float)))
    return np.concatenate([f[0] for f in found]), np.concatenate([f[1] for f in found])


def _level_frame(site: Site, one: str, other: str, origin: str) -> MeasureFrame:
    """Turn the frame so that the longest interface of two classes is level."""
    a, b = site.class_id(one), site.class_id(other)
    edge = level_edge(site, MeasureFrame(), a, b)
    source = f"{one} to {other} is level"
    if edge is None:
        return MeasureFrame(source=f"picture ({one} to {other} was not found)")
    guide = edge.guide
    assert isinstance(guide, StraightGuide)
    if edge.ok and edge.fit is not None:
        slope = edge.fit.shape[1] * 2 / guide.length
        u = float(np.sqrt(edge.fit.covariance[1, 1])) * 2 / guide.length
        middle = guide.at(np.zeros(1), edge.offsets(np.zeros(1)))[0]
    else:
        slope, u, middle = 0.0, 2 / guide.length, np.asarray(guide.middle)
        source += " by its labels"
    along = np.array(guide.direction) + slope * np.array(guide.outside)
    along *= np.sign(along[1]) or 1.0
    angle = float(np.arctan2(along[0], along[1]))
    start = (float(middle[0]), float(middle[1])) if origin == "axis" else (0.0, 0.0)
    return MeasureFrame(start, angle, u, source)


def level_edge(
    site: Site, frame: MeasureFrame, one: int, other: int
) -> FoundEdge | None:
    """Fit the longest roughly level interface of two classes; None without one."""
    y, x = _level_points(site.labels, one, other)
    if y.size < 8:
        return None
    points = frame.coordinates(np.stack([y, x], axis=1) * site.spacing)
    depth, across = points.T
    best: tuple[float, float, float] | None = None
    for degrees in np.arange(-6, 6.25, 0.5):  # the direction that lines most of it up
        slope = float(np.tan(np.deg2rad(degrees)))
        rest = depth - slope * across
        bins = np.floor((rest - rest.min()) / 3).astype(int)
        pairs = np.convolve(np.bincount(bins), [1, 1], "same")
        top = int(pairs.argmax())
        if best is None or pairs[top] > best[0] * 1.02:
            best = (float(pairs[top]), slope, float(rest.min() + 3 * top))
    assert best is not None
    offset, slope = best[2], best[1]
    for reach in (6.0, 4.0, 3.0):
        near = np.abs(depth - offset - slope * across) < reach
        if near.sum() < 8:
            return None
        offset, slope = robust_line(across[near], depth[near])
    left, right = np.quantile(across[near], [0.01, 0.99])
    length = float(right - left) * float(np.hypot(1, slope))
    middle_across = float(left + right) / 2
    middle = frame.points([offset + slope * middle_across, middle_across])
    normal = np.array([1.0, -slope]) / np.hypot(1, slope)
    outward = normal @ np.array([frame.depth_axis, frame.across_axis])
    guide = StraightGuide(
        (float(middle[0]), float(middle[1])),
        (float(outward[0]), float(outward[1])),
        max(length, 8.0),
    )
    over = site.labels_at(guide.at(np.linspace(-0.5, 0.5, 64) * length, -1.5))
    inside = one if (over == one).sum() >= (over == other).sum() else other
    outside = other if inside == one else one
    basis = polynomial(guide.length, 1)
    return site.edge(guide, basis, inside, outside)


def _own_frame(site: Site, recipe: MeasureRecipe, name: str) -> MeasureFrame:
    """Turn the frame so that features stand upright: their long axis is the depth."""
    found = find_features(site, MeasureFrame(), name, recipe.features[name])
    angles, weights = [], []
    for feature in found:
        points = np.stack(np.nonzero(feature.mask), axis=1) * site.spacing
        cov = np.cov(points.T)
        values, vectors = np.linalg.eigh(cov)
        long = vectors[:, -1] * (np.sign(vectors[0, -1]) or 1.0)
        if values[1] > 1.5 * values[0]:
            angles.append(2 * np.arctan2(-long[1], long[0]))
            weights.append(feature.area)
    if not angles:
        return MeasureFrame(source=f"picture ({name} has no long axis)")
    mean = np.average(np.exp(1j * np.array(angles)), weights=weights)
    angle = float(np.angle(mean)) / 2
    spread = float(np.std(np.array(angles) / 2 - angle)) / np.sqrt(len(angles))
    return MeasureFrame(angle=angle, u_angle=spread, source=f"long axis of {name}")
