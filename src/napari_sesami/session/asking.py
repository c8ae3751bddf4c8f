"""Asking: the ranked list of queries, refreshed, mixed with controls, and kept."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_sesami.session import queue_file
from napari_sesami.session.answering import WHOLE
from napari_sesami.session.errors import SessionError
from napari_sesami.session.queries import Answer, Budget, Entry
from napari_sesami.session.ranking import Ranking, Wish, measure_of
from napari_sesami.session.regions import Pool, never

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from napari_sesami.session.ranking import Cancelled, Source
    from napari_sesami.session.session import Session
    from napari_sesami.suggest import Query

    Progress = Callable[[int, int], None]

EVERY = 5  # queries, of which one is drawn by lot
FEW = 5  # planes, of which none can be spared to judge


class Asking:
    """Ranked queries of one scan; answered ones leave the list.

    Attributes
    ----------
    wish
        What is asked for; `refresh` follows it.
    budget
        Clicks and seconds.
    open
        Queries to be answered, best first.
    source
        Where probabilities come from: None is retrieval from the strokes; else a
        function of the plane that gives (probabilities (y, x, C), novelty or None).
    trouble
        Why a kept queue could not be read; one sentence, or "".
    writer
        Given a function that writes to the disk, calls it when it suits; None calls
        it at once.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.wish, self.budget = Wish(), Budget()
        self.open: list[Entry] = []
        self.source: Source | None = None
        self.trouble = ""
        self.pool = Pool()
        self.writer: Callable[[Callable[[], None]], None] | None = None
        self.next_id = 1
        self._past: dict[int, Entry] = {}
        self._written: object = None
        self._guard = threading.Lock()
        self._remember()
        self._read()
        session.events.queries.connect(self._on_answers)
        session.events.saved.connect(self._on_saved)

    # --- looking

    @property
    def answers(self) -> list[Answer]:
        """All answers, in the order in which they came."""
        known = self._session._work.answers
        return [Answer.from_dict(said) for said in known.values()]

    @property
    def spent(self) -> tuple[float, float]:
        """Clicks and seconds that the answers cost."""
        said = self._session._work.answers.values()
        return (
            float(sum(a["clicks"] for a in said)),
            float(sum(a["seconds"] for a in said)),
        )

    @property
    def progress(self) -> float:
        """Share of the budget that is spent, 0 to 1 and beyond."""
        clicks, seconds = self.spent
        parts = [
            spent / limit
            for spent, limit in (
                (clicks, self.budget.clicks),
                (seconds, self.budget.seconds),
            )
            if limit
        ]
        return max(parts, default=0.0)

    @property
    def strategies(self) -> tuple[str, ...]:
        """Names of the strategies."""
        from napari_sesami.suggest import STRATEGIES

        return tuple(STRATEGIES)

    def entry(self, id_: int) -> Entry:
        """An open query by its number."""
        for entry in self.open:
            if entry.id == id_:
                return entry
        raise SessionError(
            f"Query {id_} is not in the queue; there are {len(self.open)}."
        )

    def reason(self, entry: Entry) -> str:
        """Why a query is asked, in a few words."""
        return entry.reason(self._session.classes)

    # --- asking

    def ask_for(self, **changes: Any) -> None:
        """Change the wish by names of `Wish`, such as ``kind="patch"``."""
        wish = replace(self.wish, **changes)
        if wish.kind not in ("superpixel", "patch", "slice", "mask"):
            raise SessionError(
                'Regions are "superpixel", "patch", "slice" or "mask"; '
                f"{wish.kind!r} was given."
            )
        if wish.strategy not in self.strategies:
            raise SessionError(
                f"A strategy is one of {', '.join(self.strategies)}; "
                f"{wish.strategy!r} was given."
            )
        if wish.kind != self.wish.kind:
            self.open = [e for e in self.open if e.query.kind == wish.kind]
        self.wish = wish
        self._tell()

    def spend(self, clicks: int | None = None, seconds: int | None = None) -> None:
        """Set the budget; 0 means no end."""
        new = Budget(
            self.budget.clicks if clicks is None else int(clicks),
            self.budget.seconds if seconds is None else int(seconds),
        )
        if new.clicks < 0 or new.seconds < 0:
            raise SessionError("A budget cannot be negative; 0 means no end.")
        self.budget = new
        self._tell()

    def ranking(self, here: int | None = None, zoom: float | None = None) -> Ranking:
        """Begin to score anew; `take_over` puts the result into the queue."""
        wish = self.wish if zoom is None else replace(self.wish, zoom=zoom)
        taken = [a.entry for a in self.answers]
        return Ranking(
            self._session,
            wish,
            taken=taken,
            source=self.source,
            here=here,
            control=self.control_planes,
            round_=len(taken) // 10,
            pool=self.pool,
        )

    @property
    def control_planes(self) -> list[int]:
        """Slices that judge and never teach; none in a scan of few planes."""
        from napari_sesami.suggest import control_slices

        n = self._session.scan.n_planes
        if self.wish.kind not in WHOLE or n < FEW:
            return []
        return control_slices(n, self.wish.seed)

    def refresh(
        self, progress: Progress | None = None, cancelled: Cancelled = never
    ) -> list[Entry]:
        """Score all planes of the pool anew and rank the queue; gives the open ones."""
        ranking = self.ranking()
        for i, plane in enumerate(ranking.planes):
            ranking.take(plane, cancelled)
            if progress is not None:
                progress(i + 1, len(ranking.planes))
        ranking.finish(self.controls_wanted)
        return self.take_over(ranking)

    @property
    def controls_wanted(self) -> int:
        """How many queries by lot a list holds."""
        return self.wish.n // EVERY if self.control_planes else 0

    def take_over(self, ranking: Ranking, keep: int | None = None) -> list[Entry]:
        """Put what a ranking found into the queue; queries that were there keep ids.

        `keep` names a query that stays although it is no longer ranked: the one that
        is being answered.
        """
        queries = ranking.queries
        measure = measure_of(self.wish.strategy)
        old = {entry.id: entry for entry in self.open}
        past = {(e.query.plane, e.query.bbox) for e in self._past.values()}
        new: list[Entry] = []
        for query in queries:
            if (query.plane, query.bbox) in past:  # answered while it was ranked
                continue
            same = next((e for e in old.values() if _alike(e.query, query)), None)
            if same is not None:
                del old[same.id]
            if same is not None and same.id == keep:
                new.append(same)
                continue
            rare = ranking.rare.get((query.plane, query.bbox), 0)
            new.append(Entry(self._number(same), query, measure, rare=rare))
        if keep in old and not old[keep].control:
            new.insert(0, old[keep])
        self.open = self._with_controls(new, old.values(), ranking.control_queries)
        self._tell()
        return self.open

    # --- inside

    def _with_controls(
        self, ranked: list[Entry], old: Iterable[Entry], drawn: Sequence[Query]
    ) -> list[Entry]:
        """Mix queries by lot in, every fifth; those that wait are not drawn anew."""
        wanted = self.controls_wanted
        planes = set(self.control_planes)
        waiting = [e for e in old if e.control and e.query.plane in planes][:wanted]
        places = {
            (e.query.plane, e.query.bbox) for e in [*waiting, *self._past.values()]
        }
        for query in drawn:
            if len(waiting) < wanted and (query.plane, query.bbox) not in places:
                waiting.append(Entry(self._number(None), query, "", control=True))
        mixed = list(ranked)
        for i, entry in enumerate(waiting):
            mixed.insert(EVERY - 1 + EVERY * i, entry)
        return mixed

    def _number(self, same: Entry | None) -> int:
        if same is not None:
            return same.id
        known = [e.id for e in self.open] + list(self._session._work.answers)
        self.next_id = max([self.next_id, *(i + 1 for i in known)])
        self.next_id += 1
        return self.next_id - 1

    def _on_answers(self) -> None:
        """Follow answers that came, and those that undo took back."""
        now = self._session._work.answers
        gone = [id_ for id_ in sorted(self._past) if id_ not in now]
        for id_ in gone:
            self.open.insert(0, self._past.pop(id_))
        self._remember()
        self.open = [e for e in self.open if e.id not in now]
        self.keep()

    def _remember(self) -> None:
        for id_, said in self._session._work.answers.items():
            if id_ not in self._past:
                self._past[id_] = Entry.from_dict(said["entry"])

    def _tell(self) -> None:
        self._session.events.queries.emit()

    def keep(self, now: bool = False) -> None:
        """Write the open queries into the project, if there is one that can be."""
        session = self._session
        project = session.project
        if project is None or project.read_only:
            return
        name = f"{session._entry.key}.json"
        values = queue_file.packed(self, session._entry.content_hash)

        def write() -> None:
            with self._guard:
                if self._written != (project.path, values):
                    project.write_json("queries", name, values)
                    self._written = (project.path, values)

        if now or self.writer is None:
            write()
        else:
            self.writer(write)

    def _on_saved(self) -> None:
        self.keep(now=True)  # the folder may be a new one

    def _read(self) -> None:
        """Take up what the project holds for this very scan."""
        session = self._session
        if session.project is None:
            return
        name = f"{session._entry.key}.json"
        try:
            values = session.project.read_json("queries", name)
            if values is not None:
                queue_file.unpack(self, values, session._entry.content_hash)
        except ValueError as error:
            self.trouble = str(error)
        self.open = [e for e in self.open if e.id not in session._work.answers]


def _alike(a: Query, b: Query) -> bool:
    """Whether two queries ask about the very same region."""
    return a.plane == b.plane and a.bbox == b.bbox and a.kind == b.kind
