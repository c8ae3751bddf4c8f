"""The queue: what to label next, answered one by one, kept with the project."""

from __future__ import annotations

from typing import TYPE_CHECKING, SupportsIndex, cast

import numpy as np

from napari_sesami.project import AnswerChange
from napari_sesami.session import answering
from napari_sesami.session.answering import WHOLE
from napari_sesami.session.asking import Asking
from napari_sesami.session.control import Judging
from napari_sesami.session.errors import SessionError
from napari_sesami.session.queries import Answer, Entry
from napari_sesami.session.regions import never
from napari_sesami.session.retrieval import SessionRetrieval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sesami.session.queries import How
    from napari_sesami.session.ranking import Cancelled, Heat, Score
    from napari_sesami.session.session import Session


class Queue(Asking):
    """Ranked queries of one scan, and the answers to them, each one step for undo."""

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
        class_id = self._session.classes[class_].id
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

    def strokes_in(self, entry: Entry) -> int:
        """How many strokes, or labelled areas, a region holds."""
        return answering.strokes_in(self._session, entry.query)

    def proposed(self, entry: Entry, zoom: float | None = None) -> NDArray[np.uint8]:
        """The classes that the region's pixels look like, (h, w) of its box."""
        return answering.proposed(self._session, entry.query, self.source, zoom)

    def judging(self, zoom: float | None = None) -> Judging:
        """Begin to find out what choosing saved; see `saved`."""
        zoom = self.wish.zoom if zoom is None else zoom
        return Judging(self._session, self.answers, zoom, self.wish.seed)

    def saved(self, cancelled: Cancelled = never) -> str:
        """Clicks saved against random, in one line, or what is missing to tell."""
        judging = self.judging()
        for step in judging.steps:
            judging.take(step, cancelled)
        return self.verdict(judging)[0]

    def verdict(self, judging: Judging) -> tuple[str, str]:
        """What a finished judging says: the clicks saved, and whether to stop or ""."""
        from napari_sesami.suggest import clicks_saved, stop_advice

        found = clicks_saved(judging.points, self.wish.seed)
        advice = stop_advice(judging.points) or ""
        if judging.missing:
            return judging.missing, ""
        if found is None:
            return "Clicks saved: too little to compare yet.", advice
        return found.sentence + ".", advice

    # --- inside

    def _whole(
        self, entry: Entry, how: How, class_id: int, seconds: float | None
    ) -> Answer:
        crop = np.where(answering.core(entry.query), class_id, 0).astype(np.uint8)
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
                answering.write(session, query, crop, teach=not entry.control)
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
