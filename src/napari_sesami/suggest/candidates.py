"""Candidates: a table of regions with what maps say of each, gathered plane by plane.

Maps of one plane are in memory at a time; what stays is a row of numbers per region,
and at most `most` rows, so that a volume of any height costs the same memory.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.suggest.regions import Query

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_sesami.suggest.regions import Kind

MOST = 20_000  # rows that a table keeps
BLOCK = 4  # pixels: a peak is the mean of a block, so that one noisy pixel is none


@dataclass(frozen=True)
class PlaneMaps:
    """What is known of one plane; only `regions` is needed.

    Attributes
    ----------
    plane
        Its number.
    regions
        (H, W) int32 from 1 on; 0 is not asked about.
    p
        (H, W, C) probabilities or votes; None before there are any.
    novelty
        (H, W) in [0, 1], high where nothing like it is labelled.
    tokens
        (h, w, D) of the whole plane.
    labelled
        (H, W), True where a label is known.
    disagreement
        (H, W) in [0, 1], high where several answers contradict each other.
    """

    plane: int
    regions: NDArray[np.int32]
    p: NDArray[np.float32] | None = None
    novelty: NDArray[np.float32] | None = None
    tokens: NDArray[np.float32] | None = None
    labelled: NDArray[np.bool_] | None = None
    disagreement: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Candidates:
    """Regions that may be asked about, one row each.

    Attributes
    ----------
    kind
        What they are.
    plane, number, bbox, size
        (N,) plane, (N,) number in the plane's regions, (N, 4) box, (N,) pixels.
    shares
        (N, C) mean probabilities.
    entropy, margin, bvsb
        (N,) means over the region.
    bald
        (N,) mean disagreement of several answers; NaN if there was one only.
    heat, peak
        (N, C) entropy × probability: its mean and its highest block.
    novelty, novel
        (N,) mean and highest block.
    tokens
        (N, D) mean token of length one; D is 0 if there were none.
    oddest
        (N, D) the token where novelty is highest; as `tokens` if there is no novelty.
    drawn
        (N,) whether the row is part of a fair draw from all regions.
    predicted
        (C,) pixels per predicted class, of all planes.
    """

    kind: Kind
    plane: NDArray[np.int32]
    number: NDArray[np.int32]
    bbox: NDArray[np.int32]
    size: NDArray[np.float32]
    shares: NDArray[np.float32]
    entropy: NDArray[np.float32]
    margin: NDArray[np.float32]
    bvsb: NDArray[np.float32]
    bald: NDArray[np.float32]
    heat: NDArray[np.float32]
    peak: NDArray[np.float32]
    novelty: NDArray[np.float32]
    novel: NDArray[np.float32]
    tokens: NDArray[np.float32]
    oddest: NDArray[np.float32]
    drawn: NDArray[np.bool_]
    predicted: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.plane)

    @property
    def n_classes(self) -> int:
        """How many classes the maps have; 0 before there are any maps."""
        return int(self.shares.shape[1])

    @property
    def looks_like(self) -> NDArray[np.int64]:
        """The likeliest class id of each region; 0 before there are maps."""
        if self.n_classes == 0:
            return np.zeros(len(self), np.int64)
        return self.shares.argmax(1) + 1

    def take(self, index: Any) -> Candidates:
        """Rows at an index array or bool mask."""
        rows: dict[str, Any] = {name: getattr(self, name)[index] for name in ROWS}
        return replace(self, **rows)

    def queries(
        self,
        chosen: Sequence[int] | NDArray[np.int64],
        scores: Sequence[float] | NDArray[np.float64],
        regions: Callable[[int], NDArray[np.int32]] | None = None,
        weights: NDArray[np.float64] | None = None,
    ) -> list[Query]:
        """Make queries of chosen rows.

        Parameters
        ----------
        chosen, scores
            Rows, best first, and what each scored.
        regions
            Gives the regions of a plane again, for the outlines; None asks for boxes.
        weights
            Class weights for the part that rareness has.
        """
        cache: dict[int, NDArray[np.int32]] = {}
        out = []
        for row, score in zip(np.asarray(chosen, int), scores, strict=True):
            plane = int(self.plane[row])
            if regions is not None and plane not in cache:
                cache[plane] = regions(plane)
            out.append(self._query(row, float(score), cache.get(plane), weights))
        return out

    def _query(
        self,
        row: int,
        score: float,
        regions: NDArray[np.int32] | None,
        weights: NDArray[np.float64] | None,
    ) -> Query:
        y0, x0, y1, x1 = (int(k) for k in self.bbox[row])
        segment = None
        if regions is not None:
            segment = regions[y0:y1, x0:x1] == self.number[row]
        rare = 0.0
        if weights is not None and self.n_classes and weights.max() > 1:
            expected = float(self.shares[row] @ weights)
            rare = (expected - 1) / (float(weights.max()) - 1)
        return Query(
            int(self.plane[row]),
            (y0, x0, y1, x1),
            score=score,
            uncertainty=float(self.entropy[row]),
            rareness=float(np.clip(rare, 0, 1)),
            novelty=float(self.novelty[row]),
            class_id=int(self.looks_like[row]),
            kind=self.kind,
            segment=None if segment is None or segment.all() else segment,
        )


ROWS = (
    "plane",
    "number",
    "bbox",
    "size",
    "shares",
    "entropy",
    "margin",
    "bvsb",
    "bald",
    "heat",
    "peak",
    "novelty",
    "novel",
    "tokens",
    "oddest",
    "drawn",
)
