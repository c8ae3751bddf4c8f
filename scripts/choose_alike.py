"""Choose the least likeness that "find all like this" begins with.

    python scripts/choose_alike.py [SCENES]

On fresh procedural scenes one object of a kind is given; all others of its class and
about its size are to be found, those that the border cuts too. Prints precision and
recall, the mean F1 for each least likeness, and the one with the best.
"""

from __future__ import annotations

import sys

import numpy as np
from scipy import ndimage

from napari_sesami.lab.scenes import FAMILIES
from napari_sesami.models import load_prompt_model
from napari_sesami.prompt import Mask, Predictor, find_alike
from napari_sesami.scan import Scan

LIKENESSES = (0.45, 0.5, 0.55, 0.6, 0.65)


def main(count: int) -> None:
    """Measure each pair and print the choice."""
    model = load_prompt_model("sesami-nano")
    found: dict[float, list[float]] = {least: [] for least in LIKENESSES}
    kinds = list(FAMILIES)
    for seed in range(count):
        kind = kinds[seed % len(kinds)]
        scene = FAMILIES[kind](1000 + seed)
        pick = a_repeated_thing(scene)
        if pick is None:
            continue
        parts, like, others = pick
        scan, predictor = Scan.from_array(scene.image), Predictor(model)
        matches = find_alike(predictor, scan, like, least=0.3)
        named = [(match.likeness, hit_of(match.mask, parts)) for match in matches]
        for least in LIKENESSES:
            kept = [part for likeness, part in named if likeness >= least]
            hits = len(set(kept) & others)
            precision, recall = hits / max(len(kept), 1), hits / len(others)
            f1 = 2 * precision * recall / max(precision + recall, 1e-9)
            found[least].append(f1)
            print(f"{kind} {seed}, likeness {least:g}: ", end="")
            print(f"precision {precision:.2f}, recall {recall:.2f}", flush=True)
    means = {least: round(float(np.mean(f1)), 3) for least, f1 in found.items()}
    print(means)
    print("likeness =", max(means, key=lambda least: means[least]))


def hit_of(mask: Mask, parts: np.ndarray) -> int:
    """The part that a mask is, with more than half of both in common; 0 is none."""
    y0, x0, y1, x1 = mask.bbox
    shared = np.bincount(parts[y0:y1, x0:x1][mask.mask], minlength=1)
    shared[0] = 0
    best = int(shared.argmax())
    union = mask.area + np.count_nonzero(parts == best) - shared[best]
    return best if best and shared[best] > 0.5 * union else 0


def a_repeated_thing(scene):
    """Parts by number, one as a mask, and the numbers of all that are alike."""
    best = None
    for entry in scene.classes:
        parts, count = ndimage.label(scene.labels == entry.id)
        if count < 4:
            continue
        sizes = np.bincount(parts.ravel())[1:]
        boxes = ndimage.find_objects(parts)
        height, width = parts.shape
        inside = [
            n
            for n, ((ys, xs)) in enumerate(boxes, 1)
            if ys.start and xs.start and ys.stop < height and xs.stop < width
        ]
        if not inside:
            continue
        middle = float(np.median([sizes[n - 1] for n in inside]))
        alike = [n for n in inside if 0.5 * middle < sizes[n - 1] < 2 * middle]
        cut = [
            n
            for n in range(1, count + 1)
            if n not in inside and 0.35 * middle < sizes[n - 1] < 1.2 * middle
        ]
        if middle < 200 or len(alike) < 3:
            continue
        if best is None or len(alike) + len(cut) > len(best[2]):
            one = min(alike, key=lambda n: abs(sizes[n - 1] - middle))
            ys, xs = boxes[one - 1]
            mask = Mask(
                (ys.start, xs.start, ys.stop, xs.stop),
                parts[ys, xs] == one,
                1.0,
                (height, width),
            )
            best = parts, mask, {*alike, *cut}
    return best


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 14)
