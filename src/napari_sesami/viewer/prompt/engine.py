"""Asks the prompt model in the workspace's one thread; the GUI never waits for it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_sesami.session import snapped
from napari_sesami.viewer.app.jobs import Job, JobQueue, Priority
from napari_sesami.viewer.app.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sesami.prompt import EmbeddingStore, Mask, Predictor
    from napari_sesami.session import PromptChain, Session

PROMPT, HOVER, PREFETCH = "prompt", "hover", "prefetch"
# s; an answer that comes as soon is drawn with the click itself: drawing the window
# twice would take longer than this wait
GRACE = 0.04


@dataclass
class PromptAnswer:
    """What came back for a prompt, and how long it took, in seconds."""

    node: PromptChain
    shown: Mask
    times: dict[str, float] = field(default_factory=dict)


class PromptEngine:
    """Loads the model, answers prompts, previews, and encodes ahead.

    Parameters
    ----------
    work
        The thread; nothing here computes anywhere else.
    """

    answered = Signal(object)
    """an `Answer`"""
    refused = Signal(object, str)
    """the prompt that could not be answered, and one sentence"""
    cancelled = Signal()
    """the prompts that were asked for will not be answered"""
    hovered = Signal(object, float)
    """the mask under the cursor, or None where the embedding is not ready; seconds"""
    prefetched = Signal()
    """the view around the cursor is encoded"""
    noticed = Signal(str)
    """something had to be done differently"""

    def __init__(self, work: JobQueue) -> None:
        self._jobs = work
        self._predictor: Predictor | None = None
        self._name = ""
        self._store: EmbeddingStore | None = None
        self._job: _Question | None = None
        self._notices: list[str] = []
        self._view: Any = None  # what is being encoded ahead

    def ask(
        self, session: Session, plane: int, node: PromptChain, reach: int, same: bool
    ) -> None:
        """Answer a prompt; `same` says that it belongs to the object asked for last.

        An older request is dropped, but what it has begun for the same object goes on:
        the newer one needs it.
        """
        self._jobs.cancel(HOVER)
        if not self._encodes_for(session, plane, node):
            self._jobs.cancel(PREFETCH)
        task = _Question(self, session, plane, node, reach)
        if self._job is not None and same:
            self._job.next = task
        self._job = task
        task.job = self._jobs.submit(
            PROMPT,
            task,
            self._on_answer,
            self._on_refused,
            self._on_cancelled,
            priority=Priority.CLICK,
        )
        if task.settled.wait(GRACE) and task.answer is not None:
            self._on_answer(task.answer)

    def hover(self, session: Session, plane: int, at: tuple[float, float]) -> None:
        """Find the mask under the cursor, if the embedding is ready."""
        self._jobs.submit(HOVER, _Hover(self, session, plane, at), self._on_hover)

    def prefetch(self, session: Session, plane: int, at: tuple[float, float]) -> None:
        """Encode the view around a place before it is clicked."""
        task = _Prefetch(self, session, plane, at)
        self._jobs.submit(PREFETCH, task, self._on_prefetch)

    def run(
        self,
        topic: str,
        session: Session,
        task: Callable[[Job, Predictor], Any],
        done: Callable[[Any], None],
        failed: Callable[[str], None] | None = None,
        cancelled: Callable[[], None] | None = None,
    ) -> Job:
        """Do something longer with the model; the callbacks are those of a job."""
        self.stop()
        long = _Long(self, session, task)
        return self._jobs.submit(topic, long, done, failed, cancelled)

    def stop(self) -> None:
        """Drop all questions that are open."""
        for topic in (PROMPT, HOVER, PREFETCH):
            self._jobs.cancel(topic)
        self._job = None

    @property
    def loaded(self) -> Predictor | None:
        """The predictor with the model that answered last; loads nothing."""
        return self._predictor

    def predictor(self, session: Session) -> Predictor:
        """The session's predictor; loads the model. Only for the work thread."""
        from napari_sesami.models import load_prompt_model
        from napari_sesami.prompt import EmbeddingStore, Predictor

        settings = read_settings()
        wish = (
            session.prompts.model
            if session.prompts.model is not None
            else settings.model
        )
        last = self._predictor
        if last is None or not (wish is last.model or wish == self._name):
            named = isinstance(wish, str) or hasattr(wish, "__fspath__")
            model: Any = load_prompt_model(wish, settings.device) if named else wish
            if self._store is None:
                self._store = EmbeddingStore.in_user_folder()
            last = Predictor(model, self._store, self._notices.append)
            self._predictor, self._name = last, str(wish) if named else ""
        if session.prompts.model is not last.model:
            session.prompts.share(last)
        return last

    def _encodes_for(self, session: Session, plane: int, node: PromptChain) -> bool:
        """Whether what is being encoded ahead is what the prompt needs."""
        view = self._view
        if view is None or view[:2] != (id(session), plane):
            return False
        y0, x0, y1, x1 = view[2].box
        return node.step.kind == "point" and (
            y0 <= node.step.where[0] < y1 and x0 <= node.step.where[1] < x1
        )

    def _tell_notices(self) -> None:
        while self._notices:
            self.noticed.emit(self._notices.pop(0))

    def _on_answer(self, answer: PromptAnswer) -> None:
        if self._job is None or self._job.node is not answer.node:
            return  # it was there before the wait for it had ended
        self._job = None
        self.answered.emit(answer)
        self._tell_notices()

    def _on_refused(self, text: str) -> None:
        task, self._job = self._job, None
        if task is not None:
            self.refused.emit(task.node, text)

    def _on_cancelled(self) -> None:
        """Tell that no answer is to come, unless a newer prompt waits for its own."""
        if self._job is None or (self._job.job is not None and self._job.job.dropped):
            self._job = None
            self.cancelled.emit()

    def _on_hover(self, found: tuple[Mask | None, float]) -> None:
        self.hovered.emit(*found)

    def _on_prefetch(self, _: object) -> None:
        self.prefetched.emit()
        self._tell_notices()


