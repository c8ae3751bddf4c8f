"""The numbers of the model card on scans that no training saw.

Objects are clicked as an annotator would: each click lands at the deepest point of the
larger error. The model answers through the same `Predictor` that the viewer uses.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.measure import label

from napari_sesami.lab.scenes import FAMILIES
from napari_sesami.lab.scenes.random_scenes.scenes import PATTERNS, random_scene
from napari_sesami.prompt import Predictor
from napari_sesami.scan import Scan
from napari_sesami.train import THIN, Score, click_through

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from napari_sesami.models import PromptModel

ASKED = (1, 3, 5)
DOCUMENTED, RANDOM = "all documented families", "all random patterns"
FRESH = 777_000  # seeds of scenes that no training has drawn


def objects(
    regions: NDArray[Any],
    rng: np.random.Generator,
    count: int,
    lo: int = 80,
    hi: float = 0.25,
) -> list[NDArray[Any]]:
    """A few connected regions that are neither specks nor background."""
    area = np.bincount(regions.ravel())
    area[0] = 0
    good = np.nonzero((area >= lo) & (area <= hi * regions.size))[0]
    rng.shuffle(good)
    return [regions == i for i in good[:count]]


def fresh_scenes(per_family: int) -> Iterator[tuple[str, Scan, NDArray[Any]]]:
    """Scenes of every family that no training saw: (family, scan, regions)."""
    left = dict.fromkeys(PATTERNS, per_family)
    for seed in range(40 * per_family * len(PATTERNS)):
        if not any(left.values()):
            break
        scene = random_scene([FRESH, seed], (256, 512))
        if left[scene.family]:
            left[scene.family] -= 1
            yield scene.family, Scan.from_array(scene.image), scene.regions.astype(int)
    for family, draw in sorted(FAMILIES.items()):
        for seed in range(per_family):
            drawn = draw(FRESH + seed)
            regions = label(drawn.labels, connectivity=2, background=0)
            yield family, drawn.scan(), regions


def synthetic_scores(
    model: PromptModel,
    per_family: int,
    per_scene: int = 4,
    tell: Callable[[str], None] | None = None,
) -> list[Score]:
    """Click through objects of fresh scenes."""
    predictor, scores = Predictor(model), []
    for i, (family, scan, regions) in enumerate(fresh_scenes(per_family)):
        for truth in objects(regions, np.random.default_rng([7, i]), per_scene):
            scores.append(click_through(predictor, scan, truth, family, most=3))
        predictor.store.clear()
        if tell is not None and scores and i % 10 == 9:
            tell(f"{i + 1} scans: {summary(scores)}")
    return scores


def summary(scores: Sequence[Score]) -> dict[str, float]:
    """Means over objects, as printed and written into the card."""
    if not scores:
        return {"objects": 0}
    out: dict[str, float] = {}
    for n in scores[0].clicks:
        if n in ASKED:
            out[f"clicks {n}"] = round(float(np.mean([s.clicks[n] for s in scores])), 3)
    out["box"] = round(float(np.mean([s.box for s in scores])), 3)
    return out | {"objects": len(scores)}


def table(scores: Sequence[Score]) -> dict[str, dict[str, float]]:
    """Summaries: documented families, random patterns, thin layers, then by family."""
    groups: dict[str, list[Score]] = defaultdict(list)
    for s in scores:
        kind = DOCUMENTED if s.group in FAMILIES else RANDOM
        groups[f"{kind}, thin (< {THIN:g} px)" if s.thin else kind].append(s)
    order = sorted(groups)
    for s in scores:
        groups[s.group].append(s)
    order += sorted(set(groups) - set(order))
    return {name: summary(groups[name]) for name in order}
