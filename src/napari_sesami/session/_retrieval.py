"""Labels by retrieval, and where a label would teach most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.session._errors import SessionError
from napari_sesami.session._finish import SessionFinish
from napari_sesami.session._superpixels import SessionSuperpixels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from napari_sesami.suggest import Kind, Query

    Progress = Callable[[int, int], None]
    Cancelled = Callable[[], bool]

POOL = 16  # planes that are searched for queries unless the caller names them
SUPERPIXEL = 24  # pixels


class SessionRetrieval(SessionSuperpixels, SessionFinish):
    """Where a label would teach most, on top of segmenting."""

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
