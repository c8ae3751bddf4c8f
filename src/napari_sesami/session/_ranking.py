"""Ranking: a scan's planes are scored one by one; regions stay, maps do not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_sesami.session._errors import SessionError
from napari_sesami.session._regions import Pool, make_regions, mix_of, never

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_sesami.session._entries import Entry
    from napari_sesami.session._session import Session
    from napari_sesami.suggest import Kind, Query, Scores

    Cancelled = Callable[[], bool]
    Maps = tuple[NDArray[np.float32], NDArray[np.float32] | None]
    Source = Callable[[int], Maps]
    Heat = dict[str, NDArray[np.float32]]
    Step = tuple[Literal["count", "score"], int]

Score = Literal[
    "combined", "entropy", "margin", "bvsb", "rareness", "novelty", "impurity"
]
SCORES: tuple[Score, ...] = (
    "combined",
    "entropy",
    "margin",
    "bvsb",
    "rareness",
    "novelty",
    "impurity",
)
POOL, MASK_POOL = 16, 2  # planes that are looked at unless the caller names them
PER_PLANE = 4  # times the wanted number is kept of a plane; overlaps drop out later


@dataclass(frozen=True)
class Wish:
    """What is asked for.

    Attributes
    ----------
    kind
        "superpixel", "patch" (128 pixels), "slice", or "mask" of the prompt model.
    strategy
        One of `session.queue.strategies`.
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
    strategy: str = "rareness-aware"
    stratified: bool = False
    n: int = 24
    planes: tuple[int, ...] | None = None
    zoom: float | None = None
    seed: int = 0


