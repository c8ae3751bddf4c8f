"""Ranks the queue in the background, a slice a job, so that strokes come between."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from napari_sesami.viewer.app.jobs import Debounced, Priority
from napari_sesami.viewer.queue import jobs
from napari_sesami.viewer.strokes.controller import StrokesController

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sesami.session import QueueJudge, Ranking
    from napari_sesami.viewer.app.jobs import Job
    from napari_sesami.viewer.queue.controller import QueueController

RANK, ZOOM, JUDGE = "what to label next", "zoom of the queue", "clicks saved"
REST = 400  # ms after an answer
JUDGE_EVERY = 5  # answers


class QueueRanker:
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

    def __init__(self, controller: QueueController) -> None:
        self._controller = controller
        self.zoom: float | None = None
        self.rounds = 0
        self._on = False
        self._job: Job | None = None
        self.trouble = ""
        self.verdict = self.advice = ""
        self._again = False
        self._planes: list[int] = []
        self._done = 0
        self._first = False
        self._judged = -1
        self._steps = 0
        self._later = Debounced(self._after, REST)

    @property
    def running(self) -> bool:
        """Whether it is at work."""
        return self._on

    def begin(self, anew: bool = False) -> None:
        """Rank now; `anew` also chooses the zoom from the strokes again."""
        controller = self._controller
        binding = controller.binding
        binding.flush()
        self._later.stop()
        live = controller.workspace.find(StrokesController)
        if live is not None:
            self.zoom = live.zoom
        elif anew:
            self.zoom = None
        self._on, self._again, self.trouble = True, False, ""
        self._job = None  # a job that was cancelled ended the ranking before
        if self.zoom is None:
            task = partial(jobs.best_zoom, binding.session)
            self._submit(ZOOM, task, self._on_zoom)
        else:
            self._start()
        controller.changed.emit()

    def soon(self) -> None:
        """Rank again after the next answers, or once what runs has ended."""
        if self.running:
            self._again = True
        else:
            self._later.soon()

    def stop(self) -> None:
        """Leave it, and forget what belongs to the session."""
        self._later.stop()
        for topic in (RANK, ZOOM, JUDGE):
            self._controller.workspace.jobs.cancel(topic)
        self._on = self._again = False
        self.zoom, self.trouble = None, ""
        self.verdict, self.advice, self._judged = "", "", -1

    def halt(self) -> None:
        """Stop what runs; the list stays."""
        self._controller.workspace.jobs.cancel(RANK)
        self._controller.workspace.jobs.cancel(ZOOM)
        self._on = self._again = False
        self._controller.changed.emit()

    def close(self) -> None:
        """Let go of the workspace."""
        self.stop()

    def _on_cancelled(self) -> None:
        """Stop here if somebody cancelled the newest job, and not an older one."""
        if self._on and self._job is not None and self._job.dropped:
            self._on = self._again = False
            self._controller.changed.emit()

    def _after(self) -> None:
        if self._controller.workspace.binding is not None and not self.running:
            self.begin()

    def _on_zoom(self, zoom: float) -> None:
        self.zoom = zoom
        self._start()

    def _start(self) -> None:
        controller = self._controller
        queue = controller.queue
        if queue is None:
            return
        here = controller.binding.plane
        ranking = queue.ranking(here, self.zoom)
        self._planes, self._done = list(ranking.planes), 0
        self._first = not queue.open and len(self._planes) > 1
        self._step(ranking)

    def _step(self, ranking: Ranking) -> None:
        """Submit the next slice, or the choice after the last."""
        controller = self._controller
        queue = controller.queue
        if queue is None or not self.running:
            return
        if self._done == 1 and self._first:  # something to begin with
            self._first = False
            self._submit(RANK, partial(jobs.tried, ranking), self._on_first)
        elif self._done < len(self._planes):
            plane, share = self._planes[self._done], self._done / len(self._planes)
            self._done += 1
            task = partial(jobs.scored, ranking, plane, share)
            self._submit(RANK, task, self._step)
        else:
            finish = partial(jobs.finished, ranking, queue.controls_wanted)
            self._submit(RANK, finish, self._on_ranked)

    def _submit(
        self, topic: str, task: Callable[[Job], Any], done: Callable[[Any], None]
    ) -> None:
        self._job = self._controller.workspace.jobs.submit(
            topic,
            task,
            done,
            self._on_refused,
            self._on_cancelled,
            priority=Priority.RANKING,
        )

    def _on_first(self, ranking: Ranking) -> None:
        """Show what the slice on screen gave, while others are looked at."""
        queue = self._controller.queue
        if queue is not None and ranking.queries:
            queue.take_over(ranking, keep=self._controller.current)
        self._step(ranking)

    def _on_ranked(self, ranking: Ranking) -> None:
        controller = self._controller
        queue = controller.queue
        self._on = False
        self.rounds += 1
        if queue is None:
            return
        if ranking.settings.kind == queue.settings.kind:
            queue.take_over(ranking, keep=controller.current)
        controller.want_pictures()
        if self._again:
            self._again = False
            self._later.soon()
        else:
            count = len(queue.open)
            controller.workspace.say(
                f"{count} queries are worth a label; N goes there."
            )
            self._judge()
        controller.changed.emit()

    def _on_refused(self, text: str) -> None:
        self._on = self._again = False
        self.trouble = text
        self._controller.changed.emit()

    # --- clicks saved

    def _judge(self) -> None:
        controller = self._controller
        queue = controller.queue
        answers = 0 if queue is None else len(queue.answers)
        if queue is None or (answers < self._judged + JUDGE_EVERY and self._judged > 0):
            return
        judging = queue.judging(self.zoom)
        self.verdict, self.advice = queue.verdict(judging)
        self._steps, self._judged = 0, answers if judging.steps else -1
        if judging.steps:
            self._judge_step(judging)

    def _judge_step(self, judging: QueueJudge) -> None:
        controller = self._controller
        queue = controller.queue
        if queue is None:
            return
        if self._steps == len(judging.steps):
            self.verdict, self.advice = queue.verdict(judging)
            controller.changed.emit()
            return
        task = partial(jobs.judged, judging, self._steps)
        self._steps += 1
        controller.workspace.jobs.submit(
            JUDGE, task, self._judge_step, priority=Priority.RANKING
        )