class _Question:
    """One question; it stops only if its successors do not want it, either."""

    def __init__(
        self,
        engine: PromptEngine,
        session: Session,
        plane: int,
        node: PromptChain,
        reach: int,
    ) -> None:
        self.engine, self.session, self.plane = engine, session, plane
        self.node, self.reach = node, reach
        self.job: Job | None = None
        self.next: _Question | None = None
        self.settled = threading.Event()  # answered, or it will take a while
        self.answer: PromptAnswer | None = None

    def stopped(self) -> bool:
        task: _Question | None = self
        while task is not None:
            if task.job is None or not task.job.cancelled:
                return False
            task = task.next
        return True

    def __call__(self, job: Job) -> PromptAnswer:
        self.job = job
        try:
            self.answer = self._answer()
        finally:
            self.settled.set()
        return self.answer

    def _answer(self) -> PromptAnswer:
        times, begin = {}, time.perf_counter()
        predictor = self.engine.predictor(self.session)
        times["model"] = time.perf_counter() - begin

        def solve() -> Mask:
            scan, stop, first = self.session.scan, self.stopped, self.node.steps[0]
            begin = time.perf_counter()
            if first.kind == "point":
                if not predictor.is_ready(scan, self.plane, first.where):
                    self.settled.set()
                predictor.prepare(scan, self.plane, first.where, cancel=stop)
            times["embed"] = time.perf_counter() - begin
            begin = time.perf_counter()
            mask = self.node.solve(predictor, scan, self.plane, stop)
            times["decode"] = time.perf_counter() - begin
            return mask

        mask = guarded(predictor, self.engine._notices, solve)
        begin = time.perf_counter()
        shown = snapped(mask, self.session.scan, self.reach)
        times["snap"] = time.perf_counter() - begin
        return PromptAnswer(self.node, shown, times)


@dataclass
class _Hover:
    engine: PromptEngine
    session: Session
    plane: int
    at: tuple[float, float]

    def __call__(self, job: Job) -> tuple[Mask | None, float]:
        predictor = self.engine.predictor(self.session)
        if not predictor.is_ready(self.session.scan, self.plane, self.at):
            return None, 0.0
        begin = time.perf_counter()

        def look() -> Mask:
            return predictor.predict(
                self.session.scan,
                self.plane,
                points=[self.at],
                reach=False,
                cancel=_asks(job),
            )

        mask = guarded(predictor, self.engine._notices, look)
        return mask, time.perf_counter() - begin


@dataclass
class _Prefetch:
    engine: PromptEngine
    session: Session
    plane: int
    at: tuple[float, float]

    def __call__(self, job: Job) -> None:
        predictor = self.engine.predictor(self.session)
        scan = self.session.scan
        view = predictor.view_at(scan, self.at)
        self.engine._view = (id(self.session), self.plane, view)

        def encode() -> Any:
            return predictor.prepare(scan, self.plane, self.at, cancel=_asks(job))

        try:
            guarded(predictor, self.engine._notices, encode)
        finally:
            self.engine._view = None


@dataclass
class _Long:
    engine: PromptEngine
    session: Session
    task: Callable[[Job, Predictor], Any]

    def __call__(self, job: Job) -> Any:
        predictor = self.engine.predictor(self.session)
        return guarded(
            predictor, self.engine._notices, lambda: self.task(job, predictor)
        )


def guarded(predictor: Predictor, notices: list[str], call: Callable[[], Any]) -> Any:
    """Call; when a GPU fails in the middle, go on with the CPU."""
    try:
        return call()
    except RuntimeError as error:
        move = getattr(predictor.model, "to", None)
        if move is None or predictor.model.device.type == "cpu":
            raise
        move("cpu")
        predictor.store.clear()
        kind = type(error).__name__
        notices.append(
            f"The graphics card failed ({kind}); prompts now run on the CPU, "
            "slower. Choose the model again to go back."
        )
        return call()


def _asks(job: Job) -> Callable[[], bool]:
    return lambda: job.cancelled
