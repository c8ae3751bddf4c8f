"""Which objects of a crop are asked for, what else a click there could mean, and how.

Everything is drawn from the generator that is given; nothing is remembered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi

from napari_sesami.train import THIN, first_click, loose_box

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rng = np.random.Generator

CLICKS = 5
"""Points that a prompt has room for: those along a stroke, or a click and a box."""
SAMPLES = (320, 320, 256)
"""Pixels that are looked at inside an object, close around it, and elsewhere."""
NEAR = 6
"""Pixels that count as close."""
FINEST = 1.3
"""Objects thinner than this fall to pieces in a crop, so they are not asked for."""
APART = 1.15
"""How much larger another reading must be to be one."""
NESTED = 20.0
"""How much larger a whole may be than its part."""

EIGHT = np.ones((3, 3), bool)


class CropObjects:
    """The connected objects of a crop: their areas, widths and classes, found once.

    Parameters
    ----------
    classes, regions
        The truth of the crop; region 0 is unlabelled.
    thin_share
        How many of the objects are thin (< `THIN` pixels) where there are thin ones.
    """

    def __init__(
        self, classes: NDArray[Any], regions: NDArray[Any], thin_share: float = 0.0
    ) -> None:
        self.classes, self.regions, self.thin_share = classes, regions, thin_share
        n = int(regions.max()) + 1
        area = np.bincount(regions.ravel(), minlength=n)
        area[0] = 0
        edge = np.zeros(n, np.int64)
        for a, b in (
            (regions[1:], regions[:-1]), (regions[:, 1:], regions[:, :-1])
        ):  # fmt: skip
            differs = a != b
            edge += np.bincount(a[differs], minlength=n)
            edge += np.bincount(b[differs], minlength=n)
        self.area, self.edge = area, edge
        kind = np.zeros(n, np.int64)
        kind[regions.ravel()] = classes.ravel()
        self.ids = np.nonzero((area >= 30) & (area <= 0.5 * regions.size))[0]
        if not self.ids.size:
            self.ids = np.nonzero(area)[0]
        own = area[self.ids].astype(float)
        # a strip has width = 2 area / edge; a square has half of its side
        self.width = 2 * own / np.maximum(edge[self.ids], 1)
        kinds = kind[self.ids]
        self.share = np.ones(len(self.ids))
        for k in np.unique(kinds):
            self.share[kinds == k] = own[kinds == k] ** 0.4 / (kinds == k).sum() ** 0.7

    def pick(self, rng: Rng) -> NDArray[np.bool_]:
        """Choose one object: often of a rare class, sometimes a thin one."""
        share = self.share
        if self.thin_share:
            whole = self.width >= FINEST
            thin = whole & (self.width < THIN / 1.2)
            if rng.random() < self.thin_share and thin.any():
                # longer than wide, or they are mere specks
                long = np.sqrt(self.area[self.ids]) / self.width
                share = share * thin * long
            elif whole.any():
                share = share * whole
        chosen = rng.choice(self.ids, p=share / share.sum())
        return largest_piece(self.regions == chosen)

    def readings(self, mask: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
        """All that a click on an object may mean, the smallest first, at most three.

        The object itself; with what it encloses; with the object that encloses it; and
        all of its material that hangs together.
        """
        at = int(np.argmax(mask.ravel()))
        found = [mask, _filled(mask)]
        parent = self._parent(mask)
        if parent is not None:
            found.append(parent)
        labels, _ = ndi.label(self.classes == self.classes.ravel()[at], EIGHT)
        found.append(labels == labels.ravel()[at])
        most = min(0.5 * mask.size, NESTED * np.count_nonzero(mask))
        sizes = [int(np.count_nonzero(m)) for m in found]
        kept: list[int] = []
        for i in np.argsort(sizes, kind="stable"):
            apart = not kept or sizes[i] > APART * sizes[kept[-1]]
            if i == 0 or (apart and sizes[i] <= most):
                kept.append(int(i))
        return [found[i] for i in kept[:3]]

    def _parent(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
        """The object around another with all that is inside, if there is one."""
        box = _box(mask, 2, mask.shape)
        own = mask[box]
        rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
        ends = rows[0], columns[0], mask.shape[0] - 1 - rows[-1]
        if min(*ends, mask.shape[1] - 1 - columns[-1]) == 0:
            return None  # runs out of the crop: nobody knows what is around it
        ring = ndi.binary_dilation(own, EIGHT) & ~own
        around = np.bincount(self.regions[box][ring])
        outer = int(around.argmax())
        if not outer or around[outer] < 0.95 * around.sum():
            return None
        if self.area[outer] > NESTED * np.count_nonzero(own):
            return None
        return _filled((self.regions == outer) | mask)


def largest_piece(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the largest connected piece: cropping and zooming may cut an object."""
    box = _box(mask, 0, mask.shape)
    pieces, n = ndi.label(mask[box], EIGHT)
    if n < 2:
        return mask
    out = np.zeros_like(mask)
    out[box] = pieces == 1 + int(np.bincount(pieces.ravel())[1:].argmax())
    return out


def _box(mask: NDArray[np.bool_], pad: int, shape: tuple[int, ...]) -> Any:
    rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
    return tuple(
        slice(max(0, int(v[0]) - pad), min(int(v[-1]) + 1 + pad, n))
        for v, n in zip((rows, columns), shape, strict=True)
    )


