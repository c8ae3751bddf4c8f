"""The frame of a cross-section: where depth begins, and which way it runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class MeasureFrame:
    """Origin and axes in a picture; all positions and angles are read in it.

    Attributes
    ----------
    origin
        (y, x) of depth 0, across 0, in equal steps.
    angle
        Radians by which the across axis is turned from the rows of the picture,
        clockwise on the screen.
    u_angle
        Standard uncertainty of the angle.
    source
        How it was found, for people.
    """

    origin: tuple[float, float] = (0.0, 0.0)
    angle: float = 0.0
    u_angle: float = 0.0
    source: str = "picture"

    @property
    def depth_axis(self) -> tuple[float, float]:
        """Unit vector (y, x) into the specimen."""
        return math.cos(self.angle), -math.sin(self.angle)

    @property
    def across_axis(self) -> tuple[float, float]:
        """Unit vector (y, x) across it."""
        return math.sin(self.angle), math.cos(self.angle)

    def coordinates(self, points: ArrayLike) -> NDArray[np.float64]:
        """Give (depth, across) of points (y, x); directions with `turn`."""
        return self.turn(np.asarray(points, float) - self.origin)

    def turn(self, vectors: ArrayLike) -> NDArray[np.float64]:
        """Give (depth, across) of vectors (y, x)."""
        axes = np.array([self.depth_axis, self.across_axis])
        return np.asarray(vectors, float) @ axes.T

    def points(self, coordinates: ArrayLike) -> NDArray[np.float64]:
        """Give (y, x) of (depth, across)."""
        axes = np.array([self.depth_axis, self.across_axis])
        return np.asarray(coordinates, float) @ axes + np.asarray(self.origin)
