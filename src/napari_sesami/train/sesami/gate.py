"""The gate: an adapter becomes active only if it is better on held-out objects.

Objects that were never trained on are clicked through twice, with the model as it was
and with the new adapter, through the same `Predictor` that the viewer uses.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.common.checked import read_checked
from napari_sesami.common.disk import write_json
from napari_sesami.common.errors import SesamiError
from napari_sesami.common.inside import inside
from napari_sesami.models import use_adapter
from napari_sesami.prompt import EmbeddingStore, Predictor
from napari_sesami.train.errors import TrainError
from napari_sesami.train.sesami.clicks import click_through

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sesami.models import PromptModel
    from napari_sesami.train.sesami.clicks import Score
    from napari_sesami.train.sesami.pictures import LabelledSet, Picture

FILE = "gate.json"
GOOD = 0.9  # overlap at which an annotator stops clicking
GAIN = 0.005  # mean overlap that the new one must be ahead
LOSS, SEVERAL = 0.05, 3  # a class of several objects may not lose more than this
SMALLEST, LARGEST = 80, 0.5  # pixels, and share of the picture, of fair objects
WORST = 4  # objects that are shown


@dataclass(frozen=True)
class Target:
    """A held-out object: in which picture, its number there, its class."""

    picture: int
    region: int
    name: str


@dataclass(frozen=True)
class Verdict:
    """What the gate found.

    Attributes
    ----------
    wins
        Whether the new adapter should become active.
    sentence
        The reason, for people.
    rows
        Per class: name, objects, and `before` and `after`, each with the IoU after 1
        and 3 clicks and with a box, their mean (`mIoU`) and the clicks to 0.9 IoU.
    before, after
        The same, as means over the classes.
    worst
        Files of the held-out objects that the new adapter does worst.
    """

    wins: bool
    sentence: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    before: dict[str, float] = field(default_factory=dict)
    after: dict[str, float] = field(default_factory=dict)
    worst: list[str] = field(default_factory=list)
    objects: int = 0

    def write(self, folder: Path) -> None:
        """Write it into the folder of a run."""
        write_json(folder / FILE, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Verdict | None:
        """Read it from the folder of a run; None if it was not judged."""
        path = folder / FILE
        if not path.is_file():
            return None
        try:
            found: Verdict = read_checked(inside(folder, FILE), cls, most=1 << 26)
            return found
        except (OSError, SesamiError) as error:
            raise TrainError(
                f"{path} is damaged ({error}); delete it to judge the run anew."
            ) from error


def targets(labelled: LabelledSet, count: int, seed: int = 0) -> list[Target]:
    """Choose held-out objects: classes in turn, neither specks nor background."""
    by_class: dict[int, list[Target]] = {}
    for number, picture in enumerate(labelled.held_out):
        area = np.bincount(picture.regions.ravel())
        for region, class_ in picture.objects().items():
            if SMALLEST <= area[region] <= LARGEST * picture.grey.size:
                name = labelled.classes.get(class_, f"class {class_}")
                by_class.setdefault(class_, []).append(Target(number, region, name))
    if not by_class:  # nothing but large or tiny objects: then these
        for number, picture in enumerate(labelled.held_out):
            for region, class_ in picture.objects().items():
                name = labelled.classes.get(class_, f"class {class_}")
                by_class.setdefault(class_, []).append(Target(number, region, name))
    rng = np.random.default_rng([seed, 13])
    mixed = []
    for _, found in sorted(by_class.items()):
        rng.shuffle(found)
        mixed.append(found)
    turns = [t for turn in zip_longest(*mixed) for t in turn if t is not None]
    return sorted(turns[:count], key=lambda t: (t.picture, t.region))


def examine(
    model: PromptModel,
    pictures: Sequence[Picture],
    chosen: Sequence[Target],
    most: int,
    step: Callable[[], None] | None = None,
) -> list[Score]:
    """Click through held-out objects with a model."""
    predictor = Predictor(model, EmbeddingStore())
    scans = {t.picture: pictures[t.picture].as_scan() for t in chosen}
    scores = []
    for target in chosen:
        if step is not None:
            step()
        truth = pictures[target.picture].regions == target.region
        scan = scans[target.picture]
        scores.append(
            click_through(predictor, scan, truth, target.name, most, enough=GOOD)
        )
    return scores


def summarise(scores: Sequence[Score]) -> dict[str, float]:
    """Means over objects: 1 and 3 clicks, box, their mean, clicks to 0.9."""
    out = {
        "clicks 1": [s.clicks[1] for s in scores],
        "clicks 3": [s.clicks[min(3, max(s.clicks))] for s in scores],
        "box": [s.box for s in scores],
        "clicks to 0.9": [float(clicks_needed(s)) for s in scores],
    }
    means = {key: float(np.mean(values)) for key, values in out.items()}
    means["mIoU"] = float(np.mean([means[k] for k in ("clicks 1", "clicks 3", "box")]))
    return {key: round(value, 4) for key, value in means.items()}


def clicks_needed(score: Score) -> int:
    """Clicks until 0.9 IoU; one more than were tried if it was never reached."""
    good = [n for n, overlap in sorted(score.clicks.items()) if overlap >= GOOD]
    return good[0] if good else max(score.clicks) + 1


def by_class(scores: Sequence[Score]) -> dict[str, dict[str, float]]:
    """Summaries per class."""
    names = sorted({s.group for s in scores})
    return {n: summarise([s for s in scores if s.group == n]) for n in names}


def overall(rows: Mapping[str, dict[str, float]]) -> dict[str, float]:
    """Means over the classes, so that a rare one counts as much as a frequent one."""
    keys = next(iter(rows.values()), {})
    return {k: round(float(np.mean([r[k] for r in rows.values()])), 4) for k in keys}


def compare(before: Sequence[Score], after: Sequence[Score]) -> Verdict:
    """Decide on scores of the same objects."""
    if not after:
        return Verdict(
            False,
            "Nothing could be held out to measure with; label more objects.",
        )
    old, new = by_class(before), by_class(after)
    counts = {name: sum(s.group == name for s in after) for name in new}
    rows = [
        {"class": n, "objects": counts[n], "before": old[n], "after": new[n]}
        for n in new
    ]
    was, is_ = overall(old), overall(new)
    gain = is_["mIoU"] - was["mIoU"]
    losers = [
        n for n in new
        if counts[n] >= SEVERAL and new[n]["mIoU"] < old[n]["mIoU"] - LOSS
    ]  # fmt: skip
    told = (
        f"mIoU on {len(after)} held-out objects {was['mIoU']:.3f} → {is_['mIoU']:.3f}, "
        f"clicks to 0.9 IoU {was['clicks to 0.9']:.1f} → {is_['clicks to 0.9']:.1f}"
    )
    if losers:
        sentence = f"{told}, but {', '.join(losers)} became worse."
    elif gain >= GAIN:
        sentence = f"{told}: better."
    else:
        sentence = f"{told}: not better."
    wins = gain >= GAIN and not losers
    return Verdict(wins, sentence, rows, was, is_, [], len(after))


def judge(
    model: PromptModel,
    adapter: Path,
    labelled: LabelledSet,
    folder: Path,
    *,
    rival: Path | None = None,
    count: int = 24,
    most: int = 6,
    seed: int = 0,
    step: Callable[[], None] | None = None,
) -> Verdict:
    """Measure a model with its rival (another adapter, or none) and with `adapter`.

    The model carries `adapter` afterwards. The verdict and pictures of the worst
    objects are written into `folder`.
    """
    chosen, pictures = targets(labelled, count, seed), labelled.held_out
    use_adapter(model, rival)
    before = examine(model, pictures, chosen, most, step)
    use_adapter(model, adapter)
    after = examine(model, pictures, chosen, most, step)
    found = compare(before, after)
    order = np.argsort([_quality(s) for s in after], kind="stable")[:WORST]
    worst = [chosen[int(i)] for i in order]
    use_adapter(model, rival)
    old = [first_answer(model, pictures, t) for t in worst]
    use_adapter(model, adapter)
    new = [first_answer(model, pictures, t) for t in worst]
    names = []
    for i, (target, a, b) in enumerate(zip(worst, old, new, strict=True)):
        path = folder / "pictures" / f"worst-{i}.png"
        panel(path, pictures[target.picture], target.region, (a, b))
        names.append(path.relative_to(folder).as_posix())
    found.worst.extend(names)
    found.write(folder)
    return found


def _quality(score: Score) -> float:
    return score.clicks[1] + score.clicks[min(3, max(score.clicks))] + score.box


def first_answer(
    model: PromptModel, pictures: Sequence[Picture], target: Target
) -> NDArray[np.bool_]:
    """What one click in the middle of an object gives."""
    from napari_sesami.train.sesami.clicks import deepest

    picture = pictures[target.picture]
    at, _ = deepest(picture.regions == target.region)
    return (
        Predictor(model, EmbeddingStore()).predict(picture.as_scan(), points=[at]).full
    )


def panel(
    path: Path,
    picture: Picture,
    region: int,
    answers: Sequence[NDArray[np.bool_]],
    side: int = 160,
) -> None:
    """Write a PNG: the object with its truth (white), then each answer (coloured)."""
    import imageio.v3 as iio

    truth = picture.regions == region
    ys, xs = np.nonzero(truth)
    middle = [int(v.min() + v.max()) // 2 for v in (ys, xs)]
    wide = max(side, int(1.3 * max(np.ptp(ys), np.ptp(xs))))
    start = [max(0, min(m - wide // 2, n - wide)) for m, n in
             zip(middle, truth.shape, strict=True)]  # fmt: skip
    cut = tuple(slice(s, s + wide) for s in start)
    grey = np.repeat((picture.grey[cut] >> 8).astype(np.uint8)[..., None], 3, 2)
    parts = [_outlined(grey, truth[cut], (255, 255, 255))]
    colours = ((255, 150, 0), (0, 220, 255))
    for answer, colour in zip(answers, colours, strict=False):
        parts.append(_outlined(parts[0], answer[cut], colour))
    gap = np.full((grey.shape[0], 4, 3), 255, np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    row = [p for part in parts for p in (part, gap)][:-1]
    iio.imwrite(path, np.concatenate(row, 1))


def _outlined(
    picture: NDArray[np.uint8], mask: NDArray[np.bool_], colour: tuple[int, int, int]
) -> NDArray[np.uint8]:
    from skimage.segmentation import find_boundaries

    out = picture.copy()
    out[find_boundaries(mask, mode="inner")] = colour
    return out
