"""What a segmenter learns from: labelled pictures, a part of them held out."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.train.errors import TrainError
from napari_sesami.train.semi.losses import IGNORE
from napari_sesami.train.sesami.holdout import hold_out
from napari_sesami.train.sesami.pictures import LabelledSet, Picture, resampled

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SHARE = 0.25
"""Of a single picture that is held out."""
EMPTY = 0.05
"""Share of pixels without a label from which on "nothing" is a class."""
LEAST = 24
"""Pixels of a class that the learnt part of a picture must keep."""


def assemble_teachers(
    pictures: Iterable[Picture], classes: Mapping[int, str], notes: Iterable[str] = ()
) -> LabelledSet:
    """Make the labelled set of a segmenter: one scale, a part held out.

    Unlike objects that are clicked, layers reach all through a picture, so that a
    single one is cut in two, across objects.

    Parameters
    ----------
    pictures
        One is enough.
    classes
        Names by id.
    notes
        What else people should know.

    Raises
    ------
    TrainError
        Nothing is labelled, or pixel sizes are too far apart.
    """
    given = [p for p in pictures if bool(_counts(p))]
    if not given:
        raise TrainError(
            "Nothing is labelled that a segmenter could learn: label a scan, or a part "
            "of one, with every class first."
        )
    said = list(notes)
    given, told = one_scale(given)
    said += told
    parts = _held_out(given)
    learnt = sum((_counts(p) for p in parts if not p.held_out), Counter())
    judged = sum((_counts(p) for p in parts if p.held_out), Counter())
    for id_ in sorted(learnt.keys() | judged.keys()):
        name = classes.get(id_, f"class {id_}")
        if id_ not in judged:
            said.append(
                f"{name} is labelled in too few places to hold any out: it is learnt, "
                "but not measured."
            )
        elif id_ not in learnt:
            said.append(
                f"{name} is labelled on the held-out part only: it is measured, but "
                "not learnt. Label it on one more scan."
            )
    if len(given) < 4:
        said.append(
            f"Only {len(given)} labelled picture{'s are' if len(given) > 1 else ' is'} "
            "at hand: the numbers before and after say little."
        )
    named = {k: v for k, v in classes.items() if k in learnt or k in judged}
    return LabelledSet(tuple(parts), named, tuple(said))


def learns_nothing(pictures: Sequence[Picture]) -> bool:
    """Whether pixels without a label are many enough to be a class of their own."""
    known = sum(int((p.classes != IGNORE).sum()) for p in pictures)
    empty = sum(int((p.classes == 0).sum()) for p in pictures)
    return empty >= EMPTY * max(known, 1)


def one_scale(pictures: list[Picture]) -> tuple[list[Picture], list[str]]:
    """Resample pictures to the middle pixel size where sizes are known and differ."""
    sizes = [p.pixel_size for p in pictures if p.pixel_size and p.unit]
    units = {p.unit for p in pictures if p.pixel_size and p.unit}
    if not sizes:
        return pictures, [
            "Pixel sizes are unknown: scans are taken as equally large as they are."
        ]
    if len(units) > 1:
        names = ", ".join(sorted(map(str, units)))
        raise TrainError(
            f"Pixel sizes of the labelled scans come in different units ({names}); "
            "give all of them in one, or label scans of one kind."
        )
    low, high, unit = min(sizes), max(sizes), next(iter(units))
    if high <= 1.02 * low:
        return pictures, []
    if high > 16 * low:
        raise TrainError(
            f"The labelled scans have pixels from {low:g} to {high:g} {unit}: too far "
            "apart for one segmenter. Train one for each magnification."
        )
    middle = float(np.exp(np.median(np.log(sizes))))
    return [resampled(p, middle) for p in pictures], [
        f"Pixels are {low:g} to {high:g} {unit} wide; all labelled scans were "
        f"resampled to {middle:g} {unit}."
    ]


def common_size(pictures: Sequence[Picture]) -> tuple[float | None, str | None]:
    """Pixel size and unit of pictures that were brought to one scale."""
    for p in pictures:
        if p.pixel_size and p.unit:
            return p.pixel_size, p.unit
    return None, None


def _counts(picture: Picture) -> Counter[int]:
    ids, counts = np.unique(picture.classes, return_counts=True)
    told = zip(ids.tolist(), counts.tolist(), strict=True)
    return Counter({i: n for i, n in told if i not in (0, IGNORE)})


def _held_out(pictures: list[Picture]) -> list[Picture]:
    """Hold out whole pictures if every class stays with the others; else cut each."""
    marked = [p.held_out for p in pictures]
    if any(marked) and not all(marked):
        return pictures
    every = set(sum((_counts(p) for p in pictures), Counter()))
    if len(pictures) >= 3 and all(p.objects() for p in pictures):
        parts = hold_out(pictures)
        if set(sum((_counts(p) for p in parts if not p.held_out), Counter())) == every:
            return parts
    return [part for p in pictures for part in _cut(p)]


def _cut(picture: Picture) -> list[Picture]:
    """Cut a picture across its longer side so that no class is lost to the learner."""
    height, width = picture.grey.shape
    before = _counts(picture)
    best: tuple[int, list[Picture]] | None = None
    for axis in (0, 1) if height >= width else (1, 0):
        n = picture.grey.shape[axis]
        held = max(1, round(SHARE * n))
        for low, high in ((n - held, n), (0, held)):
            rest = (0, low) if low else (high, n)
            if rest[1] - rest[0] < 8:
                continue
            boxes = [
                (a, 0, b, width) if axis == 0 else (0, a, height, b)
                for a, b in (rest, (low, high))
            ]
            kept, out = (picture.part(box) for box in boxes)
            left = _counts(kept)
            if any(left[c] < min(LEAST, before[c]) for c in before):
                continue
            measured = len(_counts(out))
            if best is None or measured > best[0]:
                best = (measured, [kept, replace(out, held_out=True)])
        if best is not None and best[0] == len(before):
            break
    return [picture] if best is None or not best[0] else best[1]
