"""Examples of the recipe `sesami`: views as the Predictor cuts them, and prompts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy import ndimage as ndi

from napari_sesami.prompt import SMALL, SURE, View, Views, read_view
from napari_sesami.train.sesami.losses import quarter
from napari_sesami.train.sesami.simulated import (
    first_click,
    loose_box,
    pick_object,
    random_tone,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_sesami.noise import NoiseFit
    from napari_sesami.train.sesami.pictures import Picture

    Rng = np.random.Generator

EXTRA = 3  # further clicks that a first prompt may have
WHOLE, CLOSE = 0.25, 0.4  # how often a view holds the whole object, or enlarges it


@dataclass(frozen=True, eq=False)
class Cut:
    """A view of a picture as the net will see it."""

    image: NDArray[np.float32]
    classes: NDArray[np.uint8]
    regions: NDArray[np.int32]


class Examples:
    """Draws views around labelled objects, and prompts on them.

    Every view holds an object, since it is chosen around one.

    Parameters
    ----------
    pictures
        What is learnt from.
    tile, magnify, closer
        Of the prompt model: how its views are chosen.
    objects
        Objects prompted in each view.
    seed
        Of the order of objects.
    noise, noise_share
        Noise fitted to the user's scans, and how many views get it.
    """

    def __init__(
        self,
        pictures: Sequence[Picture],
        tile: int,
        *,
        magnify: bool = False,
        closer: bool = False,
        objects: int = 4,
        seed: int = 0,
        noise: NoiseFit | None = None,
        noise_share: float = 0.0,
    ) -> None:
        self.pictures, self.tile = list(pictures), tile
        self.magnify, self.closer, self.objects = magnify, closer, objects
        self.noise, self.noise_share = noise, noise_share
        self._scans = [p.as_scan() for p in self.pictures]
        self._boxes = [ndi.find_objects(p.regions) for p in self.pictures]
        self.order = balanced(self.pictures, seed)

    def __len__(self) -> int:
        return len(self.order)

    def draw(self, index: int, view_rng: Rng, rng: Rng) -> dict[str, Tensor]:
        """One view and its prompts; `view_rng` decides on the view alone."""
        cut = self.cut(index, view_rng)
        masks = [
            pick_object(view_rng, cut.classes, cut.regions) for _ in range(self.objects)
        ]
        image, size = self._padded(cut.image), cut.image.shape
        full = [np.ascontiguousarray(self._padded(m)) for m in masks]
        clicks, kinds = zip(*(clicks_on(rng, m) for m in masks), strict=True)
        out = {
            "image": image[None],
            "size": np.array(size),
            "masks": np.stack(full),
            "clicks": np.stack(clicks),
            "kinds": np.stack(kinds),
            "boxes": np.stack([loose_box(rng, m) for m in masks]),
            "partial": np.stack([partial_mask(rng, m) for m in full]),
        }
        return {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in out.items()}

    def cut(self, index: int, rng: Rng) -> Cut:
        """Choose a view around an object, turn and mirror it, change its tone."""
        number, region = self.order[index]
        view = self._view(number, region, rng)
        image = read_view(self._scans[number], 0, view)[0, 0].numpy()
        picture = self.pictures[number]
        rows, columns = _sampled(view)
        planes: list[NDArray[Any]] = [
            picture.classes[rows][:, columns],
            picture.regions[rows][:, columns],
        ]
        turns, flip = int(rng.integers(4)), rng.random() < 0.5
        parts: list[NDArray[Any]] = [np.rot90(p, turns) for p in [image, *planes]]
        parts = [p[:, ::-1] if flip else p for p in parts]
        image = random_tone(rng, 0.3, inverted=0.0)(parts[0])
        if self.noise is not None and rng.random() < self.noise_share:
            chance = torch.Generator().manual_seed(int(rng.integers(2**62)))
            clean = torch.from_numpy(np.ascontiguousarray(image, np.float32))
            image = self.noise.draw(clean[None, None], chance)[0, 0].numpy()
        elif rng.random() < 0.2:
            noise = rng.standard_normal(image.shape)
            image = np.clip(image + rng.uniform(0.005, 0.03) * noise, 0, 1)
        return Cut(np.ascontiguousarray(image, np.float32), parts[1], parts[2])

    def _view(self, number: int, region: int, rng: Rng) -> View:
        """What the Predictor would look at after a click on the object."""
        picture = self.pictures[number]
        rows, columns = self._boxes[number][region - 1]
        mask = picture.regions[rows, columns] == region
        inside = first_click(rng, mask)
        click = (float(inside[0]) + rows.start, float(inside[1]) + columns.start)
        extent = tuple(float(v) for v in (rows.start, columns.start, rows.stop,
                                          columns.stop))  # fmt: skip
        shape = (picture.grey.shape[0], picture.grey.shape[1])
        views = Views(shape, self.tile, self.magnify)
        middle = ((extent[0] + extent[2]) / 2, (extent[1] + extent[3]) / 2)
        if self.closer and int(mask.sum()) < SMALL and rng.random() < CLOSE:
            close = views.close(middle)
            if close.holds(extent, shape):
                return close
        if rng.random() < WHOLE:
            return views.around(click, extent)
        return views.at(click, fine=bool(rng.random() < 0.5))

    def _padded(self, array: NDArray[Any]) -> NDArray[Any]:
        """Fill up to the tile on the right and below; pixels go on, masks do not."""
        pad = [(0, self.tile - n) for n in array.shape]
        if array.dtype == bool:
            return np.pad(array, pad)
        return np.pad(array, pad, mode="edge")


def _sampled(view: View) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the plane that lie in the middle of the view's pixels."""
    y0, x0, y1, x1 = view.box
    out = []
    for size, start, stop in zip(view.size, (y0, x0), (y1, x1), strict=True):
        at = (np.arange(size) * view.shrink + view.shrink // 2) // view.grow
        out.append(np.minimum(start + at, stop - 1))
    return out[0], out[1]


def balanced(pictures: Sequence[Picture], seed: int) -> list[tuple[int, int]]:
    """(picture, object) for an epoch: rare classes come more often than they are."""
    by_class: dict[int, list[tuple[int, int]]] = {}
    for number, picture in enumerate(pictures):
        for region, class_ in picture.objects().items():
            by_class.setdefault(class_, []).append((number, region))
    total = sum(map(len, by_class.values()))
    share = {c: len(found) ** 0.5 for c, found in by_class.items()}
    rng, out = np.random.default_rng([seed, 71]), []
    for class_, found in sorted(by_class.items()):
        slots = max(1, round(total * share[class_] / sum(share.values())))
        turns = [
            found[i]
            for _ in range(-(-slots // len(found)))
            for i in rng.permutation(len(found))
        ]
        out += turns[:slots]
    return out


def clicks_on(
    rng: Rng, mask: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """A first click deep inside, and further random points, some of them off it.

    Points (1 + EXTRA, 2) and their labels; -1 where there is none.
    """
    at = np.zeros((1 + EXTRA, 2), np.float32)
    kinds = np.full(1 + EXTRA, -1, np.int64)
    at[0], kinds[0] = first_click(rng, mask), 1
    if rng.random() < 0.7:
        return at, kinds
    inside, around = np.argwhere(mask), np.argwhere(_ring(mask))
    for i in range(1, int(rng.integers(2, 2 + EXTRA))):
        off = rng.random() < 0.4 and len(around)
        among = around if off else inside
        at[i], kinds[i] = among[rng.integers(len(among))], 0 if off else 1
    return at, kinds


def _ring(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels not far outside a mask."""
    ys, xs = np.nonzero(mask)
    wide = max(8, (ys.max() - ys.min() + xs.max() - xs.min()) // 4)
    box = tuple(
        slice(max(0, int(v.min()) - wide), int(v.max()) + 1 + wide) for v in (ys, xs)
    )
    near = np.zeros_like(mask)
    near[box] = ~ndi.binary_dilation(mask[box], iterations=3)
    return near


def partial_mask(rng: Rng, mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """A part of the truth, always smaller than it, as logits at a quarter of the view.

    What a person may hand over: a blob around a place inside, or what is left after
    the rim was cut off.
    """
    ys, xs = np.nonzero(mask)
    i = int(rng.integers(len(ys)))
    far = np.hypot(ys - ys[i], xs - xs[i])
    keep = far <= np.quantile(far, rng.uniform(0.2, 0.8))
    if rng.random() < 0.3:
        y0, x0 = ys.min(), xs.min()
        crop = np.pad(mask[y0 : ys.max() + 1, x0 : xs.max() + 1], 1)
        depth = ndi.distance_transform_edt(crop)[ys - y0 + 1, xs - x0 + 1]
        keep = depth > rng.uniform(0.1, 0.5) * depth.max()
    part = np.zeros_like(mask)
    part[ys[keep], xs[keep]] = True
    share = quarter(torch.from_numpy(part)[None])[0].numpy()
    return ((2 * share - 1) * SURE).astype(np.float32)
