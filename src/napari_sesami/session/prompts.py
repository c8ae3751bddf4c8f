"""Prompts: one way to ask the model for a mask, for scripts, docks and replay."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sesami.common.cancel import Cancelled
from napari_sesami.session.adapters import BASE
from napari_sesami.session.draft import Draft, PromptChain, snapped, steps_of
from napari_sesami.session.errors import SessionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sesami.common.cancel import IsCancelled
    from napari_sesami.prompt import Mask, Predictor
    from napari_sesami.session.adapters import Adapters
    from napari_sesami.session.checks import Plane
    from napari_sesami.session.document import Document


@dataclass(frozen=True)
class Solved:
    """The answer to a chain of prompts.

    Attributes
    ----------
    mask
        As the model gave it.
    shown
        With the border snapped to the image, if that was asked for.
    times
        Seconds by part: "model", "embed", "decode", "snap".
    """

    mask: Mask
    shown: Mask
    times: dict[str, float] = field(default_factory=dict)


class Prompts:
    """Asks the prompt model; nothing of the scan is changed by asking.

    Parameters
    ----------
    document
        The scan that is asked about.
    adapters
        What the model answers with.
    """

    def __init__(self, document: Document, adapters: Adapters) -> None:
        self._document, self._adapters = document, adapters
        self._predictor: Predictor | None = None

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

    def solve(
        self,
        chain: PromptChain,
        plane: int,
        *,
        snap: int = 0,
        cancelled: IsCancelled | None = None,
        waits: Callable[[], None] | None = None,
        notice: Callable[[str], None] | None = None,
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
        notice
            Told in a sentence when a graphics card failed and the CPU took over.
        """
        times: dict[str, float] = {}
        begin = time.perf_counter()
        predictor, scan = self.predictor, self._document.scan
        times["model"] = time.perf_counter() - begin

        def answer() -> Mask:
            begin, first = time.perf_counter(), chain.steps[0]
            if first.kind == "point":
                if waits is not None and not predictor.is_ready(
                    scan, plane, first.where
                ):
                    waits()
                predictor.prepare(scan, plane, first.where, cancel=cancelled)
            times["embed"] = time.perf_counter() - begin
            begin = time.perf_counter()
            mask = chain.solve(predictor, scan, plane, cancelled)
            times["decode"] = time.perf_counter() - begin
            return mask

        mask = self.guarded(answer, notice)
        begin = time.perf_counter()
        shown = snapped(mask, scan, snap)
        times["snap"] = time.perf_counter() - begin
        return Solved(mask, shown, times)

    def guarded(
        self, call: Callable[[], Any], notice: Callable[[str], None] | None = None
    ) -> Any:
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
            if notice is not None:
                notice(
                    f"The graphics card failed ({type(error).__name__}); prompts now "
                    "run on the CPU, slower. Choose the model again to go back."
                )
            return call()
