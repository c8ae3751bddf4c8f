"""Signed distances on a grid in nanometres, and a canvas that keeps grey and truth.

Distances are negative inside. A conformal layer of thickness t around an object is
everywhere that its distance is below t, so thin films follow any shape exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from napari_sesami.lab.scenes.types import SynthError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Grid = NDArray[Any]  # float32 (rows, columns)
    Window = tuple[slice, slice]

_TILE = 768


@lru_cache(maxsize=16)
def noise_tile(scale_px: float) -> Grid:
    """Give a periodic smooth random field, mean 0 and variance 1, drawn once."""
    rng = np.random.default_rng(int(scale_px * 1000))
    white = rng.standard_normal((_TILE, _TILE)).astype(np.float32)
    smooth = gaussian_filter(white, scale_px, mode="wrap") if scale_px > 0 else white
    return ((smooth - smooth.mean()) / smooth.std()).astype(np.float32)


@lru_cache(maxsize=16)
def grain_tile(size_px: float) -> Grid:
    """Give a periodic mosaic of crystallites with dark seams, mean 0, variance 1."""
    rng = np.random.default_rng(int(size_px * 1000) + 7)
    count = max(4, int((_TILE / size_px) ** 2))
    tree = cKDTree(rng.uniform(0, _TILE, (count, 2)), boxsize=_TILE)
    at = np.arange(_TILE, dtype=np.float32)
    bend = 0.25 * size_px
    y = at[:, None] + bend * noise_tile(max(0.3 * size_px, 1))
    x = at[None, :] + bend * noise_tile(max(0.3 * size_px + 0.5, 1))
    points = np.stack([y % _TILE, x % _TILE], -1).reshape(-1, 2) % _TILE
    away, nearest = tree.query(points, k=2)
    tone = rng.standard_normal(count)[nearest[:, 0]]
    seam = np.exp(-(((away[:, 1] - away[:, 0]) / 1.2) ** 2))
    mosaic = (tone - 0.8 * seam).reshape(_TILE, _TILE)
    mosaic = gaussian_filter(mosaic, 0.5, mode="wrap")
    return ((mosaic - mosaic.mean()) / mosaic.std()).astype(np.float32)


def crop(tile: Grid, shape: tuple[int, int], rng: np.random.Generator) -> Grid:
    """Cut a random piece of that shape out of a periodic tile, at times mirrored."""
    copies = [-(-n // _TILE) for n in shape]
    if max(copies) > 1:
        tile = np.tile(tile, copies)
    room = [t - n + 1 for t, n in zip(tile.shape, shape, strict=True)]
    y, x = int(rng.integers(room[0])), int(rng.integers(room[1]))
    piece = tile[y : y + shape[0], x : x + shape[1]]
    return piece[:, ::-1] if rng.random() < 0.5 else piece


@dataclass(frozen=True)
class Material:
    """How a material looks: mean grey in HAADF and bright field, and its texture.

    `speckle` is amorphous graininess, `mottle` slow unevenness, `grain` the spread
    between crystallites of about `grain_nm`; all as shares of full scale.
    """

    color: str
    haadf: float
    bf: float
    speckle: float = 0.01
    mottle: float = 0.008
    grain: float = 0.0
    grain_nm: float = 10.0


class Canvas:
    """A picture under construction: grey values with soft edges, labels with hard ones.

    Coordinates are nanometres from the upper left corner, turned by `tilt_deg`
    about the middle of the picture. Objects are evaluated in their own window only.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        pixel_nm: float,
        materials: Mapping[str, int],
        grey: Mapping[str, float],
        rng: np.random.Generator,
        tilt_deg: float = 0.0,
        roughness_nm: float = 0.0,
        roughness_length_nm: float = 10.0,
    ) -> None:
        self.shape, self.pixel_nm, self.rng = shape, pixel_nm, rng
        # its own stream, so that rougher edges leave the objects where they are
        self.texture_rng = rng.spawn(1)[0]
        self.height, self.width = shape[0] * pixel_nm, shape[1] * pixel_nm
        self.roughness_nm = roughness_nm
        self._ids, self._tones = materials, grey
        self._rough = noise_tile(_scale(roughness_length_nm / pixel_nm))
        self._turn = np.deg2rad(tilt_deg)
        self._y, self._x = self._coordinates()
        self.labels = np.zeros(shape, np.uint8)
        self.grey = np.zeros(shape, np.float32)

    def _coordinates(self) -> tuple[Grid, Grid]:
        middle_y, middle_x = self.height / 2, self.width / 2
        y = (np.arange(self.shape[0]) + 0.5) * self.pixel_nm - middle_y
        x = (np.arange(self.shape[1]) + 0.5) * self.pixel_nm - middle_x
        cos, sin = np.cos(self._turn), np.sin(self._turn)
        turned_y = (y * cos)[:, None] - (x * sin)[None, :] + middle_y
        turned_x = (y * sin)[:, None] + (x * cos)[None, :] + middle_x
        return turned_y.astype(np.float32), turned_x.astype(np.float32)

    def window(
        self,
        top: float = -1e9,
        bottom: float = 1e9,
        left: float = -1e9,
        right: float = 1e9,
    ) -> Window | None:
        """Give the pixels that a rectangle in nm covers; None if it is outside."""
        far = self.height + self.width
        y = np.clip([top, top, bottom, bottom], -far, 2 * far) - self.height / 2
        x = np.clip([left, right, left, right], -far, 2 * far) - self.width / 2
        cos, sin = np.cos(self._turn), np.sin(self._turn)
        rows = (y * cos + x * sin + self.height / 2) / self.pixel_nm
        columns = (x * cos - y * sin + self.width / 2) / self.pixel_nm
        spans = []
        for at, size in ((rows, self.shape[0]), (columns, self.shape[1])):
            low = int(np.clip(np.floor(at.min()) - 1, 0, size))
            high = int(np.clip(np.ceil(at.max()) + 1, 0, size))
            if low >= high:
                return None
            spans.append(slice(low, high))
        return spans[0], spans[1]

    def grid(self, window: Window) -> tuple[Grid, Grid]:
        """Give y and x in nm of the pixels of a window."""
        return self._y[window], self._x[window]

    def rough(self, window: Window, share: float = 1.0) -> Grid:
        """Give an edge shift in nm with the roughness of this picture."""
        rows, columns = window
        size = (rows.stop - rows.start, columns.stop - columns.start)
        return (share * self.roughness_nm) * crop(self._rough, size, self.texture_rng)

    def paint(
        self, material: str, distance: Grid, window: Window, tone: float = 0.0
    ) -> None:
        """Put material wherever distance < 0; `tone` makes this object brighter."""
        cover = np.clip(0.5 - distance * (1 / self.pixel_nm), 0, 1)
        grey = self.grey[window]
        grey += cover * ((self._tones[material] + tone) - grey)
        np.putmask(self.labels[window], distance < 0, self._ids[material])

    def fill(self, material: str, window: Window | None = None) -> None:
        """Put material everywhere in a window."""
        window = window or (slice(None), slice(None))
        self.grey[window] = self._tones[material]
        self.labels[window] = self._ids[material]

    def band(
        self, material: str, top: float, bottom: float, share: float = 1.0
    ) -> None:
        """Put a horizontal layer between two heights in nm."""
        margin = 4 * self.roughness_nm + self.pixel_nm
        window = self.window(top - margin, bottom + margin)
        if window is not None:
            y, _ = self.grid(window)
            distance = np.maximum(top - y, y - bottom)
            self.paint(material, distance + self.rough(window, share), window)


