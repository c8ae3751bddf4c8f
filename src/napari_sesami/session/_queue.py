"""The queue: what to label next, answered one by one, kept with the project."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, SupportsIndex, cast

import numpy as np

from napari_sesami.project import AnswerChange
from napari_sesami.session import _answering, _kept
from napari_sesami.session._answering import WHOLE
from napari_sesami.session._entries import Answer, Budget, Entry
from napari_sesami.session._errors import SessionError
from napari_sesami.session._ranking import Ranking, Wish
from napari_sesami.session._regions import Pool, mix_of, never, strategies
from napari_sesami.session._retrieval import SessionRetrieval

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_sesami.session._entries import How
    from napari_sesami.session._ranking import Cancelled, Heat, Score, Source
    from napari_sesami.session._session import Session
    from napari_sesami.suggest import Query

    Progress = Callable[[int, int], None]


class Queue:
    """Ranked queries of one scan, and the answers to them.

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
        """All answers, in the order of the queries."""
        known = self._session._work.answers
        return [Answer.from_dict(known[key]) for key in sorted(known)]

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
        return tuple(strategies())

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
            round_=len(taken) // 10,
            pool=self.pool,
        )

    def refresh(
        self, progress: Progress | None = None, cancelled: Cancelled = never
    ) -> list[Entry]:
        """Score all planes of the pool anew and rank the queue; gives the open ones."""
        ranking = self.ranking()
        steps = ranking.steps
        for i, step in enumerate(steps):
            ranking.take(step, cancelled)
            if progress is not None:
                progress(i + 1, len(steps))
        return self.take_over(ranking.result())

    def take_over(
        self, queries: Sequence[Query], keep: int | None = None
    ) -> list[Entry]:
        """Put newly ranked queries into the queue; those that were there keep ids.

        `keep` names a query that stays although it is no longer ranked: the one that
        is being answered.
        """
        drawn = self.wish.strategy == "random"
        measure = "" if drawn else str(mix_of(self.wish.strategy).uncertainty)
        old = {entry.id: entry for entry in self.open}
        new: list[Entry] = []
        for query in queries:
            same = next((e for e in old.values() if _alike(e.query, query)), None)
            if same is not None:
                del old[same.id]
            if same is not None and same.id == keep:
                new.append(same)
                continue
            new.append(Entry(self._number(same), query, measure))
        if keep in old:
            new.insert(0, old[keep])
        self.open = new
        self._tell()
        return new

    # --- answering

    def accept(
        self,
        id_: int,
        *,
        labels: NDArray[np.uint8] | None = None,
        seconds: float | None = None,
    ) -> Answer:
        """Say that the region is what it looks like; one step for undo.

        A superpixel or mask is painted with its class. A patch or slice gets `labels`
        (of its box; by default what retrieval says now): a patch as strokes, a slice
        as labels.
        """
        entry = self.entry(id_)
        class_id = entry.query.class_id
        if entry.query.kind in WHOLE:
            self._class(entry, class_id)
            return self._whole(entry, "accepted", class_id, seconds)
        crop = self.proposed(entry) if labels is None else np.asarray(labels, np.uint8)
        return self._answer(entry, "accepted", 0, seconds, crop)

    def change(
        self, id_: int, class_: str | SupportsIndex, *, seconds: float | None = None
    ) -> Answer:
        """Give the whole region a class; one step for undo."""
        entry = self.entry(id_)
        if entry.query.kind == "slice":
            raise SessionError(
                "A whole slice has more than one class: accept it as it is shown, or "
                "paint what is wrong."
            )
        class_id = self._session.classes[class_].id
        accepted = class_id == entry.query.class_id and entry.query.kind in WHOLE
        how: How = "accepted" if accepted else "changed"
        return self._whole(entry, how, class_id, seconds)

    def painted(self, id_: int, *, seconds: float | None = None) -> Answer:
        """Say that what is painted in the region is the answer."""
        entry = self.entry(id_)
        strokes = self.strokes_in(entry)
        if not strokes:
            raise SessionError(
                "Nothing is painted in this region yet: paint in it, accept it, or "
                "skip it."
            )
        return self._answer(entry, "painted", 0, seconds, None, clicks=strokes)

    def skip(self, id_: int, *, seconds: float | None = None) -> Answer:
        """Leave a query out; it is not asked again."""
        return self._answer(self.entry(id_), "skipped", 0, seconds, None)

    def strokes_in(self, entry: Entry) -> int:
        """How many strokes, or labelled areas, a region holds."""
        return _answering.strokes_in(self._session, entry.query)

    def proposed(self, entry: Entry, zoom: float | None = None) -> NDArray[np.uint8]:
        """The classes that the region's pixels look like, (h, w) of its box."""
        return _answering.proposed(self._session, entry.query, self.source, zoom)

    # --- inside

    def _whole(
        self, entry: Entry, how: How, class_id: int, seconds: float | None
    ) -> Answer:
        crop = np.where(entry.query.mask, class_id, 0).astype(np.uint8)
        return self._answer(entry, how, class_id, seconds, crop)

    def _answer(
        self,
        entry: Entry,
        how: How,
        class_id: int,
        seconds: float | None,
        crop: NDArray[np.uint8] | None,
        clicks: float = 1.0,
    ) -> Answer:
        session, query = self._session, entry.query
        spent = query.seconds if seconds is None else max(0.0, float(seconds))
        answer = Answer(entry, how, class_id, float(clicks), spent)
        with session.group(self._name(how, class_id)):
            if crop is not None:
                _answering.write(session, query, crop)
            change = AnswerChange(entry.id, None, answer.to_dict())
            session._do(self._name(how, class_id), [change])
        return answer

    def _name(self, how: str, class_id: int) -> str:
        entry = self._session.classes.get(class_id)
        said = f"{how} as {entry.name}" if entry is not None else how
        return f"query {said}"

    def _class(self, entry: Entry, class_id: int) -> None:
        if class_id not in self._session.classes:
            raise SessionError(
                "The class that this region looked like was deleted: give it another "
                "one (keys 1 to 9), or skip it."
            )

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

    def keep(self) -> None:
        """Write the open queries into the project, if there is one that can be."""
        session = self._session
        project = session.project
        if project is None or project.read_only:
            return
        name = f"{session._entry.key}.json"
        values = _kept.packed(self, session._entry.content_hash)

        def write() -> None:
            with self._guard:
                if self._written != (project.path, values):
                    project.write_json("queries", name, values)
                    self._written = (project.path, values)

        if self.writer is None:
            write()
        else:
            self.writer(write)

    def _on_saved(self) -> None:
        self.keep()  # the folder may be a new one

    def _read(self) -> None:
        """Take up what the project holds for this very scan."""
        session = self._session
        if session.project is None:
            return
        name = f"{session._entry.key}.json"
        try:
            values = session.project.read_json("queries", name)
            if values is not None:
                _kept.unpack(self, values, session._entry.content_hash)
        except ValueError as error:
            self.trouble = str(error)
        self.open = [e for e in self.open if e.id not in session._work.answers]


def _alike(a: Query, b: Query) -> bool:
    """Whether two queries ask about the very same region."""
    return a.plane == b.plane and a.bbox == b.bbox and a.kind == b.kind


class SessionQueue(SessionRetrieval):
    """Knows what to ask next."""

    _queue: Queue | None = None

    @property
    def queue(self) -> Queue:
        """Queries that are worth an answer, kept with the project."""
        if self._queue is None:
            self._queue = Queue(cast("Session", self))
        return self._queue

    def score_maps(
        self,
        plane: int = 0,
        scores: Sequence[Score] = ("combined",),
        *,
        zoom: float | None = None,
        cancelled: Cancelled = never,
    ) -> Heat:
        """Heat maps of a plane by name, (y, x) float32 in [0, 1]: high asks for labels.

        Scores are "combined", "entropy", "margin" (1 − best + second), "bvsb" (second ÷
        best), "rareness", "novelty" and "impurity". Rareness counts the planes that
        were ranked before; on a fresh session only this one.
        """
        planes = self._planes_asked([plane])
        ranking = self.queue.ranking(zoom=zoom)
        return ranking.scores(planes[0], scores, cancelled)
