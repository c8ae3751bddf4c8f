"""The queue: what to label next, answered one by one, kept with the project."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np

from napari_sesami.common.cancel import not_cancelled
from napari_sesami.project import AnswerChange
from napari_sesami.session import queue_file
from napari_sesami.session.control import QueueJudge
from napari_sesami.session.errors import SessionError
from napari_sesami.session.queries import (
    WHOLE,
    Answer,
    Budget,
    QuerySettings,
    QueuedQuery,
    core,
)
from napari_sesami.session.ranking import Ranking, measure_of
from napari_sesami.session.regions import RegionPool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from napari_sesami.common.cancel import IsCancelled, Progress
    from napari_sesami.session.document import Document
    from napari_sesami.session.labels import Labels
    from napari_sesami.session.objects import Objects
    from napari_sesami.session.prompts import Prompts
    from napari_sesami.session.queries import How
    from napari_sesami.session.ranking import Heat, Source
    from napari_sesami.session.retrieval import Retrieval
    from napari_sesami.session.strokes import Strokes
    from napari_sesami.suggest import Kind, Query

KINDS = ("superpixel", "patch", "slice", "mask")
EVERY = 5  # queries, of which one is drawn at random
FEW = 5  # planes, of which none can be spared to judge


class Queue:
    """Ranked queries of one scan; each answer is one step for undo.

    Parameters
    ----------
    document, strokes, labels, objects
        The scan, and where answers are written.
    prompts, retrieval
        The models that are asked what a region looks like.

    Attributes
    ----------
    settings
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

    def __init__(
        self,
        document: Document,
        strokes: Strokes,
        labels: Labels,
        objects: Objects,
        prompts: Prompts,
        retrieval: Retrieval,
        adopted: Callable[[], Source | None] = lambda: None,
    ) -> None:
        self._document, self._prompts, self._adopted = document, prompts, adopted
        self._strokes, self._labels, self._objects = strokes, labels, objects
        self._retrieval = retrieval
        self.settings, self.budget = QuerySettings(), Budget()
        self.open: list[QueuedQuery] = []
        self._source: Source | None = None
        self.trouble = ""
        self.pool = RegionPool()
        self.writer: Callable[[Callable[[], None]], None] | None = None
        self.next_id = 1
        self._past: dict[int, QueuedQuery] = {}
        self._written: object = None
        self._guard = threading.Lock()
        self._remember()
        self._read()
        document.events.queries.connect(self._on_answers)
        document.events.saved.connect(self._on_saved)

    # --- looking

    @property
    def source(self) -> Source | None:
        """What gives the maps: one that was set, the adopted segmenter, or retrieval.

        None stands for retrieval from the strokes.
        """
        return self._source or self._adopted()

    @source.setter
    def source(self, source: Source | None) -> None:
        self._source = source

    @property
    def answers(self) -> list[Answer]:
        """All answers, in the order in which they came."""
        known = self._document.work.answers
        return [Answer.from_dict(said) for said in known.values()]

    @property
    def spent(self) -> tuple[float, float]:
        """Clicks and seconds that the answers cost."""
        said = self._document.work.answers.values()
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

    def entry(self, id_: int) -> QueuedQuery:
        """An open query by its number."""
        for entry in self.open:
            if entry.id == id_:
                return entry
        raise SessionError(
            f"Query {id_} is not in the queue; there are {len(self.open)}."
        )

    def reason(self, entry: QueuedQuery) -> str:
        """Why a query is asked, in a few words."""
        return entry.reason(self._document.classes)

    # --- asking

    def ask_for(self, **changes: Any) -> None:
        """Change the settings by their names, such as ``kind="patch"``."""
        settings = self._checked(replace(self.settings, **changes))
        if settings.kind != self.settings.kind:
            self.open = [e for e in self.open if e.query.kind == settings.kind]
        self.settings = settings
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
        settings = self.settings
        if zoom is not None:
            settings = replace(settings, zoom=zoom)
        taken = [a.entry for a in self.answers]
        return Ranking(
            self._document,
            self._prompts,
            self._retrieval,
            settings,
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

        n = self._document.scan.n_planes
        if self.settings.kind not in WHOLE or n < FEW:
            return []
        return control_slices(n, self.settings.seed)

    def suggest(
        self,
        n: int = 10,
        planes: Iterable[int] | None = None,
        *,
        kind: Kind = "superpixel",
        strategy: str = "rare",
        seed: int = 0,
        cancelled: IsCancelled = not_cancelled,
    ) -> list[Query]:
        """Rank regions that do not overlap, best first; the queue stays as it is.

        Parameters
        ----------
        n
            How many.
        planes
            Where to look; by default up to 16 planes spread over the scan.
        kind
            "superpixel", "patch" for squares of up to 128 pixels, "slice", or "mask" of
            the prompt model.
        strategy
            Name in `suggest.STRATEGIES`; one that was made for another kind of region
            asks for that.
        seed
            Of what is drawn at random.
        cancelled
            Asked now and then; a cancelled call raises.
        """
        wanted = None if planes is None else tuple(planes)
        settings = QuerySettings(kind, strategy, n=n, planes=wanted, seed=seed)
        ranking = Ranking(
            self._document,
            self._prompts,
            self._retrieval,
            self._checked(settings),
            source=self.source,
            pool=self.pool,
        )
        for plane in ranking.planes:
            ranking.take(plane, cancelled)
        return ranking.finish()

    def refresh(
        self, progress: Progress | None = None, cancelled: IsCancelled = not_cancelled
    ) -> list[QueuedQuery]:
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
        """How many queries drawn at random a list holds."""
        return self.settings.n // EVERY if self.control_planes else 0

    def take_over(self, ranking: Ranking, keep: int | None = None) -> list[QueuedQuery]:
        """Put what a ranking found into the queue; queries that were there keep ids.

        `keep` names a query that stays although it is no longer ranked: the one that
        is being answered.
        """
        queries = ranking.queries
        measure = measure_of(self.settings.strategy)
        old = {entry.id: entry for entry in self.open}
        past = {(e.query.plane, e.query.bbox) for e in self._past.values()}
        new: list[QueuedQuery] = []
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
            new.append(QueuedQuery(self._number(same), query, measure, rare=rare))
        if keep in old and not old[keep].control:
            new.insert(0, old[keep])
        self.open = self._with_controls(new, old.values(), ranking.control_queries)
        self._tell()
        return self.open

    # --- answering

    def accept(
        self,
        id_: int,
        *,
        labels: NDArray[np.uint8] | None = None,
        seconds: float | None = None,
    ) -> Answer:
        """Say that the region is what it looks like; one step for undo.

        A superpixel or mask is painted with its class, without its rim. A patch or
        slice gets `labels` (of its box; by default what retrieval says now): a patch as
        strokes, a slice as labels.
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
        class_id = self._document.classes[class_].id
        accepted = class_id == entry.query.class_id and entry.query.kind in WHOLE
        how: How = "accepted" if accepted else "changed"
        return self._whole(entry, how, class_id, seconds)

    def painted(self, id_: int, *, seconds: float | None = None) -> Answer:
        """Say that what is painted in the region is the answer."""
        entry = self.entry(id_)
        if entry.control:
            raise SessionError(
                "This one judges and must not teach: give it a class, or skip it."
            )
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

    def strokes_in(self, entry: QueuedQuery) -> int:
        """How many strokes, or labelled areas, a region holds."""
        from skimage.measure import label

        query, found = entry.query, 0
        y0, x0, y1, x1 = query.bbox
        for read in (self._strokes.plane, self._labels.plane):
            own = np.where(query.mask, read(query.plane)[y0:y1, x0:x1], 0)
            found = max(found, int(label(own, background=0, connectivity=2).max()))
        return found

    def proposed(
        self, entry: QueuedQuery, zoom: float | None = None
    ) -> NDArray[np.uint8]:
        """The classes that the region's pixels look like, (h, w) of its box."""
        query = entry.query
        y0, x0, y1, x1 = query.bbox
        if query.kind in WHOLE:
            return np.where(query.mask, query.class_id, 0).astype(np.uint8)
        if self.source is not None:
            labels = self.source(query.plane)[0].argmax(-1) + 1
        else:
            labels = self._retrieval.segment(query.plane, zoom=zoom).labels[0]
        crop = labels[y0:y1, x0:x1].astype(np.uint8)
        known = np.isin(crop, list(self._document.classes.ids)) & query.mask
        return np.where(known, crop, 0).astype(np.uint8)

    def judging(self, zoom: float | None = None) -> QueueJudge:
        """Begin to find out what choosing saved; see `saved`."""
        zoom = self.settings.zoom if zoom is None else zoom
        return QueueJudge(
            self._document, self._retrieval, self.answers, zoom, self.settings.seed
        )

    def saved(self, cancelled: IsCancelled = not_cancelled) -> str:
        """Clicks saved against random, in one line, or what is missing to tell."""
        judging = self.judging()
        for step in judging.steps:
            judging.take(step, cancelled)
        return self.verdict(judging)[0]

    def verdict(self, judging: QueueJudge) -> tuple[str, str]:
        """What a finished judging says: the clicks saved, and whether to stop or ""."""
        from napari_sesami.suggest import clicks_saved, stop_advice

        found = clicks_saved(judging.points, self.settings.seed)
        advice = stop_advice(judging.points) or ""
        if judging.missing:
            return judging.missing, ""
        if found is None:
            return "Clicks saved: too little to compare yet.", advice
        return found.sentence + ".", advice

    def score_maps(
        self,
        plane: int = 0,
        scores: Sequence[str] = ("combined",),
        *,
        zoom: float | None = None,
        cancelled: IsCancelled = not_cancelled,
    ) -> Heat:
        """Heat maps of a plane by name, (y, x) float32 in [0, 1]: high asks for labels.

        Scores are "combined", "entropy", "margin" (1 − best + second), "bvsb" (second ÷
        best), "rareness", "novelty" and "impurity". Rareness counts the planes that
        were ranked before; on a fresh session only this one.
        """
        number = self._retrieval.planes_asked([plane])[0]
        return self.ranking(zoom=zoom).scores(number, scores, cancelled)

    # --- inside

    def _whole(
        self, entry: QueuedQuery, how: How, class_id: int, seconds: float | None
    ) -> Answer:
        crop = np.where(core(entry.query), class_id, 0).astype(np.uint8)
        return self._answer(entry, how, class_id, seconds, crop)

    def _answer(
        self,
        entry: QueuedQuery,
        how: How,
        class_id: int,
        seconds: float | None,
        crop: NDArray[np.uint8] | None,
        clicks: float = 1.0,
    ) -> Answer:
        document, query = self._document, entry.query
        spent = query.seconds if seconds is None else max(0.0, float(seconds))
        answer = Answer(entry, how, class_id, float(clicks), spent)
        with document.history.group(self._name(how, class_id)):
            if crop is not None:
                self._write(query, crop, teach=not entry.control)
            change = AnswerChange(entry.id, None, answer.to_dict())
            document.do(self._name(how, class_id), [change])
        return answer

    def _name(self, how: str, class_id: int) -> str:
        entry = self._document.classes.get(class_id)
        said = f"{how} as {entry.name}" if entry is not None else how
        return f"query {said}"

    def _class(self, entry: QueuedQuery, class_id: int) -> None:
        if class_id not in self._document.classes:
            raise SessionError(
                "The class that this region looked like was deleted: give it another "
                "one (keys 1 to 9), or skip it."
            )

    def _write(self, query: Query, crop: NDArray[np.uint8], teach: bool) -> None:
        """Write classes (h, w) into free pixels of a region.

        Strokes teach; a whole slice would be too many of them and becomes labels, and
        so does what must not teach. A mask of the prompt model becomes an object, too.
        """
        y0, x0, y1, x1 = query.bbox
        corner, box = (y0, x0), np.s_[y0:y1, x0:x1]
        if query.kind == "slice" or not teach:
            there = self._labels.plane(query.plane)[box]
            merged = np.where(there > 0, there, crop)
            self._labels.write(merged, query.plane, at=corner)
            return
        there = self._strokes.plane(query.plane)[box]
        self._strokes.paint(np.where(there > 0, 0, crop), query.plane, at=corner)
        free = self._labels.plane(query.plane)[box] == 0
        if query.kind == "mask" and (free & (crop > 0)).any():
            full = np.zeros(self._document.scan.plane_shape, bool)
            full[box] = crop > 0
            self._objects.commit(full, int(crop.max()), query.plane, overlap="free")

    def _checked(self, settings: QuerySettings) -> QuerySettings:
        """Refuse kinds and strategies that there are not."""
        if settings.kind not in KINDS:
            raise SessionError(
                'Regions are "superpixel", "patch", "slice" or "mask"; '
                f"{settings.kind!r} was given."
            )
        if settings.strategy not in self.strategies:
            raise SessionError(
                f"A strategy is one of {', '.join(self.strategies)}; "
                f"{settings.strategy!r} was given."
            )
        return settings

    def _with_controls(
        self,
        ranked: list[QueuedQuery],
        old: Iterable[QueuedQuery],
        drawn: Sequence[Query],
    ) -> list[QueuedQuery]:
        """Mix random queries in, every fifth; those that wait are not drawn anew."""
        wanted = self.controls_wanted
        planes = set(self.control_planes)
        waiting = [e for e in old if e.control and e.query.plane in planes][:wanted]
        places = {
            (e.query.plane, e.query.bbox) for e in [*waiting, *self._past.values()]
        }
        for query in drawn:
            if len(waiting) < wanted and (query.plane, query.bbox) not in places:
                waiting.append(QueuedQuery(self._number(None), query, "", control=True))
        mixed = list(ranked)
        for i, entry in enumerate(waiting):
            mixed.insert(EVERY - 1 + EVERY * i, entry)
        return mixed

    def _number(self, same: QueuedQuery | None) -> int:
        if same is not None:
            return same.id
        known = [e.id for e in self.open] + list(self._document.work.answers)
        self.next_id = max([self.next_id, *(i + 1 for i in known)])
        self.next_id += 1
        return self.next_id - 1

    def _on_answers(self) -> None:
        """Follow answers that came, and those that undo took back."""
        now = self._document.work.answers
        gone = [id_ for id_ in sorted(self._past) if id_ not in now]
        for id_ in gone:
            self.open.insert(0, self._past.pop(id_))
        self._remember()
        self.open = [e for e in self.open if e.id not in now]
        self.keep()

    def _remember(self) -> None:
        for id_, said in self._document.work.answers.items():
            if id_ not in self._past:
                self._past[id_] = QueuedQuery.from_dict(said["entry"])

    def _tell(self) -> None:
        self._document.events.queries.emit()

    def keep(self, now: bool = False) -> None:
        """Write the open queries into the project, if there is one that can be."""
        project = self._document.project
        if project is None or project.read_only:
            return
        entry = self._document.entry
        name = f"{entry.key}.json"
        kept = queue_file.KeptQueue(self.settings, self.budget, self.next_id, self.open)
        values = queue_file.packed(kept, entry.content_hash)

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
        document = self._document
        if document.project is None:
            return
        name = f"{document.entry.key}.json"
        try:
            values = document.project.read_json("queries", name)
            kept = None
            if values is not None:
                kept = queue_file.unpacked(values, document.entry.content_hash)
            if kept is not None:
                self.settings, self.budget = kept.settings, kept.budget
                self.next_id, self.open = kept.next_id, kept.open
        except ValueError as error:
            self.trouble = str(error)
        self.open = [e for e in self.open if e.id not in document.work.answers]


def _alike(a: Query, b: Query) -> bool:
    """Whether two queries ask about the very same region."""
    return a.plane == b.plane and a.bbox == b.bbox and a.kind == b.kind
