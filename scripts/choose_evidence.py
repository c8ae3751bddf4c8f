"""Choose how pixel evidence is learned, on procedural scans alone, nested by family.

    python scripts/choose_evidence.py [--scenes 1] [--cache FOLDER]

Every choice (learners, features, what is multiplied, the power of the product, the
share of area) is the one with the best mean over modalities; next to it stands what the
choice made without a modality scores on that modality. Powers of the product are judged
by the logarithm of what is said of the true class, too: whether one may believe the
numbers. The strokes are drawn here, of 1 and of 3 pixels.
Besides the families of the product there are scenes of materials and the same layouts
with textures that no model was trained on, so that tokens are not flattered.
"""

from __future__ import annotations

import argparse
import itertools
import pickle
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import ndimage
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.neural_network import MLPClassifier

from napari_sesami.lab import scenes as families
from napari_sesami.lab.scenes.random_scenes.scenes import random_scene
from napari_sesami.models import load_token_encoder
from napari_sesami.retrieve import Retriever, TokenStore
from napari_sesami.retrieve.pixel_features import PixelFeatures, at_pixels, spaced
from napari_sesami.retrieve.pixel_forest import _stroked, _thinned
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
STEP = 4
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
    said: dict[str, np.ndarray] = field(default_factory=dict)


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
    )


def cases(n: int, cache: Path | None) -> list[Case]:
    """All scenes, from the cache where they are there."""
    encoder = load_token_encoder(device="cpu")
    out = []
    for group, names in GROUPS.items():
        many = n if len(names) > 3 else 3 * n
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


def learned(case: Case, learner: str) -> np.ndarray:
    """Probabilities (h, w, C) of one learner on the grid of a case."""
    kind, seen = learner.split()
    parts = [case.looks, *([case.tokens[1.0]] if "tokens" in seen else [])]
    parts += [case.tokens[0.5]] if "two" in seen else []
    x = np.concatenate([p.astype(np.float32) for p in parts], 1)
    n = len(case.classes)
    model = LEARNERS[kind]()
    scale = x[:n].std(0) + 1e-3 if kind in ("linear", "net") else 1.0
    middle = x[:n].mean(0) if kind in ("linear", "net") else 0.0
    x = (x - middle) / scale
    model.fit(x[:n], case.classes)
    return model.predict_proba(x[n:]).reshape(*case.truth.shape, -1)


LEARNERS: dict[str, Any] = {
    "forest": partial(
        ExtraTreesClassifier,
        20,
        min_samples_leaf=2,
        class_weight="balanced",
        random_state=0,
    ),
    "boosted": partial(
        HistGradientBoostingClassifier,
        max_iter=30,
        max_leaf_nodes=15,
        class_weight="balanced",
        early_stopping=False,
        random_state=0,
    ),
    "net": partial(MLPClassifier, (64,), alpha=1.0, max_iter=60, random_state=0),
    "linear": partial(
        LinearDiscriminantAnalysis, solver="lsqr", shrinkage=0.1, priors=None
    ),
}
# how the answers of learners are multiplied: name → power; "votes" are those of tokens
MIXES: dict[str, dict[str, float]] = {
    "votes": {"votes": 1},
    "forest of looks": {"forest looks": 1},
    "forest of looks and tokens": {"forest looks+tokens": 1},
    "the same, tokens of two scales": {"forest looks+tokens+two": 1},
    "boosted trees": {"boosted looks+tokens": 1},
    "net": {"net looks+tokens": 1},
    "linear": {"linear looks+tokens": 1},
    "forest and votes": {"forest looks+tokens": 1, "votes": 0.4},
    "both forests": {"forest looks+tokens": 1, "forest looks": 1},
    "both forests and votes": {
        "forest looks+tokens": 1,
        "forest looks": 1,
        "votes": 0.4,
    },
    "both forests, votes and net": {
        "forest looks+tokens": 1,
        "forest looks": 1,
        "votes": 0.4,
        "net looks+tokens": 0.5,
    },
    "both forests and net": {
        "forest looks+tokens": 1,
        "forest looks": 1,
        "net looks+tokens": 0.5,
    },
}
POWERS = (0.0, 0.5, 1.0, 1.5)  # of the share of the plane
CALMS = (0.5, 0.75, 1.0)  # powers of the product
EASE = 0.03


