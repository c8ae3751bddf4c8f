"""Labels by retrieval, and where a label would teach most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.session.errors import SessionError
from napari_sesami.session.finish import SessionFinish
from napari_sesami.session.superpixels import SessionSuperpixels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from napari_sesami.suggest import Kind, PlaneMaps, Query

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
        strategy: str = "rare",
        seed: int = 0,
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
            "superpixel", "patch" for squares of 128 pixels, or "slice".
        strategy
            Name in `suggest.STRATEGIES`; one that was made for another kind of region
            asks for that.
        seed
            Of what is drawn by lot.
        cancelled
            Asked now and then; a cancelled call raises.
        """
        from napari_sesami import suggest as room

        if kind not in ("superpixel", "patch", "slice"):
            raise SessionError(
                f'kind is "superpixel", "patch" or "slice"; {kind!r} was given.'
            )
        if strategy not in room.STRATEGIES:
            raise SessionError(
                f"A strategy is one of {', '.join(room.STRATEGIES)}; {strategy!r} was "
                "given."
            )
        chosen_by = room.STRATEGIES[strategy]
        kind = chosen_by.kind or kind
        pool = self._pool() if planes is None else self._planes_asked(planes)
        maps = (self._plane_maps(plane, kind, cancelled) for plane in pool)
        table = room.gather(maps, kind, seed=seed)
        labelled = self._painted(table.n_classes)
        state = room.State(labelled, self._painted_tokens())
        rows, scores = chosen_by.choose(table, n, state, seed)
        weights = room.class_weights(table.predicted, labelled)
        order = np.argsort(-scores, kind="stable")
        return table.queries(
            rows[order], scores[order], lambda p: self._regions(p, kind), weights
        )

    # --- inside

    def _plane_maps(
        self, plane: int, kind: Kind, cancelled: Cancelled | None
    ) -> PlaneMaps:
        """What retrieval says of a plane, and what is painted there."""
        from napari_sesami import suggest as room

        found = self.segment(plane, cancelled=cancelled, refine=False)
        return room.PlaneMaps(
            plane,
            self._regions(plane, kind),
            found.votes[0],
            np.minimum(found.novelty[0], 1),
            self.retriever().store.plane(plane),
            np.asarray(self._work.layers["strokes"].read(plane)) > 0,
        )

    def _painted_tokens(self, most: int = 2000) -> NDArray[np.float32]:
        """Tokens of what is painted, evenly thinned."""
        tokens = np.asarray(self.retriever().bank.rows().tokens, np.float32)
        return tokens[:: max(1, len(tokens) // most)]

    def _regions(self, plane: int, kind: Kind) -> NDArray[np.int32]:
        from napari_sesami import suggest as room

        if kind == "patch":
            return room.patches(self.scan.plane_shape)
        if kind == "slice":
            return room.slices(self.scan.plane_shape)
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
