"""The materials of TEM cross-sections and how bright they are.

HAADF brightness goes roughly with density times Z^1.7 (tungsten, hafnia and
tantalum bright, copper and cobalt below, then titanium nitride, silicon, nitride,
oxide, low-k, void). Bright field is about the reverse, with crystal contrast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.lab.scenes.geometry import (
    Canvas,
    Material,
    crop,
    grain_tile,
    noise_tile,
)
from napari_sesami.scan import ClassSpec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

MATERIALS: dict[str, Material] = {
    "silicon": Material("#4da3ff", 0.27, 0.40, 0.006, 0.012),
    "oxide": Material("#f1ce63", 0.17, 0.74, 0.014, 0.006),
    "nitride": Material("#8cd17d", 0.245, 0.60, 0.012, 0.006),
    "low-k": Material("#d4a6c8", 0.12, 0.80, 0.016, 0.010),
    "high-k": Material("#e15759", 0.80, 0.15, 0.030, 0.020),
    "titanium nitride": Material("#b07aa1", 0.45, 0.30, 0.020, 0.012, 0.022, 3.0),
    "tungsten": Material("#f28e2b", 0.90, 0.08, 0.012, 0.012, 0.020, 9.0),
    "cobalt": Material("#c99a7c", 0.62, 0.20, 0.014, 0.012, 0.024, 9.0),
    "copper": Material("#ff9d9a", 0.64, 0.24, 0.012, 0.015, 0.024, 26.0),
    "tantalum": Material("#86bcb6", 0.86, 0.11, 0.018, 0.012),
    "epitaxy": Material("#5fcf5a", 0.37, 0.32, 0.008, 0.025),
    "polysilicon": Material("#a0cbe8", 0.275, 0.44, 0.010, 0.012, 0.014, 16.0),
    "silicon germanium": Material("#499894", 0.315, 0.36, 0.014, 0.012, 0.016, 9.0),
    "alumina": Material("#d37295", 0.24, 0.62, 0.012, 0.006),
    "platinum": Material("#bab0ac", 0.84, 0.14, 0.05, 0.03, 0.10, 5.0),
    "carbon": Material("#9a938f", 0.075, 0.86, 0.012, 0.006),
    "void": Material("#ff4fd8", 0.03, 0.95, 0.004, 0.004),
}
_BF_GRAIN = 2.6  # crystals differ more in bright field


def classes_of(names: Sequence[str]) -> tuple[ClassSpec, ...]:
    """Give the classes 1, 2, … for materials in this order."""
    return tuple(
        ClassSpec(number, name, MATERIALS[name].color)
        for number, name in enumerate(names, start=1)
    )


def tones(
    names: Sequence[str], contrast: str, rng: np.random.Generator
) -> dict[str, float]:
    """Draw the mean grey of every material in one picture: same order, other gaps."""
    bend = rng.uniform(0.85, 1.15)
    gain, floor = rng.uniform(0.85, 1.0), rng.uniform(0.0, 0.05)
    result = {}
    for name in names:
        material = MATERIALS[name]
        mean = material.haadf if contrast == "haadf" else material.bf
        own = 1 + 0.05 * rng.standard_normal()
        result[name] = float(floor + gain * (mean * own) ** bend)
    return result


def add_texture(
    canvas: Canvas, names: Sequence[str], contrast: str
) -> NDArray[np.float32]:
    """Put speckle, mottle and crystallites on the grey values of a finished canvas."""
    used = [MATERIALS[name] for name in names]
    stronger = _BF_GRAIN if contrast == "bf" else 1.0
    grey, labels, rng = canvas.grey, canvas.labels, canvas.texture_rng
    # amorphous graininess is some 0.5 nm wide
    fine = min(max(0.25 / canvas.pixel_nm, 0.5), 1.5)
    _stir(grey, labels, [m.speckle for m in used], noise_tile(round(fine, 1)), rng)
    mottle = [m.mottle * (1 + 0.5 * (contrast == "bf")) for m in used]
    _stir(grey, labels, mottle, noise_tile(24.0), rng)
    present = set(np.unique(labels[::4, ::4]).tolist())
    sizes: dict[float, list[float]] = {}
    for number, material in enumerate(used):
        if material.grain and number + 1 in present:
            size = _grain_px(material.grain_nm / canvas.pixel_nm)
            row = sizes.setdefault(size, [0.0] * len(used))
            row[number] = material.grain * stronger
    for size, amounts in sizes.items():
        _stir(grey, labels, amounts, grain_tile(size), rng)
    return grey


def soften(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Blur edges by the 1-2-1 of a lamella of finite thickness."""
    for axis in (0, 1):
        low, high = [slice(None)] * 2, [slice(None)] * 2
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        pairs = 0.5 * (grey[tuple(low)] + grey[tuple(high)])
        middle = [slice(None)] * 2
        middle[axis] = slice(1, -1)
        grey[tuple(middle)] = 0.5 * (pairs[tuple(low)] + pairs[tuple(high)])
    return grey


def _stir(
    grey: NDArray[np.float32],
    labels: NDArray[np.uint8],
    amounts: Sequence[float],
    tile: NDArray[np.float32],
    rng: np.random.Generator,
) -> None:
    table = np.array([0.0, *amounts], np.float32)
    grey += table[labels] * crop(tile, (grey.shape[0], grey.shape[1]), rng)


def _grain_px(pixels: float) -> float:
    return min(
        (4.0, 7.0, 12.0, 20.0, 34.0, 58.0), key=lambda s: abs(np.log(s / pixels))
    )


def numbers(names: Sequence[str]) -> Mapping[str, int]:
    """Give the class number of every material."""
    return {name: number for number, name in enumerate(names, start=1)}