def scored(
    case: Case, mix: dict[str, float], calm: float, power: float
) -> tuple[float, ...]:
    """Scores on pixels that were not painted.

    MIoU; IoU, precision and recall of the rarest class; mean −log of the true class.
    """
    product = np.ones((*case.truth.shape, int(case.classes.max()) + 1))
    for name, weight in mix.items():
        said = case.votes[1.0] if name == "votes" else case.said[name]
        product *= (said.astype(float) + EASE) ** weight
    product **= calm
    product /= product.sum(-1, keepdims=True)
    product *= np.maximum(product.mean((0, 1)), 0.003) ** power
    product /= product.sum(-1, keepdims=True)
    found, asked = product.argmax(-1), case.free & (case.truth >= 0)
    out, sizes = [], []
    for c in range(product.shape[-1]):
        true, here = (case.truth == c) & asked, (found == c) & asked
        if true.any():
            hit, said = (true & here).sum(), max(here.sum(), 1)
            out.append(
                (hit / (true | here).sum(), hit / max(here.sum(), 1), hit / true.sum())
            )
            sizes.append(true.sum())
    rare = out[int(np.argmin(sizes))]
    own = np.take_along_axis(product[asked], case.truth[asked][:, None], 1)
    doubt = -np.log(np.maximum(own, 1e-4)).mean()
    return float(np.mean([o[0] for o in out])), *map(float, rare), float(doubt)


def main() -> None:
    """Print the table, the choice, and what it is worth where it was not made."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=1, help="of each TEM family")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--without", nargs="*", default=[], help="learners left out")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.cache:
        arguments.cache.mkdir(parents=True, exist_ok=True)
    mixes = {
        name: mix
        for name, mix in MIXES.items()
        if not any(k.split()[0] in arguments.without for k in mix)
    }
    asked = {k for mix in mixes.values() for k in mix} - {"votes"}
    seconds: dict[str, float] = defaultdict(float)
    scores: dict[tuple[str, float, float], dict[str, list[Any]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for case in cases(arguments.scenes, arguments.cache):
        for name in sorted(asked):
            start = time.process_time()
            case.said[name] = learned(case, name).astype(np.float16)
            seconds[name] += time.process_time() - start
        for (name, mix), calm, power in itertools.product(mixes.items(), CALMS, POWERS):
            found = scored(case, mix, calm, power)
            scores[name, calm, power][case.group].append(found)
    groups = list(GROUPS)

    def mean(at: tuple[str, float, float], among: list[str], k: int = 0) -> float:
        return float(np.mean([np.mean([s[k] for s in scores[at][g]]) for g in among]))

    titles = ["power", "share^", "mean", "rarest class", "precision", "recall"]
    titles += ["−log", *groups]
    print("| | " + " | ".join(titles) + " |\n|---|" + "---|" * len(titles))
    for at in scores:
        numbers = [mean(at, groups, k) for k in range(5)]
        numbers += [mean(at, [g]) for g in groups]
        cells = " | ".join(f"{number:.3f}" for number in numbers)
        print(f"| {at[0]} | {at[1]:g} | {at[2]:g} | {cells} |")
    best = max(scores, key=lambda at: mean(at, groups))
    print(f"\nchosen: {best[0]}, power {best[1]:g}, share^{best[2]:g}")
    nested = []
    for group in groups:
        others = [g for g in groups if g != group]
        own = max(scores, key=lambda at: mean(at, others))
        nested.append([mean(own, [group], k) for k in range(5)])
        print(f"without {group}: {own[0]}, power {own[1]:g}, share^{own[2]:g}; on it "
              f"{nested[-1][0]:.3f}")  # fmt: skip
    print("nested:", " ".join(f"{k:.3f}" for k in np.mean(nested, 0)))
    print({name: f"{total:.1f} s" for name, total in seconds.items()})


if __name__ == "__main__":
    sys.exit(main())
