"""How random scenes look: materials, textures, relief, and what the microscope adds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi

from napari_sesami.lab.scenes.random_scenes.shapes import (
    SceneFrame,
    loguniform,
    nearest_seeds,
    profile,
    random_frame,
    smooth_field,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rng = np.random.Generator


def greys(rng: Rng, n: int) -> NDArray[Any]:
    """Choose grey levels, mostly well apart, now and then confusingly close."""
    apart = float(rng.choice([0.04, 0.12, 0.2]))
    chosen: list[float] = []
    for _ in range(n):
        tries = rng.uniform(0, 1, 8)
        gaps = [min((abs(t - c) for c in chosen), default=1.0) for t in tries]
        good = [t for t, g in zip(tries, gaps, strict=True) if g > apart]
        chosen.append(float(good[0] if good else tries[int(np.argmax(gaps))]))
    return np.array(chosen, np.float32)


def texture(rng: Rng, shape: tuple[int, int], kind: str) -> NDArray[Any]:
    """Make a texture of about unit contrast that fills the whole scene."""
    size = loguniform(rng, 1.5, 14)
    if kind == "grain":
        return smooth_field(rng, shape, size)
    if kind == "streak":
        f = random_frame(rng, shape)
        lines = profile(rng, 4096, rng.uniform(0.8, 4))
        return lines[(f.v - f.v.min()).astype(int) & 4095]
    if kind == "pores":
        field = smooth_field(rng, shape, size, rng.choice([1, 1, 2.5]))
        return np.where(field > rng.uniform(1.1, 2.2), -3.0, 0.0) * rng.choice(
            [-1, 1, 1]
        )
    if kind == "fringes":
        f = random_frame(rng, shape)
        return np.sin(2 * np.pi * f.u / loguniform(rng, 3, 14))
    if kind == "polycrystal":
        index, _ = nearest_seeds(rng, SceneFrame(*_grid(shape), 0), size * 1.8, True)
        return rng.standard_normal(int(index.max()) + 1)[index]
    mix = smooth_field(rng, shape, size) + smooth_field(rng, shape, 3 * size)
    return np.abs(mix) - 1


def _grid(shape: tuple[int, int]) -> tuple[NDArray[Any], NDArray[Any]]:
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    return x, y


KINDS = ["grain", "streak", "pores", "fringes", "polycrystal", "cloud"]


def paint(
    rng: Rng, looks: NDArray[Any], cells: NDArray[Any]
) -> tuple[NDArray[Any], bool]:
    """Give every look grey, texture and rims; say whether cells can be told apart."""
    present = np.unique(looks)
    level = np.zeros(int(looks.max()) + 1, np.float32)
    level[present] = greys(rng, len(present))
    image = level[looks]
    uneven = rng.random() < 0.35
    if uneven:
        spread = rng.uniform(0.03, 0.14)
        image = image + rng.normal(0, spread, int(cells.max()) + 1)[cells]
    shape = (looks.shape[0], looks.shape[1])
    strong = rng.choice([0.2, 0.5, 0.8])
    for look in present:
        if rng.random() < strong:
            kind = str(rng.choice(KINDS, p=[0.3, 0.12, 0.24, 0.07, 0.12, 0.15]))
            where = looks == look
            image[where] += (
                loguniform(rng, 0.02, 0.16) * texture(rng, shape, kind)[where]
            )
    rims = rng.random() < 0.45
    return _edges(rng, image.astype(np.float32), looks, cells, rims), uneven or rims


def _edges(
    rng: Rng, image: NDArray[Any], looks: NDArray[Any], cells: NDArray[Any], rims: bool
) -> NDArray[Any]:
    """Add what borders do: bright or dark rims, and slopes lit from aside."""
    joint = looks.astype(np.int64) * 100_003 + cells
    edge = np.zeros(looks.shape, bool)
    edge[1:] |= joint[1:] != joint[:-1]
    edge[:, 1:] |= joint[:, 1:] != joint[:, :-1]
    if not edge.any():
        return image
    if rims:
        distance = ndi.distance_transform_edt(~edge).astype(np.float32)
        width = loguniform(rng, 0.8, 7)
        rim = (
            np.exp(-distance / width) * rng.choice([-1, 1, 1]) * rng.uniform(0.08, 0.5)
        )
        if rng.random() < 0.6:
            chosen = rng.choice(np.unique(looks), 1 + len(np.unique(looks)) // 2)
            rim = rim * np.isin(looks, chosen)
        image = image + rim
    if rng.random() < 0.25:
        height = rng.uniform(-1, 1, int(looks.max()) + 1)[looks]
        smooth = ndi.gaussian_filter(height.astype(np.float32), loguniform(rng, 1, 5))
        dy, dx = np.gradient(smooth)
        angle = rng.uniform(0, 2 * np.pi)
        slope = np.sin(angle) * dy + np.cos(angle) * dx
        image = image + rng.uniform(0.1, 0.5) * slope / max(
            float(np.abs(slope).max()), 1e-6
        )
    return image


def _shade(rng: Rng, image: NDArray[Any]) -> NDArray[Any]:
    """Brightness that drifts over the scene: thickness, charging, curtains."""
    h, w = image.shape
    if rng.random() < 0.5:
        y, x = np.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j].astype(np.float32)
        a, b, c = rng.normal(0, 0.12, 3)
        image = image * (1 + a * y + b * x + c * (x * x + y * y))
    if rng.random() < 0.25:
        image = image + rng.uniform(0.02, 0.12) * smooth_field(
            rng, (h, w), loguniform(rng, 60, 200)
        )
    if rng.random() < 0.2:
        curtain = profile(rng, w, rng.uniform(0.7, 5))[None]
        fade = np.linspace(rng.uniform(0, 1), 1, h)[:, None]
        image = image * (1 + rng.uniform(0.01, 0.09) * curtain * fade)
    if rng.random() < 0.15:
        trail = ndi.uniform_filter1d(
            image - np.median(image), int(rng.integers(10, 80)), axis=1
        )
        image = image - rng.uniform(0.1, 0.6) * trail
    if rng.random() < 0.15:
        image = (
            image
            + rng.uniform(0.01, 0.06) * profile(rng, h, rng.uniform(0.5, 6))[:, None]
        )
    return image


def acquire(rng: Rng, image: NDArray[Any]) -> NDArray[Any]:
    """Take the picture: shading, blur, shot and detector noise, then 8 bits."""
    image = _shade(rng, image)
    if rng.random() < 0.3:
        image = -image
    if rng.random() < 0.75:
        blur = loguniform(rng, 0.4, 2.4)
        image = ndi.gaussian_filter(
            image, (blur, blur * rng.choice([1, 1, rng.uniform(0.6, 1.5)]))
        )
    lo, hi = np.percentile(image, [0.5, 99.5])
    image = np.clip((image - lo) / max(float(hi - lo), 1e-3), -0.1, 1.1)
    image = np.clip(image, 0, None) ** loguniform(rng, 0.6, 1.6)
    noise = loguniform(rng, 0.006, 0.22)
    if rng.random() < 0.6:
        sigma = noise * np.sqrt(np.clip(image, 0, 1) * 1.4 + 0.05)
    else:
        sigma = np.full_like(image, noise)
    grain = rng.standard_normal(image.shape, dtype=np.float32)
    if rng.random() < 0.45:
        grain = smooth_field(
            rng, (image.shape[0], image.shape[1]), rng.uniform(0.8, 2.2)
        )
    image = image + sigma * grain
    if rng.random() < 0.3:
        image = ndi.gaussian_filter(image, rng.uniform(0.3, 0.9))
    lo, hi = np.percentile(image, [0.5, 99.5])
    image = (image - lo) / max(float(hi - lo), 1e-3)
    return (np.clip(image, 0, 1) * 255).astype(np.uint8)
