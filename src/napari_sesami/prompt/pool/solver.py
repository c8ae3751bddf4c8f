"""PoolSolver: asks all witnesses about a prompt, and lets the judge choose."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.common.cancel import check_cancelled
from napari_sesami.prompt.large_objects import SMALL
from napari_sesami.prompt.on_view import tensors
from napari_sesami.prompt.pool.candidates import FLOOD, Scene, Witness
from napari_sesami.prompt.pool.features import describe
from napari_sesami.prompt.pool.finish import to_data_pixels
from napari_sesami.prompt.pool.floods import held
from napari_sesami.prompt.pool.joins import to_local_edge
from napari_sesami.prompt.pool.level import Level
from napari_sesami.prompt.pool.net_only import net_level
from napari_sesami.prompt.pool.pictures import windows
from napari_sesami.prompt.render import prior_logits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_sesami.prompt.mask import Mask
    from napari_sesami.prompt.on_view import PromptOnView
    from napari_sesami.prompt.pool.judge import Judge
    from napari_sesami.prompt.view import View


ENOUGH = 0.72  # predicted overlap at which no wider window is opened: costs nothing
OUT = 2.0  # taken off for a candidate that runs out of its window


class PoolSolver:
    """Answers a prompt with the candidate that the judge thinks best.

    Parameters
    ----------
    task
        The prompt on its plane.
    judge
        Predicts the overlap of candidates; without one, only `levels` can be asked for.
    """

    def __init__(self, task: PromptOnView, judge: Judge | None) -> None:
        self.task, self.judge = task, judge
        self.said = np.nan
        """What the trees predicted of the last answer, before it is calibrated."""

    def solve(self) -> Mask | None:
        """The best candidate with the overlap to expect of it; None if there is none.

        Wider windows are opened only until a candidate is as good as can be hoped.
        """
        assert self.judge is not None
        best: tuple[float, Level, int] | None = None
        for level in self.levels():
            said = self.judge.pool.predict(level.numbers)
            said = np.where(level.cut, said - OUT, said)
            i = int(np.argmax(said))
            if best is None or said[i] > best[0]:
                best = (float(said[i]), level, i)
            if best[0] >= ENOUGH:
                break
        if best is None:
            return None
        self.said = best[0]
        return self.draw(best[1], best[2], self.judge.pool.expect(best[0]))

    def answers(self, most: int = 3, unlike: float = 0.8) -> list[Mask]:
        """The best candidates that are not much the same, best first."""
        assert self.judge is not None
        ranked: list[tuple[float, int, Level, int]] = []
        for level in self.levels():
            said = self.judge.pool.predict(level.numbers)
            for i in np.argsort(-said, kind="stable")[: 3 * most]:
                if not level.cut[i]:
                    ranked.append((float(said[i]), len(ranked), level, int(i)))
        drawn: list[Mask] = []
        for value, _, level, i in sorted(ranked, key=lambda r: (-r[0], r[1])):
            mask = self.draw(level, i, self.judge.pool.expect(value))
            if all(mask.iou(other) < unlike for other in drawn):
                drawn.append(mask)
            if len(drawn) == most:
                break
        return drawn

    def levels(self) -> Iterator[Level]:
        """Collect candidates in windows that grow until they hold the whole plane."""
        task = self.task
        prompt, views = task.prompt, task.views
        asked = [witness(task, task.first_view())]
        close = closer_view(task, asked[0])
        if close is not None:
            asked.append(witness(task, close))
        for window in windows(task.shape, prompt.extent):
            check_cancelled()
            known = [
                w
                for w in asked
                if holds(w.view, window) or w.view.shrink >= window.shrink
            ]
            if not known:
                view = views.around(prompt.anchor, prompt.extent, window.shrink)
                asked.append(witness(task, view))
                known = [asked[-1]]
            pictures = task.predictor.shelf.get(task.scan, task.plane, window)
            scene = Scene.of(pictures, prompt, known)
            found = scene.candidates()
            if not found:
                continue
            numbers = describe(scene, found, task.shape[0] * task.shape[1])
            inner = window.inner_sides(task.shape)
            yield Level(scene, found, numbers, inner)

    def net_alone(self) -> Level | None:
        """The net's own masks as `predict_many` judges them, at their resolution."""
        first = witness(self.task, self.task.first_view())
        kept = [self.task.own_parts(m, first.view) for m in first.logits]
        return net_level(self.task, kept, first.scores, first.view)

    def draw(self, level: Level, number: int, score: float) -> Mask:
        """Give a candidate as a mask of the plane."""
        c = level.found[number]
        pictures, mask = level.scene.pictures, c.mask
        if c.source == FLOOD:  # a flood stops short of the middle of a soft edge
            mask = to_local_edge(mask, pictures.smoothed[0], pictures.noise)
            mask = held(mask, level.scene.on)
            both = np.count_nonzero(mask & c.mask)
            if both < 0.5 * np.count_nonzero(mask | c.mask):
                mask = c.mask  # too thin to have sides
            if not level.scene.obeys(mask):
                mask = c.mask
        drawn = to_data_pixels(self.task, level.view, mask, pictures.noise, score)
        # the next click is answered from the view that saw this one, with this mask
        near = level.scene.witnesses[-1]
        rows, columns = near.logits.shape[-2:]
        logits = prior_logits(drawn, near.view, (rows, columns))
        return replace(drawn, view=near.view, logits=logits)


