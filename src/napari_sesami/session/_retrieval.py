"""Labels by retrieval, and where a label would teach most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.session._errors import SessionError
from napari_sesami.session._learning import SessionLearning
from napari_sesami.session._superpixels import SessionSuperpixels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from napari_sesami.suggest import Kind, Query

    Progress = Callable[[int, int], None]
    Cancelled = Callable[[], bool]

POOL = 16  # planes that are searched for queries unless the caller names them
SUPERPIXEL = 24  # pixels


@dataclass(frozen=True)
class Segmentation:
    """Labels of the planes asked for.

    Attributes
    ----------
    planes
        Their numbers, in the order of the arrays.
    labels
        (n, y, x) uint8 class ids.
    votes
        (n, y, x, C) float32 probabilities; channel k is class k + 1.
    novelty
        (n, y, x) float32; high where nothing like it was painted.
    """

    planes: tuple[int, ...]
    labels: NDArray[np.uint8]
    votes: NDArray[np.float32]
    novelty: NDArray[np.float32]


class SessionRetrieval(SessionSuperpixels, SessionLearning):
    """Segmenting by retrieval, on top of what can be painted."""

    def segment(
        self,
        planes: Iterable[int] | int | None = None,
        *,
        zoom: float | None = None,
        refine: bool = True,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> Segmentation:
        """Label planes by what is painted anywhere in the scan.

        Parameters
        ----------
        planes
            Numbers of planes; by default those with strokes.
        zoom
            Scale at which the scan is read; by default the one at which strokes are
            told apart best.
        refine
            Sharpen along image edges and with the grey levels of the strokes.
        progress, cancelled
            `progress(done, all)` counts planes; a cancelled call raises.
        """
        wanted = self._planes_asked(planes)
        retriever = self.retriever(zoom, cancelled)
        parts = []
        for i, plane in enumerate(wanted):
            self._tokens(retriever.store, plane, cancelled)
            parts.append(retriever.segment(plane, refine=refine))
            if progress is not None:
                progress(i + 1, len(wanted))
        return Segmentation(
            tuple(wanted),
            np.stack([p.labels for p in parts]),
            np.stack([p.votes for p in parts]),
            np.stack([p.novelty for p in parts]),
        )

    def suggest(
        self,
        n: int = 10,
        planes: Iterable[int] | None = None,
        *,
        kind: Kind = "superpixel",
        cancelled: Cancelled | None = None,
    ) -> list[Query]:
        """Where a label would teach most: ranked regions that do not overlap.

        Parameters
        ----------
        n
            How many.
        planes
            Where to look; by default up to 16 planes spread over the scan.
        kind
            "superpixel", or "patch" for squares of 128 pixels.
        cancelled
            Asked now and then; a cancelled call raises.
        """
        from napari_sesami import suggest as room

        if kind not in ("superpixel", "patch"):
            raise SessionError(f'kind is "superpixel" or "patch"; {kind!r} was given.')
        pool = self._pool() if planes is None else self._planes_asked(planes)
        maps = {p: self.segment(p, cancelled=cancelled, refine=False) for p in pool}
        classes = max(m.votes.shape[-1] for m in maps.values())
        predicted = np.zeros(classes)
        for found in maps.values():
            predicted += np.bincount(found.labels.ravel(), minlength=classes + 1)[1:]
        labelled = self._painted(classes)
        queries: list[Query] = []
        for plane, found in maps.items():
            votes, novelty = found.votes[0], found.novelty[0]
            scores = room.score(votes, novelty, predicted=predicted, labelled=labelled)
            done = np.asarray(self._work.layers["strokes"].read(plane)) > 0
            regions = self._regions(plane, kind)
            ranked = room.score_regions(scores, votes, regions, plane, kind, done)
            queries += ranked[: 4 * n]  # overlapping ones drop out below
        return room.spread(queries, n)

    # --- inside

    def _regions(self, plane: int, kind: Kind) -> NDArray[np.int32]:
        from napari_sesami import suggest as room

        if kind == "patch":
            return room.patches(self.scan.plane_shape)
        return self.superpixels(plane, scale=SUPERPIXEL)

    def _planes_asked(self, planes: Iterable[int] | int | None) -> list[int]:
        if planes is None:
            return [plane for plane, *_ in self._stroke_planes()] or [0]
        wanted = [planes] if isinstance(planes, int | np.integer) else list(planes)
        bad = [p for p in wanted if not 0 <= int(p) < self.scan.n_planes]
        if bad or not wanted:
            raise SessionError(
                f"{self.scan.name} has planes 0 to {self.scan.n_planes - 1}; "
                f"{bad[0] if bad else 'none'} was asked for."
            )
        return [int(p) for p in wanted]

    def _pool(self) -> list[int]:
        n = self.scan.n_planes
        return sorted({round(i) for i in np.linspace(0, n - 1, min(n, POOL))})

    def _painted(self, classes: int) -> NDArray[np.float64]:
        """Painted pixels per class."""
        total = np.zeros(classes)
        for _, strokes, _ in self._stroke_planes():
            total += np.bincount(strokes.ravel(), minlength=classes + 1)[
                1 : classes + 1
            ]
        return total
