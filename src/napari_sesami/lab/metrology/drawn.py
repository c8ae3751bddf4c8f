"""Draw shapes from signed distances so finely that their dimensions are exact.

Each pixel is the mean of many points of it; then come blur and noise.
Nothing is moved, so what was drawn is what is there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from scipy.ndimage import gaussian_filter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sesami.scan import Scan

Values: TypeAlias = "NDArray[np.float64]"
Distance: TypeAlias = Callable[[Values, Values], Values]
"""(y, x) in pixels → signed distance, negative inside."""

FINE = 5


@dataclass(frozen=True)
class Shape:
    """One material somewhere: later shapes lie over earlier ones."""

    name: str
    grey: float
    distance: Distance


@dataclass(frozen=True, eq=False)
class Drawn:
    """A picture whose dimensions are known.

    Attributes
    ----------
    image, labels, classes
        Grey values (float), class ids, and name → id.
    truth
        Name → values in pixels, in the order of features on the screen.
    sigma
        Blur in pixels.
    """

    image: NDArray[np.float32]
    labels: NDArray[np.uint8]
    classes: dict[str, int]
    truth: dict[str, Any] = field(default_factory=dict)
    sigma: float = 1.0

    def noisy(self, noise: float, seed: int, correlation: float = 0.0) -> Drawn:
        """Give the same picture with more noise."""
        added = noise * noise_field(self.image.shape, seed, correlation)
        return replace(self, image=(self.image + added).astype(np.float32))

    def scan(self, pixel_size: Any = 0.5, unit: str | None = "nm") -> Scan:
        """Give the picture as a scan; without a unit its pixel size is unknown."""
        from napari_sesami.scan import Scan

        size = pixel_size if unit is not None else None
        return Scan.from_array(
            self.image, axes=("y", "x"), pixel_size=size, units=unit, name="drawn"
        )


def draw(
    shape: tuple[int, int],
    shapes: list[Shape],
    *,
    sigma: float,
    noise: float = 0.0,
    seed: int = 0,
    correlation: float = 0.0,
    truth: dict[str, Any] | None = None,
    spacing: tuple[float, float] = (1.0, 1.0),
) -> Drawn:
    """Draw shapes on `shapes[0]`, blur them and add noise.

    Parameters
    ----------
    shape
        Rows and columns.
    shapes
        From the bottom up; the first fills the picture, whatever its distance.
    sigma
        Gaussian blur in equal steps, the pixel's own size comes on top.
    noise
        Standard deviation of a pixel.
    seed, correlation
        Of the noise; correlated over that many pixels.
    truth
        Kept with the picture.
    spacing
        Size of pixels along y and x in equal steps.
    """
    rows, columns = shape
    fine_y = (np.arange(rows * FINE) + 0.5) / FINE - 0.5
    fine_x = (np.arange(columns * FINE) + 0.5) / FINE - 0.5
    grey = np.full((rows * FINE, columns * FINE), shapes[0].grey, np.float32)
    labels = np.ones(shape, np.uint8)
    y, x = np.meshgrid(fine_y * spacing[0], fine_x * spacing[1], indexing="ij")
    names = list(dict.fromkeys(s.name for s in shapes))
    middle = slice(FINE // 2, None, FINE)
    for item in shapes[1:]:
        away = item.distance(y, x)
        # half a fine pixel of soft edge, so that no step of the fine grid is seen
        cover = np.clip(0.5 - away * FINE, 0, 1).astype(np.float32)
        grey += cover * (np.float32(item.grey) - grey)
        labels[away[middle, middle] < 0] = names.index(item.name) + 1
    wide = [sigma / s * FINE for s in spacing]
    blurred = gaussian_filter(grey, wide, mode="nearest", truncate=5)
    image = blurred.reshape(rows, FINE, columns, FINE).mean((1, 3))
    if noise:
        image = image + noise * noise_field(shape, seed, correlation)
    classes = {name: k for k, name in enumerate(names, start=1)}
    total = float(np.sqrt(sigma**2 + 1 / 12))
    return Drawn(image.astype(np.float32), labels, classes, truth or {}, total)


def noise_field(
    shape: tuple[int, ...], seed: int, correlation: float = 0.0
) -> NDArray[np.float64]:
    """Give noise of variance 1, alike over some pixels."""
    rng = np.random.default_rng(seed)
    if not correlation:
        return rng.standard_normal(shape)
    margin = int(np.ceil(5 * correlation))
    big = [n + 2 * margin for n in shape]
    soft = gaussian_filter(rng.standard_normal(big), correlation)
    impulse = np.zeros([2 * margin + 1] * len(shape))
    impulse[(margin,) * len(shape)] = 1
    gain = float(np.sqrt(np.sum(gaussian_filter(impulse, correlation) ** 2)))
    cut = tuple(slice(margin, margin + n) for n in shape)
    return np.asarray(soft[cut] / gain)


def wavy(
    labels: NDArray[np.uint8], seed: int, shift: float, waves: float = 1.2
) -> NDArray[np.uint8]:
    """Give labels as people and models draw them: edges moved, and wavy.

    Every boundary is moved by `shift` pixels (positive: small ids give way) plus waves
    of this standard deviation, alike over 8 pixels.
    """
    rng = np.random.default_rng(seed)
    field_y, field_x = (
        gaussian_filter(rng.standard_normal(labels.shape), 8) for _ in range(2)
    )
    scale = waves / max(float(field_y.std()), 1e-9)
    y, x = np.mgrid[: labels.shape[0], : labels.shape[1]]
    at_y = np.clip(np.rint(y + field_y * scale), 0, labels.shape[0] - 1).astype(int)
    at_x = np.clip(np.rint(x + field_x * scale), 0, labels.shape[1] - 1).astype(int)
    moved = labels[at_y, at_x]
    if shift:
        from scipy.ndimage import distance_transform_edt

        out = moved.copy()
        for id_ in range(2, int(labels.max()) + 1):
            inside = moved == id_
            if not inside.any():
                continue
            if shift > 0:
                out[distance_transform_edt(~inside) <= shift] = id_
            else:
                gone = inside & (distance_transform_edt(inside) <= -shift)
                out[gone] = 1
        moved = out
    return moved
