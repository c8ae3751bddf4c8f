"""Examples of the bundled model: sister crops, objects to prompt, strokes.

An example is a function of its random numbers, its step and the shards alone, so that a
resumed run sees what an uninterrupted one would have seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy import ndimage as ndi

from napari_sesami.lab.pretrain.objects import CropObjects, ask, sample_pixels
from napari_sesami.lab.pretrain.shards import (
    GROUPS,
    Shard,
    folder_of_large,
    named_shards,
)
from napari_sesami.train import random_tone

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sesami.lab.pretrain.curriculum import Shares

    Rng = np.random.Generator
    Planes = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]

SIDE = 256
SIDES = {384: 0.6, 512: 0.32, 768: 0.08}
"""Sides of the larger views, and how many of these have them."""
LARGE_VIEWS = 0.2
"""Share of the steps with larger views than `SIDE`."""
LARGE_SCENES = 0.3
"""Share of the small views that are cut from large scenes, seen from afar or near."""
WHOLE = 0.6
"""Share of crops of large scenes that are laid around a whole object."""
THIN_SHARE = 0.3
OTHER_READING = 0.15
"""Share of clicks with several readings that mean another one than the object."""
STROKE_TOKENS = 160
_SIDE = 91  # stream of random numbers: the sides of steps


def side_of_step(seed: int, step: int) -> int:
    """The side of all views of a step."""
    rng = np.random.default_rng([_SIDE, seed, step])
    if rng.random() >= LARGE_VIEWS:
        return SIDE
    return int(rng.choice(list(SIDES), p=list(SIDES.values())))


def pairs_at(side: int, pairs: int) -> int:
    """So many pairs of a side have about as many pixels as `pairs` small ones."""
    return max(1, round(pairs * SIDE**2 / side**2))


class SisterCrops:
    """Draws two crops of one scene, with objects and strokes, as often as asked.

    Parameters
    ----------
    folder
        Of the shards; those that are finished meanwhile are taken in. Large scenes lie
        in a folder beside it.
    objects
        To prompt, on each crop.
    documented_share
        Most crops that come from shards of the documented families; the share grows by
        0.02 with each such shard.
    box_share
        How many prompts are boxes.
    lessons
        What is asked for beyond earlier recipes, see `FoundationConfig`.
    shares
        How often each family is drawn; all alike if not given.
    """

    def __init__(
        self,
        folder: Path,
        objects: int = 4,
        documented_share: float = 0.3,
        box_share: float = 0.3,
        lessons: Collection[str] = (),
        shares: Shares | None = None,
    ) -> None:
        self.folder, self.objects = folder, objects
        self.documented_share, self.box_share = documented_share, box_share
        self.lessons, self.shares = lessons, shares
        self._seen: tuple[int, int] = (-1, -1)
        self._kinds: dict[str, dict[str, list[tuple[Shard, int]]]] = {}
        self._shards = 0

    def draw(
        self, rng: Rng, side: int = SIDE, step: int = 0
    ) -> dict[str, torch.Tensor]:
        """Draw one example; the first axis is that of the sisters."""
        self._look()
        kind = self._kind(rng, side)
        shard, row, family = self._scene(rng, kind, step)
        if kind == "large":
            side = min(side, *shard.scenes.shape[2:])
            crops = crops_of_large(rng, shard.scenes[row], side)
        else:
            scene, side = np.asarray(shard.scenes[row]), SIDE
            crops = sister_crops(rng, scene[0], scene[1], regions_of(scene))
        tone = random_tone(rng)
        rows = [self._row(rng, _touch(rng, tone(i)), c, r) for i, c, r in crops]
        out = {k: torch.from_numpy(np.stack([r[k] for r in rows])) for k in rows[0]}
        return out | {"family": torch.full((2,), GROUPS.index(family))}

    def fitting(self, side: int) -> int:
        """A side that the scenes allow: large views need large scenes."""
        self._look()
        allowed = "views" in self.lessons and self._kinds["large"]
        return side if allowed else SIDE

    def _look(self) -> None:
        """Take in the shards that were finished meanwhile."""
        places = {"random": self.folder, "documented": self.folder}
        places["large"] = folder_of_large(self.folder)
        stamps = [p.stat().st_mtime_ns if p.is_dir() else 0 for p in places.values()]
        if tuple(stamps[1:]) == self._seen:
            return
        self._kinds = {}
        for kind, folder in places.items():
            shards = named_shards(folder, kind) if folder.is_dir() else []
            if kind == "documented":
                self._shards = len(shards)
            families: dict[str, list[tuple[Shard, int]]] = {}
            for shard in shards:
                for row, family in enumerate(shard.families):
                    families.setdefault(family, []).append((shard, row))
            self._kinds[kind] = families
        self._seen = (stamps[1], stamps[2])
        if not self._kinds["random"]:
            raise FileNotFoundError(f"{self.folder} holds no scenes; draw some first.")

    def _kind(self, rng: Rng, side: int) -> str:
        large = bool(self._kinds["large"]) and "views" in self.lessons
        if large and (side > SIDE or rng.random() < LARGE_SCENES):
            return "large"
        share = min(self.documented_share, self._shards * 0.02)
        return "documented" if rng.random() < share else "random"

    def _scene(self, rng: Rng, kind: str, step: int) -> tuple[Shard, int, str]:
        families = self._kinds[kind]
        names = sorted(families)
        often = np.array([len(families[name]) for name in names], float)
        if self.shares is not None:
            often *= self.shares.at(step, names)
        family = names[int(rng.choice(len(names), p=often / often.sum()))]
        shard, row = families[family][rng.integers(len(families[family]))]
        return shard, row, family

    def _row(
        self,
        rng: Rng,
        image: NDArray[Any],
        classes: NDArray[Any],
        regions: NDArray[Any],
    ) -> dict[str, NDArray[Any]]:
        found = CropObjects(
            classes, regions, THIN_SHARE if "thin" in self.lessons else 0.0
        )
        asked = [self._asked(rng, found) for _ in range(self.objects)]
        tokens, kinds = stroke_tokens(rng, classes)
        return {
            "image": image[None].astype(np.float32),
            "classes": classes.astype(np.uint8),
            "stroke_tokens": tokens,
            "stroke_kinds": kinds,
            **{k: np.stack([a[k] for a in asked]) for k in asked[0]},
        }

    def _asked(self, rng: Rng, found: CropObjects) -> dict[str, Any]:
        """One object, what else could be meant, the prompt, and pixels to look at."""
        core = mask = found.pick(rng)
        named = np.zeros((3, mask.shape[0] // 4, mask.shape[1] // 4), np.uint8)
        given, place = np.zeros(3, bool), -1
        if "named" in self.lessons:
            readings = found.readings(core)
            if len(readings) > 1:
                places = (0, 1, 2) if len(readings) == 3 else (0, 2)
                meant = next(i for i, m in enumerate(readings) if m is core)
                if rng.random() < OTHER_READING:
                    meant = int(rng.integers(meant, len(readings)))
                mask, place = readings[meant], places[meant]
                for i, reading in zip(places, readings, strict=True):
                    named[i], given[i] = cells(reading), True
        plain = "prompts" not in self.lessons
        question = ask(rng, mask, core, self.box_share, plain=plain)
        out = {
            "masks": mask, "points": question.points, "labels": question.labels,
            "single": np.array(question.single), "named": named, "given": given,
            "place": np.array(place),
        }  # fmt: skip
        if "pixels" in self.lessons:
            out["pixels"], out["weights"] = sample_pixels(rng, mask)
        return out


def cells(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """How many of the 16 pixels of each cell belong to a mask."""
    h, w = mask.shape
    return mask.reshape(h // 4, 4, w // 4, 4).sum((1, 3), dtype=np.uint8)


def regions_of(scene: NDArray[Any]) -> NDArray[np.int32]:
    """The regions of a packed scene, or of a part of one."""
    return scene[2].astype(np.int32) + 256 * scene[3].astype(np.int32)


def sister_crops(
    rng: Rng, image: NDArray[Any], classes: NDArray[Any], regions: NDArray[Any]
) -> list[Planes]:
    """Two crops of one scene at one random zoom, each turned and mirrored."""
    zoom = 1.0 if rng.random() < 0.45 else float(np.exp(rng.uniform(-0.5, 0.7)))
    planes = [image.astype(np.float32) / 255, classes, regions]
    if zoom < 1:
        planes = _resized(planes, zoom)
        fill = [(0, max(0, SIDE - s)) for s in planes[0].shape]
        planes = [np.pad(p, fill, mode="symmetric") for p in planes]
        zoom = 1.0
    side, (h, w) = round(SIDE / zoom), planes[0].shape
    out = []
    for lo, hi in ((0, max(1, w // 2 - side + 1)), (w - side, w - side + 1)):
        x = int(rng.integers(lo, hi)) if hi > lo else lo
        y = int(rng.integers(0, h - side + 1))
        parts = [p[y : y + side, x : x + side] for p in planes]
        out.append(_turned(rng, _fitted(parts, SIDE)))
    return out


def crops_of_large(rng: Rng, scene: NDArray[Any], side: int) -> list[Planes]:
    """Two crops of a large scene, from afar or near, often around a whole object.

    The zoom is such that objects of all sizes are seen: a small one close to its own
    pixels, one that fills a third of the scene as a whole.
    """
    h, w = scene.shape[1:]
    least = side / min(h, w)
    zoom = float(np.exp(rng.uniform(np.log(least), np.log(min(1.5, 6 * least)))))
    cut = min(round(side / zoom), h, w)
    corner = [int(rng.integers(0, n - cut + 1)) for n in (h, w)]
    if rng.random() < WHOLE:
        box = _whole_object(rng, scene)
        longest = max(box[2] - box[0], box[3] - box[1])
        wish = longest / rng.uniform(0.25, 0.85)
        cut = int(np.clip(wish, side / 1.5, min(h, w)))
        corner = []
        for a, b, n in ((box[0], box[2], h), (box[1], box[3], w)):
            lo, hi = max(0, b - cut), min(a, n - cut)
            corner.append(int(rng.integers(lo, hi + 1)) if hi >= lo else max(0, lo))
    corner = [min(c, n - cut) for c, n in zip(corner, (h, w), strict=True)]
    away = [int(rng.integers(0, n - cut + 1)) for n in (h, w)]
    out = []
    for y, x in (corner, away):
        part = np.asarray(scene[:, y : y + cut, x : x + cut])
        planes = [part[0].astype(np.float32) / 255, part[1], regions_of(part)]
        out.append(_turned(rng, _fitted(planes, side)))
    return out


def _whole_object(rng: Rng, scene: NDArray[Any]) -> tuple[int, int, int, int]:
    """Box of an object of a scene; large ones are chosen more often."""
    regions = regions_of(scene[:, ::2, ::2])
    area = np.bincount(regions.ravel())
    area[0] = 0
    good = np.nonzero((area >= 40) & (area <= 0.4 * regions.size))[0]
    if not good.size:
        return 0, 0, *scene.shape[1:]
    share = area[good].astype(float) ** 0.6
    chosen = int(rng.choice(good, p=share / share.sum()))
    where = regions == chosen
    rows, columns = np.nonzero(where.any(1))[0], np.nonzero(where.any(0))[0]
    ends = rows[0], columns[0], rows[-1] + 1, columns[-1] + 1
    y0, x0, y1, x1 = (2 * int(v) for v in ends)
    return y0, x0, min(y1, scene.shape[1]), min(x1, scene.shape[2])


def _fitted(planes: list[NDArray[Any]], side: int) -> list[NDArray[Any]]:
    """Zoom square planes to a side."""
    have = planes[0].shape[0]
    return planes if have == side else _resized(planes, side / have)


def _turned(rng: Rng, planes: list[NDArray[Any]]) -> Planes:
    turns, flip = int(rng.integers(4)), rng.random() < 0.5
    planes = [np.rot90(p, turns) for p in planes]
    image, classes, regions = (
        np.ascontiguousarray(p[:, ::-1] if flip else p) for p in planes
    )
    return image, classes, regions


def _resized(planes: list[NDArray[Any]], factor: float) -> list[NDArray[Any]]:
    """Zoom a picture smoothly, its truth without mixing."""
    return [_resize(p, factor, 1 if i == 0 else 0) for i, p in enumerate(planes)]


def _resize(plane: NDArray[Any], factor: float, order: int) -> NDArray[Any]:
    shape = [round(s * factor) for s in plane.shape]
    resize: Any = torch.nn.functional.interpolate
    t = torch.from_numpy(np.ascontiguousarray(plane, np.float32))[None, None]
    mode = (
        {"mode": "bilinear", "antialias": True} if order else {"mode": "nearest-exact"}
    )
    return resize(t, size=shape, **mode)[0, 0].numpy().astype(plane.dtype)


def _touch(rng: Rng, image: NDArray[Any]) -> NDArray[Any]:
    """Small own differences of a picture: noise, softness."""
    if rng.random() < 0.2:
        image = ndi.gaussian_filter(image, rng.uniform(0.4, 1.2))
    if rng.random() < 0.3:
        image = image + rng.uniform(0.01, 0.08) * rng.standard_normal(image.shape)
    return np.clip(image, 0, 1)


def stroke_tokens(rng: Rng, classes: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Cells (stride 4) that a few 3-px strokes touch in every class; pads are 255."""
    grid = classes.shape[1] // 4
    found, kinds = [], []
    count = np.bincount(classes.ravel())
    present = [k for k in np.nonzero(count)[0] if count[k] >= 60]
    each = STROKE_TOKENS // max(1, len(present))
    for k in present:
        at = walks(rng, classes == k, strokes=int(rng.integers(1, 4)))
        touched = np.unique((at[:, 0] // 4) * grid + at[:, 1] // 4)
        touched = rng.permutation(touched)[:each]
        found.append(touched)
        kinds.append(np.full(len(touched), k))
    flat, kind = (
        np.zeros(STROKE_TOKENS, np.int64),
        np.full(STROKE_TOKENS, 255, np.int64),
    )
    if found:
        n = sum(map(len, found))
        flat[:n], kind[:n] = np.concatenate(found), np.concatenate(kinds)
    return flat, kind


def walks(
    rng: Rng, region: NDArray[Any], strokes: int, length: int = 60
) -> NDArray[Any]:
    """Pixels under smooth random walks that stay inside a region."""
    inside, size = np.argwhere(region), np.array(region.shape)
    pos = inside[rng.integers(len(inside), size=strokes)].astype(float)
    heading = rng.uniform(0, 2 * np.pi, strokes)
    seen = [pos.copy()]
    for _ in range(length):
        heading += rng.normal(0, 0.25, strokes)
        step = pos + np.stack([np.sin(heading), np.cos(heading)], 1)
        ok = ((step >= 0) & (step < size)).all(1)
        at = np.clip(step, 0, size - 1).astype(int)
        ok &= region[at[:, 0], at[:, 1]]
        pos[ok] = step[ok]
        heading[~ok] += np.pi / 2 + rng.normal(0, 0.5, (~ok).sum())
        seen.append(pos.copy())
    centre = np.concatenate(seen).astype(int)
    around = np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])
    at = np.clip((centre[:, None] + around).reshape(-1, 2), 0, size - 1)
    return at[region[at[:, 0], at[:, 1]]]
