"""Queries in the queue, and their answers, as they are kept on disk."""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_sesami.common.checked import inflated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from napari_sesami.project import ClassTable
    from napari_sesami.suggest import Kind, Query

How = Literal["accepted", "changed", "painted", "skipped"]
WHOLE = ("superpixel", "mask")  # kinds of regions that have one class
RIM = 12  # the rim of a region is this part of its side
LEAST_CORE = 0.4  # of its pixels
NEW = 0.2  # from which a reason says so
MEASURES = {
    "margin": "margin {0:.2f}",
    "entropy": "entropy {1:.2f}",
    "bvsb": "second ÷ best {1:.2f}",
}


@dataclass(frozen=True)
class QuerySettings:
    """What is asked for.

    Attributes
    ----------
    kind
        "superpixel", "patch" (128 pixels), "slice", or "mask" of the prompt model.
    strategy
        Name in `suggest.STRATEGIES`.
    stratified
        Share the list out over the classes, with noise that falls (ClaSP PE).
    n
        Length of the list.
    planes
        Where to look; None takes up to 16 planes spread over the scan.
    zoom
        Scale at which the scan is read; None chooses it from the strokes.
    seed
        Of everything that is drawn.
    """

    kind: Kind = "superpixel"
    strategy: str = "rare"
    stratified: bool = False
    n: int = 24
    planes: tuple[int, ...] | None = None
    zoom: float | None = None
    seed: int = 0


@dataclass(frozen=True)
class Budget:
    """How much the user is ready to give; 0 means no end."""

    clicks: int = 100
    seconds: int = 0


@dataclass(frozen=True)
class QueuedQuery:
    """One query of the queue.

    Attributes
    ----------
    id
        Given once, never again.
    query
        The region, its scores and the class that it looks like.
    measure
        Which uncertainty was measured: "margin", "entropy", "bvsb", or "" for none.
    control
        Whether it was drawn at random, to compare with.
    rare
        A rare class that the region may be, or 0.
    """

    id: int
    query: Query
    measure: str = "margin"
    control: bool = False
    rare: int = 0

    @property
    def center(self) -> tuple[float, float]:
        """Middle of the box, (y, x) in data pixels."""
        y0, x0, y1, x1 = self.query.bbox
        return (y0 + y1 - 1) / 2, (x0 + x1 - 1) / 2

    def reason(self, classes: ClassTable) -> str:
        """Why it is asked, in a few words."""
        query = self.query
        if self.control:
            return "drawn at random, to compare with"
        words = []
        if self.measure in MEASURES:
            u = query.uncertainty
            words.append(MEASURES[self.measure].format(1 - u, u))
        found = classes.get(query.class_id)
        if found is None:
            words.append("its class was deleted")
        else:
            rare = self.rare and self.rare == query.class_id
            like = "looks like " if query.kind in ("superpixel", "mask") else "mostly "
            words.append(("rare class " if rare else like) + found.name)
        maybe = classes.get(self.rare) if self.rare != query.class_id else None
        if maybe is not None:
            words.append(f"perhaps rare {maybe.name}")
        if query.novelty >= NEW:
            words.append("unlike all strokes")
        return " · ".join(words)

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        q = self.query
        more = {"measure": self.measure, "control": self.control, "rare": self.rare}
        values = {
            "plane": q.plane,
            "bbox": list(q.bbox),
            "score": q.score,
            "uncertainty": q.uncertainty,
            "rareness": q.rareness,
            "novelty": q.novelty,
            "class": q.class_id,
            "kind": q.kind,
            "segment": _packed(q),
        }
        return {"id": self.id, **more, **values}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> QueuedQuery:
        """Read what `to_dict` wrote."""
        from napari_sesami.suggest import Query

        y0, x0, y1, x1 = (int(v) for v in data["bbox"])
        query = Query(
            int(data["plane"]),
            (y0, x0, y1, x1),
            score=float(data["score"]),
            uncertainty=float(data["uncertainty"]),
            rareness=float(data["rareness"]),
            novelty=float(data["novelty"]),
            class_id=int(data["class"]),
            kind=data["kind"],
        )
        if data["segment"] is not None:
            size = (y1 - y0) * (x1 - x0)
            bits = inflated(base64.b85decode(data["segment"]), -(-size // 8))
            flat = np.unpackbits(np.frombuffer(bits, np.uint8))
            segment = flat[:size].reshape(y1 - y0, x1 - x0).astype(bool)
            query = replace(query, segment=segment)
        more = data["measure"], bool(data["control"]), int(data.get("rare", 0))
        return cls(int(data["id"]), query, *more)


def _packed(query: Query) -> str | None:
    if query.segment is None:
        return None
    bits = np.packbits(query.segment).tobytes()
    return base64.b85encode(zlib.compress(bits)).decode()


@dataclass(frozen=True)
class Answer:
    """What was said to a query, and what that cost.

    Attributes
    ----------
    entry
        The query.
    how
        "accepted" (the class it looks like), "changed" (another class), "painted" or
        "skipped".
    class_id
        The class that the whole region got; 0 if it was painted or skipped.
    clicks, seconds
        What it cost.
    """

    entry: QueuedQuery
    how: How
    class_id: int
    clicks: float
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        cost = {"clicks": self.clicks, "seconds": round(self.seconds, 2)}
        said = {"how": self.how, "class": self.class_id}
        return {**said, **cost, "entry": self.entry.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Answer:
        """Read what `to_dict` wrote."""
        entry = QueuedQuery.from_dict(data["entry"])
        cost = float(data["clicks"]), float(data["seconds"])
        return cls(entry, data["how"], int(data["class"]), *cost)


def core(query: Query) -> NDArray[np.bool_]:
    """The region without its rim, whose pixels may belong to the neighbours (h, w).

    Borders of superpixels are right to a pixel or two. Small and thin regions, patches
    and slices are taken whole.
    """
    mask = query.mask
    if query.kind not in WHOLE:
        return mask
    from scipy.ndimage import binary_erosion

    steps = round(float(np.sqrt(mask.sum())) / RIM)
    if steps < 1:
        return mask
    inner = binary_erosion(np.pad(mask, 1), iterations=steps)[1:-1, 1:-1]
    return inner if inner.sum() >= LEAST_CORE * mask.sum() else mask
