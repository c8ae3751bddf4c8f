"""Which labels are held out for the gate: whole scans, planes, or a part of a plane."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.train.errors import TrainError
from napari_sesami.train.sesami.pictures import SPECK, LabelledSet, Picture, resampled

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SHARE = 0.25  # of the objects that are held out, as nearly as pictures allow
FEW = 8  # objects below which the numbers say little
SAME = 1.02  # pixel sizes that differ less are the same


def assemble(
    pictures: Iterable[Picture],
    classes: Mapping[int, str],
    *,
    common_scale: bool = False,
    specks: int = 0,
    notes: Iterable[str] = (),
) -> LabelledSet:
    """Make a set of pictures: check them, bring them to one scale, hold some out.

    Parameters
    ----------
    pictures
        At least two objects in all.
    classes
        Names by id.
    common_scale
        Resample pictures of different pixel sizes to the middle one. By default they
        stay as they are, since prompts are answered at each scan's own pixels.
    specks
        How many labelled planes had nothing large enough to learn; told in a note.
    notes
        What else people should know.
    """
    given = [p for p in pictures if p.objects()]
    if not given:
        raise TrainError(
            "Nothing is labelled that could be learnt: commit objects, or paint labels "
            f"of at least {SPECK} pixels, on a few scans first."
        )
    number = sum(len(p.objects()) for p in given)
    if number < 2:
        raise TrainError(
            "Only one object is labelled; a model can be tuned from two on (one is "
            "held out to measure with), and 20 or more are better."
        )
    given, told = _one_scale(given, common_scale)
    said = [*notes, *told]
    if specks:
        said.append(
            f"{specks} labelled planes hold nothing of {SPECK} pixels or more and were "
            "left out."
        )
    parts = hold_out(given)
    lost = number - sum(len(p.objects()) for p in parts)
    if lost:
        said.append(
            f"{lost} of {number} objects lie across the cut between the side that is "
            "learnt and the side that judges, and were left out."
        )
    said += _warnings(parts, classes)
    used = {c for p in parts for c in p.objects().values()}
    named = {k: v for k, v in classes.items() if k in used}
    return LabelledSet(tuple(parts), named, tuple(said))


def _one_scale(
    pictures: list[Picture], common: bool
) -> tuple[list[Picture], list[str]]:
    sizes = [p.pixel_size for p in pictures if p.pixel_size and p.unit]
    units = {p.unit for p in pictures if p.pixel_size and p.unit}
    if not sizes or (len(units) == 1 and max(sizes) <= SAME * min(sizes)):
        return pictures, []
    if len(units) > 1:
        names = ", ".join(sorted(map(str, units)))
        return pictures, [
            f"Pixel sizes come in different units ({names})"
            "; each scan was learnt at its own pixels."
        ]
    low, high, unit = min(sizes), max(sizes), next(iter(units))
    spread = f"Pixels are {low:g} to {high:g} {unit} wide"
    if not common:
        return pictures, [f"{spread}; each scan was learnt at its own pixels."]
    middle = float(np.exp(np.median(np.log(sizes))))
    return [resampled(p, middle) for p in pictures], [
        f"{spread}; all scans were resampled to {middle:g} {unit}."
    ]


def hold_out(pictures: Sequence[Picture], share: float = SHARE) -> list[Picture]:
    """Mark about a quarter of the objects as held out: by scan, plane, or region."""
    if any(p.held_out for p in pictures) and not all(p.held_out for p in pictures):
        return list(pictures)
    by_scan: dict[str, list[Picture]] = defaultdict(list)
    for picture in pictures:
        by_scan[picture.scan].append(picture)
    if len(by_scan) >= 3:
        # what was held out once stays so as scans are added
        groups = [by_scan[name] for name in sorted(by_scan, key=_lot)]
    else:
        # neighbouring planes look alike: whole stretches of them stay together
        planes = [sorted(by_scan[s], key=lambda p: p.plane) for s in by_scan]
        groups = [[p] for stack in planes for p in reversed(stack)]
    if len(groups) == 1:
        return _by_region(groups[0][0], share)
    held = {id(p) for i in _some_groups(groups, share) for p in groups[i]}
    return [replace(p, held_out=id(p) in held) for p in pictures]


def _lot(name: str) -> bytes:
    return blake2b(name.encode(), digest_size=8).digest()


def _some_groups(groups: Sequence[Sequence[Picture]], share: float) -> set[int]:
    """Groups that are held out: never the last one with a class."""
    counts = [Counter(c for p in g for c in p.objects().values()) for g in groups]
    left = sum(counts, Counter())
    want = share * left.total()
    chosen: set[int] = set()
    for i, own in enumerate(counts):
        held = sum(counts[j].total() for j in chosen)
        if held >= want or len(chosen) == len(groups) - 1:
            break
        rest = left - own
        if set(rest) == set(left) and (not chosen or held + own.total() <= 2 * want):
            chosen.add(i)
            left = rest
    if not chosen:  # every picture has a class of its own: take the smallest
        chosen.add(min(range(len(groups)), key=lambda i: counts[i].total()))
    return chosen


def _by_region(picture: Picture, share: float) -> list[Picture]:
    """Cut a single picture in two along its longer side; each object is on one side."""
    height, width = picture.grey.shape
    axis = 0 if height >= width else 1
    objects = picture.objects()
    if axis == 1:
        low, high = _extents(picture.regions.T, objects)
    else:
        low, high = _extents(picture.regions, objects)
    best, best_off = None, np.inf
    for at in sorted(set(high.tolist())):
        first, second = int((high <= at).sum()), int((low >= at).sum())
        if first and second:
            lost = len(low) - first - second
            off = abs(second / (first + second) - share) + lost / len(low)
            if off < best_off:
                best, best_off = int(at), off
    if best is None:
        raise TrainError(
            "The labelled objects lie side by side all along the picture, so that no "
            "part can be held out to measure with; label objects on another plane or "
            "scan too."
        )
    end = (height, width)[axis]
    boxes = [(0, best), (best, end)]
    out = []
    for held, (start, stop) in enumerate(boxes):
        box = (start, 0, stop, width) if axis == 0 else (0, start, height, stop)
        part = picture.part(box)
        inside = (low >= start) & (high <= stop)
        cut_off = ~np.isin(part.regions, np.array(list(objects))[inside])
        regions = np.where(cut_off, 0, part.regions).astype(np.int32)
        out.append(replace(part, regions=regions, held_out=bool(held)))
    return out


def _extents(
    regions: np.ndarray, objects: Mapping[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """First and last row (half-open) of each object."""
    from scipy.ndimage import find_objects

    found = find_objects(regions)
    rows = [found[number - 1][0] for number in objects]
    return np.array([r.start for r in rows]), np.array([r.stop for r in rows])


def _warnings(parts: Sequence[Picture], classes: Mapping[int, str]) -> list[str]:
    notes = []
    trained = Counter(c for p in parts if not p.held_out for c in p.objects().values())
    held = Counter(c for p in parts if p.held_out for c in p.objects().values())
    for class_ in sorted(trained.keys() | held.keys()):
        name = classes.get(class_, f"class {class_}")
        if class_ not in held:
            notes.append(
                f"{name} is labelled in too few places to hold any out: it is learnt, "
                "but not measured."
            )
        elif class_ not in trained:
            notes.append(
                f"{name} is labelled on the held-out pictures only: it is measured, "
                "but not learnt. Label it on one more scan."
            )
    number = trained.total() + held.total()
    if number < FEW:
        notes.append(
            f"Only {number} objects are labelled; the numbers before and after say "
            "little. 20 or more are better."
        )
    return notes
