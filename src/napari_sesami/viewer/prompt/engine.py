"""Asks a session's prompts in the workspace's one thread; the GUI never waits."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_sesami.session import SharedPredictor
from napari_sesami.viewer.app.jobs import Job, JobQueue, Priority
from napari_sesami.viewer.app.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sesami.prompt import Mask, Predictor
    from napari_sesami.session import PromptChain, Prompts, Question, Session, Solved

PROMPT, HOVER, PREFETCH = "prompt", "hover", "prefetch"
# s; an answer that comes as soon is drawn with the click itself: drawing the window
# twice would take longer than this wait
GRACE = 0.04


class PromptEngine:
    """Brings questions to the session's prompts, and their answers to the window.

    Parameters
    ----------
    work
        The thread; nothing here computes anywhere else.
    """

    answered = Signal(object)
    """a `Solved`"""
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
        self._shared = SharedPredictor(_chosen)
        self._question: Question | None = None
        self._job: Job | None = None

    def ask(
        self, session: Session, plane: int, node: PromptChain, reach: int, same: bool
    ) -> None:
        """Answer a prompt; `same` says that it belongs to the object asked for last.

        An older request is dropped, but what it has begun for the same object goes on:
        the newer one needs it.
        """
        prompts = self.serve(session)
        self._jobs.cancel(HOVER)
        if not prompts.encodes(plane, node.step):
            self._jobs.cancel(PREFETCH)
        follows = same and self._question is not None
        question = prompts.question(node, plane, snap=reach, follows=follows)
        self._question = question
        job = self._job = self._jobs.submit(
            PROMPT,
            lambda _: question.solve(),
            self._on_answer,
            self._on_refused,
            self._on_cancelled,
            priority=Priority.CLICK,
        )
        question.dropped = lambda: job.cancelled
        if question.settled.wait(GRACE) and question.solved is not None:
            self._on_answer(question.solved)

    def hover(self, session: Session, plane: int, at: tuple[float, float]) -> None:
        """Find the mask under the cursor, if the embedding is ready."""
        prompts = self.serve(session)

        def look(job: Job) -> tuple[Mask | None, float]:
            begin = time.perf_counter()
            mask = prompts.peek(plane, at, lambda: job.cancelled)
            return mask, 0.0 if mask is None else time.perf_counter() - begin

        self._jobs.submit(HOVER, look, self._on_hover)

    def prefetch(self, session: Session, plane: int, at: tuple[float, float]) -> None:
        """Encode the view around a place before it is clicked."""
        prompts = self.serve(session)
        self._jobs.submit(
            PREFETCH,
            lambda job: prompts.encode(plane, at, lambda: job.cancelled),
            self._on_prefetch,
        )

    def run(
        self,
        topic: str,
        session: Session,
        task: Callable[[Job], Any],
        done: Callable[[Any], None],
        failed: Callable[[str], None] | None = None,
        cancelled: Callable[[], None] | None = None,
    ) -> Job:
        """Do something longer with the model; the callbacks are those of a job."""
        self.stop()
        self.serve(session)
        return self._jobs.submit(topic, task, done, failed, cancelled)

    def stop(self) -> None:
        """Drop all questions that are open."""
        for topic in (PROMPT, HOVER, PREFETCH):
            self._jobs.cancel(topic)
        self._question = None

    @property
    def loaded(self) -> Predictor | None:
        """The predictor with the model that answered last; loads nothing."""
        return self._shared.loaded

    def serve(self, session: Session) -> Prompts:
        """Let a session use the model that its predecessors in this window used."""
        prompts = session.prompts
        prompts.lender = self._shared
        prompts.notice = self._shared.notices.append
        return prompts

    def _tell_notices(self) -> None:
        while self._shared.notices:
            self.noticed.emit(self._shared.notices.pop(0))

    def _on_answer(self, answer: Solved) -> None:
        if self._question is None or self._question.chain is not answer.chain:
            return  # it was there before the wait for it had ended
        self._question = None
        self.answered.emit(answer)
        self._tell_notices()

    def _on_refused(self, text: str) -> None:
        question, self._question = self._question, None
        if question is not None:
            self.refused.emit(question.chain, text)

    def _on_cancelled(self) -> None:
        """Tell that no answer is to come, unless a newer prompt waits for its own."""
        if self._question is None or (self._job is not None and self._job.dropped):
            self._question = None
            self.cancelled.emit()

    def _on_hover(self, found: tuple[Mask | None, float]) -> None:
        self.hovered.emit(*found)

    def _on_prefetch(self, _: object) -> None:
        self.prefetched.emit()
        self._tell_notices()


def _chosen() -> tuple[str, str]:
    """Name and device of the model in the settings."""
    settings = read_settings()
    return settings.model, settings.device
