"""Ranking: a scan's planes are scored one by one; regions stay, maps do not."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_sesami.common.cancel import not_cancelled
from napari_sesami.session.errors import SessionError
from napari_sesami.session.regions import RegionPool, make_regions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_sesami.common.cancel import IsCancelled
    from napari_sesami.session.document import Document
    from napari_sesami.session.prompts import Prompts
    from napari_sesami.session.queries import QuerySettings, QueuedQuery
    from napari_sesami.session.retrieval import Retrieval
    from napari_sesami.suggest import Candidates, Kind, Query, Strategy

    Maps = tuple[NDArray[np.float32], NDArray[np.float32] | None]
    Source = Callable[[int], Maps]
    Heat = dict[str, NDArray[np.float32]]

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
BANK = 2000  # tokens of the bank that are compared with
RARE = 3.0  # class weight from which a reason calls a class rare
PERHAPS = 0.15  # probability from which a reason names it
MORE = 4  # times the wanted number is ranked before it is shared over the classes


class Ranking:
    """Scores a pool of planes, in steps that may be taken one by one.

    Parameters
    ----------
    document
        The scan and what is drawn on it.
    prompts
        The model whose masks are asked about.
    retrieval
        What votes.
    settings
        What is asked for.
    taken
        Queries that were answered: their places are left out.
    source
        Gives the probabilities (y, x, C) of a plane, and its novelty (y, x) or None;
        by default retrieval from the strokes does.
    here
        A plane that is looked at in any case, first: the one on screen.
    control
        Planes that judge: they are asked about at random, never by the strategy.
    round_
        How many rounds came before; noise falls with it.
    """

    def __init__(
        self,
        document: Document,
        prompts: Prompts,
        retrieval: Retrieval,
        settings: QuerySettings,
        *,
        taken: Sequence[QueuedQuery] = (),
        source: Source | None = None,
        here: int | None = None,
        control: Sequence[int] = (),
        round_: int = 0,
        pool: RegionPool | None = None,
    ) -> None:
        self._document, self._prompts = document, prompts
        self._retrieval, self.settings = retrieval, settings
        self._taken, self._source, self._round = taken, source, round_
        self._pool = pool or RegionPool()
        self._tables: dict[int, Candidates] = {}
        self.queries: list[Query] = []
        self.control_queries: list[Query] = []
        self.rare: dict[tuple[int, tuple[int, ...]], int] = {}
        self._control = frozenset(control)
        self.planes = [*self._planes(here), *sorted(self._control)]

    @property
    def strategy(self) -> Strategy:
        """How regions are chosen."""
        from napari_sesami.suggest import STRATEGIES

        return STRATEGIES[self.settings.strategy]

    @property
    def kind(self) -> Kind:
        """What is asked about; a strategy may have been made for one kind only."""
        return self.strategy.kind or self.settings.kind

    def take(self, plane: int, cancelled: IsCancelled = not_cancelled) -> None:
        """Score one plane."""
        from napari_sesami import suggest as room

        votes, novelty = self.maps(plane, cancelled)
        tokens = None
        read = self._retrieval.learner.current if self._source is None else None
        if read is not None and self.settings.strategy == "rare":
            tokens = read.store.plane(plane)  # those that have just voted
        elif self.settings.strategy == "coreset":
            store = self._retrieval.learner.token_store(self._zoom)
            self._retrieval.learner.read_tokens(store, plane, cancelled)
            tokens = store.plane(plane)
        maps = room.PlaneMaps(
            plane,
            self._regions(plane, cancelled),
            votes,
            novelty,
            None if tokens is None else tokens.astype(np.float32, copy=False),
            self._labelled(plane),
            self._disagreement(plane, cancelled),
        )
        self._tables[plane] = room.gather([maps], self.kind, seed=self.settings.seed)

    def _disagreement(
        self, plane: int, cancelled: IsCancelled
    ) -> NDArray[np.float32] | None:
        """How far single trees contradict each other, if the strategy asks for it."""
        if self.settings.strategy != "bald" or self._source is not None:
            return None
        learner = self._retrieval.learner
        retriever = learner.retriever(self.settings.zoom, cancelled)
        return retriever.disagreement(plane)

    def finish(self, controls: int = 0) -> list[Query]:
        """Find the best queries of all planes scored so far, none on another.

        They are in `queries`; `control_queries` has some drawn at random.
        """
        tables = self._tables.items()
        self.queries = self._best(
            self._free(joined([t for p, t in tables if p not in self._control]))
        )
        drawn = [t for p, t in tables if p in self._control]
        if drawn and controls:
            self.control_queries = self._drawn(joined(drawn), controls)
        return self.queries

    def _drawn(self, table: Candidates, n: int) -> list[Query]:
        if not len(table):
            return []
        rng = np.random.default_rng([self.settings.seed, 5, len(self._taken)])
        rows = rng.permutation(len(table))[:n]
        return table.queries(rows, np.zeros(len(rows)), self._regions)

    def _best(self, table: Candidates) -> list[Query]:
        from napari_sesami import suggest as room

        n, seed = self.settings.n, [self.settings.seed, self._round]
        labelled = self._retrieval.learner.painted_pixels(table.n_classes)
        state = room.State(
            labelled=labelled,
            tokens=self._bank() if self.settings.strategy == "coreset" else None,
            round=min(self._round, 9),
            apart=self._apart(),
        )
        wanted = n * MORE if self.settings.stratified else n
        rng = np.random.default_rng(seed)
        rows, scores = self.strategy.choose(table, wanted, state, rng)
        weights = room.class_weights(table.predicted)
        self.rare = _rare(table, rows, weights)
        queries = table.queries(rows, scores, self._regions, weights)
        measured = getattr(table, measure_of(self.settings.strategy) or "margin")
        queries = [
            replace(q, uncertainty=float(measured[row]))
            for q, row in zip(queries, rows, strict=True)
        ]
        if self.settings.stratified:
            return room.stratified(
                queries, n, min(self._round, 9), seed=self.settings.seed
            )
        return queries

    def maps(self, plane: int, cancelled: IsCancelled = not_cancelled) -> Maps:
        """Probabilities and novelty of a plane, checked."""
        from napari_sesami import suggest as room

        if self._source is not None:
            votes, novelty = self._source(plane)
        else:
            retriever = self._retrieval.learner.retriever(self.settings.zoom, cancelled)
            self._retrieval.learner.read_tokens(retriever.store, plane, cancelled)
            found = retriever.segment(plane, refine=False, pixels=False)
            votes, novelty = found.votes, np.minimum(found.novelty, 1)
        votes = np.asarray(votes, np.float32)
        room.check_maps(votes, self._document.scan.plane_shape)
        if self._one_class(votes.shape[-1]):
            raise SessionError(
                "There is one class only, so nothing is doubtful: paint a stroke of a "
                "second one."
            )
        counts = np.bincount(votes.argmax(-1).ravel(), minlength=votes.shape[-1])
        self._pool.predicted[plane] = counts.astype(np.float64)
        return votes, novelty

    def scores(
        self, plane: int, names: Sequence[str], cancelled: IsCancelled = not_cancelled
    ) -> Heat:
        """Maps of single scores (y, x) in [0, 1]; high means "ask here"."""
        from napari_sesami import suggest as room

        unknown = [n for n in names if n not in SCORES]
        if unknown:
            raise SessionError(
                f"A score is one of {', '.join(SCORES)}; {unknown[0]!r} was given."
            )
        votes, novelty = self.maps(plane, cancelled)
        alone = {
            "entropy": room.entropy,
            "margin": room.margin,
            "bvsb": room.best_versus_second,
            "impurity": room.impurity,
        }
        out = {n: alone[n](votes) for n in names if n in alone}
        if {"combined", "rareness", "novelty"} & set(names):
            classes = votes.shape[-1]
            mixed = room.score(
                votes,
                novelty,
                predicted=self._pool.shares(classes),
                labelled=self._retrieval.learner.painted_pixels(classes),
            )
            out["combined"], out["rareness"] = mixed.total, mixed.rareness
            out["novelty"] = mixed.novelty
        return {n: np.clip(out[n], 0, 1) for n in names}

    # --- inside

    @property
    def _zoom(self) -> float:
        zoom = self.settings.zoom
        return self._retrieval.learner.best_zoom() if zoom is None else zoom

    def _one_class(self, classes: int) -> bool:
        if classes < 2 or self._source is not None:
            return classes < 2
        taught = self._retrieval.learner.taught
        return (
            not taught
            and int((self._retrieval.learner.painted_pixels(classes) > 0).sum()) < 2
        )

    def _planes(self, here: int | None) -> list[int]:
        control = self._control
        if self.settings.planes is not None:
            asked = self._retrieval.planes_asked(self.settings.planes)
            self._control = control - set(asked)
            return asked
        kept = [p for p in range(self._document.scan.n_planes) if p not in control]
        most = MASK_POOL if self.kind == "mask" else POOL
        at = np.linspace(0, len(kept) - 1, min(len(kept), most))
        spread = {kept[round(i)] for i in at}
        if here is None or here in control:
            return sorted(spread)
        if self.kind == "mask":
            return [here]
        return [here, *sorted(spread - {here})]

    def _apart(self) -> int:
        """Neighbours in the pool count as the same place: they look alike."""
        n = self._document.scan.n_planes
        return 0 if n == 1 else max(1, round(n / max(len(self.planes), 1)))

    def _free(self, table: Candidates) -> Candidates:
        """Leave out what was asked before."""
        if not len(table):
            raise SessionError(
                "Everything here is labelled already: look at other slices, or choose "
                "smaller regions."
            )
        open_ = np.ones(len(table), bool)
        for entry in self._taken:
            query = entry.query
            open_ &= ~((table.plane == query.plane) & _shared(table.bbox, query.bbox))
        if not open_.any():
            raise SessionError(
                "Every region was asked about: look at other slices, or choose another "
                "kind."
            )
        return table.take(open_)

    def _labelled(self, plane: int) -> NDArray[np.bool_]:
        work = self._document.work
        with work.lock:
            painted = work.layers["strokes"].read(plane) > 0
            return painted | (work.layers["labels"].read(plane) > 0)

    def _bank(self) -> NDArray[np.float32] | None:
        return self._retrieval.learner.painted_tokens(self.settings.zoom, BANK)

    def _regions(
        self, plane: int, cancelled: IsCancelled = not_cancelled
    ) -> NDArray[np.int32]:
        known = self._pool.known(plane, self.kind)
        if known is None:
            known = make_regions(
                self._document.scan, self._prompts, plane, self.kind, cancelled
            )
            self._pool.put(plane, self.kind, known)
        return known


def joined(tables: Sequence[Candidates]) -> Candidates:
    """Put the tables of planes one below the other."""
    if not tables:
        raise SessionError("There are no planes to choose from: name one at least.")
    first, more = tables[0], {}
    for name in (f.name for f in fields(first)):
        values = [getattr(table, name) for table in tables]
        if name == "predicted":
            more[name] = np.sum(values, axis=0)
        elif name != "kind":
            more[name] = np.concatenate(values)
    return replace(first, **more)


def measure_of(strategy: str) -> str:
    """Which uncertainty a strategy measures; "" for those that draw lots."""
    if strategy in ("random", "foreground"):
        return ""
    return {
        "entropy": "entropy",
        "clasp": "entropy",
        "bvsb": "bvsb",
        "bald": "bald",
    }.get(strategy, "margin")


def _rare(
    table: Candidates, rows: NDArray[np.int64], weights: NDArray[np.float64]
) -> dict[tuple[int, tuple[int, ...]], int]:
    """Which rare class a region may be, by plane and box."""
    out = {}
    for row in rows.tolist():
        hints = table.shares[row] * (weights - 1) * (weights >= RARE)
        best = int(hints.argmax())
        if hints[best] > 0 and table.shares[row, best] >= PERHAPS:
            place = int(table.plane[row]), tuple(int(v) for v in table.bbox[row])
            out[place] = best + 1
    return out


def _shared(
    boxes: NDArray[np.int32], box: tuple[int, int, int, int]
) -> NDArray[np.bool_]:
    """Which boxes lie for more than half in a box."""
    height = np.minimum(boxes[:, 2], box[2]) - np.maximum(boxes[:, 0], box[0])
    width = np.minimum(boxes[:, 3], box[3]) - np.maximum(boxes[:, 1], box[1])
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return 2 * np.clip(height, 0, None) * np.clip(width, 0, None) > areas