def box(y: Grid, x: Grid, middle: tuple[float, float], half: tuple[float, float],
        radius: float = 0.0) -> Grid:  # fmt: skip
    """Distance to a box with rounded corners."""
    return corner(
        np.abs(y - middle[0]) - half[0], np.abs(x - middle[1]) - half[1], radius
    )


def corner(a: Grid, b: Grid, radius: Grid | float) -> Grid:
    """Distance to where both distances are negative, its edge rounded by a radius."""
    a, b = a + radius, b + radius
    if isinstance(radius, float | int) and radius == 0:
        return np.maximum(a, b)
    pa, pb = np.maximum(a, 0), np.maximum(b, 0)
    outside = np.sqrt(pa * pa + pb * pb)
    return np.minimum(np.maximum(a, b), 0) + outside - radius


def column(
    y: Grid, x: Grid, top: float, bottom: float, middle: float,
    half_top: float, half_bottom: float, bow: float = 0.0, radius: float = 0.0,
    bottom_radius: float | None = None,
) -> Grid:  # fmt: skip
    """Distance to an upright, tapered, possibly bowed column (a fin, a trench, a via).

    `bow` is added to the half width half-way down.
    """
    deep = np.clip((y - top) / max(bottom - top, 1e-6), 0, 1)
    half = half_top + (half_bottom - half_top) * deep
    if bow:
        half = half + (4 * bow) * deep * (1 - deep)
    slope = (half_bottom - half_top) / max(bottom - top, 1e-6)
    side = (np.abs(x - middle) - half) * (1 / math.hypot(1, slope))
    end = np.abs(y - 0.5 * (top + bottom)) - 0.5 * (bottom - top)
    if bottom_radius is None:
        return corner(side, end, radius)
    both = np.where(y < 0.5 * (top + bottom), radius, bottom_radius)
    return corner(side, end, both.astype(np.float32))


