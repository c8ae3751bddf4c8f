"""Features: the instances of a class that a recipe measures, found and numbered."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_sesami.measure.guide import boundary_points

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sesami.common.box import BBox
    from napari_sesami.measure.frame import MeasureFrame
    from napari_sesami.measure.recipe import FeatureSpec
    from napari_sesami.measure.site import Site

    Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FoundFeature:
    """One instance of a feature.

    Attributes
    ----------
    name, number
        Name in the recipe, and a number from 1 in reading order.
    class_id
        Class of its pixels.
    box
        Its bounding box in pixels.
    mask
        Its pixels within the box.
    centre
        (depth, across) of its middle in the frame.
    row, column
        Place in the lattice, from 0; −1 without one.
    status
        "ok", or "cut_off" where it touches the border or pixels to ignore.
    frame, spacing
        The frame it lies in, and the size of pixels in equal steps.
    """

    name: str
    number: int
    class_id: int
    box: BBox
    mask: NDArray[np.bool_] = field(repr=False)
    centre: tuple[float, float]
    area: float
    status: str
    frame: MeasureFrame
    spacing: tuple[float, float]
    row: int = -1
    column: int = -1

    @cached_property
    def boundary(self) -> tuple[Points, Points]:
        """Mid-points of its pixel sides as (depth, across), and their outer normals."""
        points, normals = boundary_points(np.pad(self.mask, 1))
        points += np.array(self.box[:2]) - 1.0
        out = normals / np.asarray(self.spacing)
        out /= np.maximum(np.hypot(*out.T), 1e-12)[:, None]
        return (
            self.frame.coordinates(points * self.spacing),
            self.frame.turn(out),
        )

    @cached_property
    def ends(self) -> tuple[float, float]:
        """Depth of its top and its bottom by the labels."""
        points, normals = self.boundary
        depth = points[:, 0]
        up, down = depth[normals[:, 0] < -0.5], depth[normals[:, 0] > 0.5]
        top = float(np.quantile(up, 0.1)) if up.size else float(depth.min())
        bottom = float(np.quantile(down, 0.9)) if down.size else float(depth.max())
        return top, bottom

    @property
    def key(self) -> tuple[str, BBox, float]:
        """What it is known by from one look to the next, whatever its number."""
        return self.name, self.box, self.area

    @property
    def height(self) -> float:
        """Depth from top to bottom by the labels."""
        return self.ends[1] - self.ends[0]


def find_features(
    site: Site, frame: MeasureFrame, name: str, spec: FeatureSpec
) -> list[FoundFeature]:
    """Find all instances of a feature by its class, and number them.

    Components of the class are taken that meet the limits of the recipe. Those that
    touch the border or pixels to ignore are "cut_off" (lines may end there).
    """
    chosen = site.labels == site.class_id(spec.class_)
    unit = site.pixel if spec.uses_unit else 1.0
    if spec.depth is not None:
        _clip_depth(chosen, site, frame, [d / unit for d in spec.depth])
    if spec.within is not None:
        y0, x0, y1, x1 = spec.within
        outside = np.ones_like(chosen)
        outside[y0:y1, x0:x1] = False
        chosen &= ~outside
    parts, _ = ndimage.label(chosen)
    found = _components(site, frame, name, spec, parts, (0, 0))
    if spec.like is not None:
        found = _alike(found, spec.like)
    found = _numbered(found)
    if spec.expect is not None and spec.expect.columns is not None:
        whole = [f for f in found if f.status == "ok"]
        found = whole if len(whole) >= spec.expect.columns else found
    return found


def _components(
    site: Site,
    frame: MeasureFrame,
    name: str,
    spec: FeatureSpec,
    parts: NDArray[np.int32],
    corner: tuple[int, int],
) -> list[FoundFeature]:
    """Make features of numbered pixels whose first one is at `corner` of the plane."""
    found: list[FoundFeature] = []
    low, high = spec.area_range(site.unit, site.pixel)
    pixel_area = site.spacing[0] * site.spacing[1]
    y0, x0 = corner
    for number, place in enumerate(ndimage.find_objects(parts), start=1):
        if place is None:
            continue
        mask = parts[place] == number
        area = float(mask.sum()) * pixel_area
        if not low <= area <= high or mask.sum() < 4:
            continue
        mask = ndimage.binary_fill_holes(mask) if spec.kind == "object" else mask
        box = (
            place[0].start + y0, place[1].start + x0,
            place[0].stop + y0, place[1].stop + x0,
        )  # fmt: skip
        y, x = np.nonzero(mask)
        middle = np.array([y.mean() + box[0], x.mean() + box[1]]) * site.spacing
        depth, across = frame.coordinates(middle)
        found.append(
            FoundFeature(
                name, number, site.class_id(spec.class_), box, mask,
                (float(depth), float(across)), area,
                _status(site, box, mask, frame, spec), frame, site.spacing,
            )
        )  # fmt: skip
    return found


def features_again(
    site: Site,
    frame: MeasureFrame,
    name: str,
    spec: FeatureSpec,
    old: list[FoundFeature],
    box: BBox,
) -> list[FoundFeature]:
    """Find features after labels changed within a box: only there it looks again."""
    partial = spec.depth is None and spec.within is None and spec.like is None
    if not partial or (spec.expect is not None and spec.expect.columns is not None):
        return find_features(site, frame, name, spec)
    near, window = grown(box, 1), grown(box, 24)
    rows, columns = site.shape
    while True:  # until all that touches the change lies within the window
        y0, x0 = max(0, window[0]), max(0, window[1])
        y1, x1 = min(rows, window[2]), min(columns, window[3])
        chosen = site.labels[y0:y1, x0:x1] == site.class_id(spec.class_)
        parts, count = ndimage.label(chosen)
        part = np.s_[
            max(0, near[0] - y0) : near[2] - y0, max(0, near[1] - x0) : near[3] - x0
        ]
        touched = np.zeros(count + 1, bool)
        touched[np.unique(parts[part])] = True
        touched[0] = False
        ends = [
            parts[0] if y0 > 0 else parts[:0],
            parts[-1] if y1 < rows else parts[:0],
            parts[:, 0] if x0 > 0 else parts[:0],
            parts[:, -1] if x1 < columns else parts[:0],
        ]
        if not any(touched[e].any() for e in ends if e.size):
            break
        window = grown(window, max(window[2] - window[0], window[3] - window[1]))
    parts[~touched[parts]] = 0
    kept = [f for f in old if not _within(f, near)]
    return _numbered(kept + _components(site, frame, name, spec, parts, (y0, x0)))


def _within(feature: FoundFeature, box: BBox) -> bool:
    """Whether any pixel of a feature lies in a box."""
    if not meets(feature.box, box):
        return False
    y0, x0 = feature.box[:2]
    part = np.s_[max(0, box[0] - y0) : box[2] - y0, max(0, box[1] - x0) : box[3] - x0]
    return bool(feature.mask[part].any())


def grown(box: BBox, by: int) -> BBox:
    """Give a box with a margin; it may leave the picture."""
    return box[0] - by, box[1] - by, box[2] + by, box[3] + by


def meets(one: BBox, other: BBox) -> bool:
    """Whether two boxes share a pixel."""
    return (
        one[0] < other[2] and other[0] < one[2]
        and one[1] < other[3] and other[1] < one[3]
    )  # fmt: skip


def _clip_depth(
    chosen: NDArray[np.bool_], site: Site, frame: MeasureFrame, depth: list[float]
) -> None:
    """Keep pixels between two depths of the frame, row by row."""
    x = np.arange(chosen.shape[1]) * site.spacing[1] - frame.origin[1]
    down, across = frame.depth_axis
    low, high = min(depth), max(depth)
    for row in range(chosen.shape[0]):
        if chosen[row].any():
            y = row * site.spacing[0] - frame.origin[0]
            at = y * down + x * across
            chosen[row] &= (at >= low) & (at <= high)


def _status(
    site: Site,
    box: BBox,
    mask: NDArray[np.bool_],
    frame: MeasureFrame,
    spec: FeatureSpec,
) -> str:
    rows, columns = site.shape
    touches = [box[0] <= 0, box[1] <= 0, box[2] >= rows, box[3] >= columns]
    if spec.kind in ("line", "band"):
        # a line may run out of the picture along its own direction, not sideways
        upright = abs(frame.depth_axis[0]) > 0.7
        along = upright if spec.kind == "line" else not upright
        touches = [touches[1], touches[3]] if along else [touches[0], touches[2]]
    if any(touches):
        return "cut_off"
    if site.scan.ignore is not None:
        part = site.scan.ignore[box[0] : box[2], box[1] : box[3]]
        if part[mask].any():
            return "cut_off"
    return "ok"


def _alike(found: list[FoundFeature], like: tuple[float, float]) -> list[FoundFeature]:
    """Keep what is as large and as slender as the one at this point (y, x)."""
    y, x = like
    pattern = next(
        (
            f
            for f in found
            if f.box[0] <= y < f.box[2]
            and f.box[1] <= x < f.box[3]
            and f.mask[int(y) - f.box[0], int(x) - f.box[1]]
        ),
        None,
    )
    if pattern is None:
        return []

    def sizes(f: FoundFeature) -> NDArray[np.float64]:
        height, width = f.box[2] - f.box[0], f.box[3] - f.box[1]
        return np.log([f.area, height, width])

    target = sizes(pattern)
    return [f for f in found if np.abs(sizes(f) - target).max() < np.log(1.35)]


def _numbered(found: list[FoundFeature]) -> list[FoundFeature]:
    """Give rows and columns of a lattice that may have gaps, and reading order."""
    if not found:
        return []
    depth = np.array([f.centre[0] for f in found])
    across = np.array([f.centre[1] for f in found])
    heights = np.array([max(f.height, 2.0) for f in found])
    widths = np.array([max(float(np.ptp(f.boundary[0][:, 1])), 2.0) for f in found])
    rows = _lattice(depth, 0.5 * float(np.median(heights)))
    columns = _lattice(across, 0.5 * float(np.median(widths)))
    order = np.lexsort((across, rows))
    numbered = []
    for n, i in enumerate(order, start=1):
        same = replace(found[i], number=n, row=int(rows[i]), column=int(columns[i]))
        same.__dict__["boundary"] = found[i].boundary  # traced once
        numbered.append(same)
    return numbered


def _lattice(values: NDArray[np.float64], gap: float) -> NDArray[np.int64]:
    """Number groups of values; a group that is missing leaves its number out."""
    order = np.argsort(values)
    steps = np.diff(values[order])
    group = np.r_[0, np.cumsum(steps > gap)]
    middles = np.array([values[order][group == g].mean() for g in range(group[-1] + 1)])
    numbers = np.arange(middles.size)
    if middles.size > 2:
        pitch = float(np.median(np.diff(middles)))
        numbers = np.cumsum(np.r_[0, np.maximum(1, np.rint(np.diff(middles) / pitch))])
    out = np.empty(values.size, np.int64)
    out[order] = numbers[group].astype(np.int64)
    return out