def holds(view: View, window: View) -> bool:
    """Whether a view of the net shows all of a window."""
    a, b = view.box, window.box
    return a[0] <= b[0] and a[1] <= b[1] and a[2] >= b[2] and a[3] >= b[3]


def witness(task: PromptOnView, view: View) -> Witness:
    """Ask the net on one view."""
    model = task.predictor.model
    emb = task.predictor.embed(task.scan, task.plane, view)
    check_cancelled()
    given = tensors([task], view, emb, model.tile)
    logits, scores = model.decode(emb, **given, multimask=task.multimask)
    likeness = None
    if emb.tokens is not None and len(task.prompt.positive):
        likeness = _likeness(emb.tokens, view.to_cells(task.prompt.positive))
    return Witness(
        view,
        np.asarray(logits[0].detach().float().cpu()),
        np.clip(np.asarray(scores[0].detach().float().cpu()), 0, 1),
        likeness,
    )


def _likeness(tokens: Any, cells: NDArray[Any]) -> NDArray[np.float32]:
    """Cosine of every token with the nearest of the clicked ones, (h4, w4)."""
    t = tokens[0].detach().float().cpu().numpy()
    t = t / np.maximum(np.linalg.norm(t, axis=0, keepdims=True), 1e-9)
    at = np.minimum(cells, np.array(t.shape[1:]) - 1)[:4]
    clicked = t[:, at[:, 0], at[:, 1]]
    return np.asarray(np.einsum("dn,dhw->nhw", clicked, t).max(0), np.float32)


def closer_view(task: PromptOnView, first: Witness) -> View | None:
    """The enlarged view of a small object, for models that gain by it."""
    view = first.view
    if not getattr(task.predictor.model, "closer", False):
        return None
    if (view.shrink, view.grow) != (1, 1):
        return None
    best = first.logits[int(first.scores.argmax())]
    rows, columns = view.cells
    at = np.argwhere(best[:rows, :columns] > 0)
    if not len(at) or len(at) * 16 > 2 * SMALL:
        return None
    low, high = at.min(0) * 4 + view.box[:2], (at.max(0) + 1) * 4 + view.box[:2]
    if len(task.prompt.positive):
        low = np.minimum(low, task.prompt.positive.min(0))
        high = np.maximum(high, task.prompt.positive.max(0))
    close = task.views.close(tuple((low + high) / 2))
    extents = ((*low, *high), task.prompt.extent)
    return close if all(close.holds(e, task.shape) for e in extents) else None
