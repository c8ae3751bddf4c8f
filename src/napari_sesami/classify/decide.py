"""Who decides: a class only where its wished purity is held, else "unknown"."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sesami.classify.head import Floats, Whole

Z95 = 1.959964
PRIOR = 4.0
"""A class's own held-out answers count against so many of the average class; chosen by
scripts/choose_classify.py on procedural lots."""
NEVER = math.inf
REASONS = {
    "": "decided",
    "doubtful": "its confidence is below the class's threshold",
    "novel": "it is unlike all labelled defects",
    "broken": "its picture cannot be read",
    "no labels": "fewer than two classes are labelled",
}


def wilson(hits: float, of: float, z: float = Z95) -> tuple[float, float]:
    """Give the 95 % interval of a share, so that 12 of 12 reads 76 to 100 %."""
    if of <= 0:
        return 0.0, 1.0
    share = hits / of
    middle = share + z * z / (2 * of)
    half = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    total = 1 + z * z / of
    return max(0.0, (middle - half) / total), min(1.0, (middle + half) / total)


def share_text(hits: int, of: int) -> str:
    """Say a share with its interval, e.g. `12 of 12 [76, 100] %`."""
    if not of:
        return "–"
    low, high = wilson(hits, of)
    return f"{hits} of {of} [{100 * low:.0f}, {100 * high:.0f}] %"


@dataclass(frozen=True)
class Threshold:
    """From which confidence a class is decided, and what it gave on held-out labels.

    Attributes
    ----------
    confidence
        The least one; infinite where the wished purity is never reached.
    right, of
        Held-out labels decided for the class with it, and how many were right.
    purity
        What is expected of it: its own answers, leant to those of all classes.
    """

    confidence: float
    right: int
    of: int
    purity: float


def thresholds(
    held: Floats, labels: Whole, novel: NDArray[np.bool_], purity: float
) -> list[Threshold]:
    """Choose for each class the lowest confidence at which its purity is as wished.

    Parameters
    ----------
    held
        (labelled defects, classes) probabilities, each without its own lot.
    labels
        The true class of each.
    novel
        Those that would have been called unknown for being unlike the others.
    purity
        Wished share of right ones among all that are called a class.
    """
    said = held.argmax(1)
    sure = held[np.arange(len(held)), said]
    right = said == labels
    usable = ~novel
    order = np.argsort(-sure[usable], kind="stable")
    all_sure, all_right = sure[usable][order], right[usable][order]
    found = []
    for k in range(held.shape[1]):
        own = np.flatnonzero(usable & (said == k))
        own = own[np.argsort(-sure[own], kind="stable")]
        best = Threshold(NEVER, 0, 0, 0.0)
        hits = np.cumsum(right[own])
        for n, row in enumerate(own, start=1):
            if n < len(own) and sure[own[n]] == sure[row]:
                continue  # a threshold cannot part equal confidences
            together = int(np.searchsorted(-all_sure, -sure[row], "right"))
            average = (all_right[:together].sum() + 1) / (together + 2)
            expected = (hits[n - 1] + PRIOR * average) / (n + PRIOR)
            if expected >= purity:
                best = Threshold(float(sure[row]), int(hits[n - 1]), n, float(expected))
        found.append(best)
    return found


@dataclass(eq=False)
class Decisions:
    """The class of every defect of a lot, or that it is unknown.

    Attributes
    ----------
    ids
        Names of the defects, in the order of the lot.
    classes
        Name of the class, None where it is unknown.
    suggested
        The most probable class of each, decided or not; None without an answer.
    confidence
        Of the suggested class, 0 to 1.
    novelty
        1 and above is unlike all labelled defects.
    by
        "machine", "person", the name of who gave the label, or "" where unknown.
    reasons
        A key of `REASONS` for each.
    purity
        What was wished.
    thresholds
        Per class, see `Threshold`.
    broken
        Sentences by position.
    provenance
        What the answers come from, for reports.
    """

    ids: list[str]
    classes: list[str | None]
    suggested: list[str | None]
    confidence: NDArray[np.float64]
    novelty: NDArray[np.float64]
    by: list[str]
    reasons: list[str]
    purity: float
    thresholds: dict[str, Threshold] = field(default_factory=dict)
    broken: dict[int, str] = field(default_factory=dict)
    provenance: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def by_machine(self) -> int:
        """How many the machine decided."""
        return self.by.count("machine")

    @property
    def for_people(self) -> int:
        """How many are left to people."""
        return sum(name is None for name in self.classes)

    @property
    def sentence(self) -> str:
        """Say the shares in a sentence."""
        n = max(1, len(self))
        people = len(self) - self.by_machine - self.for_people
        return (
            f"{len(self)} defects: {self.by_machine} decided "
            f"({100 * self.by_machine / n:.0f} %), {people} labelled by people, "
            f"{self.for_people} unknown ({100 * self.for_people / n:.0f} %), at a "
            f"wished purity of {100 * self.purity:g} %."
        )

    def counts(self) -> dict[str | None, int]:
        """Count defects per class, most first; None is unknown."""
        found: dict[str | None, int] = {}
        for name in self.classes:
            found[name] = found.get(name, 0) + 1
        return dict(sorted(found.items(), key=lambda item: -item[1]))


def decide(
    ids: Sequence[str],
    names: Sequence[str],
    probabilities: Floats | None,
    novelty: NDArray[np.float64],
    chosen: Sequence[Threshold],
    purity: float,
    given: dict[int, tuple[str, str]],
    broken: dict[int, str],
) -> Decisions:
    """Decide a lot from its answers; what people said counts more than the machine.

    Parameters
    ----------
    ids
        Of the defects.
    names
        Of the classes.
    probabilities
        (defects, classes), NaN rows where nothing could be read; None without a head.
    novelty
        Per defect.
    chosen
        Threshold per class.
    purity
        That they were chosen for.
    given
        Position to (class, who) of labels.
    broken
        Position to what is wrong with the pictures.
    """
    n = len(ids)
    classes: list[str | None] = [None] * n
    suggested: list[str | None] = [None] * n
    by, reasons = [""] * n, ["no labels"] * n
    confidence = np.zeros(n)
    if probabilities is not None:
        readable = np.asarray(np.isfinite(probabilities).all(1))
        safe = np.where(readable[:, None], probabilities, 0.0)
        said = safe.argmax(1)
        confidence = safe[np.arange(n), said]
        least = np.array([t.confidence for t in chosen])
        for k in range(n):
            if not readable[k]:
                reasons[k] = "broken"
                continue
            suggested[k] = names[said[k]]
            if novelty[k] >= 1:
                reasons[k] = "novel"
            elif confidence[k] < least[said[k]]:
                reasons[k] = "doubtful"
            else:
                classes[k], by[k], reasons[k] = names[said[k]], "machine", ""
    for k in broken:
        if classes[k] is None and suggested[k] is None:
            reasons[k] = "broken"
    for k, (name, who) in given.items():
        classes[k], by[k], reasons[k] = name, who, ""
    return Decisions(
        list(ids), classes, suggested, confidence, np.asarray(novelty, np.float64), by,
        reasons, purity, dict(zip(names, chosen, strict=True)), dict(broken),
    )  # fmt: skip
