"""What a person should look at: suspects, look-alikes, and a queue with a control."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.classify.decide import share_text, wilson
from napari_sesami.classify.errors import ClassifyError
from napari_sesami.classify.groups import TWIN
from napari_sesami.classify.model import ORDINARY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_sesami.classify.classifier import Classifier
    from napari_sesami.classify.decide import Decisions

CONTROL = 0.05
"""Share of the decided ones that the queue asks about anyway, at random."""


@dataclass(frozen=True)
class Suspect:
    """A label that heads which never saw it contradict.

    Attributes
    ----------
    id
        The defect.
    label, said
        What it was called, and what the heads say.
    confidence
        Of what they say.
    """

    id: str
    label: str
    said: str
    confidence: float


def suspects(classifier: Classifier) -> list[Suspect]:
    """Find labels that are probably wrong, the surest first.

    Another class answers with more than half of the confidence, and the given class
    with less than its members get on average.
    """
    model = classifier.model
    if model is None:
        return []
    held, labels, names = model.held, model.labels, model.classes
    own = held[np.arange(len(labels)), labels]
    usual = np.array([own[labels == k].mean() for k in range(len(names))])
    said = held.argmax(1)
    sure = held[np.arange(len(labels)), said]
    hit = (said != labels) & (sure > 0.5) & (own < usual[labels])
    ids = classifier.matrix().ids
    order = np.flatnonzero(hit)[np.argsort(-(sure - own)[hit], kind="stable")]
    return [
        Suspect(ids[k], names[labels[k]], names[said[k]], float(sure[k])) for k in order
    ]


def similar(classifier: Classifier, name: str, n: int = 10) -> list[tuple[str, float]]:
    """Give the defects most like one, the nearest first, with their distances."""
    places = classifier.places
    at = classifier.lot.position(name)
    if not np.isfinite(places[at]).all():
        raise ClassifyError(
            f"The picture of {name} cannot be read: nothing is like it."
        )
    away = np.sqrt(((places - places[at]) ** 2).sum(1))
    away[at] = np.inf
    order = np.argsort(np.nan_to_num(away, nan=np.inf), kind="stable")[:n]
    defects = classifier.lot.defects
    return [(defects[k].id, float(away[k])) for k in order if np.isfinite(away[k])]


def contradictions(classifier: Classifier) -> list[tuple[str, str]]:
    """Find labelled defects that look the same and have different labels."""
    labels, places = classifier.labels, classifier.places
    at = [k for k, d in enumerate(classifier.lot.defects) if d.id in labels]
    at = [k for k in at if np.isfinite(places[k]).all()]
    if len(at) < 2:
        return []
    names = [classifier.lot.defects[k].id for k in at]
    unit = places[at] / (np.linalg.norm(places[at], axis=1, keepdims=True) + 1e-9)
    found = []
    for start in range(0, len(unit), 1024):
        likeness = unit[start : start + 1024] @ unit.T
        for i, j in zip(*np.nonzero(likeness > TWIN), strict=True):
            a, b = names[start + i], names[j]
            if start + i < j and labels[a][0] != labels[b][0]:
                found.append((a, b))
    return found


@dataclass(frozen=True)
class ReviewQueue:
    """What to look at next, in order.

    Attributes
    ----------
    ids
        Names of defects.
    control
        Those of them that were drawn at random from the decided ones.
    saved
        Defects that need no look at this purity.
    """

    ids: tuple[str, ...]
    control: frozenset[str]
    saved: int


def review_queue(
    classifier: Classifier,
    decisions: Decisions,
    n: int = 50,
    control: float = CONTROL,
    seed: int = 0,
) -> ReviewQueue:
    """Queue the unknown, class by class in turn, and a random share of the decided.

    Of each suggested class those come first whose two best answers are nearest to each
    other; the novel ones take a turn of their own.
    """
    table, _ = classifier.answers
    ids = decisions.ids
    open_ones = [
        k for k, name in enumerate(decisions.classes)
        if name is None and decisions.reasons[k] != "broken"
    ]  # fmt: skip
    decided = [k for k, who in enumerate(decisions.by) if who == "machine"]
    rng = np.random.default_rng(seed)
    drawn = rng.permutation(decided)[: round(control * len(decided))]
    if table is None:
        margins = rng.random(len(ids))
    else:
        top = np.sort(np.nan_to_num(table), axis=1)
        margins = top[:, -1] - top[:, -2]
    turns: dict[str, list[int]] = {}
    for k in sorted(open_ones, key=lambda k: (margins[k], k)):
        novel = decisions.reasons[k] == "novel"
        turns.setdefault("novel" if novel else str(decisions.suggested[k]), []).append(
            k
        )
    # the control is spread evenly over what is asked
    queue: list[int] = []
    waiting, drawn_left = [list(t) for t in turns.values()], list(map(int, drawn))
    every = max(1, round(1 / control)) if control > 0 else 0
    while waiting and len(queue) < n:
        for turn in waiting:
            queue.append(turn.pop(0))
            if every and drawn_left and len(queue) % every == every - 1:
                queue.append(drawn_left.pop(0))
        waiting = [turn for turn in waiting if turn]
    while drawn_left and len(queue) < n:
        queue.append(drawn_left.pop(0))
    queue = queue[:n]
    chosen = set(map(int, drawn))
    return ReviewQueue(
        tuple(ids[k] for k in queue),
        frozenset(ids[k] for k in queue if k in chosen),
        len(decided) - len(chosen),
    )


def control_share(
    decisions: Decisions, answers: dict[str, str]
) -> tuple[int, int, tuple[float, float]]:
    """Count how many control answers agree with the machine, with their interval."""
    at = {name: k for k, name in enumerate(decisions.ids)}
    asked = [k for k in answers if k in at and decisions.by[at[k]] == "machine"]
    agree = sum(decisions.classes[at[k]] == answers[k] for k in asked)
    return agree, len(asked), wilson(agree, len(asked))


@dataclass(frozen=True)
class LotDrift:
    """How much of a lot is unlike all labelled defects.

    Attributes
    ----------
    lot
        Its name.
    novel, of
        Such defects, of how many.
    low, high
        95 % interval of their share.
    """

    lot: str
    novel: int
    of: int
    low: float
    high: float

    @property
    def is_new(self) -> bool:
        """Whether more is novel than among the labels' own lots."""
        return self.low > 1 - ORDINARY


def drift(classifier: Classifier) -> dict[str, LotDrift]:
    """Give per lot how many defects are unlike all labelled ones; empty before ten."""
    model = classifier.model
    if model is None or not np.isfinite(model.limit):
        return {}
    _, novelty = classifier.answers
    found: dict[str, list[bool]] = {}
    for defect, value in zip(classifier.lot.defects, novelty, strict=True):
        found.setdefault(defect.lot, []).append(value >= 1)
    return {
        lot: LotDrift(lot, sum(v), len(v), *wilson(sum(v), len(v)))
        for lot, v in found.items()
    }


def drift_sentence(found: Iterable[LotDrift]) -> str:
    """Say which lots are unlike what was labelled; empty if none is."""
    new = sorted((d for d in found if d.is_new), key=lambda d: -d.low)
    if not new:
        return ""
    most = new[0]
    others = f" and {len(new) - 1} more lots" if len(new) > 1 else ""
    usual = 100 * (1 - ORDINARY)
    return (
        f"In {most.lot or 'the lot'}{others}, {share_text(most.novel, most.of)} are "
        f"unlike all labelled ones, where {usual:.0f} % are usual: label some of them."
    )
