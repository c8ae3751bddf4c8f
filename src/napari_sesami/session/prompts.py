"""Prompts: one way to ask the model for a mask, for scripts, docks and replay."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sesami.common.cancel import Cancelled, not_cancelled
from napari_sesami.session.adapters import BASE
from napari_sesami.session.draft import (
    Draft,
    PromptChain,
    PromptStep,
    snapped,
    steps_of,
)
from napari_sesami.session.errors import SessionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_sesami.common.box import BBox
    from napari_sesami.common.cancel import IsCancelled, Progress
    from napari_sesami.prompt import FollowStep, Mask, Match, Predictor
    from napari_sesami.scan import Scan
    from napari_sesami.session.adapters import Adapters
    from napari_sesami.session.checks import Plane
    from napari_sesami.session.document import Document

BAND = 512  # rows searched at a time, so that a cancel keeps what is done


@dataclass(frozen=True)
class Solved:
    """The answer to a chain of prompts.

    Attributes
    ----------
    chain
        What was asked.
    mask
        As the model gave it.
    shown
        With the border snapped to the image, if that was asked for.
    times
        Seconds by part: "model", "embed", "decode", "snap".
    """

    chain: PromptChain
    mask: Mask
    shown: Mask
    times: dict[str, float] = field(default_factory=dict)


class Question:
    """A question to be answered in a work thread, while newer ones may come.

    Attributes
    ----------
    chain, plane, snap
        What is asked, as in `Prompts.solve`.
    dropped
        Says whether nobody waits for the answer any more.
    settled
        Set when the question is answered, or will take a while.
    solved
        The answer, once it is there.
    """

    def __init__(
        self, prompts: Prompts, chain: PromptChain, plane: int, snap: int
    ) -> None:
        self.chain, self.plane, self.snap = chain, plane, snap
        self.dropped: IsCancelled = not_cancelled
        self.settled = threading.Event()
        self.solved: Solved | None = None
        self._prompts = prompts
        self._next: Question | None = None

    def solve(self) -> Solved:
        """Answer; what was begun goes on while a newer question needs it."""

        def unwanted() -> bool:
            newer: Question | None = self
            while newer is not None and newer.dropped():
                newer = newer._next
            return newer is None

        try:
            self.solved = self._prompts.solve(
                self.chain,
                self.plane,
                snap=self.snap,
                cancelled=unwanted,
                waits=self.settled.set,
            )
        finally:
            self.settled.set()
        return self.solved


class Prompts:
    """Asks the prompt model; nothing of the scan is changed by asking.

    Parameters
    ----------
    document
        The scan that is asked about.
    adapters
        What the model answers with.

    Attributes
    ----------
    lender
        Lends the predictor that a window's sessions share; None loads one for this
        session alone.
    notice
        Told in a sentence when a graphics card failed and the CPU took over.
    """

    def __init__(self, document: Document, adapters: Adapters) -> None:
        self._document, self._adapters = document, adapters
        self._predictor: Predictor | None = None
        self._latest: Question | None = None
        self._encoding: tuple[int, BBox] | None = None
        self.lender: Callable[[Prompts], None] | None = None
        self.notice: Callable[[str], None] | None = None

    # --- the model

    @property
    def model(self) -> Any:
        """The prompt model, by name, path or itself; None is the bundled one."""
        return self._adapters.base

    @model.setter
    def model(self, model: Any) -> None:
        self._adapters.base, self._adapters.loaded = model, None
        self._predictor = None

    @property
    def loaded(self) -> Predictor | None:
        """The predictor if there is one already; loads nothing."""
        return self._predictor

    @property
    def predictor(self) -> Any:
        """The model's `prompt.Predictor` with its embeddings, made on first use."""
        if self.lender is not None:
            self.lender(self)
        if self._predictor is None:
            from napari_sesami.models import load_prompt_model
            from napari_sesami.prompt import EmbeddingStore, Predictor

            model = self.model
            if model is None or isinstance(model, str | Path):
                model = load_prompt_model(model or BASE)
            store = EmbeddingStore.in_user_folder()
            self._predictor = Predictor(self._adapters.with_adapter(model), store)
        return self._predictor

    @predictor.setter
    def predictor(self, predictor: Any) -> None:
        self._take(predictor)
        self._adapters.with_adapter(predictor.model)

    def share(self, predictor: Predictor) -> None:
        """Ask a predictor that other sessions use, too, with this session's adapter."""
        self._take(predictor)
        self._adapters.with_adapter(predictor.model, afresh=True)

    def _take(self, predictor: Any) -> None:
        self._adapters.base, self._predictor = predictor.model, predictor

    # --- asking

    def draft(self) -> Draft:
        """Begin an object: prompts one after the other, each undoable."""
        return Draft()

    def ask(
        self,
        points: Any = None,
        labels: Any = None,
        box: Any = None,
        strokes: Any = None,
        mask: Any = None,
        plane: Plane = None,
        *,
        lasso: Any = None,
        cancelled: IsCancelled | None = None,
    ) -> Mask:
        """Ask the model for the mask that prompts mean; a draft of one question.

        Parameters
        ----------
        points, labels
            Clicks (y, x) in data pixels; 1 means "in", 0 means "not this".
        box
            (y0, x0, y1, x1) around the object.
        strokes
            Strokes meant for the object.
        mask
            A mask to start from, such as an earlier answer.
        plane
            Number of the plane; an earlier answer in `mask` knows its own.
        lasso
            Corners (y, x) of a line drawn around the object.
        cancelled
            Asked now and then; a cancelled call raises `Cancelled`.
        """
        if all(p is None for p in (points, box, strokes, mask, lasso)):
            raise SessionError(
                "There is no prompt: give points, a box, strokes, a lasso or a mask."
            )
        number = self._document.plane_number(
            getattr(mask, "plane", None) if plane is None else plane
        )
        steps = steps_of(
            self._document.scan.plane_shape,
            number,
            points=points,
            labels=labels,
            box=box,
            strokes=strokes,
            mask=mask,
            lasso=lasso,
        )
        chain: PromptChain | None = None
        for step in steps:
            chain = PromptChain(step, chain)
        assert chain is not None
        found = chain.solve(self.predictor, self._document.scan, number, cancelled)
        return replace(found, plane=number, prompts=chain.stored())

    def question(
        self, chain: PromptChain, plane: int, *, snap: int = 0, follows: bool = False
    ) -> Question:
        """Begin a question that may be overtaken; its `solve` is for a work thread.

        `follows` says that it belongs to the object that was asked for last: what its
        predecessor has begun is needed, and goes on even if that one is dropped.
        """
        found = Question(self, chain, plane, snap)
        if follows and self._latest is not None:
            self._latest._next = found
        self._latest = found
        return found

    def solve(
        self,
        chain: PromptChain,
        plane: int,
        *,
        snap: int = 0,
        cancelled: IsCancelled | None = None,
        waits: Callable[[], None] | None = None,
    ) -> Solved:
        """Answer a chain of prompts of a draft, for a work thread.

        Parameters
        ----------
        chain, plane
            The last prompt of a plane.
        snap
            Pixels over which the border may move to an edge of the image.
        cancelled
            Asked now and then; a cancelled call raises `Cancelled`.
        waits
            Called if the answer will take long: its view is not encoded yet.
        """
        times: dict[str, float] = {}
        begin = time.perf_counter()
        predictor, scan = self.predictor, self._document.scan
        times["model"] = time.perf_counter() - begin

        def answer() -> Mask:
            begin, first = time.perf_counter(), chain.steps[0]
            if first.kind == "point":
                at = (float(first.where[0]), float(first.where[1]))
                if waits is not None and not predictor.is_ready(scan, plane, at):
                    waits()
                predictor.prepare(scan, plane, at, cancel=cancelled)
            times["embed"] = time.perf_counter() - begin
            begin = time.perf_counter()
            mask = chain.solve(predictor, scan, plane, cancelled)
            times["decode"] = time.perf_counter() - begin
            return mask

        mask = self.guarded(answer)
        begin = time.perf_counter()
        shown = snapped(mask, scan, snap)
        times["snap"] = time.perf_counter() - begin
        return Solved(chain, mask, shown, times)

    def peek(
        self, plane: int, at: tuple[float, float], cancelled: IsCancelled | None = None
    ) -> Mask | None:
        """Give the mask of a click (y, x) at once; None if its view is not encoded."""
        predictor, scan = self.predictor, self._document.scan
        if not predictor.is_ready(scan, plane, at):
            return None
        return self.guarded(
            lambda: predictor.predict(
                scan, plane, points=[at], reach=False, cancel=cancelled
            )
        )

    def encode(
        self, plane: int, at: tuple[float, float], cancelled: IsCancelled | None = None
    ) -> None:
        """Encode the view around a place (y, x) before it is clicked."""
        predictor, scan = self.predictor, self._document.scan
        self._encoding = plane, predictor.view_at(scan, at).box
        try:
            self.guarded(lambda: predictor.prepare(scan, plane, at, cancel=cancelled))
        finally:
            self._encoding = None

    def encodes(self, plane: int, step: PromptStep) -> bool:
        """Whether a prompt needs what `encode` is at work on."""
        encoding = self._encoding
        if encoding is None or encoding[0] != plane or step.kind != "point":
            return False
        (y0, x0, y1, x1), (y, x) = encoding[1], step.where
        return y0 <= y < y1 and x0 <= x < x1

    # --- many objects, many planes

    def everything(
        self,
        plane: int,
        *,
        spacing: int = 24,
        progress: Progress | None = None,
        cancelled: IsCancelled | None = None,
    ) -> Iterator[Mask]:
        """Click on every place of a grid; masks come as they are found.

        `progress(done, all)` counts rows of the plane; a cancelled call raises, and
        what came before stays valid.
        """
        from napari_sesami.prompt import find_everything

        predictor, scan = self.predictor, self._document.scan
        height, width = scan.plane_shape
        for top in range(0, height, BAND):
            box = (top, 0, min(height, top + BAND), width)

            def rows(done: int, of: int, box: BBox = box) -> None:
                if progress is not None:
                    progress(box[0] + (box[2] - box[0]) * done // of, height)

            def search(box: BBox = box, rows: Progress = rows) -> list[Mask]:
                return find_everything(
                    predictor,
                    scan,
                    plane,
                    spacing=spacing,
                    box=box,
                    progress=rows,
                    cancel=cancelled,
                ).masks

            yield from self.guarded(search)

    def alike(
        self,
        like: Mask,
        plane: int,
        *,
        least: float = 0.6,
        progress: Progress | None = None,
        cancelled: IsCancelled | None = None,
    ) -> list[Match]:
        """Find all objects that look like one, best first; see `find_alike`."""
        from napari_sesami.prompt import find_alike

        predictor, scan = self.predictor, self._document.scan
        return self.guarded(
            lambda: find_alike(
                predictor,
                scan,
                like,
                plane,
                least=least,
                progress=progress,
                cancel=cancelled,
            )
        )

    def follow(
        self, mask: Mask, to: int, cancelled: IsCancelled | None = None
    ) -> Iterator[FollowStep]:
        """Follow an object slice by slice to plane `to`; see `propagate`.

        The last step says why it ended, if it did; a cancelled call raises, and what
        came before stays valid.
        """
        predictor, scan, last = self.predictor, self._document.scan, mask
        direction = 1 if to >= mask.plane else -1
        for plane in range(mask.plane + direction, to + direction, direction):
            step: FollowStep = self.guarded(
                partial(_one_step, predictor, scan, last, plane, cancelled)
            )
            yield step
            if step.ended:
                return
            last = step.mask

    def between(self, first: Mask, last: Mask) -> list[Mask]:
        """Fill the planes between those of two masks, in order."""
        from napari_sesami.prompt import between

        return between(first, last)

    def guarded(self, call: Callable[[], Any]) -> Any:
        """Call; when a GPU fails in the middle, go on with the CPU."""
        predictor = self.predictor
        try:
            return call()
        except Cancelled:
            raise
        except RuntimeError as error:
            move = getattr(predictor.model, "to", None)
            if move is None or predictor.model.device.type == "cpu":
                raise
            move("cpu")
            predictor.store.clear()
            if self.notice is not None:
                self.notice(
                    f"The graphics card failed ({type(error).__name__}); prompts now "
                    "run on the CPU, slower. Choose the model again to go back."
                )
            return call()


def _one_step(
    predictor: Predictor,
    scan: Scan,
    mask: Mask,
    plane: int,
    cancelled: IsCancelled | None,
) -> FollowStep:
    from napari_sesami.prompt import propagate

    return next(propagate(predictor, scan, mask, plane, cancel=cancelled))
