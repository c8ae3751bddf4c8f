"""Examples of the bundled model: sister crops, objects to prompt, strokes.

An example is a function of its random numbers and the shards alone, so that a resumed
run sees what an uninterrupted one would have seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy import ndimage as ndi

from napari_sesami.lab.pretrain.shards import open_shards
from napari_sesami.train import first_click, loose_box, pick_object, random_tone

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Rng = np.random.Generator

SIDE = 256
STROKE_TOKENS = 160


class SisterCrops:
    """Draws two crops of one scene, with objects and strokes, as often as asked.

    Parameters
    ----------
    folder
        Of the shards; those that are finished meanwhile are taken in.
    objects
        To prompt, on each crop.
    documented_share
        Most crops that come from shards of the documented families; the share grows by
        0.02 with each such shard.
    """

    def __init__(
        self, folder: Path, objects: int = 4, documented_share: float = 0.3
    ) -> None:
        self.folder, self.objects = folder, objects
        self.documented_share = documented_share
        self._seen = -1
        self._shards: list[NDArray[Any]] = []
        self._documented: list[NDArray[Any]] = []

    def draw(self, rng: Rng) -> dict[str, torch.Tensor]:
        """Draw one example; the first axis is that of the sisters."""
        now = self.folder.stat().st_mtime_ns
        if now != self._seen:
            self._shards = open_shards(self.folder)
            self._documented = open_shards(self.folder, families=True)
            self._seen = now
        if not self._shards:
            raise FileNotFoundError(f"{self.folder} holds no scenes; draw some first.")
        share = min(self.documented_share, len(self._documented) * 0.02)
        among = self._documented if rng.random() < share else self._shards
        shard = among[rng.integers(len(among))]
        scene = np.asarray(shard[rng.integers(len(shard))])
        regions = scene[2].astype(np.int32) + 256 * scene[3].astype(np.int32)
        crops = sister_crops(rng, scene[0], scene[1], regions)
        tone = random_tone(rng)
        rows = [self._row(rng, _touch(rng, tone(i)), c, r) for i, c, r in crops]
        return {k: torch.from_numpy(np.stack([r[k] for r in rows])) for k in rows[0]}

    def _row(
        self,
        rng: Rng,
        image: NDArray[Any],
        classes: NDArray[Any],
        regions: NDArray[Any],
    ) -> dict[str, NDArray[Any]]:
        masks = [pick_object(rng, classes, regions) for _ in range(self.objects)]
        tokens, kinds = stroke_tokens(rng, classes)
        return {
            "image": image[None].astype(np.float32),
            "classes": classes.astype(np.uint8),
            "masks": np.stack(masks),
            "clicks": np.stack([first_click(rng, m) for m in masks]),
            "boxes": np.stack([loose_box(rng, m) for m in masks]),
            "stroke_tokens": tokens,
            "stroke_kinds": kinds,
        }


def sister_crops(
    rng: Rng, image: NDArray[Any], classes: NDArray[Any], regions: NDArray[Any]
) -> list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]:
    """Two crops of one scene at one random zoom, each turned and mirrored."""
    zoom = 1.0 if rng.random() < 0.45 else float(np.exp(rng.uniform(-0.5, 0.7)))
    planes = [image.astype(np.float32) / 255, classes, regions]
    if zoom < 1:
        planes = [_resize(p, zoom, 1 if i == 0 else 0) for i, p in enumerate(planes)]
        fill = [(0, max(0, SIDE - s)) for s in planes[0].shape]
        planes = [np.pad(p, fill, mode="symmetric") for p in planes]
        zoom = 1.0
    side, (h, w) = round(SIDE / zoom), planes[0].shape
    out = []
    for lo, hi in ((0, max(1, w // 2 - side + 1)), (w - side, w - side + 1)):
        x = int(rng.integers(lo, hi)) if hi > lo else lo
        y = int(rng.integers(0, h - side + 1))
        parts = [p[y : y + side, x : x + side] for p in planes]
        if side != SIDE:
            parts = [
                _resize(p, SIDE / side, 1 if i == 0 else 0) for i, p in enumerate(parts)
            ]
        turns, flip = int(rng.integers(4)), rng.random() < 0.5
        parts = [np.rot90(p, turns) for p in parts]
        out.append(
            tuple(np.ascontiguousarray(p[:, ::-1] if flip else p) for p in parts)
        )
    return out  # type: ignore[return-value]


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
    grid = SIDE // 4
    cells, kinds = [], []
    present = [k for k in np.unique(classes) if (classes == k).sum() >= 60]
    each = STROKE_TOKENS // max(1, len(present))
    for k in present:
        at = walks(rng, classes == k, strokes=int(rng.integers(1, 4)))
        touched = np.unique((at[:, 0] // 4) * grid + at[:, 1] // 4)
        touched = rng.permutation(touched)[:each]
        cells.append(touched)
        kinds.append(np.full(len(touched), k))
    flat, kind = (
        np.zeros(STROKE_TOKENS, np.int64),
        np.full(STROKE_TOKENS, 255, np.int64),
    )
    if cells:
        n = sum(map(len, cells))
        flat[:n], kind[:n] = np.concatenate(cells), np.concatenate(kinds)
    return flat, kind


def walks(
    rng: Rng, region: NDArray[Any], strokes: int, length: int = 60
) -> NDArray[Any]:
    """Pixels under smooth random walks that stay inside a region."""
    inside = np.argwhere(region)
    pos = inside[rng.integers(len(inside), size=strokes)].astype(float)
    heading = rng.uniform(0, 2 * np.pi, strokes)
    seen = [pos.copy()]
    for _ in range(length):
        heading += rng.normal(0, 0.25, strokes)
        step = pos + np.stack([np.sin(heading), np.cos(heading)], 1)
        ok = ((step >= 0) & (step < SIDE)).all(1)
        at = np.clip(step, 0, SIDE - 1).astype(int)
        ok &= region[at[:, 0], at[:, 1]]
        pos[ok] = step[ok]
        heading[~ok] += np.pi / 2 + rng.normal(0, 0.5, (~ok).sum())
        seen.append(pos.copy())
    centre = np.concatenate(seen).astype(int)
    around = np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])
    at = np.clip((centre[:, None] + around).reshape(-1, 2), 0, SIDE - 1)
    return at[region[at[:, 0], at[:, 1]]]
