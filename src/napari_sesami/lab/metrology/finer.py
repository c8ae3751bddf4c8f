"""The truth of device scenes: the same scene drawn with pixels five times finer.

Without roughness, turn and noise a scene has the same labels at the middles of coarse
pixels, so runs of the fine labels are its dimensions to a tenth of a coarse pixel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_sesami.lab.metrology.drawn import Drawn, noise_field
from napari_sesami.lab.scenes import tem

if TYPE_CHECKING:
    from numpy.typing import NDArray

FINE = 5


def device(
    kind: str,
    seed: int,
    view: str,
    shape: tuple[int, int] = (384, 384),
    pixel_nm: float = 0.33,
    *,
    noise: float = 0.02,
    blur: float = 0.8,
    **dimensions: float,
) -> tuple[Drawn, NDArray[np.uint8]]:
    """Draw a device without displacement: the picture, and its labels five times finer.

    Blur and white noise are added to the clean picture, so nothing moves.
    """
    given: dict[str, Any] = {
        "view": view, "contrast": "haadf", "tilt_deg": 0.0, "roughness_nm": 0.0,
        "noise": False,
    }  # fmt: skip
    given.update(dimensions)
    coarse = tem(kind, seed, shape, pixel_nm, **given)
    big = (shape[0] * FINE, shape[1] * FINE)
    fine = tem(kind, seed, big, pixel_nm / FINE, **given)
    image = ndimage.gaussian_filter(coarse.image.astype(np.float64), blur)
    image += 255 * noise * noise_field(shape, seed + 1)
    classes = {c.name: c.id for c in coarse.classes}
    drawn = Drawn(image.astype(np.float32), coarse.labels, classes, sigma=blur)
    return drawn, fine.labels


def same_labels(drawn: Drawn, fine: NDArray[np.uint8]) -> float:
    """Share of coarse pixels whose middle has the same label in the fine drawing."""
    middle = fine[FINE // 2 :: FINE, FINE // 2 :: FINE]
    return float((middle == drawn.labels).mean())


def runs_beside(
    fine: NDArray[np.uint8], inner: int, film: int, box: tuple[int, int, int, int]
) -> tuple[float, float, float]:
    """Give height of an object and thickness of its film above and below, in pixels.

    Means over the middle third of the columns of a box of coarse pixels.
    """
    y0, x0, y1, x1 = (v * FINE for v in box)
    third = (x1 - x0) // 3
    part = fine[max(0, y0 - 20 * FINE) : y1 + 20 * FINE, x0 + third : x1 - third]
    inside = part == inner
    heights, above, below = [], [], []
    for column in range(part.shape[1]):
        rows = np.flatnonzero(inside[:, column])
        top, bottom = int(rows[0]), int(rows[-1]) + 1
        heights.append(bottom - top)
        up = part[:top, column][::-1] != film
        down = part[bottom:, column] != film
        above.append(int(up.argmax()))
        below.append(int(down.argmax()))
    means = [float(np.mean(v)) / FINE for v in (heights, above, below)]
    return means[0], means[1], means[2]
