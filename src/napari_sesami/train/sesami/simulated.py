"""Objects to prompt, and prompts on them as a person would give them, at random."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rng = np.random.Generator


def pick_object(rng: Rng, classes: NDArray[Any], regions: NDArray[Any]) -> NDArray[Any]:
    """Choose a connected object, no speck, not half of the view; often a rare class."""
    area = np.bincount(regions.ravel())
    if area.size > 1:
        area[0] = 0  # unlabelled
    good = np.nonzero((area >= 30) & (area <= 0.5 * regions.size))[0]
    if not good.size:
        good = np.nonzero(area)[0]
    kind = ndi.minimum(classes, regions, good)
    share = np.ones(len(good))
    for k in np.unique(kind):
        share[kind == k] = (area[good][kind == k]) ** 0.4 / (kind == k).sum() ** 0.7
    chosen = rng.choice(good, p=share / share.sum())
    mask = regions == chosen
    pieces, n = ndi.label(mask, np.ones((3, 3)))
    return (
        pieces == 1 + int(np.bincount(pieces.ravel())[1:].argmax()) if n > 1 else mask
    )


def first_click(rng: Rng, mask: NDArray[Any]) -> NDArray[Any]:
    """Click where a person would: deep inside, or not too close to the edge."""
    ys, xs = np.nonzero(mask)
    y0, x0 = ys.min(), xs.min()
    crop = np.pad(mask[y0 : ys.max() + 1, x0 : xs.max() + 1], 1)
    depth = ndi.distance_transform_edt(crop)
    want = depth.max() * (0.98 if rng.random() < 0.6 else rng.uniform(0.2, 0.9))
    at = np.argwhere(depth >= want)
    return (at[rng.integers(len(at))] + [y0 - 1, x0 - 1]).astype(np.float32)


def loose_box(rng: Rng, mask: NDArray[Any]) -> NDArray[Any]:
    """Bounding box (y0, x0, y1, x1) as a person draws it, half-open."""
    ys, xs = np.nonzero(mask)
    box = np.array([ys.min(), xs.min(), ys.max() + 1, xs.max() + 1], np.float32)
    size = np.array([box[2] - box[0], box[3] - box[1]] * 2)
    box += rng.normal(0, 0.03, 4) * size + rng.uniform(-1.2, 1.2, 4) * (
        rng.random() < 0.6
    )
    return np.clip(box, 0, np.tile(mask.shape, 2)).astype(np.float32)


def random_tone(rng: Rng, strength: float = 1.0, inverted: float = 0.25) -> Any:
    """One contrast for both sisters: inverted or not, gamma, gain, offset."""
    s = strength
    flip, gamma = rng.random() < inverted, float(np.exp(rng.normal(0, 0.25 * s)))
    gain = rng.uniform(1 - 0.25 * s, 1 + 0.1 * s)
    offset = rng.uniform(-0.08 * s, 0.12 * s)

    def apply(image: NDArray[Any]) -> NDArray[Any]:
        image = 1 - image if flip else image
        return np.clip(gain * np.clip(image, 0, 1) ** gamma + offset, 0, 1)

    return apply
