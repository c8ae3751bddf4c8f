"""What is known of a plane that was labelled by strokes, and how it was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from napari_sesami.retrieve import (
        Contradiction,
        Labelled,
        Method,
        Reason,
        Retriever,
    )
    from napari_sesami.scan import Scan

PICTURE = 96  # pixels of the scan


@dataclass(frozen=True)
class ReadOptions:
    """How the strokes are read.

    Attributes
    ----------
    zoom
        Scale at which the scan is read; None is the one at which strokes are told
        apart best.
    off
        Strokes that are switched off.
    refine
        Whether borders are sharpened along edges of the image.
    method
        Ours, or one of the published methods.
    overlap
        Whether classes may overlap: each is found by itself.
    votes
        Whether votes, margin and novelty are wanted, too.
    near
        Pixel (y, x) whose surroundings are read first.
    """

    zoom: float | None = None
    off: frozenset[int] = frozenset()
    refine: bool = True
    method: Method = "ours"
    overlap: bool = False
    votes: bool = False
    near: tuple[float, float] | None = None


@dataclass(frozen=True)
class StrokeFacts:
    """A stroke as the bank knows it; `worth` is NaN until it was judged."""

    stroke: int
    class_id: int
    plane: int
    patches: int
    worth: float = float("nan")


@dataclass(frozen=True)
class PlaneLabels:
    """Labels of one plane and what is known besides.

    Attributes
    ----------
    plane, labels
        Its number, and (y, x) uint8 class ids.
    strokes
        What the bank holds.
    classes
        How many classes spoke.
    seconds
        That it took.
    masks
        (y, x, C) bool if classes may overlap.
    said
        Votes, margin and novelty, if they were wanted.
    told
        What was chosen or left out, in sentences.
    against
        Names of two strokes that say different things of what looks the same.
    """

    plane: int
    labels: NDArray[np.uint8]
    strokes: tuple[StrokeFacts, ...]
    classes: int
    seconds: float
    masks: NDArray[np.bool_] | None = None
    said: Labelled | None = None
    told: str = ""
    against: tuple[int, ...] = ()


@dataclass(frozen=True)
class Why:
    """A reason with its picture (n, n) uint8, or None if it comes from a bank."""

    reason: Reason
    picture: NDArray[np.uint8] | None


@dataclass(frozen=True)
class Explanation:
    """Why a pixel has its class.

    Attributes
    ----------
    shares
        How likely each class is there, by its id, the likeliest first; they add up to
        one.
    strokes
        The strokes behind it, the strongest first, with their shares of all votes.
        Grey values and edges speak too, so a class may be likelier than its strokes
        alone make it.
    """

    shares: dict[int, float]
    strokes: list[Why]


def stroke_facts(retriever: Retriever) -> tuple[StrokeFacts, ...]:
    """Everything that is in the bank, stroke by stroke."""
    out = []
    for stroke, rows in retriever.bank:
        flat = rows.patches[0].ravel()
        class_id = int(flat[flat != 255][0])
        out.append(StrokeFacts(stroke, class_id, int(rows.where[0, 0]), len(rows)))
    return tuple(out)


def at_odds(retriever: Retriever, how: ReadOptions) -> list[Contradiction]:
    """The two strokes that contradict each other most clearly, if any do."""
    from napari_sesami.retrieve import contradictions

    if how.overlap or not how.refine:  # classes that overlap may look the same
        return []
    return contradictions(retriever.voters.rows(), retriever.n_classes)[:1]


def told_of(retriever: Retriever, how: ReadOptions, against: Sequence[str]) -> str:
    """What leaving out strokes chose, what is at odds, what a large bank leaves out.

    `against` says in words which strokes contradict each other.
    """
    lines = []
    if how.overlap and how.method in retriever.overlap_choices:
        limits = retriever.overlap_choices[how.method][1].thresholds
        lines.append("Thresholds " + ", ".join(f"{t:.2f}" for t in limits) + ".")
    elif how.method != "ours":
        chosen = retriever.settings(how.method)
        heat = "" if how.method == "distance" else f", temperature {chosen.beta:g}"
        lines.append(f"Chosen by left-out strokes: {chosen.k} neighbours{heat}.")
    if against:
        lines.append(
            f"The strokes of {' and '.join(against)} say different things of places "
            "that look the same: look at both. The list marks them."
        )
    if retriever.voters.condensed is not None:
        lines.append(retriever.voters.condensed.sentence)
    if retriever.store.trouble:
        lines.append(retriever.store.trouble)
    return "\n".join(lines)


def with_pictures(reasons: Collection[Reason], scan: Scan) -> list[Why]:
    """Show the surroundings of the patch of each reason, with a frame around it."""
    greys = {p: scan.grey(p) for p in {r.plane for r in reasons} if p >= 0}
    found = []
    for reason in reasons:
        grey = greys.get(reason.plane)
        if grey is None:
            found.append(Why(reason, None))
            continue
        y0, x0, y1, x1 = reason.bbox
        side = min(PICTURE, *grey.shape)
        y = int(np.clip((y0 + y1 - side) // 2, 0, grey.shape[0] - side))
        x = int(np.clip((x0 + x1 - side) // 2, 0, grey.shape[1] - side))
        out = (255 * grey[y : y + side, x : x + side].clip(0, 1)).astype(np.uint8)
        edge = np.zeros(out.shape, bool)
        edge[max(0, y0 - y - 2) : y1 - y + 2, max(0, x0 - x - 2) : x1 - x + 2] = True
        edge[max(0, y0 - y) : y1 - y, max(0, x0 - x) : x1 - x] = False
        out[edge] = 255 if out.mean() < 160 else 0
        found.append(Why(reason, np.ascontiguousarray(out)))
    return found
