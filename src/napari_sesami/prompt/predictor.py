"""Predictor: prompts in data pixels become masks, on any scan and any prompt model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_sesami.common.cancel import cancellable, check_cancelled
from napari_sesami.prompt.embeddings import EmbeddingKey, EmbeddingStore, rounded
from napari_sesami.prompt.errors import PromptError
from napari_sesami.prompt.large_objects import LargeObjectSolver
from napari_sesami.prompt.on_view import PromptOnView, solve_together
from napari_sesami.prompt.pool.judge import ClickJudge
from napari_sesami.prompt.pool.pictures import PictureShelf
from napari_sesami.prompt.pool.solver import PoolSolver
from napari_sesami.prompt.prompts import Prompt
from napari_sesami.prompt.render import read_view
from napari_sesami.prompt.view import View, Views
from napari_sesami.scan import Scan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike

    from napari_sesami.common.cancel import IsCancelled
    from napari_sesami.models import Embedding, PromptModel
    from napari_sesami.prompt.mask import Mask


BATCH = 64


class Predictor:
    """Turns clicks, boxes, strokes, lassos and masks into masks.

    All coordinates are (y, x) in data pixels of a plane. One thread at a time computes;
    a store may be shared. Embeddings are made on demand for windows at native
    resolution and reused by every later prompt nearby.

    Parameters
    ----------
    model
        Any `PromptModel`.
    store
        Where embeddings are kept; half a gigabyte of memory if not given.
    notice
        Called with a sentence when something had to be done differently, e.g. when the
        GPU ran out of memory and the CPU took over.
    plain
        Give the net's own answers and scores, as training and comparisons of weights
        want them: no candidates from grey values, no judge.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_sesami.models import build_tiny_sam
    >>> predictor = Predictor(build_tiny_sam())
    >>> mask = predictor.predict(np.eye(90), points=[(40, 40)])
    >>> mask.full.shape
    (90, 90)
    """

    def __init__(
        self,
        model: PromptModel,
        store: EmbeddingStore | None = None,
        notice: Callable[[str], None] | None = None,
        plain: bool = False,
    ) -> None:
        self.model, self.plain = model, plain
        self.store = EmbeddingStore() if store is None else store
        self.notice = notice
        self.shelf = PictureShelf()

    def predict(
        self,
        scan: Scan | ArrayLike,
        plane: int = 0,
        points: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        box: Sequence[float] | None = None,
        strokes: Sequence[Any] | None = None,
        mask: Mask | ArrayLike | None = None,
        lasso: ArrayLike | None = None,
        *,
        multimask: bool | None = None,
        connected: bool = True,
        reach: bool = True,
        cancel: IsCancelled | None = None,
    ) -> Mask:
        """Find the object that is meant.

        Parameters
        ----------
        scan
            A Scan, or an image (y, x) or (y, x, 3).
        plane
            Which plane of it.
        points, labels
            (N, 2) as (y, x), and 1 (on the object) or 0 (off it) for each.
        box
            (y0, x0, y1, x1), half-open.
        strokes
            Lines along the object: arrays (N, 2), or `Stroke` with label 0 for off it.
        mask
            The last answer (its logits are handed back), a label, or any bool array.
        lasso
            (N, 2) corners around the object.
        multimask
            Choose among three candidates; by default for a single click only.
        connected
            Drop parts that hang together with no positive prompt.
        reach
            Follow an object that runs out of the view; without it the answer takes one
            pass (for previews).
        cancel
            Asked now and then; raise `Cancelled` soon after it gives True.
        """
        scan = as_scan(scan)
        prompt = Prompt.parse(
            scan.plane_shape, points, labels, box, strokes, mask, lasso
        )
        with cancellable(cancel):
            task = PromptOnView(self, scan, plane, prompt, multimask, connected)
            if not reach:
                return task.solve(task.first_view())[0]
            far = LargeObjectSolver(task)
            if self.judge is None or not task.suits_pool or far.is_long_stroke():
                return far.solve()
            pool = PoolSolver(task, self.judge)
            return pool.solve() or pool.plain

    def candidates(
        self,
        scan: Scan | ArrayLike,
        plane: int = 0,
        points: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        box: Sequence[float] | None = None,
        strokes: Sequence[Any] | None = None,
        mask: Mask | ArrayLike | None = None,
        lasso: ArrayLike | None = None,
        *,
        connected: bool = True,
        cancel: IsCancelled | None = None,
    ) -> tuple[Mask, ...]:
        """Find up to three readings of the prompts, the most likely first."""
        scan = as_scan(scan)
        prompt = Prompt.parse(
            scan.plane_shape, points, labels, box, strokes, mask, lasso
        )
        with cancellable(cancel):
            task = PromptOnView(self, scan, plane, prompt, True, connected)
            if self.judge is not None and task.suits_pool:
                found = PoolSolver(task, self.judge).answers()
                if found:
                    return tuple(found)
            return tuple(task.solve(task.first_view()))

    def pool(
        self,
        scan: Scan | ArrayLike,
        plane: int = 0,
        *,
        multimask: bool | None = None,
        **given: Any,
    ) -> PoolSolver:
        """Collect what all witnesses say of prompts (those of `predict`)."""
        scan = as_scan(scan)
        prompt = Prompt.parse(scan.plane_shape, **given)
        task = PromptOnView(self, scan, plane, prompt, multimask, True)
        return PoolSolver(task, self.judge)

    @property
    def judge(self) -> ClickJudge | None:
        """Who chooses among candidates; None if the net's plain answer is wanted."""
        return None if self.plain else ClickJudge.bundled()

    def predict_many(
        self,
        scan: Scan | ArrayLike,
        plane: int = 0,
        points: ArrayLike | None = None,
        boxes: ArrayLike | None = None,
        *,
        multimask: bool = True,
        connected: bool = True,
        plain: bool = False,
        cancel: IsCancelled | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[Mask]:
        """Find one object per point or box, many at a time on shared embeddings.

        Parameters
        ----------
        scan, plane
            As in `predict`.
        points, boxes
            (N, 2) clicks, or (N, 4) boxes; the result is in their order.
        multimask
            Take the best of three candidates for each.
        connected
            Drop parts that hang together with no prompt.
        plain
            Take the net's own choice and score, not the judge's.
        cancel, progress
            `progress(done, all)` is called after each batch.
        """
        scan = as_scan(scan)
        if (points is None) == (boxes is None):
            raise PromptError("Give points or boxes, one per object; not both.")
        given = np.atleast_2d(np.asarray(points if boxes is None else boxes, float))
        kind = "points" if boxes is None else "box"
        shape = scan.plane_shape
        prompts = [Prompt.parse(shape, **{kind: row}) for row in given if row.size]
        with cancellable(cancel):
            return self._many(
                scan, plane, prompts, multimask, connected, plain, progress
            )

    def _many(
        self,
        scan: Scan,
        plane: int,
        prompts: list[Prompt],
        multimask: bool,
        connected: bool,
        plain: bool,
        progress: Callable[[int, int], None] | None,
    ) -> list[Mask]:
        tasks = [
            PromptOnView(self, scan, plane, p, multimask, connected) for p in prompts
        ]
        for task in tasks if plain else ():
            task.judge = None
        by_view: dict[View, list[int]] = {}
        for i, task in enumerate(tasks):
            by_view.setdefault(task.first_view(), []).append(i)
        found: dict[int, Mask] = {}
        for view, members in by_view.items():
            for start in range(0, len(members), BATCH):
                check_cancelled()
                some = members[start : start + BATCH]
                found.update(
                    zip(
                        some,
                        solve_together([tasks[i] for i in some], view),
                        strict=True,
                    )
                )
                if progress is not None:
                    progress(len(found), len(tasks))
        return [found[i] for i in range(len(tasks))]

    def prepare(
        self,
        scan: Scan | ArrayLike,
        plane: int = 0,
        at: tuple[float, float] | None = None,
        cancel: IsCancelled | None = None,
    ) -> View:
        """Encode the view around a place (the middle if None) before it is clicked."""
        scan = as_scan(scan)
        view = self.view_at(scan, at)
        with cancellable(cancel):
            self.embed(scan, plane, view)
        return view

    def is_ready(
        self,
        scan: Scan | ArrayLike,
        plane: int = 0,
        at: tuple[float, float] | None = None,
    ) -> bool:
        """Whether a click at a place would be answered without encoding first."""
        scan = as_scan(scan)
        return self._key(scan, plane, self.view_at(scan, at)) in self.store

    def view_at(self, scan: Scan, at: tuple[float, float] | None = None) -> View:
        """The view that a single click at a place looks at."""
        height, width = scan.plane_shape
        return self.views(scan).at(at or (height / 2, width / 2))

    def views(self, scan: Scan) -> Views:
        """How views of a scan are chosen for this model."""
        magnify = bool(getattr(self.model, "magnify", False))
        return Views(scan.plane_shape, self.model.tile, magnify)

    def embed(self, scan: Scan, plane: int, view: View) -> Embedding:
        """Find the embedding of a view, or make it."""
        key = self._key(scan, plane, view)
        found = self.store.get(key)
        if found is not None:
            return found
        check_cancelled()
        pixels = read_view(scan, plane, view)
        made = rounded(self._encode(pixels))
        key = self._key(scan, plane, view)  # the device may have changed
        self.store.put(key, made)
        return made

    def _encode(self, pixels: torch.Tensor) -> Embedding:
        """Encode on the model's device; on the CPU if its memory is not enough."""
        try:
            return self.model.encode(pixels.to(self.model.device))
        except torch.OutOfMemoryError:
            move = getattr(self.model, "to", None)
            if move is None or self.model.device.type == "cpu":
                raise
            move("cpu")
            torch.cuda.empty_cache()
            self.store.clear()
            if self.notice is not None:
                self.notice(
                    "The GPU ran out of memory; prompts now run on the CPU, slower. "
                    "Close other programs on the GPU and choose it again."
                )
            return self.model.encode(pixels)

    def _key(self, scan: Scan, plane: int, view: View) -> EmbeddingKey:
        return EmbeddingKey(
            scan.content_hash,
            int(plane),
            view.box,
            view.shrink,
            view.grow,
            self.model.key,
            scan.normalisation.key,
        )


def as_scan(scan: Scan | ArrayLike) -> Scan:
    """Take an image for a scan of one plane."""
    return scan if isinstance(scan, Scan) else Scan.from_array(scan)