def ellipse(
    y: Grid, x: Grid, middle: tuple[float, float], half: tuple[float, float]
) -> Grid:
    """Distance to an upright ellipse (close to exact where it is nearly round)."""
    v, u = (y - middle[0]) / half[0], (x - middle[1]) / half[1]
    r = np.sqrt(v * v + u * u)
    steep = np.sqrt((v / half[0]) ** 2 + (u / half[1]) ** 2)
    return r * (r - 1) / np.maximum(steep, 1e-6)


def join(a: Grid, b: Grid, fillet: float = 0.0) -> Grid:
    """Distance to the union; `fillet` fills the inner corner with that radius."""
    if fillet <= 0:
        return np.minimum(a, b)
    near = np.maximum(fillet - np.abs(a - b), 0)
    return np.minimum(a, b) - near * near * (0.25 / fillet)


def steps(start: float, stop: float, step: float) -> list[float]:
    """Give evenly spaced places from start up to stop, as plain floats."""
    if step <= 0 or (stop - start) / step > 5000:
        raise SynthError(
            f"A pitch of {step:g} nm over {stop - start:g} nm cannot be drawn; "
            "take a larger pitch."
        )
    # plain floats keep float32 grids in float32
    found: list[float] = np.arange(start, stop, step).tolist()
    return found


def honeycomb(canvas: Canvas, pitch: float) -> list[tuple[float, float, int]]:
    """Give (y, x, column number) of a hexagonal lattice that covers the canvas."""
    row = pitch * math.sqrt(3) / 2
    start_y, start_x = canvas.rng.uniform(-1, 0), canvas.rng.uniform(-1, 0)
    places = []
    for k, y in enumerate(steps(start_y * row, canvas.height + row, row)):
        left = (start_x - (k % 2) / 2) * pitch
        for column, x in enumerate(steps(left, canvas.width + pitch, pitch)):
            places.append((y, x, column))
    return places


T = TypeVar("T")


def between(low: float, high: float) -> Any:
    """Declare a dimension that is drawn evenly between two values."""
    return field(default=0.5 * (low + high), metadata={"range": (low, high)})


def draw_dimensions(
    kind: type[T], rng: np.random.Generator, given: Mapping[str, float]
) -> T:
    """Draw all dimensions of a dataclass, except those given by name."""
    names = [f.name for f in fields(kind)]  # type: ignore[arg-type]
    for name, value in given.items():
        if name not in names:
            raise SynthError(
                f"{kind.__name__} has no dimension {name}; it has {', '.join(names)}."
            )
        if not np.isfinite(value) or value < 0:
            raise SynthError(f"{name} must be a finite number ≥ 0, not {value}.")
    drawn = {
        f.name: float(rng.uniform(*f.metadata["range"]))
        for f in fields(kind)  # type: ignore[arg-type]
    }
    return kind(**{**drawn, **given})


def _scale(pixels: float) -> float:
    # few different tiles, so that they are drawn once
    return min((1.0, 2.0, 4.0, 8.0, 16.0, 32.0), key=lambda s: abs(np.log(s / pixels)))
