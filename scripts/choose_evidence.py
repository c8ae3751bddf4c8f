"""Choose how pixel evidence is learned, on procedural scans alone, nested by family.

    python scripts/choose_evidence.py [--scenes 3] [--cache FOLDER]

Every choice (learner, features, weight of the votes, share of area, smoothing) is the
one with the best mean over modalities; next to it stands what the choice made without a
modality scores on that modality. The strokes are drawn here, of 1 and of 3 pixels.
Besides the families of the product there are scenes of materials and the same layouts
with textures that no model was trained on, so that tokens are not flattered.
"""

from __future__ import annotations

import itertools
import pickle
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from napari_sesami.lab import scenes as families
from napari_sesami.lab.scenes.random_scenes.scenes import random_scene
from napari_sesami.models import load_token_encoder
from napari_sesami.retrieve import Retriever, TokenStore
from napari_sesami.retrieve.pixel_features import PixelFeatures, at_pixels, spaced
from napari_sesami.retrieve.upsample import nothing
from napari_sesami.scan import Scan

GROUPS = {
    "TEM": [f for f in families.FAMILIES if f.rsplit("_", 1)[0] in families.TEM_KINDS],
    "SEM": ["sem_low", "sem_high"],
    "XRM": ["hbm_slice"],
    "AOI": ["wire_bond"],
    "materials": ["materials"],
    "textures": ["textures"],
}
SEED = 7_300_000
STEP = 2
LEAST = 60  # pixels of a class that is judged