def _filled(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    box = _box(mask, 1, mask.shape)
    out = mask.copy()
    out[box] = ndi.binary_fill_holes(mask[box])
    return out


@dataclass(frozen=True)
class AskedObject:
    """One prompt on one object.

    Attributes
    ----------
    points, labels
        (CLICKS, 2) and (CLICKS,): clicks, or a click and the corners of a box; label
        -1 where there is none. The first point is always on the object.
    single
        Whether one mask answers it: a box, or a stroke.
    """

    points: NDArray[np.float32]
    labels: NDArray[np.int64]
    single: bool


def ask(
    rng: Rng,
    mask: NDArray[np.bool_],
    core: NDArray[np.bool_],
    box_share: float,
    *,
    plain: bool,
) -> AskedObject:
    """Point at an object as a person would: a click, a box, or a stroke along it.

    Parameters
    ----------
    rng
        Of all chances.
    mask, core
        The object, and the part of it in which the click lies.
    box_share
        How many prompts are boxes; every fifth of them comes with a click.
    plain
        Only clicks well inside and boxes around the whole, as in earlier recipes.
    """
    points = np.zeros((CLICKS, 2), np.float32)
    labels = np.full(CLICKS, -1, np.int64)
    boxed = rng.random() < box_share
    points[0] = first_click(rng, core) if plain else user_click(rng, core)
    box = loose_box(rng, mask) if plain else user_box(rng, mask)
    stroke = not (plain or boxed) and rng.random() < 0.2
    if boxed:
        points[1:3], labels[1:3] = (box[:2] - 0.5, box[2:] - 0.5), (2, 3)
        labels[0] = 1 if not plain and rng.random() < 0.2 else -1
    elif stroke:
        along = stroke_points(rng, mask)
        points[: len(along)], labels[: len(along)] = along, 1
    else:
        labels[0] = 1
    return AskedObject(points, labels, boxed or stroke)


def user_click(rng: Rng, mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Click deep inside, anywhere inside, or close to the border."""
    kind = rng.random()
    if kind < 0.5:
        return first_click(rng, mask)
    box = _box(mask, 1, mask.shape)
    own = mask[box]
    among = own
    if kind > 0.8:
        rim = own & ~ndi.binary_erosion(own, EIGHT, iterations=4)
        inner = rim & ndi.binary_erosion(own, EIGHT)
        among = inner if inner.any() else rim
    at = np.argwhere(among)
    corner = [box[0].start, box[1].start]
    return (at[rng.integers(len(at))] + corner).astype(np.float32)


def user_box(rng: Rng, mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Draw a box: close, with much room, or cutting a part of the object off."""
    box = loose_box(rng, mask)
    kind, size = rng.random(), np.tile(box[2:] - box[:2], 2)
    if kind < 0.15:  # generous
        box = box + np.array([-1, -1, 1, 1]) * rng.uniform(0.03, 0.25, 4) * size
    elif kind < 0.3:  # one side cuts
        side = int(rng.integers(4))
        inward = 1 if side < 2 else -1
        box[side] += inward * rng.uniform(0.04, 0.2) * size[side]
    return np.clip(box, 0, np.tile(mask.shape, 2)).astype(np.float32)


def stroke_points(rng: Rng, mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Points in order along an object: what is left of a stroke that a person drew."""
    count = int(rng.integers(2, CLICKS + 1))
    at = np.argwhere(mask)
    middle = at.mean(0)
    axis = np.linalg.svd(np.cov((at - middle).T) + 1e-6 * np.eye(2))[0][:, 0]
    along = (at - middle) @ axis
    lo, hi = np.sort(rng.uniform(0, 1, 2))
    lo, hi = (lo, hi) if hi - lo > 0.3 else (0.1, 0.9)
    stops = np.quantile(along, np.linspace(lo, hi, count))
    reach = max(2.0, (stops[-1] - stops[0]) / (4 * count))
    out = []
    for stop in stops:
        near = at[np.abs(along - stop) <= reach]
        if len(near):
            # of a few tries the one that is deepest: a stroke keeps off the border
            tries = near[rng.integers(len(near), size=4)]
            depth = [_room(mask, int(y), int(x)) for y, x in tries]
            out.append(tries[int(np.argmax(depth))])
    return np.array(out or [at[rng.integers(len(at))]], np.float32)


def _room(mask: NDArray[np.bool_], y: int, x: int) -> float:
    return float(mask[max(0, y - 3) : y + 4, max(0, x - 3) : x + 4].mean())


def sample_pixels(
    rng: Rng, mask: NDArray[np.bool_]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Pixels inside an object, close around it and elsewhere; and what each stands for.

    Returns
    -------
    tuple of arrays
        Places in the flat picture, and how many pixels each of them represents, so
        that weighted sums over the sample estimate sums over all pixels.
    """
    box = _box(mask, NEAR + 1, mask.shape)
    own = mask[box]
    blurred = ndi.uniform_filter1d(own.astype(np.float32), 2 * NEAR + 1, axis=0)
    blurred = ndi.uniform_filter1d(blurred, 2 * NEAR + 1, axis=1)
    near = (blurred > 1e-4) & ~own
    width = mask.shape[1]
    at, total = [], []
    for part, want in zip((own, near), SAMPLES, strict=False):
        ys, xs = np.nonzero(part)
        if not len(ys):
            ys, xs = np.nonzero(own)
        pick = rng.integers(len(ys), size=want)
        at.append((ys[pick] + box[0].start) * width + xs[pick] + box[1].start)
        total.append(int(np.count_nonzero(part)) / want)
    far = rng.integers(mask.size, size=SAMPLES[2])
    rest = mask.size - sum(t * n for t, n in zip(total, SAMPLES, strict=False))
    taken = mask.copy()
    taken[box] |= near
    off = ~taken.ravel()[far]
    weight = np.concatenate(
        [np.full(n, t) for n, t in zip(SAMPLES, total, strict=False)]
    )
    weight = np.concatenate([weight, off * (max(rest, 0.0) / max(int(off.sum()), 1))])
    return (
        np.concatenate([*at, far]).astype(np.int32),
        weight.astype(np.float32),
    )
