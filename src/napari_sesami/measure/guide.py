"""Guides: smooth curves that say where an edge is looked for, made from labels.

Coordinates are (y, x) in equal steps: pixel centres times the spacing of their axis, so
that a length is a length in any direction although pixels may not be square.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Points = NDArray[np.float64]  # (n, 2)


class GuideCurve(Protocol):
    """A curve with a length and a side that is outside."""

    @property
    def length(self) -> float:
        """How long the curve is."""

    def locate(self, points: Points) -> tuple[Points, Points]:
        """Give place along the curve, and signed distance to it (outside positive)."""

    def at(self, along: Points, across: Points | float = 0.0) -> Points:
        """Give the points at places along the curve, moved across it."""


@dataclass(frozen=True)
class StraightGuide:
    """A straight piece; `along` runs from −length/2 to length/2 about its middle.

    Attributes
    ----------
    middle, outside
        Its middle point and the unit vector to its outer side, both (y, x).
    length
        Its length.
    """

    middle: tuple[float, float]
    outside: tuple[float, float]
    length: float

    @property
    def direction(self) -> tuple[float, float]:
        """The unit vector along it."""
        return -self.outside[1], self.outside[0]

    def moved(self, across: float, lean: float) -> StraightGuide:
        """Give the same piece moved outwards and leaning by `lean` more."""
        y, x = self.at(np.zeros(1), across)[0]
        outside = np.array(self.outside) - lean * np.array(self.direction)
        outside /= np.hypot(*outside)
        normal = (float(outside[0]), float(outside[1]))
        return StraightGuide((float(y), float(x)), normal, self.length)

    def locate(self, points: Points) -> tuple[Points, Points]:
        """See `GuideCurve`."""
        away = points - self.middle
        return away @ np.array(self.direction), away @ np.array(self.outside)

    def at(self, along: Points, across: Points | float = 0.0) -> Points:
        """See `GuideCurve`."""
        (y, x), (ny, nx) = self.middle, self.outside
        s, d = np.asarray(along, float), np.asarray(across, float)
        across_y = d * ny
        points = np.empty((*np.broadcast_shapes(s.shape, across_y.shape), 2))
        points[..., 0] = y - s * nx + across_y
        points[..., 1] = x + s * ny + d * nx
        return points


@dataclass(frozen=True, eq=False)
class CurvedGuide:
    """A smooth curve through many points, open or closed.

    Attributes
    ----------
    points
        Dense samples (n, 2), about a quarter of a pixel apart.
    outside
        Unit normals to the outer side.
    places
        Arc length of each sample from the first.
    curvature
        1 / radius, positive where the inside is convex.
    closed
        Whether the last sample is followed by the first.
    """

    points: Points
    outside: Points
    places: Points
    curvature: Points
    closed: bool

    @classmethod
    def through(
        cls,
        points: Points,
        *,
        closed: bool,
        outward_sign: float = 1.0,
        smooth: float = 4.0,
        step: float = 0.25,
    ) -> CurvedGuide:
        """Run a smooth curve through ordered points.

        Parameters
        ----------
        points
            Ordered (n, 2).
        closed
            Whether they go round.
        outward_sign
            1 if the outside lies to the right hand of the order in (y down, x right),
            that is, if a closed curve runs counter-clockwise on the screen; else −1.
        smooth
            Standard deviation of the smoothing along the curve, 0 for none. The pull
            of the smoothing to the inside is taken back.
        step
            Distance of the samples.
        """
        ring = np.vstack([points, points[:1]]) if closed else points
        gaps = np.hypot(*np.diff(ring, axis=0).T)
        keep = np.r_[True, gaps > 1e-9]
        ring, gaps = ring[keep], gaps[gaps > 1e-9]
        place = np.r_[0.0, np.cumsum(gaps)]
        count = max(8, round(place[-1] / step))
        even = np.linspace(0, place[-1], count, endpoint=not closed)
        dense = np.stack([np.interp(even, place, ring[:, k]) for k in (0, 1)], axis=1)
        if smooth > 0:
            width = smooth / (place[-1] / count)
            mode = "wrap" if closed else "nearest"
            if not closed:  # ends are kept by smoothing what differs from a line
                line = np.linspace(0, 1, count)[:, None] * (dense[-1] - dense[0])
                once = dense[0] + line
                rest = gaussian_filter1d(dense - once, width, axis=0, mode="mirror")
                dense = once + rest
            else:
                once = gaussian_filter1d(dense, width, axis=0, mode=mode)
                dense = 2 * once - gaussian_filter1d(once, width, axis=0, mode=mode)
        return cls.of_samples(dense, closed=closed, outward_sign=outward_sign)

    @classmethod
    def of_samples(
        cls, dense: Points, *, closed: bool, outward_sign: float = 1.0
    ) -> CurvedGuide:
        """Take samples as they are; normals and curvature come from differences."""
        if closed:
            d1 = (np.roll(dense, -1, 0) - np.roll(dense, 1, 0)) / 2
            d2 = np.roll(dense, -1, 0) - 2 * dense + np.roll(dense, 1, 0)
            gaps = np.hypot(*(dense - np.roll(dense, 1, 0)).T)
            places = np.cumsum(gaps) - gaps[0]
        else:
            d1 = np.gradient(dense, axis=0)
            d2 = np.gradient(d1, axis=0)
            places = np.r_[0.0, np.cumsum(np.hypot(*np.diff(dense, axis=0).T))]
        speed = np.maximum(np.hypot(*d1.T), 1e-12)
        tangent = d1 / speed[:, None]
        outside = outward_sign * np.stack([tangent[:, 1], -tangent[:, 0]], axis=1)
        bend = d2 - (d2 * tangent).sum(1)[:, None] * tangent
        curvature = -(bend * outside).sum(1) / speed**2
        return cls(dense, outside, places, curvature, closed)

    @property
    def length(self) -> float:
        """How long the curve is."""
        end = float(self.places[-1])
        if self.closed:
            end += float(np.hypot(*(self.points[0] - self.points[-1])))
        return end

    def locate(self, points: Points) -> tuple[Points, Points]:
        """See `GuideCurve`; good to second order in the distance of the samples."""
        nearest = cKDTree(self.points).query(points)[1]
        away = points - self.points[nearest]
        normal = self.outside[nearest]
        across = (away * normal).sum(1)
        tangent = np.stack([-normal[:, 1], normal[:, 0]], axis=1)
        forward = self.points[min(1, len(self.points) - 1)] - self.points[0]
        if (forward * [-self.outside[0, 1], self.outside[0, 0]]).sum() < 0:
            tangent = -tangent
        # the place on the curve itself: arcs are longer outside than inside
        stretch = 1 + np.maximum(-0.9, across * self.curvature[nearest])
        shift = (away * tangent).sum(1) / stretch
        # the curve bends away from its tangent, so the distance differs by the sagitta
        across = across + 0.5 * self.curvature[nearest] * shift**2 * stretch
        return self.places[nearest] + shift, across

    def at(self, along: Points, across: Points | float = 0.0) -> Points:
        """See `GuideCurve`."""
        s, d = np.broadcast_arrays(np.asarray(along, float), across)
        if self.closed:
            s = np.mod(s, self.length)
        places = np.r_[self.places, self.length] if self.closed else self.places

        def value(samples: Points) -> Points:
            ring = np.vstack([samples, samples[:1]]) if self.closed else samples
            return np.stack([np.interp(s, places, ring[:, k]) for k in (0, 1)], -1)

        return value(self.points) + d[..., None] * value(self.outside)

    def curvature_at(self, along: Points) -> Points:
        """Give the curvature at places along the curve."""
        period = self.length if self.closed else None
        return np.interp(along, self.places, self.curvature, period=period)


def boundary_points(inside: NDArray[np.bool_]) -> tuple[Points, Points]:
    """Give the mid-points of all pixel sides where a mask ends, and their normals.

    Both are (n, 2) in pixels; normals are ±1 along y or x and point out of the mask.
    Sides on the border of the array do not count.
    """
    points, normals = [], []
    for axis in (0, 1):
        step = np.diff(inside.astype(np.int8), axis=axis)
        y, x = np.nonzero(step)
        at = np.stack([y, x], axis=1).astype(float)
        at[:, axis] += 0.5
        out = np.zeros_like(at)
        out[:, axis] = -step[y, x]
        points.append(at)
        normals.append(out)
    return np.concatenate(points), np.concatenate(normals)


def robust_line(t: Points, value: Points) -> tuple[float, float]:
    """Fit ``value = a + b t``, few wild points aside; gives (a, b)."""
    if t.size < 2 or np.ptp(t) == 0:
        return float(np.median(value)), 0.0
    weight = np.ones_like(t)
    span = float(np.ptp(t))
    a = b = 0.0
    for _ in range(8):
        before = a, b
        total = weight.sum()
        mt, mv = (weight @ t) / total, (weight @ value) / total
        spread = weight @ (t - mt) ** 2
        b = float(weight @ ((t - mt) * (value - mv)) / spread) if spread > 0 else 0.0
        a = float(mv - b * mt)
        if abs(a - before[0]) + abs(b - before[1]) * span < 0.01:
            break
        rest = np.abs(value - a - b * t)
        half = rest.size // 2
        scale = max(0.5, 1.5 * float(np.partition(rest, half)[half]))
        weight = 1 / np.maximum(1, rest / scale) ** 2
    return a, b


def outlines(inside: NDArray[np.bool_]) -> list[tuple[Points, bool]]:
    """Give the ordered outlines of a mask as (points in pixels, closed).

    They run so that a `CurvedGuide` through them has the mask on its inside.
    """
    from skimage.measure import find_contours

    found = []
    for line in find_contours(inside.astype(np.float32), 0.5):
        closed = len(line) > 3 and bool(np.allclose(line[0], line[-1]))
        found.append(((line[:-1] if closed else line)[::-1], closed))
    return found