def textured(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The layout of a random family in grey levels and textures of its own."""
    rng = np.random.default_rng([seed, 1])
    names = [f for f in families.FAMILIES if f != "hbm_slice"]
    scene = families.FAMILIES[names[seed % len(names)]](seed)
    labels = np.asarray(scene.labels).astype(int)
    out = np.zeros(labels.shape)
    for c in np.unique(labels):
        wide, narrow = rng.uniform(0.6, 6, 2)
        noise = rng.normal(size=labels.shape)
        field = ndimage.gaussian_filter(noise, (wide, narrow), mode="wrap")
        field = ndimage.rotate(field, rng.uniform(0, 180), reshape=False, mode="wrap")
        field /= field.std() + 1e-9
        level, rough = rng.uniform(0.2, 0.8), rng.choice([0.02, 0.06, 0.15])
        out[labels == c] = (level + rough * field)[labels == c]
    out = ndimage.gaussian_filter(out, rng.uniform(0.3, 1.5))
    out += rng.normal(size=out.shape) * rng.choice([0.01, 0.04, 0.1])
    return out.astype(np.float32), labels


def scene_of(family: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Grey image in [0, 1] and truth of at most 512²."""
    if family == "textures":
        image, labels = textured(seed)
    elif family == "materials":
        scene = random_scene(seed)
        image, labels = np.asarray(scene.image), np.asarray(scene.classes).astype(int)
    else:
        made = families.FAMILIES[family](seed)
        image, labels = np.asarray(made.image, np.float32), np.asarray(made.labels)
    image = image.mean(-1) if image.ndim == 3 else image
    image, labels = image[:512, :512], labels[:512, :512].astype(int)
    low, high = np.percentile(image, [0.5, 99.5])
    return np.clip((image - low) / (high - low + 1e-6), 0, 1).astype("f4"), labels


def strokes_on(truth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Three wandering strokes a class: (H, W), 0 nothing, k + 1 class k."""
    out = np.zeros(truth.shape, np.uint8)
    for c in np.unique(truth):
        inside = truth == c
        if inside.sum() < LEAST:
            continue
        deep = ndimage.distance_transform_edt(inside)
        ys, xs = np.nonzero(deep >= min(2.0, deep.max()))
        for _ in range(3):
            width = int(rng.choice([1, 3]))
            i = rng.integers(len(ys))
            at = np.array([ys[i], xs[i]], float)
            way = rng.uniform(0, 2 * np.pi)
            for _ in range(int(rng.integers(20, 70))):
                way += rng.normal(0, 0.2)
                to = at + np.array([np.sin(way), np.cos(way)])
                y, x = np.round(to).astype(int)
                fits = 0 <= y < truth.shape[0] and 0 <= x < truth.shape[1]
                if not (fits and inside[y, x]):
                    way += rng.uniform(1, 3)
                    continue
                at = to
                r = width // 2
                box = np.s_[max(0, y - r) : y + r + 1, max(0, x - r) : x + r + 1]
                out[box][inside[box]] = c + 1
    return out


@dataclass
class Case:
    """One scene with strokes: what the learners get, and what is judged."""

    group: str
    family: str
    looks: np.ndarray  # of stroked pixels, then of the grid
    tokens: dict[float, np.ndarray]
    classes: np.ndarray
    owners: np.ndarray
    votes: dict[float, np.ndarray]  # (h, w, C) on the grid, from 0 by class
    truth: np.ndarray
    free: np.ndarray  # not stroked
    grey: np.ndarray


def case_of(group: str, family: str, seed: int, encoder: Any) -> Case | None:
    """Draw a scene, paint, and compute all that any learner may see."""
    image, truth = scene_of(family, seed)
    strokes = strokes_on(truth, np.random.default_rng([seed, 2]))
    return case_from(group, family, image, truth, strokes, encoder)


def case_from(
    group: str,
    family: str,
    image: np.ndarray,
    truth: np.ndarray,
    strokes: np.ndarray,
    encoder: Any,
) -> Case | None:
    """Compute all that any learner may see of an image and its strokes."""
    present = np.unique(strokes[strokes > 0])
    if len(present) < 2:
        return None
    dense = np.zeros(256, np.uint8)
    dense[present] = np.arange(1, len(present) + 1)
    strokes = dense[strokes]
    truth = dense[truth + 1].astype(int) - 1  # −1 is not judged
    owners, start = np.zeros(strokes.shape, np.int64), 1
    for c in range(1, len(present) + 1):
        parts, n = ndimage.label(strokes == c, np.ones((3, 3)))
        owners[parts > 0] = parts[parts > 0] + start
        start += n
    scan = Scan.from_array((image * 65535).astype(np.uint16))
    rows, columns = (spaced(side, STEP) for side in image.shape)
    gy, gx = (a.ravel() for a in np.meshgrid(rows, columns, indexing="ij"))
    tokens, votes = {}, {}
    looks = None
    for zoom in (1.0, 0.5):
        store = TokenStore(scan, encoder, zoom=zoom)
        found = Retriever(store, len(present))
        store.plane(0)
        found.set_strokes(0, strokes, owners)
        found.tune()
        planes = store.plane(0).transpose(2, 0, 1)
        p, _ = found._probability(0)
        votes[zoom] = at_pixels(p.transpose(2, 0, 1), store.patch, gy, gx).reshape(
            len(rows), len(columns), -1
        )
        if looks is None:
            from napari_sesami.retrieve.pixel_forest import _stroked, _thinned

            planes_, pixels, classes, names = _stroked(found._strokes, set())
            kept = _thinned(planes_, pixels, classes)
            sy, sx = np.divmod(pixels[kept], image.shape[1])
            classes, names = classes[kept], names[kept]
            seen = PixelFeatures(scan.grey(0))
            looks = np.concatenate(
                [
                    seen.at(sy, sx, nothing),
                    seen.grid(rows, columns, nothing).reshape(len(gy), -1),
                ]
            ).astype(np.float16)
        ay, ax = np.r_[sy, gy], np.r_[sx, gx]
        tokens[zoom] = at_pixels(planes, store.patch, ay, ax).astype(np.float16)
        votes[zoom] = votes[zoom].astype(np.float16)
    return Case(
        group,
        family,
        looks,
        tokens,
        classes.astype(int) - 1,
        names,
        votes,
        truth[np.ix_(rows, columns)],
        (strokes == 0)[np.ix_(rows, columns)],
        scan.grey(0)[np.ix_(rows, columns)].astype(np.float16),
    )


def cases(n: int, cache: Path | None) -> list[Case]:
    """All scenes, from the cache where they are there."""
    encoder = load_token_encoder(device="cpu")
    out = []
    for group, names in GROUPS.items():
        many = max(n, n * 10 // len(names) // 2) if len(names) < 4 else n
        for family, i in itertools.product(names, range(many)):
            path = cache / f"{family}-{i}.pkl" if cache else None
            if path is not None and path.is_file():
                out.append(pickle.loads(path.read_bytes()))
                continue
            case = case_of(group, family, SEED + i, encoder)
            if case is None:
                continue
            if path is not None:
                path.write_bytes(pickle.dumps(case))
            out.append(case)
    return out


if __name__ == "__main__":
    cache = Path(sys.argv[1])
    cache.mkdir(exist_ok=True)
    t = time.process_time()
    got = cases(int(sys.argv[2]), cache)
    print(len(got), time.process_time() - t)
