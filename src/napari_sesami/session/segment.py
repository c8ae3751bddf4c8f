"""Labels by retrieval: every plane from a few strokes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.session.errors import SessionError
from napari_sesami.session.learning import SessionLearning, raising

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from napari_sesami.retrieve import Overlapping, Way

    Progress = Callable[[int, int], None]
    Cancelled = Callable[[], bool]


@dataclass(frozen=True)
class Segmentation:
    """Labels of the planes asked for.

    Attributes
    ----------
    planes
        Their numbers, in the order of the arrays.
    labels
        (n, y, x) uint8 class ids; 0 where the scan is masked, as on data bars.
    votes
        (n, y, x, C) float32 probabilities; channel k is class k + 1.
    novelty
        (n, y, x) float32; high where nothing like it was painted.
    multi
        (n, y, x, C) bool if classes may overlap: each class by itself.
    thresholds
        (C,) of the votes for each class, chosen by leaving out strokes, if so.
    way
        How the strokes were used.
    """

    planes: tuple[int, ...]
    labels: NDArray[np.uint8]
    votes: NDArray[np.float32]
    novelty: NDArray[np.float32]
    multi: NDArray[np.bool_] | None = None
    thresholds: NDArray[np.float64] | None = None
    way: Way = "ours"


class SessionSegment(SessionLearning):
    """Segmenting by retrieval, on top of what can be painted."""

    _overlap: bool | None = None

    @property
    def overlap(self) -> bool:
        """Whether classes may overlap: painting over a stroke keeps what is below."""
        if self._overlap is None:
            below = self._work.layers["below"]
            return any(below.read(plane).any() for plane in below.planes)
        return self._overlap

    @overlap.setter
    def overlap(self, on: bool) -> None:
        self._overlap = bool(on)

    def segment(
        self,
        planes: Iterable[int] | int | None = None,
        *,
        way: Way = "ours",
        multi: bool | None = None,
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
        way
            "ours", or one of the published ways as published: "distance" and
            "attention" (AOI-SSL), "histogram" (Hummingbird). Neighbours and
            temperature are chosen by leaving out one stroke at a time.
        multi
            Find every class by itself, so that classes may overlap; as `overlap`
            unless given.
        zoom
            Scale at which the scan is read; by default the one at which strokes are
            told apart best.
        refine
            Sharpen along image edges and with the grey levels of the strokes.
        progress, cancelled
            `progress(done, all)` counts planes; a cancelled call raises.
        """
        from napari_sesami.retrieve import overlapping
        from napari_sesami.retrieve.methods import check_way

        check_way(way)
        wanted = self._planes_asked(planes)
        both = self.overlap if multi is None else multi
        retriever = self.retriever(zoom, cancelled, overlap=both)
        check = raising(cancelled)
        parts, masks = [], []
        for i, plane in enumerate(wanted):
            self._tokens(retriever.store, plane, cancelled)
            said = retriever.segment(plane, refine=refine, way=way, check=check)
            parts.append(said)
            if both:
                masks.append(
                    overlapping(retriever, plane, way=way, refine=refine, check=check)
                )
            if progress is not None:
                progress(i + 1, len(wanted))
        found = Segmentation(
            tuple(wanted),
            np.stack([p.labels for p in parts]),
            np.stack([p.votes for p in parts]),
            np.stack([p.novelty for p in parts]),
            way=way,
        )
        return _with_masks(found, masks) if masks else found

    def preview(
        self,
        plane: int,
        tokens: NDArray[np.float32],
        known: NDArray[np.bool_],
        zoom: float = 1.0,
    ) -> NDArray[np.uint8] | None:
        """Label the part of a plane that was read already, while the rest is to come.

        Parameters
        ----------
        plane, zoom
            Which plane, and the scale at which it is read.
        tokens, known
            (h, w, D) as far as they are known, and where that is, (h, w).

        Returns
        -------
        ndarray or None
            (y, x) class ids, 0 where nothing is known; None if no stroke is there.
        """
        from napari_sesami.retrieve import PartialStore, Retriever

        store = PartialStore(self._store(zoom), plane, tokens)
        found = Retriever(store, self._top_class())
        p, shape = store.patch, self.scan.plane_shape
        seen = known.repeat(p, 0).repeat(p, 1)[: shape[0], : shape[1]]
        if self._taught is not None:
            found.teach(self._taught[0], self._top_class())
        for number, classes, owners in self._stroke_planes():
            if store.ready(number):
                here = np.where(seen, classes, 0) if number == plane else classes
                found.set_strokes(number, here, owners)
        if len(found.bank) == 0:
            return None
        return np.where(seen, found.quick(plane), 0).astype(np.uint8)

    # --- inside

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


def _with_masks(found: Segmentation, masks: list[Overlapping]) -> Segmentation:
    """Let the likeliest of the overlapping classes be the label."""
    votes = np.stack([m.votes for m in masks])
    labels = (votes.argmax(-1) + 1).astype(np.uint8)
    return replace(
        found,
        labels=np.where(found.labels > 0, labels, 0).astype(np.uint8),
        votes=votes,
        multi=np.stack([m.masks for m in masks]),
        thresholds=masks[0].thresholds,
    )
