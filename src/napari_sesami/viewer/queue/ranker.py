"""Ranks the queue in the background, a slice a job, so that strokes come between."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari_sesami.viewer.app.debounced import Later
from napari_sesami.viewer.queue import jobs

if TYPE_CHECKING:
    from napari_sesami.session import QueueJudge, Ranking
    from napari_sesami.viewer.app.jobs import Ticket
    from napari_sesami.viewer.queue.controller import Asker

RANK, SCALE, JUDGE = "what to label next", "scale of the queue", "clicks saved"
REST = 400  # ms after an answer
JUDGE_EVERY = 5  # answers


class Ranks:
    """Scores, one job per slice; answers meanwhile begin it once more afterwards.

    Attributes
    ----------
    zoom
        Scale at which the scan is read, or None before it is known.
    rounds
        How many rankings have ended.
    trouble
        Why nothing could be ranked, one sentence, or "".
    verdict, advice
        Clicks saved against random; when to stop.
    """

    def __init__(self, asker: Asker) -> None:
        self._asker = asker
        self.zoom: float | None = None
        self.rounds = 0
        self._on = False
        self._ticket: Ticket | None = None
        self.trouble = ""
        self.verdict = self.advice = ""
        self._again = False
        self._planes: list[int] = []
        self._done = 0
        self._first = False
        self._judged = -1
        self._steps = 0
        self._later = Later(self._after, REST)
        asker.desk.work.busy_changed.connect(self._notice)
        asker.desk.said.connect(self._notice)

    @property
    def running(self) -> bool:
        """Whether it is at work."""
        work, ticket = self._asker.desk.work, self._ticket
        return self._on and not (ticket is not None and work.dropped(ticket))

    def begin(self, anew: bool = False) -> None:
        """Rank now; `anew` also chooses the scale from the strokes again."""
        asker = self._asker
        link, work = asker.link, asker.desk.work
        link.flush()
        self._later.stop()
        live = asker.desk.live
        if live is not None:
            self.zoom = live.zoom
        elif anew:
            self.zoom = None
        self._on, self._again, self.trouble = True, False, ""
        if self.zoom is None:
            job = partial(jobs.best_zoom, link.session)
            self._ticket = work.submit(SCALE, job, self._on_zoom, self._on_refused)
        else:
            self._start()
        asker.changed.emit()

    def soon(self) -> None:
        """Rank again after the next answers, or once what runs has ended."""
        if self.running:
            self._again = True
        else:
            self._later.soon()

    def stop(self) -> None:
        """Leave it, and forget what belongs to the session."""
        self._later.stop()
        for topic in (RANK, SCALE, JUDGE):
            self._asker.desk.work.cancel(topic)
        self._on = self._again = False
        self.zoom, self.trouble = None, ""
        self.verdict, self.advice, self._judged = "", "", -1

    def halt(self) -> None:
        """Stop what runs; the list stays."""
        self._asker.desk.work.cancel(RANK)
        self._asker.desk.work.cancel(SCALE)
        self._on = self._again = False
        self._asker.changed.emit()

    def close(self) -> None:
        """Let go of the desk."""
        self.stop()
        self._asker.desk.work.busy_changed.disconnect(self._notice)
        self._asker.desk.said.disconnect(self._notice)

    def _notice(self, text: str) -> None:
        """Notice that somebody cancelled all work."""
        if self._on and not self.running:
            self._on = self._again = False
            self._asker.changed.emit()

    def _after(self) -> None:
        if self._asker.desk.link is not None and not self.running:
            self.begin()

    def _on_zoom(self, zoom: float) -> None:
        self.zoom = zoom
        self._start()

    def _start(self) -> None:
        asker = self._asker
        queue = asker.queue
        if queue is None:
            return
        here = asker.link.plane
        ranking = queue.ranking(here, self.zoom)
        self._planes, self._done = list(ranking.planes), 0
        self._first = not queue.open and len(self._planes) > 1
        self._step(ranking)

    def _step(self, ranking: Ranking) -> None:
        """Submit the next slice, or the choice after the last."""
        asker = self._asker
        queue, work = asker.queue, asker.desk.work
        if queue is None or not self.running:
            return
        if self._done == 1 and self._first:  # something to begin with
            self._first = False
            self._ticket = work.submit(
                RANK, partial(jobs.tried, ranking), self._on_first
            )
        elif self._done < len(self._planes):
            plane, share = self._planes[self._done], self._done / len(self._planes)
            self._done += 1
            job = partial(jobs.scored, ranking, plane, share)
            self._ticket = work.submit(RANK, job, self._step, self._on_refused)
        else:
            finish = partial(jobs.finished, ranking, queue.controls_wanted)
            self._ticket = work.submit(RANK, finish, self._on_ranked, self._on_refused)

    def _on_first(self, ranking: Ranking) -> None:
        """Show what the slice on screen gave, while others are looked at."""
        queue = self._asker.queue
        if queue is not None and ranking.queries:
            queue.take_over(ranking, keep=self._asker.current)
        self._step(ranking)

    def _on_ranked(self, ranking: Ranking) -> None:
        asker = self._asker
        queue = asker.queue
        self._on = False
        self.rounds += 1
        if queue is None:
            return
        if ranking.settings.kind == queue.settings.kind:
            queue.take_over(ranking, keep=asker.current)
        asker.want_pictures()
        if self._again:
            self._again = False
            self._later.soon()
        else:
            asker.desk.say(f"{len(queue.open)} places are worth a label; N goes there.")
            self._judge()
        asker.changed.emit()

    def _on_refused(self, text: str) -> None:
        self._on = self._again = False
        self.trouble = text
        self._asker.changed.emit()

    # --- clicks saved

    def _judge(self) -> None:
        asker = self._asker
        queue = asker.queue
        answers = 0 if queue is None else len(queue.answers)
        if queue is None or (answers < self._judged + JUDGE_EVERY and self._judged > 0):
            return
        judging = queue.judging(self.zoom)
        self.verdict, self.advice = queue.verdict(judging)
        self._steps, self._judged = 0, answers if judging.steps else -1
        if judging.steps:
            self._judge_step(judging)

    def _judge_step(self, judging: QueueJudge) -> None:
        asker = self._asker
        queue = asker.queue
        if queue is None:
            return
        if self._steps == len(judging.steps):
            self.verdict, self.advice = queue.verdict(judging)
            asker.changed.emit()
            return
        job = partial(jobs.judged, judging, self._steps)
        self._steps += 1
        asker.desk.work.submit(JUDGE, job, self._judge_step)