class Ranking:
    """Scores a pool of planes, in steps that may be taken one by one.

    Parameters
    ----------
    session
        Scan, strokes, labels and classes.
    wish
        What is asked for.
    taken
        Queries that were answered or lie elsewhere: their places are left out.
    source
        Gives the probabilities (y, x, C) of a plane, and its novelty (y, x) or None;
        by default retrieval from the strokes does.
    here
        A plane that is looked at in any case, first: the one on screen.
    round_
        How many rounds came before; noise falls with it.
    """

    def __init__(
        self,
        session: Session,
        wish: Wish,
        *,
        taken: Sequence[Entry] = (),
        source: Source | None = None,
        here: int | None = None,
        round_: int = 0,
        pool: Pool | None = None,
    ) -> None:
        self.session, self.wish = session, wish
        self._taken, self._source, self._round = taken, source, round_
        self._pool = pool or Pool()
        self._queries: dict[int, list[Query]] = {}
        self._asked = self._labelled = 0
        self.planes = self._planes(here)

    @property
    def steps(self) -> list[Step]:
        """What is to be done, in order: planes never seen are counted first."""
        new = [p for p in self.planes if p not in self._pool.predicted]
        count: list[Step] = [("count", p) for p in new]
        return [*count, *(("score", p) for p in self.planes)]

    def take(self, step: Step, cancelled: Cancelled = never) -> None:
        """Do one step."""
        what, plane = step
        votes, novelty = self.maps(plane, cancelled)
        self._count(plane, votes)
        if what == "score":
            self._queries[plane] = self._rank(plane, votes, novelty, cancelled)

    def result(self) -> list[Query]:
        """The best queries of all planes scored so far, none on another."""
        from napari_sesami import suggest as room

        queries = [q for found in self._queries.values() for q in found]
        if not queries and self._queries:
            raise SessionError(_nothing_left(self._asked, self._labelled))
        if self.wish.stratified:
            return room.stratified(
                queries, self.wish.n, round_=self._round, seed=self.wish.seed
            )
        return room.spread(queries, self.wish.n)

    def maps(self, plane: int, cancelled: Cancelled = never) -> Maps:
        """Probabilities and novelty of a plane, checked."""
        from napari_sesami import suggest as room

        session = self.session
        shape = session.scan.plane_shape
        if self._source is not None:
            votes, novelty = self._source(plane)
        else:
            retriever = session.retriever(self.wish.zoom, cancelled)
            session._tokens(retriever.store, plane, cancelled)
            found = retriever.segment(plane, refine=False)
            votes, novelty = found.votes, np.minimum(found.novelty, 1)
        votes = room.check_maps(np.asarray(votes, np.float32), shape)
        if self._one_class(votes.shape[-1]):
            raise SessionError(
                "There is one class only, so nothing is doubtful: paint a stroke of a "
                "second one."
            )
        return votes, novelty

    def scores(
        self, plane: int, names: Sequence[Score], cancelled: Cancelled = never
    ) -> Heat:
        """Maps of single scores (y, x) in [0, 1]; high means "ask here"."""
        from napari_sesami import suggest as room

        unknown = [n for n in names if n not in SCORES]
        if unknown:
            raise SessionError(
                f"A score is one of {', '.join(SCORES)}; {unknown[0]!r} was given."
            )
        votes, novelty = self.maps(plane, cancelled)
        self._count(plane, votes)
        alone = {
            "entropy": room.entropy,
            "margin": room.margin,
            "bvsb": room.best_versus_second,
            "impurity": room.impurity,
        }
        out = {n: alone[n](votes) for n in names if n in alone}
        if {"combined", "rareness", "novelty"} & set(names):
            mixed = self._score(votes, novelty)
            parts = {
                "combined": mixed.total,
                "rareness": mixed.rareness,
                "novelty": mixed.novelty,
            }
            out.update({n: parts[n] for n in names if n in parts})
        return {n: np.clip(out[n], 0, 1) for n in names}

    # --- inside

    def _one_class(self, classes: int) -> bool:
        if classes < 2 or self._source is not None:
            return classes < 2
        taught = self.session._taught is not None
        return not taught and int((self.session._painted(classes) > 0).sum()) < 2

    def _planes(self, here: int | None) -> list[int]:
        if self.wish.planes is not None:
            return self.session._planes_asked(self.wish.planes)
        most = MASK_POOL if self.wish.kind == "mask" else POOL
        n = self.session.scan.n_planes
        spread = {round(i) for i in np.linspace(0, n - 1, min(n, most))}
        if here is None:
            return sorted(spread)
        if self.wish.kind == "mask":
            spread = {here}
        return [here, *sorted(spread - {here})]

    def _count(self, plane: int, votes: NDArray[np.float32]) -> None:
        labels = votes.argmax(-1).ravel()
        counts = np.bincount(labels, minlength=votes.shape[-1])
        self._pool.predicted[plane] = counts.astype(np.float64)

    def _score(
        self, votes: NDArray[np.float32], novelty: NDArray[np.float32] | None
    ) -> Scores:
        from napari_sesami import suggest as room

        classes = votes.shape[-1]
        predicted = np.zeros(classes)
        for counts in self._pool.predicted.values():
            n = min(classes, len(counts))
            predicted[:n] += counts[:n]
        return room.score(
            votes,
            novelty,
            predicted=predicted,
            labelled=self.session._painted(classes),
            mix=mix_of(self.wish.strategy),
        )

    def _rank(
        self,
        plane: int,
        votes: NDArray[np.float32],
        novelty: NDArray[np.float32] | None,
        cancelled: Cancelled,
    ) -> list[Query]:
        from napari_sesami import suggest as room

        scores = self._score(votes, novelty)
        regions = self._regions(plane, cancelled)
        done = self._done(plane)
        kind = self.wish.kind
        found = room.score_regions(scores, votes, regions, plane, kind, done)
        n = len(np.unique(regions[regions > 0]))
        self._asked += n
        self._labelled += n - len(found)
        if self.wish.strategy == "random":
            rng = np.random.default_rng([self.wish.seed, plane, self._round])
            found = [replace(q, score=float(rng.random())) for q in found]
        found = [q for q in found if not self._was_asked(q)]
        found.sort(key=lambda q: -q.score)
        return found[: PER_PLANE * self.wish.n]

    def _done(self, plane: int) -> NDArray[np.bool_]:
        session = self.session
        with session._work.lock:
            painted = session._work.layers["strokes"].read(plane) > 0
            return painted | (session._work.layers["labels"].read(plane) > 0)

    def _was_asked(self, query: Query) -> bool:
        return any(same_place(query, entry.query) for entry in self._taken)

    def _regions(self, plane: int, cancelled: Cancelled) -> NDArray[np.int32]:
        kind = self.wish.kind
        known = self._pool.known(plane, kind)
        if known is None:
            known = make_regions(self.session, plane, kind, cancelled)
            self._pool.put(plane, kind, known)
        return known


def same_place(a: Query, b: Query) -> bool:
    """Whether two regions of a plane share more than half of the smaller box."""
    if a.plane != b.plane:
        return False
    (t, le, bo, r), (t2, le2, bo2, r2) = a.bbox, b.bbox
    height, width = min(bo, bo2) - max(t, t2), min(r, r2) - max(le, le2)
    if height <= 0 or width <= 0:
        return False
    smaller = min((bo - t) * (r - le), (bo2 - t2) * (r2 - le2))
    return 2 * height * width > smaller


def _nothing_left(asked: int, labelled: int) -> str:
    if labelled >= asked:
        return (
            "Everything here is labelled already: look at other slices, or choose "
            "smaller regions."
        )
    return "Every region was asked about: look at other slices, or choose another kind."
